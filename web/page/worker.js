// The worker: everything that computes. The page asks {call, id, ...}; it is told {id, news}, then {id, result} or {id, error}.

import { ids_in, jaccard } from "../engine/images.js";
import { Networks } from "../engine/networks.js";
import { Products } from "../engine/products.js";
import { Video } from "../engine/segmenter.js";
import { InputError, Scene, VideoFile } from "./frames.js";
import { decoded, encoded } from "./runs.js";
import { film, mask_png, overlay, zipped } from "./saving.js";

const base = new URL(".", self.location.href).href;
const RUNTIMES = { wasm: ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"], webgpu: ["ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi"] };

/** All that the worker holds. */
const here = { networks: null, products: null, facts: null, source: null, video: null, answers: new Map(), stop: false };

class Stopped extends Error {}

/** Let messages in. Timers would wait longer, and are slowed down in a hidden tab. */
const breathe = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });

/** Bytes of a file of the page, unpacked where it is packed; `told` hears how much has come. */
async function bytes(path, told = () => {}, packed = false) {
  const answer = await fetch(base + path).catch(() => ({ ok: false, status: "no connection" }));
  if (!answer.ok) throw new InputError(`${path} cannot be loaded (${answer.status}): check the connection and load the page again`);
  const total = Number(answer.headers.get("Content-Length")) || 0;
  let done = 0;
  const counted = new TransformStream({
    transform(part, out) {
      told((done += part.length), total);
      out.enqueue(part);
    },
  });
  let stream = answer.body.pipeThrough(counted);
  if (packed) stream = stream.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Where F and R run: what was asked for, or WebGPU where there is a real one, or WebAssembly. */
async function chosen_path(wanted) {
  const suspending = "Suspending" in WebAssembly;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const real = adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  if (wanted === "webgpu") {
    if (!adapter) throw new InputError("there is no WebGPU here: choose WebAssembly, or another browser");
    if (!suspending) throw new InputError("WebGPU here needs a browser with JSPI: choose WebAssembly, or another browser");
  }
  return wanted === "webgpu" || (wanted !== "wasm" && real && suspending) ? "webgpu" : "wasm";
}

const calls = {
  /** Load everything; says where the networks run. */
  async start({ wanted, threads: asked }, report) {
    if (typeof WebAssembly === "undefined") throw new InputError("this browser has no WebAssembly: use another one");
    const path = await chosen_path(wanted);
    const [script, runtime] = RUNTIMES[path];
    const told = (what) => (done, total) => report({ stage: "loading", what, done, total }, true);
    const ort = await import(`${base}ort/${script}`);
    // half of what is counted: two of those are one core, as a rule
    const most = asked || Math.min(4, Math.ceil((navigator.hardwareConcurrency || 1) / 2));
    const threads = self.crossOriginIsolated && path === "wasm" ? most : 1;
    Object.assign(ort.env.wasm, { numThreads: threads, wasmPaths: { mjs: `${base}ort/${runtime}.mjs` } });
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = (await bytes(`ort/${runtime}.wasm.packed`, told("the runtime"), true)).buffer;
    here.facts = JSON.parse(new TextDecoder().decode(await bytes("networks/networks.json")));
    const files = { F: await bytes("networks/F.onnx", told("F")), R: here.facts.refinement && (await bytes("networks/R.onnx", told("R"))) };
    try {
      here.products = await Products.load(await bytes("products.wasm"));
      here.networks = await Networks.load(ort, files, here.facts, path);
    } catch (error) {
      throw new InputError(`the networks cannot be started (${String(error.message ?? error).slice(0, 120)}): use another browser`);
    }
    return { path, threads, facts: here.facts };
  },

  /** Open a scene or a file; what is known of it. */
  async open({ scene, file }) {
    const source = scene ? await Scene.open(`${base}scenes/`, scene) : await VideoFile.open(file);
    forget();
    here.source?.close();
    here.source = source;
    const { name, title, count, rate, size, shrunk, cut } = source;
    return { name, title, count, rate, size, shrunk, cut, scene: Boolean(scene) };
  },

  /** A frame to look at, with its answer. */
  async show({ index }) {
    const picture = await here.source.frame(index), answer = here.answers.get(index);
    const labels = answer && decoded(answer.runs, picture.width * picture.height);
    return { index, picture, labels, scores: answer?.scores, score_size: answer?.score_size, j: answer?.j };
  },

  /** The scene's own first mask, or that of another frame. */
  async truth({ index }) {
    return (await here.source.truth(index))?.labels;
  },

  /** Learn the objects of a first mask: samples where there are none, then D. */
  async learn({ labels, config, options, again }, report) {
    const { source, products, networks } = here;
    if (!ids_in(labels).length) throw new InputError("nothing is marked: paint an object first");
    if (labels.every((label) => label)) throw new InputError("every pixel is marked: leave some background");
    const frame = await source.frame(0);
    let { video } = here;
    const same = video?.config.window_share === config.window_share;
    const enough = same && [...video.first.values()].every((first) => first.labels.length >= config.samples);
    if (!again || !enough) {
      forget();
      video = new Video(networks, products, config, source.size, options);
      try {
        await video.add(frame, labels, report);
      } catch (stop) {
        video.free();
        throw stop;
      }
      here.video = video;
      if (!video.ids.length) throw new InputError("what is marked vanishes at this size: mark more of it, or take more rows");
    } else {
      video.config = config;
      video.turn(labels);
      video.refine = options.refine;
      video.frame_index = 0;
      for (const id of video.ids) await video.learn(id, (news) => report({ ...news, id }));
    }
    here.answers.clear();
    here.answers.set(0, { runs: encoded(labels) });
    return { ids: video.ids, working_size: video.working_size, learning_ms: video.learning_ms };
  },

  /** Segment from a frame on, until the end or a stop. */
  async run({ from }, report) {
    const { source, video } = here;
    if (!video) throw new InputError("nothing is learned yet: press Learn");
    const before = here.answers.get(from - 1);
    if (before && video.frame_index !== from - 1) video.rewind(from, decoded(before.runs, source.size[0] * source.size[1]));
    const began = performance.now();
    let done = 0, coming = source.frame(from);
    try {
      for (let index = from; index < source.count; index++) {
        const picture = await coming;
        coming = index + 1 < source.count ? source.frame(index + 1) : null; // decoded while this one is worked on
        coming?.catch(() => {}); // what is wrong with it is said when it is waited for
        const truth = source.truth(index), { labels, scores, score_size, ms } = await video.step(picture), known = await truth;
        const j = known && Object.fromEntries(video.ids.map((id) => [id, jaccard(labels, known.labels, id)]));
        here.answers.set(index, { runs: encoded(labels), scores, score_size, j });
        done++;
        const rate = (done * 1000) / (performance.now() - began), megabytes = here.products.used / 1e6;
        const news = { stage: "frame", index, picture, labels, scores, score_size, j, ms, rate, megabytes };
        await report({ ...news, done: index + 1, total: source.count });
      }
    } finally {
      await coming?.catch(() => {});
    }
    return { done };
  },

  /** Take the user's mask of a frame, and what it says, into account. */
  async correct({ index, labels }, report) {
    const { source, video } = here;
    if (!video) throw new InputError("nothing is learned yet: press Learn");
    await video.correct(await source.frame(index), index, labels, report);
    for (const known of here.answers.keys()) if (known >= index) here.answers.delete(known);
    here.answers.set(index, { runs: encoded(labels) });
    return { ids: video.ids };
  },

  /** All masks there are, as palette PNGs in a zip. */
  async masks(_, report) {
    const { source, answers } = here, files = {}, n = source.size[0] * source.size[1];
    if (!answers.size) throw new InputError("there is no mask yet: press Learn, then Run");
    for (const index of [...answers.keys()].sort((a, b) => a - b)) {
      files[`${source.name}/${String(index).padStart(5, "0")}.png`] = mask_png(decoded(answers.get(index).runs, n), source.size);
      await report({ stage: "masks", done: Object.keys(files).length, total: answers.size });
    }
    return { blob: zipped(files), name: `${source.name}-masks.zip` };
  },

  /** A film of the frames that have a mask. */
  async film(_, report) {
    const { source, answers } = here, [height, width] = source.size;
    const frames = [...answers.keys()].sort((a, b) => a - b);
    if (frames.length < 2) throw new InputError("there are no masks yet: press Learn, then Run");
    const draw = async (context, k) => {
      const picture = await source.frame(frames[k]);
      overlay(picture.data, decoded(answers.get(frames[k]).runs, width * height), source.size);
      context.putImageData(picture, 0, 0);
    };
    const { blob, ending } = await film(draw, frames.length, source.rate, source.size, report);
    return { blob, name: `${source.name}${ending}` };
  },
};

function forget() {
  here.video?.free();
  here.video = null;
  here.answers.clear();
}

/** One line for the user. */
function said(error) {
  if (error instanceof InputError) return error.message;
  const text = String(error?.message ?? error);
  if (error instanceof RangeError || /memory|allocat/i.test(text)) {
    return "out of memory: choose fewer rows, fewer samples or fewer objects, or close other tabs";
  }
  return `something went wrong (${text.slice(0, 160)}): load the page again`;
}

self.onmessage = async ({ data: { call, id, ...given } }) => {
  if (call === "stop") {
    here.stop = true;
    return;
  }
  here.stop = false;
  const report = async (news, loud = false) => {
    self.postMessage({ id, news });
    if (loud) return;
    await breathe();
    if (here.stop) throw new Stopped();
  };
  try {
    self.postMessage({ id, result: await calls[call](given, report) });
  } catch (error) {
    if (!(error instanceof Stopped || error instanceof InputError)) console.error(error);
    self.postMessage(error instanceof Stopped ? { id, result: null, stopped: true } : { id, error: said(error) });
  }
};
