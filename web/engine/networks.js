// F and R, run by ONNX Runtime. Maps stay where it computes; they must be released.

import { planes } from "./images.js";

const INPUTS = ["x2", "x3", "x4", "x5"]; // of R, the names of the paper
const TARGET_MAP = "x4"; // what D reads: conv4_x

export class Networks {
  /**
   *  @param ort the module onnxruntime-web
   *  @param {{F: Uint8Array, R: Uint8Array | null}} files
   *  @param {object} facts networks.json
   *  @param {"webgpu" | "wasm"} provider
   */
  static async load(ort, files, facts, provider) {
    const options = { executionProviders: [provider], graphOptimizationLevel: "all" };
    const kept = provider === "webgpu" ? { preferredOutputLocation: "gpu-buffer" } : {};
    const f = await ort.InferenceSession.create(files.F, { ...options, ...kept });
    const r = files.R && (await ort.InferenceSession.create(files.R, options));
    return new Networks(ort, f, r, facts);
  }

  constructor(ort, f, r, facts) {
    Object.assign(this, { ort, f, r, facts });
  }

  /** F on one picture: {images, size, x1 … x5, target}; `target` is conv4_x as {data: (C, h w), size: [h, w]}. */
  async maps(picture) {
    const size = [picture.height, picture.width];
    const images = new this.ort.Tensor("float32", planes(picture), [1, 3, ...size]);
    const found = await this.f.run({ images });
    const tensor = found[TARGET_MAP];
    return { ...found, images, size, target: { data: await tensor.getData(), size: tensor.dims.slice(2) } };
  }

  /** R: one map of logits (H W) per object, from maps and score maps (h w). */
  async logits(maps, scores) {
    const [h, w] = maps.target.size, n = h * w, joined = new Float32Array(scores.length * n);
    scores.forEach((map, k) => joined.set(map, k * n));
    const feed = { images: maps.images, scores: new this.ort.Tensor("float32", joined, [scores.length, h, w]) };
    for (const name of INPUTS) feed[name] = maps[name];
    const { logits } = await this.r.run(feed);
    const data = await logits.getData(), pixels = maps.size[0] * maps.size[1];
    return scores.map((_, k) => data.slice(k * pixels, (k + 1) * pixels));
  }

  /** Give the memory of maps back. */
  release(maps) {
    for (const value of Object.values(maps)) value?.dispose?.();
  }
}
