/** A network in a worker: the first message loads it, each of the others calls it. */

import { load } from "./index.js";

let net;

self.onmessage = async ({ data: [number, name, values] }) => {
  try {
    if (name === "load") {
      net = await load(...values);
      postMessage([number, { ...net }]);
    } else {
      postMessage([number, net[name](...values)]);
    }
  } catch (error) {
    postMessage([number, null, error.name, error.message]);
  }
};
