// Algorithm 1: the state of one video, advanced frame by frame (Section 3.4). The names are those of vosedu/segmenter.py.
//
// Whatever takes long calls `report` often and waits for it: that draws progress, and may throw to stop the work.

import { aggregate, bilinear, labels_at } from "./aggregation.js";
import { first_frame_samples } from "./augmentation.js";
import { ids_in, mask_of, to_size, working_size } from "./images.js";
import { without_leaps } from "./leaps.js";
import { weighted_normal_form } from "./loss.js";
import { initial_gamma } from "./memory.js";
import { Samples } from "./products.js";
import { OnlineTarget, initial_weights, learn } from "./target_model.js";
import { OUTSIDE, Windows } from "./window.js";

const nothing = async () => {};

/** Milliseconds by stage. */
class Stopwatch {
  ms = {};
  last = performance.now();

  lap(stage) {
    const now = performance.now();
    this.ms[stage] = (this.ms[stage] ?? 0) + now - this.last;
    this.last = now;
  }
}

/** Every `OTHER`-th sample is of the second view of an object, where it has two. */
const OTHER = 4;

/** The first-frame samples of one object: M_0 of Section 3.1, with their features. */
export class FirstFrame {
  /** F on `count` augmented copies of what is seen of an object, {picture, mask} of the working size: through its window, and in
   *  the whole frame where that is another view. */
  static async made(networks, products, views, window, count, seed, report) {
    const labels = [], makers = views.map(({ picture, mask }) => first_frame_samples(picture, mask, count, seed));
    let features;
    try {
      for (let k = 0; k < count; k++) {
        const { image, label } = makers[views.length > 1 && k % OTHER === OTHER - 1 ? 1 : 0].next().value;
        const maps = await networks.maps(image);
        const { data, size } = maps.target;
        features ??= new Samples(products, count, data.length / (size[0] * size[1]), size);
        features.set(k, data);
        networks.release(maps);
        labels.push(label);
        await report({ stage: "samples", done: k + 1, total: count, image, label });
      }
    } catch (stop) {
      features?.free();
      throw stop;
    }
    return new FirstFrame(features, labels, [views[0].picture.height, views[0].picture.width], window);
  }

  constructor(features, labels, size, window) {
    Object.assign(this, { features, labels, size, window });
  }

  /** The samples' losses as quadratics of their score maps, the first `count`. */
  normal(config, count) {
    return this.labels.slice(0, count).map((label) => weighted_normal_form(label, this.size, this.features.size, config));
  }

  free() {
    this.features.free();
  }
}

/** The state of one video: D and M of each object, and what the last frame gave. */
export class Video {
  /**
   *  @param {Networks} networks F and R
   *  @param {Products} products
   *  @param {object} config all numbers, as in vosedu/config.py
   *  @param {number[]} size [H, W] of the frames
   *  @param {{short_side: number, refine: boolean, seed: number}} options
   */
  constructor(networks, products, config, size, { short_side = 0, refine = true, seed = 0 } = {}) {
    Object.assign(this, { networks, products, config, size, refine, seed });
    this.working_size = working_size(size, short_side);
    this.windows = new Windows(size, this.working_size, config);
    this.first = new Map(); // id -> FirstFrame
    this.targets = new Map(); // id -> OnlineTarget, in the order in which objects came
    this.frame_index = 0;
    this.labels = new Uint8Array(size[0] * size[1]); // the last answer
  }

  get ids() {
    return [...this.targets.keys()];
  }

  /** Learn the objects of `labels` (H W) that are not known yet, from this frame (Section 3.1). */
  async add(frame, labels, report = nothing) {
    for (const id of ids_in(labels)) {
      if (this.targets.has(id)) continue;
      const views = this.windows.first(id, frame, mask_of(labels, id));
      if (!views.length) continue; // nothing is left of it at the working size
      const told = (news) => report({ ...news, id }), seed = this.seed * 256 + id;
      try {
        const { window } = this.windows.gazes.get(id);
        this.first.set(id, await FirstFrame.made(this.networks, this.products, views, window, this.config.samples, seed, told));
        await this.learn(id, told);
      } catch (stop) { // an object that is not learned is not there
        this.first.get(id)?.free();
        this.first.delete(id);
        this.windows.gazes.delete(id);
        throw stop;
      }
      labels.forEach((label, i) => {
        if (label === id) this.labels[i] = id;
      });
    }
  }

  /** Learn one object's D anew from its first-frame samples, with the numbers of `config`. `learning_ms` is what that took,
   *  without what `report` did. */
  async learn(id, report = nothing) {
    const { config, first: all, products } = this, first = all.get(id), watch = new Stopwatch();
    const count = Math.min(config.samples, first.labels.length);
    const normal = first.normal(config, count), { features } = first;
    const start = initial_weights(features.channels, config.channels, this.seed * 256 + id);
    const learning = learn(features, normal, initial_gamma(count, config.first_weight), config, start);
    let turn = learning.next(), done = 0;
    for (; !turn.done; turn = learning.next()) {
      const { taps, residual, step, iteration, total } = turn.value;
      const seen = products.apply_filter(taps, features, 1);
      const scores = this.windows.spread(first.window, seen, features.size, features.size, 0);
      watch.lap("D");
      await report({ stage: "learning", done: ++done, total, step, iteration, residual, scores, size: features.size });
      watch.lap("report");
    }
    this.targets.get(id)?.free();
    this.targets.set(id, new OnlineTarget(config, turn.value, features, normal));
    this.learning_ms = watch.ms.D;
  }

