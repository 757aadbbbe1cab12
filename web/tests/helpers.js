// What the tests share: the vectors that vectors.py wrote, and comparisons.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Products } from "../engine/products.js";

const build = new URL("../build/", import.meta.url);
const kinds = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, "<f4": Float32Array };

function revived(key, value) {
  if (!value?.dtype) return value;
  const bytes = Buffer.from(value.data, "base64"), Kind = kinds[value.dtype];
  const array = new Kind(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return Object.assign(array, { shape: value.shape });
}

/** What the Python engine computed. */
export const vectors = (name) => JSON.parse(readFileSync(new URL(`vectors/${name}.json`, build), "utf8"), revived);

export const file = (name) => readFileSync(new URL(name, build));

export const products = () => Products.load(file("products.wasm"));

/** The greatest difference, as a part of the greatest wanted value. */
export function difference(got, want) {
  assert.equal(got.length, want.length);
  let worst = 0, greatest = 0;
  for (let i = 0; i < want.length; i++) {
    assert.ok(Number.isFinite(got[i]), `number ${i} is ${got[i]}`);
    worst = Math.max(worst, Math.abs(got[i] - want[i]));
    greatest = Math.max(greatest, Math.abs(want[i]));
  }
  assert.ok(greatest > 0, "nothing is compared with nothing");
  return worst / greatest;
}

export function near(got, want, tolerance, what = "") {
  const found = difference(got, want);
  assert.ok(found <= tolerance, `${what} differs by ${found.toExponential(1)}, and ${tolerance} is the most`);
}

/** A NumPy picture (H, W, 3) as the engine has pictures. */
export function picture(rgb) {
  const [height, width] = rgb.shape, data = new Uint8ClampedArray(height * width * 4).fill(255);
  for (let i = 0; i < height * width; i++) for (let c = 0; c < 3; c++) data[i * 4 + c] = rgb[i * 3 + c];
  return { data, width, height };
}

/** One of several pictures (K, H, W, 3) or maps (K, …). */
export function part(array, k) {
  const shape = array.shape.slice(1), n = shape.reduce((a, b) => a * b, 1);
  return Object.assign(array.slice(k * n, (k + 1) * n), { shape });
}
