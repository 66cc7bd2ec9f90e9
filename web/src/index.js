/** Runs plans of `shufflekit compile`: `const net = await load("net.plan"); const out = net.run(input)`. */

import { bestSet, bytesOf, moduleFor } from "./files.js";

/** What was given cannot be used; the message is one line. */
export class InputError extends Error {
  name = "InputError";
}

const refusal = (message) => new InputError(message);
const ARRAYS = { float32: [Float32Array], uint8: [Uint8Array, Uint8ClampedArray] };

/**
 * Reads a plan.
 *
 * @param source its address (in Node also a path), or its bytes.
 * @param instructionSet "relaxed" or "simd128"; the best that runs here by default.
 * @throws InputError where it cannot be read or is no sound plan.
 */
export async function load(source, { instructionSet = bestSet() } = {}) {
  const [bytes, module] = await Promise.all([bytesOf(source, refusal), moduleFor(instructionSet, refusal)]);
  const isNamed = typeof source === "string" || source instanceof URL;
  try {
    return new Net(await instantiate(module), bytes);
  } catch (error) {
    throw error instanceof InputError && isNamed ? refusal(`${source}: ${error.message}`) : error;
  }
}

/** A network, which has a WebAssembly instance and its memory to itself. */
class Net {
  #engine;

  constructor(engine, bytes) {
    this.#engine = engine;
    const at = engine.call("room", bytes.length);
    engine.bytes(at, bytes.length).set(bytes);
    const { name, instruction_set, batched, inputs, outputs, info } = JSON.parse(engine.text(engine.call("load")));
    Object.assign(this, { name, instructionSet: instruction_set, batched, inputs, outputs, info });
    for (const tensor of [...inputs, ...outputs]) tensor.size = tensor.shape.reduce((a, b) => a * b, 1);
    deepFreeze(this);
  }

  /**
   * Runs images through the network.
   *
   * @param inputs for each input an array of its type, images one after another; or one image of the input's size.
   * @returns the output's array, a copy; an array of them where the network has several.
   * @throws InputError for inputs of another number, type or size.
   */
  run(...inputs) {
    const { length } = this.inputs;
    if (inputs.length !== length) throw refusal(`inputs: must be ${length}, found ${inputs.length}`);
    const counts = inputs.map((values, i) => this.#count(this.inputs[i], values));
    const images = new Set(counts.filter((_, i) => this.inputs[i].batched));
    if (images.size > 1) throw refusal(`inputs: must have the same number of images, found ${[...images].join(", ")}`);
    const count = [...images][0] ?? 1;
    this.#engine.call("prepare", count);
    inputs.forEach((values, i) => this.#view(this.inputs[i], 1, i, count).set(values));
    this.#engine.call("run");
    const outputs = this.outputs.map((output, i) => this.#view(output, 0, i, count).slice());
    return outputs.length === 1 ? outputs[0] : outputs;
  }

  /** How many images an input has. */
  #count({ name, type, size, shape, batched }, values) {
    const label = this.inputs.length > 1 ? name : "x";
    if (!ARRAYS[type].some((kind) => values instanceof kind)) {
      throw refusal(`${label}: must be a ${ARRAYS[type][0].name}, found ${values?.constructor?.name ?? values}`);
    }
    const count = values.length / size;
    if (!Number.isInteger(count) || count < 1 || (count > 1 && !batched)) {
      const needed = `${shape.join(" x ") || 1} numbers${batched ? " for each image" : ""}`;
      throw refusal(`${label}: must have ${needed}, found ${values.length}`);
    }
    return count;
  }

  /** A tensor's memory, of `count` images. */
  #view({ type, size, batched }, isInput, number, count) {
    const at = this.#engine.call("address", isInput, number);
    return new ARRAYS[type][0](this.#engine.memory.buffer, at, size * (batched ? count : 1));
  }
}

/** The engine's calls and memory. What it refuses is thrown, and leaves it in no state to go on. */
async function instantiate(module) {
  let gone = "";
  const bytes = (at, length) => new Uint8Array(exports.memory.buffer, at >>> 0, length);
  const fail = (at, length) => {
    throw refusal(new TextDecoder().decode(bytes(at, length >>> 0)));
  };
  const none = () => 8; // WASI's EBADF: there are no files
  const { exports } = await WebAssembly.instantiate(module, {
    shufflekit: { fail },
    wasi_snapshot_preview1: { fd_close: none, fd_seek: none, fd_write: none },
  });
  const call = (name, ...values) => {
    if (gone) throw refusal(`the network stopped: ${gone}`);
    try {
      return exports[name](...values);
    } catch (error) {
      gone = error.message.split("\n")[0];
      throw error instanceof InputError ? error : refusal(`WebAssembly stopped: ${gone}`);
    }
  };
  const text = (at) => {
    const memory = new Uint8Array(exports.memory.buffer);
    return new TextDecoder().decode(memory.subarray(at >>> 0, memory.indexOf(0, at >>> 0)));
  };
  call("_initialize");
  return { call, bytes, text, memory: exports.memory };
}

function deepFreeze(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
}
