/** The engine of ../wasm with one plan: its calls, its memory, its threads. */

import { isNode } from "./files.js";
import { refusal, refused } from "./errors.js";

// As CMakeLists.txt has it: 32 MiB that grow to 2 GiB.
const PAGES = { initial: 512, maximum: 32768, shared: true };

/** What an instance is made with: `fail` is told where a message lies, and how long it is. */
export function importsOf(fail, memory) {
  const none = () => 8; // WASI's EBADF: there are no files
  return { shufflekit: { fail }, wasi_snapshot_preview1: { fd_close: none, fd_seek: none, fd_write: none }, env: { memory } };
}

/** Function (what a thread is told, what becomes of its failure) -> the worker that it lives in. */
export async function threadStarter() {
  const address = new URL("./thread.js", import.meta.url);
  if (!isNode) {
    return (task, failed) => {
      const worker = new Worker(address, { type: "module" });
      worker.onerror = ({ message }) => failed(message ?? "its file cannot be read");
      worker.postMessage(task);
      return worker;
    };
  }
  const { Worker: NodeWorker } = await import("node:worker_threads");
  return (task, failed) => {
    const worker = new NodeWorker(address, { execArgv: [] }); // what node was started with need not suit a file
    worker.on("error", ({ message }) => failed(message));
    worker.unref(); // no process waits for it
    worker.postMessage(task);
    return worker;
  };
}

/**
 * What an instance refuses is thrown, and leaves it in no state to go on: another one takes the plan, whose bytes nothing has written to.
 * Threads join while the page goes on; until then the engine does without.
 */
export class Engine {
  #module;
  #startThread;
  #exports;
  #memory;
  #plan; // where it lies
  #threads = [];
  #gone = ""; // why there is no instance

  constructor(module, plan, threads, startThread) {
    this.#module = module;
    this.threads = threads;
    this.#startThread = startThread;
    this.#start(plan);
  }

  #start(plan) {
    this.#end();
    const fail = (at, length) => {
      throw refusal(new TextDecoder().decode(this.bytes(at, length >>> 0).slice()));
    };
    const shared = this.threads > 1 ? new WebAssembly.Memory(PAGES) : undefined;
    this.#exports = new WebAssembly.Instance(this.#module, importsOf(fail, shared)).exports;
    this.#memory = shared ?? this.#exports.memory;
    this.#exports._initialize();
    this.#plan = [this.#exports.room(plan.length), plan.length];
    this.bytes(...this.#plan).set(plan);
    this.about = JSON.parse(this.text(this.#exports.load(this.threads)));
    const failed = (message) => (this.#gone ||= `a thread stopped: ${message}`);
    for (let number = 1; number < this.threads; ++number) {
      const task = { module: this.#module, memory: shared, number, stack: this.#exports.stack() };
      this.#threads.push(this.#startThread(task, failed));
    }
  }

  #end() {
    for (const worker of this.#threads.splice(0)) worker.terminate();
  }

  /** Waits for the threads. */
  async ready() {
    while (this.threads > 1 && this.call("come") < this.threads - 1) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Ends the threads, and lets go of the memory. */
  close() {
    this.#end();
    this.#gone ||= "it was closed";
    this.#exports = this.#memory = undefined;
  }

  call(name, ...values) {
    if (this.#gone) throw refusal(`the network stopped: ${this.#gone}`);
    try {
      return this.#exports[name](...values);
    } catch (error) {
      const found = refused(error);
      try {
        this.#start(this.plan());
      } catch {
        this.#gone = found.message;
      }
      throw found;
    }
  }

  /** A copy of the plan's bytes. */
  plan() {
    return this.bytes(...this.#plan).slice();
  }

  get buffer() {
    return this.#memory.buffer;
  }

  bytes(at, length) {
    return new Uint8Array(this.buffer, at >>> 0, length);
  }

  text(at) {
    const memory = new Uint8Array(this.buffer);
    return new TextDecoder().decode(memory.slice(at >>> 0, memory.indexOf(0, at >>> 0)));
  }
}
