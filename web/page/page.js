// The page: controls, and what the worker is asked for. Nothing is computed here.

import { DAVIS_PALETTE } from "../engine/images.js";
import { draw_chart, draw_frame, draw_scores } from "./drawing.js";
import { Painter } from "./painter.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const colour = (id) => `rgb(${DAVIS_PALETTE.subarray(id * 3, id * 3 + 3).join()})`;
const SLIDERS = { // setting -> label, ends, whether logarithmic
  target_share: ["κ, the target's least share of the loss", 0.02, 0.9, true],
  projection_decay: ["λ₁, regularisation of w₁", 1, 1e5, true],
  filter_decay: ["λ₂, regularisation of w₂", 1, 1e5, true],
  gn_steps: ["Gauss-Newton steps", 1, 10, false],
  cg_later: ["CG iterations per step", 1, 20, false],
  samples: ["first-frame samples", 1, 20, false],
};

/** What the page knows. */
const state = {
  source: null, picture: null, index: 0, busy: null, ready: false, learned: false, painted: true, ids: [1],
  config: null, series: [], scores: null, score_size: null, again: false,
};

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let counter = 0;

worker.onmessage = ({ data: { id, news, result, error } }) => {
  const call = waiting.get(id);
  if (!call) return;
  if (news) return call.told(news);
  waiting.delete(id);
  error ? call.reject(new Error(error)) : call.resolve(result);
};
worker.onerror = (event) => fail(new Error(`the worker has stopped (${event.message || "it could not be loaded"}): load the page again`));

/** Ask the worker. */
const ask = (call, given = {}, told = () => {}) =>
  new Promise((resolve, reject) => {
    waiting.set(++counter, { resolve, reject, told });
    worker.postMessage({ call, id: counter, ...given });
  });

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

function fail(error) {
  say(error.message, true);
  progress(0);
}

function progress(part) {
  $("bar-done").style.width = `${100 * part}%`;
}

/** One piece of work at a time: a second one stops the first, and begins when that has ended. */
async function work(name, doing) {
  while (state.busy) {
    worker.postMessage({ call: "stop" });
    await state.busy.catch(() => {});
  }
  const running = (async () => {
    await null; // first this is the work under way, then it begins
    try {
      return await doing();
    } catch (error) {
      fail(error);
    }
  })();
  state.busy = running;
  document.body.dataset.busy = name;
  controls();
  await running;
  if (state.busy === running) {
    state.busy = null;
    delete document.body.dataset.busy;
    controls();
  }
}

/** Which controls may be used now. */
function controls() {
  const { busy, ready, learned, source } = state, running = document.body.dataset.busy;
  for (const id of ["learn"]) $(id).disabled = !ready || !source;
  $("run").disabled = !ready || !learned || Boolean(busy);
  $("stop").disabled = !busy || running === "loading";
  $("correct").disabled = !learned || Boolean(busy);
  for (const id of ["save-masks", "save-film"]) $(id).disabled = !learned || Boolean(busy);
  $("truth").hidden = !source?.scene;
  for (const button of document.querySelectorAll("#scenes button")) {
    button.setAttribute("aria-pressed", String(Boolean(source?.scene) && button.dataset.scene === source.name));
  }
  painter.enabled = Boolean(source) && running !== "run";
}

const painter = new Painter($("frame"), () => {
  state.painted = true;
  requestAnimationFrame(draw);
});

function draw() {
  if (!state.picture) return;
  draw_frame($("frame"), state.picture, painter.labels);
  painter.draw($("frame").getContext("2d"));
}

function show_scores(maps, size, caption) {
  Object.assign(state, { scores: maps, score_size: size });
  draw_scores($("scores"), maps, size, state.picture);
  $("scores-caption").textContent = caption;
}

/** Put a frame and its answer on the stage. */
function stage({ index, picture, labels, scores, score_size, j }) {
  Object.assign(state, { index, picture });
  $("at").value = index;
  $("at-text").textContent = index;
  if (labels) painter.take(labels);
  else painter.reset(picture.height, picture.width);
  state.painted = false;
  draw();
  if (scores) show_scores(scores, score_size, `score map of D, frame ${index}`);
  if (j) show_j(index, j);
}

