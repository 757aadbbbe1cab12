// D as a whole, F and R: on a bundled scene, from the same samples and the same start as in Python.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as ort from "onnxruntime-web";
import { initial_gamma } from "../engine/memory.js";
import { Networks } from "../engine/networks.js";
import { Samples } from "../engine/products.js";
import { FirstFrame } from "../engine/segmenter.js";
import { OnlineTarget, first_frame_problem, learn } from "../engine/target_model.js";
import { difference, file, near, part, picture, products, vectors } from "./helpers.js";

const v = vectors("learning"), facts = JSON.parse(file("networks/networks.json"));
let p, networks;

before(async () => {
  p = await products();
  ort.env.wasm.numThreads = 1;
  networks = await Networks.load(ort, { F: file("networks/F.onnx"), R: file("networks/R.onnx") }, facts, "wasm");
});

function samples() {
  const features = new Samples(p, v.features.shape[0], v.features.shape[1], v.size);
  for (let k = 0; k < features.capacity; k++) features.set(k, part(v.features, k));
  const labels = Array.from({ length: features.capacity }, (_, k) => part(v.labels, k));
  const first = new FirstFrame(features, labels, v.frame_size);
  return { features, normal: first.normal(v.config, features.capacity) };
}

/** Learned as Python learned it: the model, and the residuals on the way. */
function learned() {
  const { features, normal } = samples(), gamma = initial_gamma(normal.length, v.config.first_weight), residuals = [];
  const learning = learn(features, normal, gamma, v.config, v.start);
  let turn = learning.next();
  for (; !turn.done; turn = learning.next()) residuals.push(turn.value.residual);
  return { features, normal, gamma, residuals, model: turn.value };
}

test("F gives Python's five maps", async () => {
  const maps = await networks.maps(picture(v.frame));
  ["x1", "x2", "x3", "x4", "x5"].forEach((name, n) => near(maps[name].data, v.later[n], 1e-2, name));
  assert.deepEqual(maps.target.size, v.size);
  networks.release(maps);
});

test("R gives Python's logits for two objects", async () => {
  const maps = await networks.maps(picture(v.frame));
  const logits = await networks.logits(maps, [part(v.two, 0), part(v.two, 1)]);
  logits.forEach((map, n) => near(map, part(v.logits, n), 1e-2, `object ${n}`));
});

test("the loss before and after learning, and the residuals on the way, are Python's", () => {
  const { features, normal, gamma, residuals, model } = learned();
  const { problem, start } = first_frame_problem(features, normal, gamma, v.config, v.start);
  near([problem.loss(start)], v.losses, 1e-4, "loss at the start");
  const end = Float32Array.from([...model.projection.map((x) => x / problem.factor), ...model.taps]);
  near([problem.loss(end)], [v.end_loss], 5e-3, "loss at the end"); // rounding grows on the way
  assert.ok(v.end_loss < 0.5 * v.losses[0]);
  assert.equal(residuals.length, v.residuals.length);
  v.exact_residuals.forEach((exact, i) => { // in double precision: Python's own lose digits from one to the next
    near([residuals[i]], [exact], Math.max(1e-3, 2 * difference([v.residuals[i]], [exact])), `residual ${i}`);
  });
});

function one(data) {
  const frame = new Samples(p, 1, v.features.shape[1], v.size);
  frame.set(0, data);
  return frame;
}

test("the scores and the update of Python's D are Python's", () => {
  const { features, normal } = samples();
  const target = new OnlineTarget(v.config, { projection: v.projection, taps: v.taps }, features, normal);
  near(target.scores(one(v.later[3])), v.scores, 1e-4, "scores");
  target.remember(v.found, v.frame_size, 8);
  target.update();
  near(target.scores(one(v.later[3])), v.updated_scores, 1e-4, "scores after the update");
  assert.notDeepEqual(v.taps, target.taps);
});

test("the scores after each of the first CG iterations are Python's", () => {
  const { features, normal } = samples(), gamma = initial_gamma(normal.length, v.config.first_weight), frame = one(v.later[3]);
  const learning = learn(features, normal, gamma, v.config, v.start);
  [1e-4, 1e-4, 1e-4, 3e-4, 1e-3].forEach((tolerance, i) => {
    near(p.apply_filter(learning.next().value.taps, frame), part(v.early_scores, i), tolerance, `iteration ${i}`);
  });
});

test("the scores of D learned here are as near to those in double precision as Python's in single precision", () => {
  const { features, normal, model } = learned(), target = new OnlineTarget(v.config, model, features, normal);
  const here = difference(target.scores(one(v.later[3])), v.exact_scores), there = difference(v.scores, v.exact_scores);
  assert.ok(here < Math.max(2e-2, 2 * there), `${here} here, ${there} in Python`);
});

test("an object that is hardly there is not learned from", () => {
  const { features, normal, model } = learned(), target = new OnlineTarget(v.config, model, features, normal);
  target.scores(one(v.later[3]));
  const few = new Uint8Array(v.found.length);
  few.fill(1, 0, v.config.min_pixels - 1);
  const { taps } = target;
  target.remember(few, v.frame_size, 8);
  target.update();
  assert.equal(target.memory.filled, normal.length);
  assert.equal(target.taps, taps);
});
