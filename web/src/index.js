/** Runs plans of `shufflekit compile`: `const net = await load("net.plan"); const out = net.run(input)`. */

import { Engine, threadStarter } from "./engine.js";
import { InputError, refusal, refused } from "./errors.js";
import { bestSet, bytesOf, moduleFor, namesOf } from "./files.js";

export { InputError };

const ARRAYS = { float32: [Float32Array], uint8: [Uint8Array, Uint8ClampedArray] };

/**
 * Reads a plan.
 *
 * @param source its address (in Node also a path), or its bytes.
 * @param instructionSet "relaxed" or "simd128"; the best that runs here by default.
 * @param threads that share each run, 1 by default; more where the page is cross-origin isolated, and in Node.
 * @throws InputError where it cannot be read or is no sound plan.
 */
export async function load(source, { instructionSet = bestSet(), threads = 1 } = {}) {
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) throw refusal(`threads: must be 1 to 64, found ${threads}`);
  if (threads > 1 && globalThis.crossOriginIsolated === false) {
    throw refusal(`threads: must be 1 on a page that is not cross-origin isolated, found ${threads}`);
  }
  const [bytes, module, startThread] = await Promise.all([bytesOf(source), moduleFor(instructionSet, threads), threadStarter()]);
  const isNamed = typeof source === "string" || source instanceof URL;
  let engine;
  try {
    engine = new Engine(module, bytes, threads, startThread);
  } catch (error) {
    const { message } = refused(error);
    throw refusal(isNamed ? `${source}: ${message}` : message);
  }
  await engine.ready();
  return new Net(engine, await namesOf(engine.about.info.classes));
}

/**
 * Reads a plan in a worker of its own, so that no run holds up the page: run, classify and detect give promises.
 *
 * @throws InputError as `load` does.
 */
export async function loadInWorker(source, options = {}) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = [];
  const call = (name, ...values) =>
    new Promise((...answers) => worker.postMessage([waiting.push(answers) - 1, name, values]));
  worker.onmessage = ({ data: [number, found, name, message] }) => {
    const [resolve, reject] = waiting[number];
    delete waiting[number];
    if (message === undefined) resolve(found);
    else reject(name === "InputError" ? refusal(message) : new Error(message));
  };
  worker.onerror = ({ message }) => waiting.forEach(([, reject]) => reject(new Error(`worker: ${message}`)));
  const address = typeof source === "string" || source instanceof URL ? new URL(source, location.href).href : source;
  try {
    const about = await call("load", address, options);
    const calls = ["run", "classify", "detect"].map((name) => [name, (...values) => call(name, ...values)]);
    const close = () => {
      worker.terminate();
      waiting.splice(0).forEach(([, reject]) => reject(refusal("the network stopped: it was closed")));
    };
    return Object.freeze({ ...about, ...Object.fromEntries(calls), close });
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** A network, which has a WebAssembly instance and its memory to itself. */
class Net {
  #engine;
  #labels;

  constructor(engine, labels) {
    this.#engine = engine;
    this.#labels = labels;
    const { name, instruction_set, batched, inputs, outputs, info } = engine.about;
    Object.assign(this, { name, instructionSet: instruction_set, threads: engine.threads, batched, inputs, outputs, info });
    for (const tensor of [...inputs, ...outputs]) tensor.size = tensor.shape.reduce((a, b) => a * b, 1);
    deepFreeze(this);
  }

  /**
   * Runs images through the network.
   *
   * @param inputs for each input an array of its type, images one after another; of a network that takes photos also one ImageData of
   *   the input's size, whose bytes go in as the plan says.
   * @returns the output's array, a copy; an array of them where the network has several.
   * @throws InputError for inputs of another number, type or size.
   */
  run(...inputs) {
    const { length } = this.inputs;
    if (inputs.length !== length) throw refusal(`inputs: must be ${length}, found ${inputs.length}`);
    if (isImage(inputs[0]) && length === 1) {
      this.#put(inputs[0]);
      this.#said("take");
      return this.#finish(1);
    }
    const counts = inputs.map((values, i) => this.#count(this.inputs[i], values));
    const images = new Set(counts.filter((_, i) => this.inputs[i].batched));
    if (images.size > 1) throw refusal(`inputs: must have the same number of images, found ${[...images].join(", ")}`);
    const count = [...images][0] ?? 1;
    this.#engine.call("prepare", count);
    inputs.forEach((values, i) => this.#view(this.inputs[i], 1, i, count).set(values));
    return this.#finish(count);
  }

  /**
   * The likeliest classes of a photo of any size, which goes in as the plan says: resized, cut, normalised.
   *
   * @param image an ImageData, or { data, width, height } of RGBA bytes.
   * @returns [{ label, index, score }], best first.
   */
  classify(image, { top = 5 } = {}) {
    if (!Number.isInteger(top) || top < 1) throw refusal(`top: must be a whole number of 1 or more, found ${top}`);
    this.#put(image);
    return this.#said("classify", top).map((each) => ({ label: this.#label(each.index), ...each }));
  }

  /**
   * What a detector finds on a photo of any size.
   *
   * @param image an ImageData, or { data, width, height } of RGBA bytes.
   * @param least score of a box, above 0 and below 1.
   * @returns [{ label, index, score, box: [left, top, right, bottom] }] in the photo's pixels, best first.
   */
  detect(image, { least = 0.3 } = {}) {
    if (!(least > 0 && least < 1)) throw refusal(`least: must be above 0 and below 1, found ${least}`);
    this.#put(image);
    return this.#said("detect", least).map((each) => ({ label: this.#label(each.index), ...each }));
  }

  /** Ends the network's threads and lets go of its memory. */
  close() {
    this.#engine.close();
  }

  #label(index) {
    return this.#labels[index] ?? `class ${index}`;
  }

  /** An image into the engine's memory. */
  #put(image) {
    if (!isImage(image)) throw refusal(`image: must be an ImageData, found ${image?.constructor?.name ?? image}`);
    const { data, width, height } = image;
    if (data.length !== width * height * 4 || data.length === 0) {
      throw refusal(`image: must have ${width}x${height}x4 bytes, found ${data.length}`);
    }
    this.#engine.bytes(this.#engine.call("picture", width, height), data.length).set(data);
  }

  /** What the engine finds, or why it does not. */
  #said(name, ...values) {
    const { problem, found } = JSON.parse(this.#engine.text(this.#engine.call(name, ...values)));
    if (problem) throw refusal(`${this.name || "the network"}: ${problem}`);
    return found;
  }

  #finish(count) {
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
    return new ARRAYS[type][0](this.#engine.buffer, at, size * (batched ? count : 1));
  }
}

function isImage(value) {
  return [Uint8Array, Uint8ClampedArray].some((kind) => value?.data instanceof kind) && value.width >= 1 && value.height >= 1;
}

function deepFreeze(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
}
