// Pictures and masks: sizes, colours. A picture is {data, width, height} with data uint8 RGBA, as a canvas has it.
// The names are those of vosedu/files/images.py.

/** The colours of PASCAL VOC and DAVIS, 256 x RGB by object id. */
export const DAVIS_PALETTE = (() => {
  const colours = new Uint8Array(256 * 3);
  for (let index = 0; index < 256; index++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let k = 0; k < 3; k++) colours[index * 3 + channel] |= ((index >> (3 * k + channel)) & 1) << (7 - k);
    }
  }
  return colours;
})();

/** Python's rounding: halves to the even neighbour. */
export const round = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

const CELL = 16; // pixels between the positions of conv4_x, the map that D reads

/** The [h, w] of frames of `size` [H, W] brought to `short_side` pixels on their shorter side, their shape kept, and to the nearest
 *  multiple of `CELL`; long narrow ones are enlarged only until the longer side has 16/9 of that; with 0 all stay as they are. */
export function working_size(size, short_side) {
  if (!short_side) return [...size];
  let scale = short_side / Math.min(...size);
  if (scale > 1) scale = Math.max(1, Math.min(scale, (short_side * 16) / 9 / Math.max(...size)));
  return size.map((n) => Math.floor((Math.max(32, round(n * scale)) + CELL / 2) / CELL) * CELL);
}

/** One axis of a resampling: new position i is the sum of `share[k]` times old position `at[k]`, k from begin[i] to begin[i + 1]. */
function axis(from, to) {
  const step = from / to, at = [], share = [], begin = new Int32Array(to + 1);
  const add = (k, weight) => {
    at.push(Math.min(Math.max(k, 0), from - 1));
    share.push(weight);
  };
  for (let i = 0; i < to; i++) {
    if (to < from) { // the mean of the area
      const end = (i + 1) * step;
      for (let k = Math.floor(i * step); k < end - 1e-9; k++) add(k, (Math.min(k + 1, end) - Math.max(k, i * step)) / step);
    } else { // cubic, with OpenCV's parameter
      const x = (i + 0.5) * step - 0.5, a = -0.75;
      for (let k = Math.floor(x) - 1; k <= Math.floor(x) + 2; k++) {
        const d = Math.abs(x - k);
        add(k, d <= 1 ? (a + 2) * d ** 3 - (a + 3) * d * d + 1 : a * (d ** 3 - 5 * d * d + 8 * d - 4));
      }
    }
    begin[i + 1] = at.length;
  }
  return { at: Int32Array.from(at), share: Float32Array.from(share), begin };
}

/** A picture at another size [h, w]: averaged over areas where it shrinks, bicubic where it grows. */
export function resized(picture, [height, width]) {
  if (picture.height === height && picture.width === width) return picture;
  const rows = axis(picture.height, height), columns = axis(picture.width, width), { data } = picture;
  const stride = picture.width * 4, line = new Float32Array(stride), out = new Uint8ClampedArray(height * width * 4);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let k = rows.begin[y]; k < rows.begin[y + 1]; k++) {
      const share = rows.share[k], from = rows.at[k] * stride;
      for (let i = 0; i < stride; i++) line[i] += share * data[from + i];
    }
    for (let x = 0; x < width; x++) {
      let [r, g, b] = [0.5, 0.5, 0.5];
      for (let k = columns.begin[x]; k < columns.begin[x + 1]; k++) {
        const share = columns.share[k], from = columns.at[k] * 4;
        r += share * line[from];
        g += share * line[from + 1];
        b += share * line[from + 2];
      }
      const to = (y * width + x) * 4; // the array clamps to 0 … 255
      out[to] = Math.floor(r);
      out[to + 1] = Math.floor(g);
      out[to + 2] = Math.floor(b);
      out[to + 3] = 255;
    }
  }
  return { data: out, width, height };
}

/** Ids (H W) at another size, by nearest neighbour: ids do not mix. */
export function to_size(labels, [height, width], [h, w]) {
  if (height === h && width === w) return labels;
  const out = new Uint8Array(h * w);
  const nearest = (i, to, from) => Math.min(Math.floor(((i + 0.5) * from) / to), from - 1);
  for (let y = 0; y < h; y++) {
    const row = nearest(y, h, height) * width;
    for (let x = 0; x < w; x++) out[y * w + x] = labels[row + nearest(x, w, width)];
  }
  return out;
}

/** A picture as the networks take it: float32 (3, H, W), RGB in [0, 1]. */
export function planes(picture) {
  const n = picture.width * picture.height, out = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) out[c * n + i] = picture.data[i * 4 + c] / 255;
  return out;
}

/** The ids that occur in labels, ascending, without the background. */
export function ids_in(labels) {
  const there = new Uint8Array(256);
  for (const label of labels) there[label] = 1;
  return [...there.keys()].filter((id) => id && there[id]);
}

/** The pixels of one id: uint8 (H W) in {0, 1}. */
export const mask_of = (labels, id) => labels.map((label) => (label === id ? 1 : 0));

/** J: intersection over union of two masks of one id; 1 where both are empty. */
export function jaccard(labels, truth, id) {
  let both = 0, either = 0;
  for (let i = 0; i < labels.length; i++) {
    const a = labels[i] === id, b = truth[i] === id;
    both += a && b;
    either += a || b;
  }
  return either ? both / either : 1;
}
