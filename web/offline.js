/** Answers for the server where it does not answer: with what demo/keep.js keeps, and with what was asked for before. */

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && new URL(url).origin === location.origin) event.respondWith(answer(event));
});

async function answer(event) {
  const cache = await caches.open("shufflekit");
  let found;
  try {
    found = await fetch(event.request);
  } catch (error) {
    const kept = await cache.match(event.request);
    if (kept) return kept;
    throw error;
  }
  // Where there is no room it is not kept, and the page goes on.
  if (found.status === 200) event.waitUntil(cache.put(event.request, found.clone()).catch(() => {}));
  return found;
}
