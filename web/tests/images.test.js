import assert from "node:assert/strict";
import { test } from "node:test";
import { blurred, cut_out, dilate, fill, first_frame_samples, paste, random_warp } from "../engine/augmentation.js";
import { DAVIS_PALETTE, ids_in, jaccard, planes, resized, to_size, working_size } from "../engine/images.js";
import { normal_numbers, uniform } from "../engine/random.js";
import { near, picture, vectors } from "./helpers.js";

const v = vectors("images");

/** Mean and greatest difference of a picture from a NumPy one. */
function apart(found, rgb) {
  const wanted = picture(rgb);
  assert.deepEqual([found.height, found.width], [wanted.height, wanted.width]);
  let sum = 0, most = 0;
  found.data.forEach((value, i) => {
    sum += Math.abs(value - wanted.data[i]);
    most = Math.max(most, Math.abs(value - wanted.data[i]));
  });
  return { mean: sum / found.data.length, most };
}

test("pictures shrink to the mean of areas and grow by cubic interpolation, as in Python", () => {
  for (const { size, image } of v.resized) {
    const { mean, most } = apart(resized(picture(v.frame), size), image);
    assert.ok(most <= 2 && mean < 0.2, `${size}: ${mean} ${most}`);
  }
});

test("ids, palette and working sizes are Python's", () => {
  for (const { size, labels } of v.to_size) assert.deepEqual([...to_size(v.labels, v.labels.shape, size)], [...labels]);
  assert.deepEqual([...DAVIS_PALETTE.subarray(0, 120)], [...v.palette]);
  for (const { size, short_side, to } of v.working) assert.deepEqual(working_size(size, short_side), to);
  assert.deepEqual(ids_in(Uint8Array.of(0, 7, 0, 2, 7)), [2, 7]);
});

test("planes are red, green, blue in [0, 1]", () => {
  const found = planes({ data: Uint8ClampedArray.of(255, 0, 51, 255, 0, 102, 0, 255), width: 2, height: 1 });
  near(found, [1, 0, 0, 0.4, 0.2, 0], 1e-6);
});

test("J by hand", () => {
  assert.equal(jaccard([1, 1, 0, 2], [1, 0, 1, 2], 1), 1 / 3);
  assert.equal(jaccard([0, 0], [0, 0], 1), 1);
});

test("a pasted target is where Python pastes it, blurred as there", () => {
  const pieces = { background: picture(v.background), target: picture(v.clip), mask: v.mask };
  for (const { warp, blur, image, label } of v.pasted) {
    const found = paste(pieces, warp, blur);
    assert.ok(jaccard(found.label, label, 1) > 0.99, `${warp}`);
    const { mean, most } = apart(found.image, image);
    assert.ok(mean < 0.1 && most < 40, `${warp}: ${mean} ${most}`);
  }
});

test("the hole is filled with what lies around it, and nothing else changes", () => {
  const frame = picture(v.clip), size = [frame.height, frame.width];
  const { background } = cut_out(frame, v.mask), hole = dilate(v.mask, size, Math.max(1, Math.round(size[0] / 120)));
  let inside = 0, before = 0, count = 0;
  const telea = picture(v.background);
  hole.forEach((value, i) => {
    for (let c = 0; c < 3; c++) {
      if (!value) assert.equal(background.data[i * 4 + c], frame.data[i * 4 + c]);
      else {
        inside += Math.abs(background.data[i * 4 + c] - telea.data[i * 4 + c]);
        before += Math.abs(frame.data[i * 4 + c] - telea.data[i * 4 + c]);
        count++;
      }
    }
  });
  assert.ok(count > 1000 && inside < 0.35 * before, `${inside / count} ${before / count}`);
  const line = { data: Uint8ClampedArray.from([90, 0, 0, 255, 1, 1, 1, 255, 1, 1, 1, 255, 30, 0, 0, 255]), width: 4, height: 1 };
  fill(line, [0, 1, 1, 0]);
  assert.deepEqual([line.data[4], line.data[8]], [(90 + 30 / 4) / 1.25, (30 + 90 / 4) / 1.25]); // weights 1 and 1/4
});

test("a blur keeps the sum and has the deviation that was asked for", () => {
  const size = [41, 41], dot = new Float32Array(41 * 41 * 4);
  dot[(20 * 41 + 20) * 4] = 1;
  const found = blurred(dot, size, 1.7);
  let sum = 0, spread = 0;
  for (let i = 0; i < 41 * 41; i++) {
    sum += found[i * 4];
    spread += found[i * 4] * ((i % 41) - 20) ** 2;
  }
  near([sum, Math.sqrt(spread)], [1, 1.7], 0.01);
});

test("samples: the frame first, then copies within the limits, repeated by their seed", () => {
  const frame = picture(v.clip), samples = (seed) => [...first_frame_samples(frame, v.mask, 8, seed)];
  const [one, same, other] = [samples(3), samples(3), samples(4)];
  assert.equal(one[0].image, frame);
  assert.deepEqual(one[5], same[5]);
  assert.notDeepEqual(one[5].label, other[5].label);
  const area = (label) => label.reduce((a, b) => a + b, 0);
  one.forEach(({ label }) => assert.ok(area(label) >= 0.2 * area(v.mask)));
  const random = uniform(1), warps = Array.from({ length: 300 }, () => random_warp(v.mask, [120, 214], random));
  const scales = warps.map(([a, b, , d, e]) => Math.sqrt(a * e - b * d));
  assert.ok(Math.min(...scales) > 1 / 1.51 && Math.min(...scales) < 0.72 && Math.max(...scales) < 1.51 && Math.max(...scales) > 1.4);
  const angles = warps.map(([a, , , d]) => Math.atan2(d, a));
  assert.ok(Math.max(...angles.map(Math.abs)) <= 0.4364 && Math.max(...angles) > 0.35 && Math.min(...angles) < -0.35);
});

test("normal numbers are normal", () => {
  const x = normal_numbers(5, 20001), mean = x.reduce((a, b) => a + b) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  const within = x.filter((value) => Math.abs(value) < 1).length / x.length;
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(variance - 1) < 0.04 && Math.abs(within - 0.683) < 0.02);
});