  /** One turn of Algorithm 1's loop: the next frame, a picture of the video's size.
   *  @returns {{labels: Uint8Array, scores: Float32Array[], score_size: number[], ms: object}} ids (H W), one score map per object,
   *    milliseconds by stage */
  async step(frame) {
    const watch = new Stopwatch(), { windows } = this;
    this.frame_index += 1;
    const views = await this.scored(frame, watch), found = new Map();
    for (const { maps, ids, scores } of views) {
      const logits = this.refine && this.networks.r ? await this.networks.logits(maps, scores) : this.readout(maps, scores);
      this.networks.release(maps);
      ids.forEach((id, n) => found.set(id, { logits: logits[n], scores: scores[n] }));
    }
    watch.lap("R");
    const score_size = views[0].maps.target.size, from = windows.whole ? this.working_size : this.size;
    const whole = (map, size, at, outside, id) => (windows.whole ? map : windows.spread(windows.now.get(id), map, size, at, outside));
    const logits = this.ids.map((id) => {
      const map = whole(found.get(id).logits, this.working_size, this.size, OUTSIDE, id);
      return without_leaps(map, from, this.labels, this.size, id, this.config.leap);
    });
    const scores = this.ids.map((id) => whole(found.get(id).scores, score_size, score_size, 0, id));
    const probabilities = aggregate(logits, this.config.aggregation);
    const small = labels_at(probabilities, this.ids, from, from);
    const labels = windows.whole ? labels_at(probabilities, this.ids, from, this.size) : small;
    if (this.config.cg_update > 0) {
      this.remember(small);
      if (this.frame_index % this.config.update_every === 0) this.update();
    }
    windows.follow(labels, this.config.min_pixels);
    this.labels = labels;
    watch.lap("masks and memory");
    return { labels, scores, score_size, ms: watch.ms };
  }

  /** F and D on every view of a frame: {maps, ids, scores}, the last two of its objects. */
  async scored(frame, watch = new Stopwatch()) {
    const found = [];
    for (const { picture, ids } of this.windows.look(frame)) {
      const maps = await this.networks.maps(picture), { data, size } = maps.target;
      watch.lap("F");
      const features = new Samples(this.products, 1, data.length / (size[0] * size[1]), size);
      features.set(0, data);
      found.push({ maps, ids, scores: ids.map((id) => this.targets.get(id).scores(features)) });
      features.free();
      watch.lap("D");
    }
    return found;
  }

  /** The D-only readout (Section 4.1): logits from score maps alone. */
  readout(maps, scores) {
    const [scale, offset] = this.networks.facts.readout;
    return scores.map((map) => bilinear(map, maps.target.size, this.working_size).map((s) => scale * s + offset));
  }

  /** Extend every object's M by the frame that was scored last. Its answer has the working size where objects were looked for in
   *  the whole frame, else the frame's. */
  remember(answer) {
    for (const [id, target] of this.targets) {
      const mask = mask_of(answer, id), seen = this.windows.whole ? mask : this.windows.through(id, mask);
      target.remember(seen, this.working_size, this.frame_index);
    }
  }

  update() {
    for (const target of this.targets.values()) target.update();
  }

  /** Go back: what was remembered from frame `index` on is forgotten, and D learned again from the rest.
   *  @param {Uint8Array} labels (H W) of the frame before, where windows turn to */
  rewind(index, labels) {
    this.frame_index = index - 1;
    for (const target of this.targets.values()) {
      target.memory.forget(index);
      target.present = true;
    }
    this.update();
    this.turn(labels);
  }

  /** Take labels (H W) as the answer of the frame before. */
  turn(labels) {
    this.windows.turn(labels);
    this.labels = Uint8Array.from(labels);
  }

  /** A frame that the user has corrected: what was remembered from there on is forgotten, the answer is taken as it is, D is
   *  updated at once, and objects that are new are learned.
   *  @param {number} index of the frame, counted from the first one
   *  @param {Uint8Array} labels (H W) */
  async correct(frame, index, labels, report = nothing) {
    this.rewind(index, labels);
    this.frame_index = index;
    for (const { maps } of await this.scored(frame)) this.networks.release(maps);
    this.remember(this.windows.whole ? to_size(labels, this.size, this.working_size) : labels);
    this.update();
    await this.add(frame, labels, report);
  }

  free() {
    for (const part of [...this.first.values(), ...this.targets.values()]) part.free();
    this.first.clear();
    this.targets.clear();
  }
}
