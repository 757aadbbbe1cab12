import assert from "node:assert/strict";
import { test } from "node:test";
import { Gaze, Windows, joined } from "../engine/window.js";
import { near, part, picture, vectors } from "./helpers.js";

const v = vectors("window");

test("a gaze follows, comes near, loses and finds its object as in Python", () => {
  const gaze = new Gaze(v.size, 0.06, 3);
  v.states.forEach(({ mask, zoom, area, window }, n) => {
    gaze.follow(mask, 10);
    near([gaze.zoom], [zoom], 1e-9, `zoom ${n}`);
    near([gaze.area], [area], 1e-9, `area ${n}`);
    assert.deepEqual(gaze.window, window, `window ${n}`);
  });
  assert.ok(new Set(v.states.map(({ window }) => window.join())).size > 10, "it moves");
});

test("what is seen through two windows, and laid back, is Python's", () => {
  const windows = new Windows(v.size, v.working, { window_share: 0.06, window_zoom: 3, window_joint: 1 }), frame = picture(v.frame);
  const of = (id) => v.labels.map((label) => (label === id ? 1 : 0));
  windows.first(1, frame, of(1));
  const views = windows.first(2, frame, of(2));
  assert.equal(views.length, v.seen.length);
  views.forEach((view, n) => {
    assert.deepEqual([...view.mask], [...v.seen[n]], `mask ${n}`);
    const wanted = picture(v.pictures[n]).data;
    assert.ok(view.picture.data.every((value, i) => Math.abs(value - wanted[i]) <= 2), `picture ${n}`);
  });
  const looked = windows.look(frame);
  assert.deepEqual(looked.map(({ ids }) => ids), [[1], [2]]);
  assert.equal(windows.whole, false);
  [1, 2].forEach((id, n) => {
    assert.deepEqual(windows.now.get(id), v.now[n]);
    near(windows.spread(windows.now.get(id), part(v.maps, n), v.working, v.size), part(v.spread, n), 1e-5, `map ${n}`);
    assert.deepEqual([...windows.through(id, of(id))], [...part(v.through, n)]);
  });
});

test("without a share the window is the whole frame always, and all objects are seen in one view", () => {
  const windows = new Windows(v.size, v.working, { window_share: 0, window_zoom: 3, window_joint: 1 }), frame = picture(v.frame);
  for (const id of [1, 2]) assert.equal(windows.first(id, frame, v.labels.map((label) => (label === id ? 1 : 0))).length, 1);
  windows.follow(v.labels, 10);
  assert.deepEqual(windows.look(frame).map(({ ids }) => ids), [[1, 2]]);
  assert.equal(windows.whole, true);
});

test("objects that are near each other look through one window, as in Python", () => {
  v.joined.forEach(({ given, limit, joined: wanted }, n) => assert.deepEqual(joined(given, limit, v.size), wanted, `case ${n}`));
  const fewer = v.joined.map(({ given, joined: wanted }) => given.length - new Set(wanted.map((view) => view.join())).size);
  assert.ok(fewer.some((less) => less > 1) && fewer.includes(0), "some are joined, and some are not");
});
