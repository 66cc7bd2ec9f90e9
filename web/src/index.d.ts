/** The bytes of a photo: an ImageData of a canvas, or what looks like one. */
export interface Photo {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface Tensor {
  readonly name: string;
  readonly type: "float32" | "uint8";
  /** Whether it has the images one after another. */
  readonly batched: boolean;
  /** Of one image. */
  readonly shape: readonly number[];
  /** Elements of one image. */
  readonly size: number;
}

export interface Prediction {
  label: string;
  index: number;
  /** Probability. */
  score: number;
}

export interface Detection extends Prediction {
  /** Left, top, right, bottom in the photo's pixels. */
  box: [number, number, number, number];
}

export type Values = Float32Array | Uint8Array;

/** What was given cannot be used; the message is one line. */
export class InputError extends Error {}

export interface Net {
  readonly name: string;
  readonly instructionSet: InstructionSet;
  readonly threads: number;
  readonly batched: boolean;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** What was kept beside the network: preprocessing, classes. */
  readonly info: Readonly<Record<string, unknown>>;
  /** For each input its values, images one after another; or one photo of the input's size. Several outputs are an array of them. */
  run(...inputs: Array<Values | Uint8ClampedArray | Photo>): Values | Values[];
  /** The likeliest classes of a photo of any size, best first. */
  classify(photo: Photo, options?: { top?: number }): Prediction[];
  /** What a detector finds on a photo of any size, best first. */
  detect(photo: Photo, options?: { least?: number }): Detection[];
  /** Ends the network's threads and lets go of its memory. */
  close(): void;
}

/** The same, in a thread of its own. */
export interface WorkerNet extends Omit<Net, "run" | "classify" | "detect"> {
  run(...inputs: Parameters<Net["run"]>): Promise<ReturnType<Net["run"]>>;
  classify(...inputs: Parameters<Net["classify"]>): Promise<Prediction[]>;
  detect(...inputs: Parameters<Net["detect"]>): Promise<Detection[]>;
  /** Ends the thread. */
  close(): void;
}

export type InstructionSet = "simd128" | "relaxed";
export type Source = string | URL | ArrayBuffer | ArrayBufferView;
export interface Options {
  /** The best that runs here by default. */
  instructionSet?: InstructionSet;
  /** That share each run, 1 by default; more where the page is cross-origin isolated, and in Node. */
  threads?: number;
}

/** Reads a plan: its address, in Node also a path, or its bytes. */
export function load(source: Source, options?: Options): Promise<Net>;
/** Reads a plan in a worker of its own, so that no run holds up the page. Browsers only. */
export function loadInWorker(source: Source, options?: Options): Promise<WorkerNet>;
