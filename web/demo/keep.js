/** Keeps these pages for when there is no network, by ../offline.js. */

const SOURCES = ["engine", "errors", "files", "index", "thread", "worker"];
const SETS = ["relaxed", "relaxed-threads", "simd128", "simd128-threads"];
const MADE_OF = [
  ...["./", "demo.js", "keep.js", "style.css"],
  ...SOURCES.map((name) => `../src/${name}.js`),
  ...SETS.map((name) => `../wasm/${name}.wasm`),
  ...["../wasm/names.json", "../plans/"],
];

/**
 * All of it anew, so that nothing older stands beside it.
 *
 * @param addresses what else the page has fetched.
 * @returns what to tell: that it is kept, or why not (a server whose certificate the browser doubts, a private window).
 */
export async function keep(...addresses) {
  const all = [...MADE_OF, ...addresses].map((address) => new URL(address, import.meta.url).href);
  try {
    await navigator.serviceWorker.register("../offline.js");
    await navigator.serviceWorker.ready;
    await (await caches.open("shufflekit")).addAll([...new Set(all)].filter((address) => address.startsWith("http")));
    return "Works without a network now, with what was opened.";
  } catch ({ message }) {
    return `Needs the network: ${message}`;
  }
}
