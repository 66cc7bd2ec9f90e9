/** One more thread of an engine: an instance that shares its memory, with a stack of its own, and works until it is ended. */

import { importsOf } from "./engine.js";
import { isNode } from "./files.js";

function work({ module, memory, number, stack }) {
  const { exports } = new WebAssembly.Instance(module, importsOf(() => {}, memory));
  exports.__stack_pointer.value = stack;
  exports.work(number);
}

if (isNode) import("node:worker_threads").then(({ parentPort }) => parentPort.once("message", work));
else self.onmessage = ({ data }) => work(data);
