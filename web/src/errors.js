/** What was given cannot be used; the message is one line. */
export class InputError extends Error {
  name = "InputError";
}

export const refusal = (message) => new InputError(message);

/** What stopped an engine, in one line. */
export function refused(error) {
  return error instanceof InputError ? error : refusal(`WebAssembly stopped: ${error.message.split("\n")[0]}`);
}
