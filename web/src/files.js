/** Bytes of plans, and of what is built into ../wasm: fetched in browsers, read in Node. */

import { refusal } from "./errors.js";

const SETS = ["simd128", "relaxed"];

// () -> f32x4.relaxed_madd of three zeros: valid where the browser has relaxed SIMD.
// prettier-ignore
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0,
  65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 11,
]);

export const isNode = typeof process === "object" && Boolean(process.versions?.node);

const kept = {};

/** What `make` promises, once for each name; where that failed, the next call tries again. */
function once(name, make) {
  kept[name] ??= make().catch((error) => {
    delete kept[name];
    throw error;
  });
  return kept[name];
}

/** The best instruction set that runs here. */
export function bestSet() {
  return WebAssembly.validate(RELAXED) ? "relaxed" : "simd128";
}

/** The engine for an instruction set, compiled once: for one thread, or for any number of them. */
export function moduleFor(set, threads) {
  if (!SETS.includes(set)) throw refusal(`instructionSet: must be one of ${SETS.join(", ")}, found ${set}`);
  const name = threads > 1 ? `${set}-threads.wasm` : `${set}.wasm`;
  return once(name, () => compiled(name));
}

const built = (name) => new URL(`../wasm/${name}`, import.meta.url);

/** Compiled as it arrives where it is fetched, so that the browser can keep the result for the next visit. */
async function compiled(name) {
  const whole = async () => WebAssembly.compile(await bytesOf(built(name)));
  if (isNode) return whole();
  return WebAssembly.compileStreaming(fetch(built(name))).catch(whole); // a server may call the file by another type
}

/** What classes are called that a plan names, or refers to as a list of ours; none where nobody said. */
export async function namesOf(classes) {
  if (typeof classes !== "string") return (classes ?? []).map(String);
  const lists = await once("names.json", async () => JSON.parse(new TextDecoder().decode(await bytesOf(built("names.json")))));
  return lists[classes] ?? [];
}

/** A plan's bytes: those given, or those of an address. */
export async function bytesOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw refusal(`plan: must be an address or bytes, found ${source === null ? "null" : typeof source}`);
  }
  try {
    return await read(source);
  } catch (error) {
    throw refusal(`${source}: cannot be read: ${error.message.split("\n")[0]}`);
  }
}

async function read(address) {
  const isWeb = /^(https?|blob|data):/.test(String(address));
  if (isNode && !isWeb) {
    const { readFile } = await import("node:fs/promises");
    return readFile(String(address).startsWith("file:") ? new URL(address) : address);
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`.trim());
  return new Uint8Array(await answer.arrayBuffer());
}
