// First-frame samples: cut the target out, fill the hole, warp, blur, paste (Section 3.1, initial sample generation).
// The names are those of vosedu/augmentation.py. Two things differ from there: the hole is filled from its rim inwards with the
// weighted mean of what is known nearby, which is Telea's method without its gradients, and random numbers are others.

import { uniform } from "./random.js";

export const MAX_ROTATION = (25 * Math.PI) / 180;
export const MAX_SCALE = 1.5;
export const MAX_SHEAR = 0.15;
export const MAX_SHIFT = 0.2; // of the image's height and width
export const MAX_BLUR = 2; // standard deviation in pixels of a 480-row image
const RADIUS = 3; // of the neighbourhood that a pixel of the hole is filled from

/** Masks widened by a disk of `radius` pixels. */
export function dilate(mask, [h, w], radius) {
  const out = new Uint8Array(mask.length);
  for (let dy = -radius; dy <= radius; dy++) {
    const reach = Math.round(radius * Math.sqrt(1 - (dy / radius) ** 2));
    for (let y = Math.max(0, -dy); y < Math.min(h, h - dy); y++) {
      for (let x = 0; x < w; x++) {
        if (mask[y * w + x]) out.fill(1, (y + dy) * w + Math.max(0, x - reach), (y + dy) * w + Math.min(w, x + reach + 1));
      }
    }
  }
  return out;
}

/** Fill a hole (H W) of a picture, in place, from its rim inwards. */
export function fill(picture, hole) {
  const { data, width: w, height: h } = picture;
  const missing = Uint8Array.from(hole);
  const around = [];
  for (let dy = -RADIUS; dy <= RADIUS; dy++) {
    for (let dx = -RADIUS; dx <= RADIUS; dx++) {
      if ((dx || dy) && dx * dx + dy * dy <= RADIUS * RADIUS) around.push([dy, dx, 1 / (dx * dx + dy * dy)]);
    }
  }
  const touches = (i) => {
    const x = i % w;
    return (x > 0 && !missing[i - 1]) || (x + 1 < w && !missing[i + 1]) || (i >= w && !missing[i - w]) ||
      (i + w < h * w && !missing[i + w]);
  };
  let left = [...missing.keys()].filter((i) => missing[i]);
  if (left.length === missing.length) throw new Error("nothing is known of this picture");
  while (left.length) {
    const rim = left.filter(touches);
    for (const i of rim) {
      const y = Math.floor(i / w), x = i % w;
      const sum = [0, 0, 0];
      let total = 0;
      for (const [dy, dx, weight] of around) {
        const to = i + dy * w + dx;
        if (y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w || missing[to]) continue;
        total += weight;
        for (let c = 0; c < 3; c++) sum[c] += weight * data[to * 4 + c];
      }
      for (let c = 0; c < 3; c++) data[i * 4 + c] = sum[c] / total;
    }
    for (const i of rim) missing[i] = 0;
    left = left.filter((i) => missing[i]);
  }
}

/** Separate target and background: {background, target: frame, mask}.
 *  @param frame a picture
 *  @param {Uint8Array} mask (H W), 1 on the target */
export function cut_out(frame, mask) {
  const { width, height } = frame;
  // the target's rim is mixed with its colours in any real image; a wider hole keeps them out of the background
  const hole = dilate(mask, [height, width], Math.max(1, Math.round(height / 120)));
  const background = { data: Uint8ClampedArray.from(frame.data), width, height };
  if (hole.every((value) => value)) {
    const mean = [0, 0, 0];
    for (let i = 0; i < hole.length; i++) for (let c = 0; c < 3; c++) mean[c] += frame.data[i * 4 + c] / hole.length;
    for (let i = 0; i < hole.length; i++) for (let c = 0; c < 3; c++) background.data[i * 4 + c] = Math.floor(mean[c]);
  } else {
    fill(background, hole);
  }
  return { background, target: frame, mask };
}

/** A random affine map [a, b, c, d, e, f] of pixel positions, (x, y) -> (a x + b y + c, d x + e y + f), about the centre of the
 *  target. Rotation, shear and shift are uniform, scale log-uniform, within the limits above. */
export function random_warp(mask, [height, width], random) {
  let count = 0, cx = 0, cy = 0;
  mask.forEach((value, i) => {
    if (!value) return;
    count++;
    cx += i % width;
    cy += Math.floor(i / width);
  });
  cx /= count;
  cy /= count;
  const between = (limit) => (2 * random() - 1) * limit;
  const angle = between(MAX_ROTATION), scale = Math.exp(between(Math.log(MAX_SCALE))), shear = between(MAX_SHEAR);
  const cos = scale * Math.cos(angle), sin = scale * Math.sin(angle);
  const [a, b, d, e] = [cos, cos * shear - sin, sin, sin * shear + cos];
  const x = cx + between(MAX_SHIFT) * width, y = cy + between(MAX_SHIFT) * height;
  return [a, b, x - a * cx - b * cy, d, e, y - d * cx - e * cy];
}

