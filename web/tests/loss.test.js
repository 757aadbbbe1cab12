import assert from "node:assert/strict";
import { test } from "node:test";
import { WeightedSamples, apply_stencil, pixel_weights, upsampling, weighted_normal_form } from "../engine/loss.js";
import { Samples } from "../engine/products.js";
import { near, part, products, vectors } from "./helpers.js";

for (const [n, c] of vectors("loss").entries()) {
  test(`pixel weights, normal form and stencil of ${c.size} labels on ${c.to} scores are Python's (${n})`, () => {
    const v = pixel_weights(c.labels, c.settings);
    near([v.on_target, v.on_background], [c.on_target, c.on_background], 1e-6, "v");
    const normal = weighted_normal_form(c.labels, c.size, c.to, c.settings);
    near(normal.stencil, c.normal.stencil, 1e-6, "stencil");
    near(normal.rhs, c.normal.rhs, 1e-6, "rhs");
    near([normal.constant], [c.constant], 1e-6, "constant");
    const image = new Float32Array(c.scores.length);
    apply_stencil(c.normal.stencil, c.scores, c.to, image);
    near(image, c.image, 1e-5, "K s");
    apply_stencil(c.normal.stencil, c.scores, c.to, image, 3);
    near(image, c.image.map((value) => 3 * value), 1e-5, "3 K s");
  });
}

test("the quadratic is the weighted squared distance of the upsampled scores from the labels", () => {
  const size = [24, 40], to = [3, 5], [rows, columns] = [upsampling(24, 3), upsampling(40, 5)];
  const labels = Uint8Array.from({ length: 24 * 40 }, (_, i) => (i % 40 > 12 && i % 40 < 30 && i > 200 && i < 700 ? 1 : 0));
  const scores = Float32Array.from({ length: 15 }, (_, i) => Math.sin(i * i));
  const v = pixel_weights(labels), { stencil, rhs, constant } = weighted_normal_form(labels, size, to);
  let wanted = 0;
  labels.forEach((label, i) => {
    const y = Math.floor(i / 40), x = i % 40, [a, b] = [rows.share[y], columns.share[x]];
    const at = (r, c) => scores[r * 5 + c];
    const s = (1 - a) * ((1 - b) * at(rows.at[y], columns.at[x]) + b * at(rows.at[y], columns.next[x])) +
      a * ((1 - b) * at(rows.next[y], columns.at[x]) + b * at(rows.next[y], columns.next[x]));
    wanted += ((label ? v.on_target : v.on_background) * (label - s)) ** 2;
  });
  const image = new Float32Array(15);
  apply_stencil(stencil, scores, to, image);
  const got = image.reduce((sum, value, i) => sum + (value - 2 * rhs[i]) * scores[i], constant);
  near([got], [wanted], 1e-5);
  assert.ok(wanted > 10);
});

for (const [n, c] of vectors("products").entries()) {
  test(`scores, loss, gradient and product of ${c.features.shape} features are Python's (${n})`, async () => {
    const features = new Samples(await products(), c.features.shape[0], c.features.shape[1], c.size);
    const normal = [];
    for (let k = 0; k < features.capacity; k++) {
      features.set(k, part(c.features, k));
      normal.push(weighted_normal_form(Uint8Array.from(part(c.labels, k)), c.label_size, c.size));
    }
    const samples = new WeightedSamples(features, normal, c.gamma);
    near(samples.scores(c.taps), c.scores, 1e-5, "scores");
    near([samples.loss(c.taps)], [c.loss], 1e-5, "loss");
    near(samples.gradient(c.taps), c.gradient, 1e-5, "gradient");
    near(samples.product(c.taps), c.product, 1e-5, "product");
  });
}
