// From one probability map per object to one label per pixel: soft aggregation (Section 3.4).
// The names are those of vosedu/aggregation.py.

import { upsampling } from "./loss.js";

/** Soft aggregation of objects segmented alone. "softmax": the background has probability Π(1 - p_n), and all get their odds over
 *  the sum of odds; "min", the authors' later code: background min(1 - p_n), softmax over odds.
 *
 *  @param {Float32Array[]} logits one map per object
 *  @returns {Float32Array[]} probabilities, the background first, summing to one everywhere
 */
export function aggregate(logits, rule = "softmax") {
  const size = logits[0].length, maps = [new Float32Array(size), ...logits.map(() => new Float32Array(size))];
  const odds = new Float64Array(maps.length);
  const bounded = (p) => Math.min(Math.max(p, 1e-5), 1 - 1e-5);
  for (let i = 0; i < size; i++) {
    let none = 1, sum = 0;
    for (let n = 0; n < logits.length; n++) {
      const p = 1 / (1 + Math.exp(-logits[n][i]));
      none = rule === "softmax" ? none * (1 - p) : Math.min(none, 1 - p);
      odds[n + 1] = bounded(p) / (1 - bounded(p));
    }
    odds[0] = bounded(none) / (1 - bounded(none));
    if (rule === "min") {
      const most = Math.max(...odds);
      for (let n = 0; n < odds.length; n++) odds[n] = Math.exp(odds[n] - most);
    }
    for (const value of odds) sum += value;
    for (let n = 0; n < odds.length; n++) maps[n][i] = odds[n] / sum;
  }
  return maps;
}

/** The likeliest id of every pixel at another size: probabilities are resampled bilinearly, for ids do not mix.
 *
 *  @param {Float32Array[]} probabilities the background first
 *  @param {number[]} ids of the objects
 *  @param {number[]} from [h, w] of the probabilities
 *  @param {number[]} to [H, W]
 *  @returns {Uint8Array} (H W), 0 the background
 */
export function labels_at(probabilities, ids, from, to) {
  const same = from[0] === to[0] && from[1] === to[1];
  const maps = same ? probabilities : probabilities.map((p) => bilinear(p, from, to));
  const labels = new Uint8Array(to[0] * to[1]), greatest = Float32Array.from(maps[0]);
  ids.forEach((id, n) => {
    const p = maps[n + 1];
    for (let i = 0; i < labels.length; i++) {
      if (p[i] > greatest[i]) {
        greatest[i] = p[i];
        labels[i] = id;
      }
    }
  });
  return labels;
}

/** A map (h w) at another size, by bilinear interpolation with pixel centres at halves. */
export function bilinear(map, from, to) {
  const [h, w] = from, [height, width] = to, out = new Float32Array(height * width);
  const rows = upsampling(height, h), columns = upsampling(width, w), line = new Float32Array(w);
  for (let y = 0; y < height; y++) {
    const above = rows.at[y] * w, below = rows.next[y] * w, share = rows.share[y];
    for (let j = 0; j < w; j++) line[j] = map[above + j] * (1 - share) + map[below + j] * share;
    for (let x = 0; x < width; x++) {
      const part = columns.share[x];
      out[y * width + x] = line[columns.at[x]] * (1 - part) + line[columns.next[x]] * part;
    }
  }
  return out;
}
