// The loss that D is learned with: pixel weights (eq. 4), and eq. (2) in exact low-resolution form (Section 3.1).
// The names are those of vosedu/loss.py. Sizes are [rows, columns]; maps are flat arrays, row by row.

/** Weights v that give the target its share of the loss (eq. 4): the two values that v has.
 *
 *  @param {Uint8Array} labels (H W) in {0, 1}
 *  @returns {{on_target: number, on_background: number}}
 */
export function pixel_weights(labels, { target_share = 0.1, share_rule = "max", weight_power = "root" } = {}) {
  let count = 0;
  for (const label of labels) count += label;
  const pixels = labels.length;
  const actual = count / pixels;
  const desired = share_rule === "max" ? Math.max(actual, target_share) : Math.min(actual, target_share);
  // half a pixel keeps both quotients finite; where it acts, no pixel of that kind exists
  const on_target = desired / Math.max(actual, 0.5 / pixels);
  const on_background = (1 - desired) / Math.max(1 - actual, 0.5 / pixels);
  const power = weight_power === "root" ? Math.sqrt : (x) => x;
  return { on_target: power(on_target), on_background: power(on_background) };
}

/** One axis of U: for each of `size` pixels the position it is interpolated from, the share of the next one, and which that is. */
export function upsampling(size, positions) {
  const at = new Int32Array(size), next = new Int32Array(size), share = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const x = Math.max(0, ((i + 0.5) * positions) / size - 0.5);
    at[i] = Math.min(Math.floor(x), positions - 1);
    next[i] = Math.min(at[i] + 1, positions - 1);
    share[i] = next[i] > at[i] ? x - at[i] : 0;
  }
  return { at, next, share };
}

/** The loss of a sample as a quadratic of its score map: sᵀK s - 2 bᵀs + constant.
 *
 *  stencil (4, h, w): coefficients of K for a position with itself, right, below, and either diagonal below; rhs (h, w): b.
 *  @param {Uint8Array} labels (H W) in {0, 1}
 *  @param {number[]} from [H, W] of the labels
 *  @param {number[]} to [h, w] of the score maps
 */
export function weighted_normal_form(labels, from, to, settings) {
  const [height, width] = from, [h, w] = to, positions = h * w;
  const { on_target, on_background } = pixel_weights(labels, settings);
  const rows = upsampling(height, h), columns = upsampling(width, w);
  const stencil = new Float64Array(4 * positions), rhs = new Float64Array(positions);
  const same = new Float64Array(w), right = new Float64Array(w), weighted = new Float64Array(w);
  let constant = 0;
  for (let y = 0; y < height; y++) {
    [same, right, weighted].forEach((line) => line.fill(0));
    for (let x = 0; x < width; x++) { // one row of v² times the columns of U
      const label = labels[y * width + x];
      const square = label ? on_target ** 2 : on_background ** 2;
      const j = columns.at[x], other = columns.share[x], own = 1 - other;
      same[j] += square * own * own;
      if (other) {
        same[j + 1] += square * other * other;
        right[j] += square * own * other;
      }
      if (label) {
        weighted[j] += square * own;
        if (other) weighted[j + 1] += square * other;
        constant += square;
      }
    }
    const i = rows.at[y], other = rows.share[y], own = 1 - other;
    const add = (map, row, line, factor) => {
      for (let j = 0; j < w; j++) map[row * w + j] += factor * line[j];
    };
    add(stencil, i, same, own * own);
    add(stencil, h + i, right, own * own);
    add(rhs, i, weighted, own);
    if (other) { // so there is a next row
      add(stencil, i + 1, same, other * other);
      add(stencil, h + i + 1, right, other * other);
      add(stencil, 2 * h + i, same, own * other);
      add(stencil, 3 * h + i, right, own * other);
      add(rhs, i + 1, weighted, other);
    }
  }
  return { stencil: Float32Array.from(stencil), rhs: Float32Array.from(rhs), constant };
}

/** K s for a stencil (4, h, w) and scores (h, w): writes it to `out`, times `factor`. */
export function apply_stencil(stencil, scores, [h, w], out, factor = 1) {
  const n = h * w;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = y * w + x;
      let sum = stencil[i] * scores[i];
      if (x + 1 < w) sum += stencil[n + i] * scores[i + 1];
      if (x > 0) sum += stencil[n + i - 1] * scores[i - 1];
      if (y + 1 < h) {
        sum += stencil[2 * n + i] * scores[i + w];
        if (x + 1 < w) sum += stencil[3 * n + i] * scores[i + w + 1];
        if (x > 0) sum += stencil[3 * n + i - 1] * scores[i + w - 1];
      }
      if (y > 0) {
        sum += stencil[2 * n + i - w] * scores[i - w];
        if (x > 0) sum += stencil[3 * n + i - w - 1] * scores[i - w - 1];
        if (x + 1 < w) sum += stencil[3 * n + i - w] * scores[i - w + 1];
      }
      out[i] = sum * factor;
    }
  }
}

/** The data term of eq. (2) as a function of one 3x3 filter: Σ_k γ_k ‖v_k · (y_k - U(F * x_k))‖².
 *
 *  @param {Samples} features x_k, in WebAssembly's memory
 *  @param {object[]} normal the samples' normal forms
 *  @param {ArrayLike<number>} gamma sample weights
 */
export class WeightedSamples {
  constructor(features, normal, gamma) {
    Object.assign(this, { features, normal, gamma, products: features.products, count: normal.length });
  }

  /** F * x_k: (K, h w) for taps (9, C). */
  scores(taps) {
    return this.products.apply_filter(taps, this.features, this.count);
  }

  /** The adjoint of `scores`: (9, C). */
  scores_transposed(maps) {
    return this.products.apply_filter_transposed(maps, this.features, this.count);
  }

  /** γ_k K_k s_k, minus γ_k b_k where `residual`: (K, h w). */
  weighted(scores, residual) {
    const n = this.features.positions, out = new Float32Array(scores.length);
    this.normal.forEach(({ stencil, rhs }, k) => {
      const map = out.subarray(k * n, (k + 1) * n);
      apply_stencil(stencil, scores.subarray(k * n, (k + 1) * n), this.features.size, map, this.gamma[k]);
      if (residual) for (let i = 0; i < n; i++) map[i] -= this.gamma[k] * rhs[i];
    });
    return out;
  }

  /** The value of the data term. */
  loss(taps) {
    const n = this.features.positions, scores = this.scores(taps), image = this.weighted(scores, false);
    let sum = 0;
    this.normal.forEach(({ rhs, constant }, k) => {
      for (let i = 0; i < n; i++) sum += (image[k * n + i] - 2 * this.gamma[k] * rhs[i]) * scores[k * n + i];
      sum += this.gamma[k] * constant;
    });
    return sum;
  }

  /** Half the gradient with respect to the filter, (9, C). */
  gradient(taps) {
    return this.scores_transposed(this.weighted(this.scores(taps), true));
  }

  /** Half the Hessian with respect to the filter, times taps: (9, C). */
  product(taps) {
    return this.scores_transposed(this.weighted(this.scores(taps), false));
  }
}
