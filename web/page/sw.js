// The service worker: keeps the page's files, so that it works offline, and adds the headers that threads need.

const VERSION = "%VERSION%";
const FILES = ["%FILES%"];

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) =>
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("vosedu-") && name !== VERSION) await caches.delete(name);
    await self.clients.claim();
  })()));

// The page asks for all files when it has what it needs itself, and is told when they are here.
self.addEventListener("message", (event) => event.waitUntil((async () => {
  const cache = await caches.open(VERSION), base = self.registration.scope;
  for (const file of FILES) if (!(await cache.match(base + file))) await cache.add(base + file);
  event.source.postMessage("kept");
})()));

/** The same answer with the headers of a page that is isolated from others. */
function isolated(answer) {
  if (answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return;
  event.respondWith((async () => {
    url.search = "";
    if (url.href === self.registration.scope) url.pathname += "index.html";
    const cache = await caches.open(VERSION), kept = await cache.match(url.href);
    if (kept) return isolated(kept);
    const answer = await fetch(request);
    if (answer.ok && answer.status === 200) event.waitUntil(cache.put(url.href, answer.clone()).catch(() => {}));
    return isolated(answer);
  })());
});
