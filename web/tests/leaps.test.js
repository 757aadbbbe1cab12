// A part of a mask that lies apart from the last one is dropped, as in Python.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, distances, leaps, without_leaps } from "../engine/leaps.js";
import { OUTSIDE } from "../engine/window.js";
import { vectors } from "./helpers.js";

const v = vectors("leaps");

test("what is dropped is what Python drops", () => {
  let dropping = 0;
  v.cases.forEach(({ mask, before, dropped }, n) => {
    const found = leaps(mask, before, v.size, v.reach) ?? new Uint8Array(mask.length);
    assert.deepEqual([...found], [...dropped], `case ${n}`);
    dropping += dropped.includes(1);
  });
  assert.ok(dropping > 10 && dropping < v.cases.length - 5, `${dropping} of ${v.cases.length} drop something`);
});

test("parts touch at corners, and distances are to the nearest pixel", () => {
  const mask = Uint8Array.from([1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]); // 3 x 4
  assert.deepEqual(connected(mask, [3, 4]), { parts: Int32Array.from([1, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2]), count: 2 });
  const away = distances(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), [3, 4]);
  assert.ok(Math.abs(away[0] - (2 * 1.3693 + 0.955)) < 1e-5 && Math.abs(away[3] - 2 * 0.955) < 1e-5 && away[11] === 0);
  assert.equal(distances(new Uint8Array(4), [2, 2])[0], Infinity);
});

test("logits are taken away from a part that leapt, and nothing is asked where there is no reach", () => {
  const { mask, before, dropped } = v.cases.find((one) => one.dropped.includes(1));
  const logits = Float32Array.from(mask, (value) => (value ? 3 : -2)), labels = before.map((value) => 7 * value);
  const found = without_leaps(logits, v.size, labels, v.size, 7, v.reach);
  assert.deepEqual([...found], [...logits].map((value, i) => (dropped[i] ? OUTSIDE : value)));
  assert.equal(without_leaps(logits, v.size, labels, v.size, 7, 0), logits);
  assert.equal(without_leaps(logits, v.size, labels, v.size, 3, v.reach), logits, "another object was nowhere");
});
