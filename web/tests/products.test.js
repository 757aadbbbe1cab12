import assert from "node:assert/strict";
import { test } from "node:test";
import { Samples, transposed } from "../engine/products.js";
import { normal_numbers } from "../engine/random.js";
import { near, products } from "./helpers.js";

function multiplied(a, b, rows, inner, columns) {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
    for (let k = 0; k < inner; k++) out[i * columns + j] += a[i * inner + k] * b[k * columns + j];
  }
  return out;
}

for (const [rows, inner, columns] of [[9, 5, 7], [1, 1, 1], [12, 3, 16], [5, 9, 33], [4, 2, 8], [3, 3, 3], [2, 6, 9]]) {
  test(`a ${rows}x${inner} matrix times a ${inner}x${columns} one`, async () => {
    const a = normal_numbers(1, rows * inner), b = normal_numbers(2, inner * columns);
    near((await products()).multiply(a, b, rows, inner, columns), multiplied(a, b, rows, inner, columns), 1e-6);
  });
}

test("the transpose of the filter is its adjoint", async () => {
  const p = await products(), samples = new Samples(p, 3, 6, [4, 5]);
  for (let k = 0; k < 3; k++) samples.set(k, normal_numbers(k, 120));
  const taps = normal_numbers(7, 54), maps = normal_numbers(8, 60);
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const one = dot(p.apply_filter(taps, samples), maps), other = dot(taps, p.apply_filter_transposed(maps, samples));
  near([one], [other], 1e-5);
  assert.ok(Math.abs(one) > 0.1);
});

test("samples are projected, kept and given back", async () => {
  const p = await products(), from = new Samples(p, 2, 4, [3, 3]), to = new Samples(p, 3, 8, [3, 3]);
  const w = normal_numbers(1, 32), x = normal_numbers(2, 36);
  from.set(1, x);
  near(from.get(1), x, 0);
  to.project(2, w, from, 1);
  near(to.get(2), multiplied(w, x, 8, 4, 9), 1e-6);
  assert.ok(to.get(0).every((value) => value === 0), "other places are as they were");
});

test("memory that is given back is used again, and large requests make more", async () => {
  const p = await products(), before = p.memory.buffer.byteLength;
  for (let i = 0; i < 200; i++) new Samples(p, 4, 16, [15, 27]).free();
  assert.equal(p.memory.buffer.byteLength, before);
  assert.equal(p.used, 0);
  const large = new Samples(p, 20, 256, [15, 27]);
  large.set(19, normal_numbers(3, 256 * 405));
  assert.ok(p.memory.buffer.byteLength > before && large.get(19)[7] === normal_numbers(3, 256 * 405)[7]);
  assert.throws(() => new Samples(p, 1000, 1024, [1000, 1000]), RangeError);
});

test("transposed", () => {
  assert.deepEqual([...transposed([1, 2, 3, 4, 5, 6], 2, 3)], [1, 4, 2, 5, 3, 6]);
});
