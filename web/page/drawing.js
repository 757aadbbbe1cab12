// What is drawn: frames with masks, score maps in colours, the chart of the solver.

import { overlay } from "./saving.js";

export const SCORE_LIMITS = [-0.5, 1.5];
/** Viridis, at nine places. */
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

/** The colour of a score. */
export function score_colour(score) {
  const [low, high] = SCORE_LIMITS, at = Math.min(Math.max((score - low) / (high - low), 0), 1) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[k].map((value, c) => value + (at - k) * (VIRIDIS[k + 1][c] - value));
}

/** A frame with its mask on a canvas, which gets the frame's size. */
export function draw_frame(canvas, picture, labels) {
  const size = [picture.height, picture.width], data = Uint8ClampedArray.from(picture.data);
  if (labels) overlay(data, labels, size);
  if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: size[1], height: size[0] });
  canvas.getContext("2d").putImageData(new ImageData(data, size[1], size[0]), 0, 0);
}

/** Score maps of several objects: at each place the greatest, smoothly enlarged, over the grey frame. */
export function draw_scores(canvas, maps, [h, w], picture) {
  const small = new OffscreenCanvas(w, h), pixels = new ImageData(w, h);
  for (let i = 0; i < h * w; i++) {
    const colour = score_colour(Math.max(...maps.map((map) => map[i])));
    pixels.data.set([...colour, 255], i * 4);
  }
  small.getContext("2d").putImageData(pixels, 0, 0);
  const [width, height] = picture ? [picture.width, picture.height] : [canvas.width, canvas.height];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (picture) context.putImageData(new ImageData(Uint8ClampedArray.from(picture.data), width, height), 0, 0);
  context.globalAlpha = picture ? 0.7 : 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
  context.globalAlpha = 1;
}

/** Curves, one per object.
 *
 *  @param {{id: number, points: number[][]}[]} series points are [x, y]
 *  @param {{title: string, first: number, last: number, low: number, high: number, marks: number[]}} axes ends of both axes; y's
 *    are those of the points where they are not given; a line stands at each of `marks`
 */
export function draw_chart(canvas, series, { title, first = 0, last = 1, low, high, marks = [] }, colour) {
  canvas.hidden = !series.length;
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const context = canvas.getContext("2d"), left = 34;
  context.scale(scale, scale);
  context.font = "12px system-ui";
  context.fillStyle = getComputedStyle(canvas).color;
  context.fillText(title, left, 14);
  const all = series.flatMap(({ points }) => points.map(([, y]) => y));
  if (!all.length) return;
  low ??= Math.min(...all);
  high ??= Math.max(...all, low + 0.1);
  const x = (at) => left + ((at - first) / Math.max(last - first, 1)) * (width - left - 20);
  const y = (at) => 24 + ((high - at) / (high - low)) * (height - 46);
  for (const at of [low, high]) context.fillText(at.toFixed(1), 4, y(at) + 4);
  for (const at of [first, last]) context.fillText(at, x(at) - 4, height - 5);
  context.globalAlpha = 0.25;
  for (const at of marks) context.fillRect(x(at), 20, 1, height - 40);
  context.globalAlpha = 1;
  context.lineWidth = 2;
  for (const { id, points } of series) {
    context.strokeStyle = colour(id);
    context.beginPath();
    points.forEach(([at, value], i) => context[i ? "lineTo" : "moveTo"](x(at), y(value)));
    context.stroke();
  }
}
