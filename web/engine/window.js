// A window that follows each target; the paper's method always looks at the whole frame (preset BEST).
// The names are those of vosedu/beyond/window.py, which says why.

import { bilinear } from "./aggregation.js";
import { mask_of, resized, round, to_size } from "./images.js";

export const SHRINKING = 0.95; // an object is taken to have at least this part of the area that it had a frame before
export const LOST = 0.1; // below this part of that area it counts as lost
export const OUTWARDS = 0.75; // power of the zoom per frame in which it is lost
export const ROOM = 0.5; // most of the window's height or width that the target's box takes
export const NEARLY = 1.1; // a smaller zoom is none
export const OUTSIDE = -20; // logit of what lies outside an object's window

/** The part of a picture in a window [top, left, height, width]. */
export function part_of(picture, [top, left, height, width]) {
  if (height === picture.height && width === picture.width) return picture;
  const data = new Uint8ClampedArray(height * width * 4);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 4;
    data.set(picture.data.subarray(from, from + width * 4), y * width * 4);
  }
  return { data, width, height };
}

/** The part of a mask (H W) in a window. */
export function mask_part(mask, [, across], [top, left, height, width]) {
  const out = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    out.set(mask.subarray((top + y) * across + left, (top + y) * across + left + width), y * width);
  }
  return out;
}

/** Where one object is looked for. */
export class Gaze {
  /** `share` of the window's area that the target is to have, 0: the window is the whole frame always; `limit`: greatest zoom. */
  constructor(size, share, limit) {
    Object.assign(this, { size, share, limit, zoom: 1, area: 0, centre: [size[0] / 2, size[1] / 2] });
  }

  /** Turn to where the object is now: out at once, in slowly, and towards the whole frame while it is lost. */
  follow(mask, least = 1) {
    const [height, width] = this.size;
    let [area, top, left, bottom, right] = [0, height, width, -1, -1];
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (!mask[i]) continue;
        area++;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
        if (x < left) left = x;
        if (x > right) right = x;
      }
    }
    if (area < Math.max(1, least, LOST * this.area) || !this.share) {
      this.zoom = Math.max(this.zoom, 1) ** OUTWARDS;
      return;
    }
    this.area = Math.max(area, SHRINKING * this.area);
    const [tall, wide] = [bottom - top + 1, right - left + 1];
    const fits = Math.min(Math.sqrt((this.share * height * width) / this.area), (ROOM * height) / tall, (ROOM * width) / wide);
    this.zoom = Math.min(Math.max(fits, 1), this.limit);
    this.centre = [top + tall / 2, left + wide / 2];
  }

  /** The part of the frame that is looked at, [top, left, height, width]. */
  get window() {
    return window_about(this.centre, this.zoom, this.size);
  }
}

/** The window of a frame about [row, column], as far as it stays in the frame. */
export function window_about(centre, zoom, size) {
  if (zoom < NEARLY) return [0, 0, ...size];
  const parts = size.map((n) => round(n / zoom));
  const starts = centre.map((c, axis) => Math.min(Math.max(round(c - parts[axis] / 2), 0), size[axis] - parts[axis]));
  return [...starts, ...parts];
}

/** The smallest window of the frame's shape in which both lie. */
export function joint(a, b, size) {
  const spans = [0, 1].map((axis) => [Math.min(a[axis], b[axis]), Math.max(a[axis] + a[2 + axis], b[axis] + b[2 + axis])]);
  const zoom = Math.min(...spans.map(([from, to], axis) => size[axis] / (to - from)));
  return window_about(spans.map(([from, to]) => (from + to) / 2), zoom, size);
}

/** The windows, those joined whose joint one is at most `limit` times as high as any of them; the closest first. */
export function joined(windows, limit, size) {
  let found = [...windows];
  for (;;) {
    const views = [...new Map(found.map((view) => [view.join(), view])).values()];
    const pairs = views.flatMap((a, n) => views.slice(n + 1).map((b) => {
      const members = windows.filter((_, k) => [a.join(), b.join()].includes(found[k].join())), view = joint(a, b, size);
      return { a: a.join(), b: b.join(), view, loss: view[2] / Math.min(...members.map((own) => own[2])) };
    }));
    const closest = pairs.reduce((best, pair) => (pair.loss < best.loss ? pair : best), { loss: Infinity });
    if (!(closest.loss <= limit)) return found;
    found = found.map((now) => ([closest.a, closest.b].includes(now.join()) ? closest.view : now));
  }
}

/** The windows of all objects of one video. */
export class Windows {
  constructor(size, working_size, { window_share, window_zoom, window_joint }) {
    Object.assign(this, { size, working_size, share: window_share, limit: window_zoom, joint: window_joint });
    this.gazes = new Map(); // id -> Gaze
    this.now = new Map(); // id -> window in the frame that was looked at last
    this.whole = true; // whether all objects were looked for in the whole of it
  }

  /** A new object: what is seen of it in its first frame, through its window and, where that is another, in the whole frame:
   *  {picture, mask} of the working size. Nothing where nothing is left of it there. */
  first(id, frame, mask) {
    const gaze = new Gaze(this.size, this.share, this.limit);
    gaze.follow(mask);
    const views = new Map([gaze.window, [0, 0, ...this.size]].map((view) => [view.join(), view])).values();
    const seen = [...views].map((view) => ({
      picture: resized(part_of(frame, view), this.working_size),
      mask: to_size(mask_part(mask, this.size, view), view.slice(2), this.working_size),
    })).filter((view) => view.mask.some((value) => value));
    if (seen.length) this.gazes.set(id, gaze);
    return seen;
  }

  /** The different views of a frame: {picture, ids}; objects whose windows coincide have one together. */
  look(frame) {
    const views = new Map(), now = joined([...this.gazes.values()].map((gaze) => gaze.window), this.joint, this.size);
    for (const [n, id] of [...this.gazes.keys()].entries()) {
      const window = now[n], key = window.join();
      this.now.set(id, window);
      if (!views.has(key)) views.set(key, { picture: resized(part_of(frame, window), this.working_size), ids: [] });
      views.get(key).ids.push(id);
    }
    this.whole = views.size === 1 && views.has([0, 0, ...this.size].join());
    return [...views.values()];
  }

  /** A map of size `from` that was seen through a window, laid into the frame at a size. */
  spread([top, left, height, width], map, from, size, outside = OUTSIDE) {
    const out = new Float32Array(size[0] * size[1]).fill(outside);
    const span = (axis, start, length) => {
      const scale = size[axis] / this.size[axis], first = round(scale * start);
      return [first, Math.max(round(scale * (start + length)), first + 1)];
    };
    const [y0, y1] = span(0, top, height), [x0, x1] = span(1, left, width);
    const part = bilinear(map, from, [y1 - y0, x1 - x0]);
    for (let y = y0; y < y1; y++) out.set(part.subarray((y - y0) * (x1 - x0), (y - y0 + 1) * (x1 - x0)), y * size[1] + x0);
    return out;
  }

  /** A mask (H W) as it looks through an object's window, of the working size. */
  through(id, mask) {
    const view = this.now.get(id);
    return to_size(mask_part(mask, this.size, view), view.slice(2), this.working_size);
  }

  /** Turn every window to where its object is in the answer (H W). */
  follow(labels, least) {
    if (this.share) for (const [id, gaze] of this.gazes) gaze.follow(mask_of(labels, id), least);
  }

  /** Forget where objects were, and turn to where they are: after a correction, and at a new beginning. */
  turn(labels) {
    for (const gaze of this.gazes.values()) gaze.area = 0;
    this.follow(labels, 1);
  }
}