function show_j(index, j) {
  state.j ??= new Map();
  state.j.set(index, j);
  const ids = Object.keys(j), mean = (id) => {
    const all = [...state.j.values()].map((value) => value[id]).filter((value) => value !== undefined);
    return all.reduce((a, b) => a + b, 0) / all.length;
  };
  $("j-table").textContent = `J against the scene's truth, this frame (mean of ${state.j.size}): ` +
    ids.map((id) => `object ${id} ${j[id].toFixed(3)} (${mean(id).toFixed(3)})`).join(", ");
  const points = (id) => [...state.j].sort((a, b) => a[0] - b[0]).map(([at, values]) => [at, values[id]]);
  const series = ids.map((id) => ({ id, points: points(id).filter(([, value]) => value !== undefined) }));
  draw_chart($("chart"), series, { title: "J against the scene's truth, by frame", last: state.source.count - 1, low: 0, high: 1 }, colour);
}

async function open(given) {
  await work("open", async () => {
    say("Opening the video.");
    const source = await ask("open", given);
    Object.assign(state, { source, learned: false, again: false, series: [], j: null, ids: [1], scores: null, first_mask: null });
    painter.reset(...source.size);
    painter.id = 1;
    $("j-table").textContent = "";
    $("at").max = source.count - 1;
    $("scores").getContext("2d").clearRect(0, 0, $("scores").width, $("scores").height);
    $("scores-caption").textContent = "score map of D: press Learn";
    draw_chart($("chart"), [], { title: "" }, colour);
    objects();
    stage(await ask("show", { index: 0 }));
    const note = (source.shrunk ? `, shrunk to ${source.size[1]}x${source.size[0]}` : "") + (source.cut ? ", the rest is left out" : "");
    say(`${source.title}: ${source.count} frames${note}. Paint an object, then press Learn.`);
  });
}

/** The buttons of the objects, and one more. */
function objects() {
  const row = $("objects");
  row.replaceChildren(...state.ids.map((id) => {
    const button = document.createElement("button");
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(id === painter.id));
    button.innerHTML = `<i style="background:${colour(id)}"></i>object ${id}`;
    button.onclick = () => {
      painter.id = id;
      objects();
    };
    return button;
  }));
  const more = document.createElement("button");
  more.textContent = "+";
  more.title = "another object";
  more.disabled = state.ids.length > 7;
  more.onclick = () => {
    painter.id = Math.max(...state.ids) + 1;
    state.ids.push(painter.id);
    objects();
  };
  row.append(more);
}

function options() {
  return { short_side: Number($("rows").value), refine: $("refine").checked, seed: 0 };
}

/** What the worker tells while it learns. */
function learning(news) {
  if (news.stage === "samples") {
    say(`Object ${news.id}: F on first-frame sample ${news.done} of ${news.total}`);
    progress(news.done / news.total);
    draw_frame($("scores"), news.image, news.label);
    $("scores-caption").textContent = `first-frame sample ${news.done}: warped, blurred, pasted`;
    return;
  }
  let series = state.series.find(({ id }) => id === news.id);
  if (!series || news.done === 1) {
    state.series = state.series.filter(({ id }) => id !== news.id);
    state.series.push((series = { id: news.id, points: [] }));
  }
  series.points.push(news);
  progress(news.done / news.total);
  const where = `Gauss-Newton step ${news.step + 1}, CG iteration ${news.iteration + 1}`;
  say(`Object ${news.id}: ${where}`);
  show_scores([news.scores], news.size, `score map of object ${news.id} after ${where}`);
  const curves = state.series.map(({ id: object, points }) => ({
    id: object, points: points.map((point) => [point.done, Math.log10(Math.max(point.residual, 1e-9))]),
  }));
  const marks = state.series[0].points.filter((point) => !point.iteration).map((point) => point.done);
  draw_chart($("chart"), curves, { title: "residual of conjugate gradient (logarithmic) by iteration; lines: Gauss-Newton steps", first: 1,
    last: news.total, marks }, colour);
}

