import assert from "node:assert/strict";
import { test } from "node:test";
import { Memory, initial_gamma } from "../engine/memory.js";
import { near, products, vectors } from "./helpers.js";

const empty = Array.from({ length: 5 }, () => ({}));

for (const c of vectors("memory")) {
  test(`slots and weights over 120 frames are Python's: ${c.capacity} slots, ${c.first_share} for the first frame`, async () => {
    const memory = new Memory(await products(), 1, [1, 1], empty, initial_gamma(5, 2), c);
    c.states.forEach(({ gamma, slots, valid }, n) => {
      if (valid) memory.insert(Float32Array.of(n + 1), {}, n);
      near(memory.gamma, gamma, 2e-6, `weights after frame ${n}`);
      for (let k = 0; k < c.capacity; k++) assert.equal(memory.projected.get(k)[0], slots[k], `slot ${k} after frame ${n}`);
    });
    near([memory.gamma.reduce((a, b) => a + b)], [1], 1e-12);
  });
}

test("forgotten frames have no weight, and are overwritten first", async () => {
  const settings = { capacity: 12, learning_rate: 0.1, first_share: 0.5 };
  const memory = new Memory(await products(), 1, [1, 1], empty, initial_gamma(5, 2), settings);
  for (let n = 1; n <= 5; n++) memory.insert(Float32Array.of(n), {}, n);
  memory.forget(3);
  assert.deepEqual([...memory.gamma].map((g) => g > 0), [...Array(7).fill(true), ...Array(5).fill(false)]);
  near([memory.gamma.reduce((a, b) => a + b)], [1], 1e-12);
  assert.equal(memory.insert(Float32Array.of(9), {}, 3), 7);
  assert.ok(memory.gamma[7] > memory.gamma[6]);
});
