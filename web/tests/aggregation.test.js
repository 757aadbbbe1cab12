import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregate, bilinear, labels_at } from "../engine/aggregation.js";
import { near, part, vectors } from "./helpers.js";

for (const c of vectors("aggregation")) {
  test(`probabilities and labels at both sizes are Python's (${c.rule})`, () => {
    const from = c.logits.shape.slice(1);
    const found = aggregate([0, 1, 2].map((n) => part(c.logits, n)), c.rule);
    found.forEach((map, n) => near(map, part(c.probabilities, n), 1e-4, `map ${n}`));
    assert.deepEqual([...labels_at(found, c.ids, from, from)], [...c.small]);
    assert.deepEqual([...labels_at(found, c.ids, from, c.size)], [...c.labels]);
    assert.ok(c.ids.every((id) => c.labels.includes(id)) && c.labels.includes(0));
  });
}

test("bilinear keeps what is linear, and the corners", () => {
  const map = Float32Array.from({ length: 12 }, (_, i) => (i % 4) + 10 * Math.floor(i / 4));
  const large = bilinear(map, [3, 4], [6, 8]);
  assert.equal(large[0], 0);
  near([large[2 * 8 + 3]], [1.25 + 7.5], 1e-6); // row 2 lies at 0.75, column 3 at 1.25
  assert.equal(large.at(-1), 23);
});