/** The factor by which a warp enlarges areas. */
const enlargement = ([a, b, , d, e]) => Math.abs(a * e - b * d);

const reflected = (i, n) => { // 2 1 0 1 2 … n-1 n-2: the border is not repeated
  if (n === 1) return 0;
  const period = 2 * (n - 1), at = ((i % period) + period) % period;
  return at < n ? at : period - at;
};

/** Colours (reflected beyond the border) and mask (0 there) under a warp: float32 (H, W, 4), RGB and alpha. */
function warped({ target, mask }, [a, b, c, d, e, f]) {
  const { data, width: w, height: h } = target, out = new Float32Array(h * w * 4), det = a * e - b * d;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const u = (e * (x - c) - b * (y - f)) / det, v = (a * (y - f) - d * (x - c)) / det;
      const left = Math.floor(u), top = Math.floor(v), to = (y * w + x) * 4;
      for (let n = 0; n < 4; n++) {
        const p = left + (n & 1), q = top + (n >> 1);
        const weight = (n & 1 ? u - left : 1 - u + left) * (n >> 1 ? v - top : 1 - v + top);
        const from = reflected(q, h) * w + reflected(p, w);
        for (let channel = 0; channel < 3; channel++) out[to + channel] += weight * data[from * 4 + channel];
        if (p >= 0 && p < w && q >= 0 && q < h) out[to + 3] += weight * mask[q * w + p];
      }
    }
  }
  return out;
}

/** A Gaussian blur of (H, W, 4), `deviation` in pixels. */
export function blurred(values, [h, w], deviation) {
  const radius = Math.round(deviation * 4), kernel = [];
  for (let d = -radius; d <= radius; d++) kernel.push(Math.exp((-d * d) / (2 * deviation * deviation)));
  const total = kernel.reduce((x, y) => x + y);
  const across = new Float32Array(values.length), out = new Float32Array(values.length);
  kernel.forEach((weight, k) => {
    for (let x = 0; x < w; x++) {
      const from = reflected(x + k - radius, w) * 4;
      for (let y = 0; y < h; y++) {
        for (let c = 0; c < 4; c++) across[(y * w + x) * 4 + c] += (weight / total) * values[y * w * 4 + from + c];
      }
    }
  });
  kernel.forEach((weight, k) => {
    for (let y = 0; y < h; y++) {
      const from = reflected(y + k - radius, h) * w * 4, to = y * w * 4;
      for (let i = 0; i < w * 4; i++) out[to + i] += (weight / total) * across[from + i];
    }
  });
  return out;
}

/** Warp the target, blur it (standard deviation in pixels) and lay it over the background: {image, label}. */
export function paste(pieces, warp, blur) {
  const { width, height } = pieces.background;
  let layer = warped(pieces, warp);
  const label = new Uint8Array(width * height).map((_, i) => (layer[i * 4 + 3] > 0.5 ? 1 : 0));
  if (blur > 0.12) layer = blurred(layer, [height, width], blur); // below that the kernel has one number
  const image = { data: Uint8ClampedArray.from(pieces.background.data), width, height };
  for (let i = 0; i < label.length; i++) {
    const alpha = layer[i * 4 + 3];
    if (!alpha) continue;
    for (let c = 0; c < 3; c++) {
      const below = image.data[i * 4 + c];
      image.data[i * 4 + c] = Math.floor(below + alpha * (layer[i * 4 + c] - below) + 0.5);
    }
  }
  return { image, label };
}

/** The images and labels of M_0, one after the other: the frame as it is, then augmented copies (Section 3.1). Warps that would
 *  leave less than half of the target's pixels in the image are drawn again.
 *
 *  @param frame a picture
 *  @param {Uint8Array} mask (H W), 1 on the target
 *  @param {number} count 1 or more
 *  @yields {{image: object, label: Uint8Array}}
 */
export function* first_frame_samples(frame, mask, count, seed) {
  yield { image: frame, label: mask };
  if (count < 2) return;
  const random = uniform(seed), pieces = cut_out(frame, mask), size = [frame.height, frame.width];
  const area = (label) => label.reduce((a, b) => a + b, 0);
  for (let k = 1; k < count; k++) {
    let found = { image: frame, label: mask };
    for (let turn = 0; turn < 50; turn++) {
      const warp = random_warp(mask, size, random), blur = (random() * MAX_BLUR * frame.height) / 480;
      const made = paste(pieces, warp, blur);
      // the warp's own enlargement must not hide that the target has left the image
      if (area(made.label) >= Math.max(1, 0.5 * Math.min(1, enlargement(warp)) * area(mask))) {
        found = made;
        break;
      }
    }
    yield found;
  }
}
