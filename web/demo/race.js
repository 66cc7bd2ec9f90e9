/** Plans raced with the same networks on other runtimes, in turn in this tab: ../plans/race.json says which files there are. */

import { load } from "../src/index.js";
import { keep } from "./keep.js";

const at = (id) => document.getElementById(id);
const modules = "../plans/node_modules";
const CALLS = 4; // of one runtime, before the next has its turn

/** Each: the ending of its files -> function (address) -> function (image, shape) -> the first output's values. */
const RUNTIMES = {
  "float32": [".plan", (address) => ours(address)],
  "float32, no relaxed SIMD": [".plan", (address) => ours(address, { instructionSet: "simd128" })],
  "int8, weights of 7 bits": ["_int7.plan", (address) => ours(address)],
  "int8": ["_int8.plan", (address) => ours(address)],
  ...(crossOriginIsolated && navigator.hardwareConcurrency > 1 && {
    "float32, two threads": [".plan", (address) => ours(address, { threads: 2 })],
  }),
  "onnxruntime-web": [".onnx", onnxruntime],
  "LiteRT.js": [".tflite", litert],
};
const OTHERS = ["onnxruntime-web", "LiteRT.js"];

async function ours(address, options) {
  const net = await load(address, options);
  return (x) => [net.run(x)].flat()[0];
}

async function onnxruntime(address) {
  const ort = await import(`${modules}/onnxruntime-web/dist/ort.wasm.bundle.min.mjs`);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(address, { executionProviders: ["wasm"] });
  return async (x, shape) => {
    const found = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", x, shape) });
    return found[session.outputNames[0]].data;
  };
}

let litertIsThere;

async function litert(address) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import(`${modules}/@litertjs/core/dist/index.js`);
  await (litertIsThere ??= loadLiteRt(`${modules}/@litertjs/core/wasm/`, { threads: false }));
  const model = await loadAndCompile(address, { accelerator: "wasm" });
  return async (x, shape) => {
    const input = new Tensor(x, shape);
    const outputs = await model.run(input);
    const values = outputs[0].toTypedArray().slice();
    [input, ...outputs].forEach((tensor) => tensor.delete());
    return values;
  };
}

/** The least ms of each runtime that has a file, and how far its output lies from the first one's, relative to the largest value. */
export async function race({ name, shape, files }, rounds) {
  const x = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011));
  const runners = [];
  for (const [runtime, [ending, open]] of Object.entries(RUNTIMES)) {
    if (!files.includes(name + ending)) continue;
    const run = await open(`../plans/${name}${ending}`);
    runners.push({ runtime, run, output: await run(x, shape), least: Infinity });
  }
  for (let round = 0; round < rounds; ++round) {
    for (const runner of runners) {
      for (let i = 0; i < CALLS; ++i) {
        const begin = performance.now();
        await runner.run(x, shape);
        runner.least = Math.min(runner.least, performance.now() - begin);
      }
    }
  }
  const [{ output: right }] = runners;
  const largest = right.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const off = (output) => output.reduce((most, value, i) => Math.max(most, Math.abs(value - right[i]) / largest), 0);
  return Object.fromEntries(runners.map(({ runtime, output, least }) => [runtime, { ms: least, off: off(output) }]));
}

const ratioOf = (found) => Math.min(...OTHERS.map((runtime) => found[runtime]?.ms ?? Infinity)) / found.float32.ms;

function row(...texts) {
  const made = document.createElement("tr");
  made.append(...texts.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  return made;
}

async function all(networks, rounds) {
  at("start").disabled = true;
  at("race").tBodies[0].replaceChildren();
  const columns = Object.keys(RUNTIMES).filter((runtime) => networks.some(({ name, files }) => files.includes(name + RUNTIMES[runtime][0])));
  at("race").tHead.replaceChildren(row("network", ...columns, "×"));
  const results = {};
  for (const network of networks) {
    at("state").textContent = network.name;
    const found = (results[network.name] = await race(network, rounds));
    const times = columns.map((runtime) => found[runtime]?.ms.toFixed(2) ?? "–");
    at("race").tBodies[0].append(row(network.name, ...times, ratioOf(found).toFixed(2)));
  }
  const ratios = Object.values(results).map(ratioOf);
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  at("race").tFoot.replaceChildren(row("geometric mean", ...columns.map(() => ""), mean.toFixed(2)));
  at("state").textContent = "done";
  at("start").disabled = false;
  const fetched = performance.getEntriesByType("resource").map(({ name }) => name);
  keep(location.href, ...fetched).then((text) => (at("kept").textContent = text));
  return results;
}

const networks = await fetch("../plans/race.json").then((answer) => (answer.ok ? answer.json() : []));
at("state").textContent = networks.length ? `${networks.length} networks` : "no files: python benchmarks/browser.py makes them";
at("start").disabled = networks.length === 0;

/** What the page's button does, for scripts. */
globalThis.startRace = (rounds, names = networks.map(({ name }) => name)) =>
  all(networks.filter(({ name }) => names.includes(name)), rounds).catch((error) => {
    at("error").textContent = error.message;
    throw error;
  });
at("start").onclick = () => globalThis.startRace(10);
document.body.dataset.ready = "true";
