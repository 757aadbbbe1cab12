// D: the two-layer target model (eq. 1), how it is learned on the first frame and updated later (Sections 3.1 and 3.4).
// The names are those of vosedu/target_model.py; here a model is of one object.

import { WeightedSamples, weighted_normal_form } from "./loss.js";
import { Memory, initial_gamma } from "./memory.js";
import { Samples, transposed } from "./products.js";
import { finished, gauss_newton } from "./solver.js";
import { normal_numbers } from "./random.js";

/** The factor that features are multiplied by before D sees them; folded into w1 once learned.
 *  "scale": unit root mean square over samples and positions; "none": as they are. */
export function conditioning(features, count, kind) {
  if (kind !== "scale") return 1;
  let sum = 0;
  for (let k = 0; k < count; k++) for (const value of features.view(k)) sum += value * value;
  return 1 / Math.sqrt(Math.max(sum / (count * features.channels * features.positions), 1e-7));
}

const sum_squares = (a) => a.reduce((sum, value) => sum + value * value, 0);

/** Eq. (2) in both layers: unknowns w1 (c, C) then w2 (9, c), flattened. */
export class FirstFrameProblem {
  constructor(samples, factor, channels, decay) {
    Object.assign(this, { samples, factor, channels, decay, products: samples.products });
    this.features = samples.features.channels;
  }

  /** w1 and w2, as views of w. */
  split(w) {
    const border = this.channels * this.features;
    return [w.subarray(0, border), w.subarray(border)];
  }

  /** The 3x3xC filter w2 w1, conditioned: (9, C). */
  filter(w2, w1) {
    return this.products.multiply(w2, w1, 9, this.channels, this.features).map((value) => value * this.factor);
  }

  /** Value of eq. (2). */
  loss(w) {
    const [w1, w2] = this.split(w);
    return this.samples.loss(this.filter(w2, w1)) + this.decay[0] * sum_squares(w1) + this.decay[1] * sum_squares(w2);
  }

  /** Jᵀr and p -> JᵀJp at w (eq. 3): the filter F = w2 w1 moves by w2 δw1 + δw2 w1. */
  linearise(w) {
    const { channels, features, products, factor, decay } = this;
    const [w1, w2] = this.split(w);
    const w1_transposed = transposed(w1, channels, features), w2_transposed = transposed(w2, 9, channels);

    const back = (taps, at) => {
      const [at1, at2] = this.split(at), out = new Float32Array(at.length);
      const scaled = taps.map((value) => value * factor);
      const into_w1 = products.multiply(w2_transposed, scaled, channels, 9, features);
      const into_w2 = products.multiply(scaled, w1_transposed, 9, features, channels);
      for (let i = 0; i < into_w1.length; i++) out[i] = into_w1[i] + decay[0] * at1[i];
      for (let i = 0; i < into_w2.length; i++) out[into_w1.length + i] = into_w2[i] + decay[1] * at2[i];
      return out;
    };
    const product = (p) => {
      const [d1, d2] = this.split(p);
      const moved = this.filter(w2, d1), other = this.filter(d2, w1);
      return back(this.samples.product(moved.map((value, i) => value + other[i])), p);
    };
    return [back(this.samples.gradient(this.filter(w2, w1)), w), product];
  }
}

/** Eq. (2) in w2 alone, over projected features: linear least squares (Section 3.4). Unknowns (9 c). */
export class UpdateProblem {
  constructor(samples, decay) {
    Object.assign(this, { samples, decay });
  }

  /** Value of eq. (2), without the constant term of w1. */
  loss(w) {
    return this.samples.loss(w) + this.decay * sum_squares(w);
  }

  /** Jᵀr and p -> JᵀJp; the second does not depend on w. */
  linearise(w) {
    const plus = (taps, p) => taps.map((value, i) => value + this.decay * p[i]);
    return [plus(this.samples.gradient(w), w), (p) => plus(this.samples.product(p), p)];
  }
}

/** Kaiming normal start (3.5): standard deviation sqrt(2 / fan_in), w1 (c, C) then w2 (9, c). */
export function initial_weights(features, channels, seed) {
  const out = normal_numbers(seed, channels * features + 9 * channels);
  const border = channels * features;
  return out.map((value, i) => value * Math.sqrt(2 / (i < border ? features : 9 * channels)));
}

