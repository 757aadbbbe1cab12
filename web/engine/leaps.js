// Parts of a mask that appear where the last one was not belong to a look-alike; the paper's method has no such rule (preset BEST).
// The names are those of vosedu/beyond/leaps.py, which says why.

import { mask_of, to_size } from "./images.js";
import { OUTSIDE } from "./window.js";

export const LARGE = 0.25; // of the last mask's area: a part that covers as much is a thing of its own rather than a piece
export const FARTHER = 3; // so many times as far as large parts, small ones may lie from the last mask
export const ENOUGH = 0.6; // of the last mask's area: what lies near it covers at least so much where the rest is dropped
const [BESIDE, DIAGONAL] = [0.955, 1.3693]; // steps of a 3x3 distance transform (Borgefors 1986)

/** Connected parts of a mask (H W), neighbours at corners included: {parts: Int32Array, 0 where there is none, count}. */
export function connected(mask, [height, width]) {
  const parts = new Int32Array(mask.length), open = [];
  let count = 0;
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || parts[start]) continue;
    parts[start] = ++count;
    open.push(start);
    while (open.length) {
      const i = open.pop(), x = i % width, y = (i - x) / width;
      for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
        for (let k = row * width + Math.max(x - 1, 0); k <= row * width + Math.min(x + 1, width - 1); k++) {
          if (!mask[k] || parts[k]) continue;
          parts[k] = count;
          open.push(k);
        }
      }
    }
  }
  return { parts, count };
}

/** Pixels from each pixel to the mask (H W), in steps to the eight neighbours. */
export function distances(mask, [height, width]) {
  const out = Float32Array.from(mask, (value) => (value ? 0 : Infinity));
  const pass = (from, step) => {
    for (let n = 0, i = from; n < out.length; n++, i += step) {
      const x = i % width, before = i - step * width; // the neighbours that the pass has seen: one beside, three in the row before
      const nearer = (k, column, cost) => {
        if (column >= 0 && column < width && k >= 0 && k < out.length) out[i] = Math.min(out[i], out[k] + cost);
      };
      nearer(i - step, x - step, BESIDE);
      nearer(before, x, BESIDE);
      nearer(before - 1, x - 1, DIAGONAL);
      nearer(before + 1, x + 1, DIAGONAL);
    }
  };
  pass(0, 1);
  pass(height * width - 1, -1);
  return out;
}

/** Where a mask shows what cannot be the target: 1 on connected parts beyond `reach` square roots of the last mask's area from it;
 *  null where there are none. */
export function leaps(mask, before, size, reach) {
  const area = before.reduce((sum, value) => sum + (value > 0), 0), { parts, count } = connected(mask, size);
  if (count <= 1 || !area) return null;
  const away = distances(before, size), covered = new Int32Array(count + 1), nearest = new Float32Array(count + 1).fill(Infinity);
  parts.forEach((part, i) => {
    covered[part]++;
    nearest[part] = Math.min(nearest[part], away[i]);
  });
  const limit = (part) => reach * Math.sqrt(area) * (covered[part] < LARGE * area ? FARTHER : 1);
  const apart = Array.from(nearest, (distance, part) => part > 0 && distance > limit(part));
  const stays = apart.reduce((sum, gone, part) => sum + (part && !gone ? covered[part] : 0), 0);
  return apart.includes(true) && stays >= ENOUGH * area ? Uint8Array.from(parts, (part) => (apart[part] ? 1 : 0)) : null;
}

/** Logits of an object (h w), `OUTSIDE` where they are above 0 on a part that leapt.
 *  @param {Uint8Array} labels ids in the frame before, of size `from`; `reach` 0: nothing is asked */
export function without_leaps(logits, size, labels, from, id, reach) {
  if (!reach) return logits;
  const dropped = leaps(Uint8Array.from(logits, (value) => (value > 0 ? 1 : 0)), to_size(mask_of(labels, id), from, size), size, reach);
  return dropped ? logits.map((value, i) => (dropped[i] ? OUTSIDE : value)) : logits;
}