/** Learn from the first mask; `again`: only D, from the samples that there are. */
async function learn(again = false) {
  await work("learn", async () => {
    if (state.index !== 0) {
      state.first_mask ? stage({ ...(await ask("show", { index: 0 })), labels: state.first_mask }) : stage(await ask("show", { index: 0 }));
      again = true;
    }
    const labels = painter.labels.slice(), began = performance.now(), from_samples = again && state.again;
    if (!from_samples) Object.assign(state, { learned: false, again: false }); // until it has come to its end
    const done = await ask("learn", { labels, config: state.config, options: options(), again: from_samples }, learning);
    if (!done) return say("Stopped.");
    Object.assign(state, { learned: true, again: true, first_mask: labels, painted: false, j: null });
    const took = ((performance.now() - began) / 1000).toFixed(1);
    say(`Learned ${done.ids.length} object${done.ids.length > 1 ? "s" : ""} in ${took} s (D alone: ${(done.learning_ms / 1000).toFixed(2)} s an object) at ${done.working_size[1]}x${done.working_size[0]}. Press Run.`);
    Object.assign(document.body.dataset, { learned: took, learningMs: done.learning_ms.toFixed(0) });
  });
}

async function run() {
  await work("run", async () => {
    const from = state.index + 1;
    if (from >= state.source.count) return say("This is the last frame: go back, and press Run.");
    const done = await ask("run", { from }, (news) => {
      stage(news);
      progress(news.done / news.total);
      const ms = Object.entries(news.ms).map(([stage, time]) => `${stage} ${time.toFixed(0)}`).join(", ");
      say(`Frame ${news.index} of ${news.total - 1}, ${news.rate.toFixed(1)} frames per second (ms: ${ms}), D has ${news.megabytes.toFixed(0)} MB`);
      Object.assign(document.body.dataset, { rate: news.rate.toFixed(2), megabytes: news.megabytes.toFixed(1), ms });
    });
    say(done ? "Segmented to the end. Save the masks or a film, or correct a frame." : "Paused: Run goes on from here, or paint and learn from it.");
  });
}

async function correct() {
  await work("correct", async () => {
    const labels = painter.labels.slice(), { index } = state;
    if (index === 0) throw new Error("this is the first frame: press Learn");
    const done = await ask("correct", { index, labels }, learning);
    if (done) say(`Learned from the corrected frame ${index}: Run goes on from here.`);
  });
}

