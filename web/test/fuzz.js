// Hostile plans on the engine that browsers get, in Node: node web/test/fuzz.js [--runs N] [--seed N] [--set relaxed|simd128] PLAN...
// Each plan as it is, then N with a field, a table or some bytes changed (native/fuzz/plan_fuzz.cpp changes more, under sanitizers): refused
// in one line, or run, and then nobody has written to the plan. What is found stops it and is kept in crash.plan.

import { readFileSync, writeFileSync } from "node:fs";

import { Engine } from "../src/engine.js";
import { InputError } from "../src/errors.js";
import { moduleFor } from "../src/files.js";

const options = { "--runs": 1000, "--seed": 0, "--set": "relaxed" };
const plans = [];
for (const words = process.argv.slice(2); words.length; ) {
  const word = words.shift();
  if (word in options) options[word] = word === "--set" ? words.shift() : Number(words.shift());
  else plans.push(new Uint8Array(readFileSync(word)));
}

let state = options["--seed"] + 1;
function below(count) {
  state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
  return Math.floor((((state ^ (state >>> 13)) >>> 0) / 2 ** 32) * count);
}
const of = (list) => list[below(list.length)];

// Numbers that JavaScript does not have are kept as text until the end.
const EDGES = [-1, 0, 1, 2, 16, 1024, 65536, 65537, 2 ** 24, 2 ** 30, 2 ** 31 - 1, "@9223372036854775807@", "@-9223372036854775808@"];
const WORDS = ["", "no such word", "N", "relu", "any", "float32", "uint8", "gemm", "gemm_int8", "depthwise", "pool"];

function changed(value) {
  if (below(25) === 0) return of([null, true, 7, 0.5, "7", [], {}]);
  if (typeof value === "number") return of([of(EDGES), Math.trunc(value / 2), value * 2, below(40), value + of([1, -1, 3, -4, 16, -16, 48, -64])]);
  if (typeof value === "boolean") return !value;
  if (typeof value === "string") return of(WORDS);
  if (Array.isArray(value) && value.length) {
    const at = below(value.length);
    return below(12) ? value.with(at, changed(value[at])) : below(2) ? value.slice(1) : [...value, value[0]];
  }
  if (value && typeof value === "object" && Object.keys(value).length) {
    const key = of(Object.keys(value));
    const { [key]: field, ...rest } = value;
    return below(14) ? { ...rest, [key]: changed(field) } : rest;
  }
  return value;
}

function takenApart(content) {
  const size = Number(new DataView(content.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(content.subarray(8, 8 + size)));
  return { header, plan: JSON.parse(header.__metadata__.plan), data: content.slice(8 + size) };
}

/** The same file with one field of its plan, or one number of its tables, changed, and without its checksum. */
function otherField(content) {
  let { header, plan, data } = takenApart(content);
  const { tables } = header;
  if (below(4) === 0) {
    const [begin, end] = tables.data_offsets;
    const words = new DataView(data.buffer, begin, end - begin);
    if (end > begin) words.setInt32(4 * below((end - begin) / 4), of([-1, 0, 16 * below(4096), plan.arena / 4 - below(200), 2 ** 31 - 1]), true);
  } else if (below(8)) {
    const at = below(plan.steps.length);
    const steps = of([() => plan.steps.with(at, changed(plan.steps[at])), () => plan.steps.toSpliced(at, 1), () => [...plan.steps, plan.steps[at]]]);
    plan = { ...plan, steps: below(8) ? plan.steps.with(at, changed(plan.steps[at])) : steps() };
  } else {
    plan = changed(plan);
  }
  const numbers = (text) => text.replace(/"@(-?\d+)@"/g, "$1");
  header.__metadata__ = { plan: numbers(JSON.stringify(plan)) };
  let text = JSON.stringify(header);
  text += " ".repeat((64 - ((8 + Buffer.byteLength(text)) % 64)) % 64);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(Buffer.byteLength(text)), true);
  return new Uint8Array(Buffer.concat([head, Buffer.from(text), data]));
}

function otherBytes(content) {
  const bytes = below(8) ? content.slice() : content.slice(0, below(content.length));
  for (let i = below(5); bytes.length && i >= 0; --i) bytes[below(Math.min(bytes.length, below(4) ? 8192 : bytes.length))] ^= 1 << below(8);
  return bytes;
}

const counts = { inputs: 0, refused: 0, run: 0, "too large to run here": 0 };
const refusals = new Set();

function tryOne(module, content) {
  ++counts.inputs;
  let engine;
  try {
    engine = new Engine(module, content, 1);
  } catch (error) {
    if (!(error instanceof InputError) || /\n|^$/.test(error.message)) throw error;
    ++counts.refused;
    refusals.add(error.message.replace(/-?\d+/g, "#").replace(/,? found .*/, ""));
    return;
  }
  const { inputs, outputs } = engine.about;
  const elements = [...inputs, ...outputs].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  if (Math.max(...elements) > 1e6 || takenApart(content).plan.arena > 2 ** 24) return void ++counts["too large to run here"];
  engine.call("prepare", 1);
  inputs.forEach((_, i) => engine.bytes(engine.call("address", 1, i), elements[i]).fill(63));
  engine.call("run");
  ++counts.run;
  if (Buffer.compare(engine.plan(), content)) throw new Error("a run wrote to its plan");
}

const module = await moduleFor(options["--set"], 1);
let content;
try {
  for (content of plans) tryOne(module, content);
  for (let run = 0; run < options["--runs"]; ++run) {
    content = of(plans);
    content = below(5) ? otherField(content) : otherBytes(content);
    tryOne(module, content);
  }
} catch (error) {
  writeFileSync("crash.plan", content);
  console.error(`fuzz.js: ${error.stack}\nfuzz.js: the plan is kept in crash.plan`);
  process.exit(1);
}
console.log(JSON.stringify({ ...counts, "distinct refusals": refusals.size }));
