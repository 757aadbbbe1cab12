// M: the samples that D is learned from during a video, and their weights gamma (Section 3.4).
// The names are those of vosedu/memory.py; this is the memory of one object.

import { Samples } from "./products.js";

/** Weights of the first-frame samples (Section 3.1): the original first and heavier, summing to one. */
export function initial_gamma(samples, first_weight) {
  const gamma = new Float64Array(samples).fill(1);
  gamma[0] = first_weight;
  const sum = samples - 1 + first_weight;
  return gamma.map((value) => value / sum);
}

/** Projected samples of one object, at most `capacity`; allocated once, so a long video costs no more. */
export class Memory {
  /**
   *  @param {Products} products
   *  @param {number} channels c
   *  @param {number[]} size [h, w]
   *  @param {object[]} normal of the first-frame samples, whose projected features `samples` is to get
   *  @param {Float64Array} gamma their weights, summing to one
   *  @param {{capacity: number, learning_rate: number, first_share: number}} config
   */
  constructor(products, channels, size, normal, gamma, { capacity, learning_rate, first_share }) {
    Object.assign(this, { capacity, learning_rate, first_share });
    this.projected = new Samples(products, capacity, channels, size);
    this.normal = [...normal];
    this.first = this.filled = normal.length;
    this.gamma = new Float64Array(capacity);
    this.gamma.set(gamma);
    this.frames = new Int32Array(capacity); // where the sample of a slot comes from
    this.newest = learning_rate; // gamma_0 = eta: the weight that the first inserted sample is set against
  }

  /** The slot of least weight: empty ones first, those of the first frame never where they have a share of their own. */
  slot() {
    let best = -1;
    for (let k = this.first_share > 0 ? this.first : 0; k < this.capacity; k++) {
      if (best < 0 || this.gamma[k] < this.gamma[best]) best = k;
    }
    return best;
  }

  /** Add one sample, with gamma_i = gamma_(i-1) / (1 - eta), then normalise. `features` (c, h w) are projected. */
  insert(features, normal, frame = 0) {
    const slot = this.slot();
    this.projected.set(slot, features);
    this.normal[slot] = normal;
    this.frames[slot] = frame;
    const gamma = this.gamma;
    gamma[slot] = this.newest / (1 - this.learning_rate);
    const total = (from, to) => gamma.subarray(from, to).reduce((a, b) => a + b, 0);
    const scale = (from, to, factor) => {
      for (let k = from; k < to; k++) gamma[k] *= factor;
    };
    scale(0, this.capacity, 1 / total(0, this.capacity));
    if (this.first_share > 0) {
      const share = total(0, this.first), kept = Math.max(share, this.first_share);
      scale(0, this.first, kept / share);
      scale(this.first, this.capacity, (1 - kept) / (1 - share));
    }
    this.newest = gamma[slot];
    this.filled = Math.max(this.filled, slot + 1);
    return slot;
  }

  /** Give the samples of a frame and of all later ones weight 0: they have no part in anything, and are overwritten first. */
  forget(frame) {
    let kept = 0;
    for (let k = 0; k < this.capacity; k++) {
      if (k >= this.first && this.frames[k] >= frame) this.gamma[k] = 0;
      kept += this.gamma[k];
    }
    for (let k = 0; k < this.capacity; k++) this.gamma[k] /= kept;
    this.newest = Math.max(this.learning_rate, ...this.gamma.subarray(this.first));
  }

  free() {
    this.projected.free();
  }
}
