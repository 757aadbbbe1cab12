// Parts of the page that need no browser.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { DAVIS_PALETTE } from "../engine/images.js";
import { uniform } from "../engine/random.js";
import { score_colour } from "../page/drawing.js";
import { cut, how } from "../page/how.mjs";
import { Painter } from "../page/painter.js";
import { decoded, encoded } from "../page/runs.js";
import { mask_png, overlay } from "../page/saving.js";

function painter(height, width) {
  let changes = 0;
  const made = new Painter({ addEventListener() {} }, () => changes++);
  made.reset(height, width);
  return Object.assign(made, { count: () => made.labels.reduce((sum, label) => sum + (label > 0), 0), changes: () => changes });
}

test("runs give back the labels, and a plain mask is short", () => {
  const next = uniform(3), labels = Uint8Array.from({ length: 5000 }, (_, i) => (next() < 0.1 ? 255 * next() : i < 2000 ? 7 : 0));
  assert.deepEqual(decoded(encoded(labels), 5000), labels);
  assert.equal(encoded(new Uint8Array(5000).fill(3)).length, 2);
  assert.deepEqual(decoded(encoded(new Uint8Array(0)), 0), new Uint8Array(0));
});

test("a brush paints a disk and a stroke, the eraser takes away, undo gives back", () => {
  const p = painter(60, 80);
  p.radius = 10;
  p.id = 3;
  p.remember();
  p.stroke([30, 30], [30, 30]);
  assert.ok(Math.abs(p.count() - Math.PI * 100) < 12 && p.labels[30 * 80 + 30] === 3 && p.changes() === 1);
  p.remember();
  p.stroke([30, 30], [50, 30]);
  assert.ok(Math.abs(p.count() - Math.PI * 100 - 400) < 25);
  p.tool = "eraser";
  p.remember();
  p.stroke([40, 30], [40, 30]);
  assert.equal(p.labels[30 * 80 + 40], 0);
  for (const wanted of [714, 314, 0]) {
    p.undo();
    assert.ok(Math.abs(p.count() - wanted) < 25, `${p.count()} for ${wanted}`);
  }
  p.undo(); // nothing is left to be undone
  p.stroke([-20, -20], [-11, -11]); // outside
  assert.equal(p.count(), 0);
});

test("an ellipse fills its box from any corner, and stays in the frame", () => {
  const p = painter(60, 80);
  p.ellipse([60, 40], [20, 20]);
  assert.ok(Math.abs(p.count() - Math.PI * 20 * 10) < 15 && p.labels[30 * 80 + 40] === 1 && !p.labels[21 * 80 + 22]);
  p.ellipse([70, 50], [90, 70]);
  assert.equal(p.labels[59 * 80 + 79], 1);
});

test("a mask as PNG: palette, size and rows", () => {
  const labels = Uint8Array.from({ length: 12 }, (_, i) => i % 5), png = Buffer.from(mask_png(labels, [3, 4]));
  const chunks = {};
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    chunks[png.toString("latin1", at + 4, at + 8)] = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
  }
  assert.deepEqual(Object.keys(chunks), ["IHDR", "PLTE", "IDAT", "IEND"]);
  assert.deepEqual([chunks.IHDR.readUInt32BE(0), chunks.IHDR.readUInt32BE(4), chunks.IHDR[8], chunks.IHDR[9]], [4, 3, 8, 3]);
  assert.deepEqual(new Uint8Array(chunks.PLTE), DAVIS_PALETTE);
  assert.deepEqual([...inflateSync(chunks.IDAT)], [0, 0, 1, 2, 3, 0, 4, 0, 1, 2, 0, 3, 4, 0, 1]);
});

test("an overlay tints the inside, and gives the rim its whole colour", () => {
  const data = new Uint8ClampedArray(5 * 5 * 4).fill(100), labels = new Uint8Array(25);
  for (const i of [6, 7, 8, 11, 12, 13, 16, 17, 18]) labels[i] = 1;
  overlay(data, labels, [5, 5], 0.5);
  assert.deepEqual([...data.subarray(12 * 4, 12 * 4 + 3)], [114, 50, 50]); // half of (128, 0, 0)
  assert.deepEqual([...data.subarray(6 * 4, 6 * 4 + 3)], [128, 0, 0]);
  assert.deepEqual([...data.subarray(0, 3)], [100, 100, 100]);
});

test("score colours run from dark violet to yellow between their limits", () => {
  assert.deepEqual(score_colour(-3), [68, 1, 84]);
  assert.deepEqual(score_colour(1.5), [253, 231, 37]);
  assert.deepEqual(score_colour(0.5), [33, 144, 141]);
});

test("the code beside the equations is cut from the engine, whole functions with their comments", () => {
  const page = how(fileURLToPath(new URL("../engine", import.meta.url)));
  assert.ok(page.split("<section>").length > 7 && page.includes("Fletcher and Reeves") && page.includes("<math"));
  const text = "/** Twice.\n *  @param x */\nexport function twice(x) {\n  return 2 * x;\n}\n\nrest();\n";
  assert.equal(cut(text, "function twice", "a file"), text.split("\n\n")[0]);
  assert.throws(() => cut(text, "function thrice", "a file"), /a file has no "function thrice"/);
});