async function save(call, text) {
  await work(call, async () => {
    const done = await ask(call, {}, (news) => {
      progress(news.done / news.total);
      say(`${text}: ${news.done} of ${news.total}`);
    });
    if (!done) return say("Stopped.");
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(done.blob), download: done.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${done.name}: ${(done.blob.size / 1e6).toFixed(1)} MB`);
  });
}

/** Sliders from the engine's own settings. */
function sliders(facts) {
  state.config = { ...facts.presets.best };
  $("window").onchange = () => {
    state.config.window_share = $("window").checked ? facts.presets.best.window_share : 0;
    state.again = false;
  };
  for (const [name, [label, low, high, logarithmic]] of Object.entries(SLIDERS)) {
    const to = (value) => (logarithmic ? Number((10 ** value).toPrecision(2)) : Number(value));
    const from = logarithmic ? Math.log10 : Number;
    const line = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("output");
    Object.assign(input, { type: "range", min: from(low), max: from(high), step: logarithmic ? 0.05 : 1, value: from(state.config[name]), id: name });
    input.dataset.setting = name;
    line.title = `${facts.settings[name].help} (${facts.settings[name].source})`;
    const text = () => (shown.textContent = state.config[name]);
    input.oninput = () => {
      state.config[name] = to(input.value);
      text();
      if (state.again && !state.painted) relearn();
    };
    text();
    line.append(`${label}: `, shown, input);
    $("sliders").append(line);
  }
}

let wanted = false;
/** Re-learn while a slider moves: whatever is under way is stopped, and the last position counts. */
async function relearn() {
  if (wanted) return;
  wanted = true;
  if (state.busy) {
    worker.postMessage({ call: "stop" });
    await state.busy.catch(() => {});
  }
  wanted = false;
  await learn(true);
}

function wire() {
  $("file").onclick = () => ($("file").value = ""); // so that the same file can be chosen again
  $("file").onchange = () => $("file").files[0] && open({ file: $("file").files[0] });
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.onclick = () => {
      painter.tool = button.dataset.tool;
      for (const other of document.querySelectorAll("[data-tool]")) other.setAttribute("aria-pressed", String(other === button));
    };
  }
  $("undo").onclick = () => painter.undo();
  $("clear").onclick = () => painter.clear();
  $("radius").oninput = () => {
    painter.radius = Number($("radius").value);
    $("radius-text").textContent = $("radius").value;
  };
  $("truth").onclick = () => work("truth", async () => {
    const labels = await ask("truth", { index: state.index });
    painter.remember();
    painter.labels.set(labels);
    state.ids = [...new Set(labels)].filter(Boolean).sort((a, b) => a - b);
    painter.id = state.ids[0] ?? 1;
    objects();
    painter.changed();
  });
  $("learn").onclick = () => learn();
  $("run").onclick = run;
  $("stop").onclick = () => worker.postMessage({ call: "stop" });
  $("correct").onclick = correct;
  $("save-masks").onclick = () => save("masks", "Masks");
  $("save-film").onclick = () => save("film", "Film");
  $("at").oninput = () => !state.busy && work("show", async () => stage(await ask("show", { index: Number($("at").value) })));
  $("rows").onchange = () => (state.again = false);
  $("refine").onchange = () => state.learned && relearn();
  $("path").value = query.get("path") ?? "auto";
  $("path").onchange = () => (location.search = `?path=${$("path").value}`);
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    const tool = { b: "brush", e: "ellipse", x: "eraser" }[event.key.toLowerCase()];
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      painter.undo();
    } else if (tool && !event.ctrlKey) document.querySelector(`[data-tool=${tool}]`).click();
    else if (/^[1-8]$/.test(event.key) && state.ids.includes(Number(event.key))) {
      painter.id = Number(event.key);
      objects();
    }
  });
}

async function main() {
  wire();
  const scenes = await (await fetch("scenes/scenes.json")).json();
  $("scenes").replaceChildren(...scenes.map((scene) => {
    const button = document.createElement("button");
    button.innerHTML = `<img src="scenes/${scene.name}/00000.jpg" alt="">${scene.title}`;
    button.dataset.scene = scene.name;
    button.title = scene.watch;
    button.onclick = () => open({ scene });
    return button;
  }));
  await open({ scene: scenes[0] });
  await work("loading", async () => {
    const began = performance.now();
    const made = await ask("start", { wanted: $("path").value, threads: Number(query.get("threads")) }, ({ what, done, total }) => {
      say(`Loading ${what}: ${(done / 1e6).toFixed(1)} MB. You can paint already.`);
      if (total) progress(done / total);
    });
    state.ready = true;
    sliders(made.facts);
    const how = made.path === "webgpu" ? "WebGPU" : `WebAssembly with SIMD, ${made.threads} thread${made.threads > 1 ? "s" : ""}`;
    $("machine").textContent = `F and R run by ${how}; D by WebAssembly with SIMD. Loaded in ${((performance.now() - began) / 1000).toFixed(1)} s.`;
    document.body.dataset.path = made.path;
    document.body.dataset.threads = made.threads;
    progress(0);
    say("Ready. Paint an object, or take the scene's own mask, then press Learn.");
  });
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (data === "kept") $("machine").append(" Kept for use offline.");
  });
  (await navigator.serviceWorker?.ready)?.active.postMessage("keep everything");
}

/** A service worker keeps the page for use offline, and gives it the two headers that threads need; those come with a reload. */
async function isolate() {
  if (!("serviceWorker" in navigator)) return;
  const before = navigator.serviceWorker.controller;
  await navigator.serviceWorker.register("sw.js");
  if (before || crossOriginIsolated) return;
  await new Promise((resolve) => {
    navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(resolve, 3000);
  });
  if (navigator.serviceWorker.controller && !sessionStorage.getItem("reloaded")) {
    sessionStorage.setItem("reloaded", "yes"); // once: a browser that does not isolate must not loop
    location.reload();
    await new Promise(() => {});
  }
}

isolate().catch(() => {}).then(main).catch(fail);