/** What `learn` minimises, and where it starts. Arguments as there. */
export function first_frame_problem(features, normal, gamma, config, start) {
  const factor = conditioning(features, normal.length, config.conditioning);
  const samples = new WeightedSamples(features, normal, gamma);
  const problem = new FirstFrameProblem(samples, factor, config.channels, [config.projection_decay, config.filter_decay]);
  return { problem, start: start.map((value) => value * config.start_scale), factor };
}

/** First-frame optimisation of D (Section 3.1): both layers, by Gauss-Newton, from a Kaiming normal start.
 *
 *  @param {Samples} features of the first-frame samples
 *  @param {object[]} normal their normal forms
 *  @param {ArrayLike<number>} gamma their weights
 *  @param {object} config
 *  @param {Float32Array} start of `initial_weights`
 *  @yields after every CG iteration, `gauss_newton`'s report with the 3x3 filter `taps` (9, C) as it is then
 *  @returns {{projection: Float32Array, taps: Float32Array}} w1 (c, C), its conditioning folded in, and w2 (9, c)
 */
export function* learn(features, normal, gamma, config, start) {
  const made = first_frame_problem(features, normal, gamma, config, start);
  const { problem } = made;
  const schedule = [config.cg_first, ...Array(config.gn_steps - 1).fill(config.cg_later)];
  const solving = gauss_newton(problem, made.start, schedule);
  let turn = solving.next();
  for (; !turn.done; turn = solving.next()) {
    const [w1, w2] = problem.split(turn.value.w);
    yield { ...turn.value, total: schedule.reduce((a, b) => a + b), taps: problem.filter(w2, w1) };
  }
  const [w1, w2] = problem.split(turn.value);
  return { projection: w1.map((value) => value * made.factor), taps: w2.slice() };
}

/** Re-learn w2 on the memory with w1 fixed (Section 3.4): CG from the present w2. */
export function update(taps, memory, config) {
  const count = memory.filled;
  const samples = new WeightedSamples(memory.projected, memory.normal.slice(0, count), memory.gamma);
  return finished(gauss_newton(new UpdateProblem(samples, config.filter_decay), taps, [config.cg_update]));
}

/** D and M of one object: what Algorithm 1 learns, keeps and updates (Sections 3.1 and 3.4). */
export class OnlineTarget {
  /**
   *  @param {object} config
   *  @param {{projection, taps}} model as `learn` returns it
   *  @param {Samples} features of the first-frame samples
   *  @param {object[]} normal their normal forms
   */
  constructor(config, model, features, normal) {
    const { products, size } = features;
    Object.assign(this, { config, ...model, size, products });
    this.memory = new Memory(products, config.channels, size, normal, initial_gamma(normal.length, config.first_weight), config);
    for (let k = 0; k < normal.length; k++) this.memory.projected.project(k, this.projection, features, k);
    this.frame = new Samples(products, 1, config.channels, size); // of the frame that was scored last, projected
    this.present = true;
  }

  /** The score map (h w) of a frame's conv4_x features, a `Samples` of one. */
  scores(features) {
    this.frame.project(0, this.projection, features, 0);
    return this.products.apply_filter(this.taps, this.frame, 1);
  }

  /** Extend M by the frame that was scored last (Section 3.4); an object that is hardly there gets no sample.
   *  @param {Uint8Array} mask (H W) in {0, 1}, the answer
   *  @param {number[]} size [H, W]
   *  @param {number} index of the frame */
  remember(mask, size, index) {
    const { config } = this;
    this.present = mask.reduce((a, b) => a + b, 0) >= config.min_pixels;
    if (this.present) this.memory.insert(this.frame.get(0), weighted_normal_form(mask, size, this.size, config), index);
  }

  /** Re-learn w2 on M (Section 3.4); an object that is hardly there keeps its own. */
  update() {
    if (this.present) this.taps = update(this.taps, this.memory, this.config);
  }

  free() {
    this.memory.free();
    this.frame.free();
  }
}
