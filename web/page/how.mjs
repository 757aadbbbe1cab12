// how.html: the engine's code, as the page runs it, beside the equations. Cut from the sources when the page is built.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const m = (inner) => `<math display="block">${inner}</math>`;
const i = (x) => `<mi>${x}</mi>`, o = (x) => `<mo>${x}</mo>`;
const sub = (a, b) => `<msub>${a}${b}</msub>`, sup = (a, b) => `<msup>${a}${b}</msup>`;
const n = (x) => `<mn>${x}</mn>`;
const w1 = sub(i("w"), n(1)), w2 = sub(i("w"), n(2)), row = (...parts) => `<mrow>${parts.join("")}</mrow>`;
const squared = (...parts) => sup(row(o("‖"), ...parts, o("‖")), n(2));

/** Title, equation, what it means, and the functions [file, name] that compute it. */
const SECTIONS = [
  ["Eq. 1: two layers", m(row(i("s"), o("="), w2, o("∗"), o("("), w1, o("∗"), i("x"), o(")"))),
    "The target model D: a 1x1 projection w1 to 96 channels, then a 3x3 filter w2 to one score map. Two linear layers are one 3x3 " +
    "filter F = w2 w1, so learning never computes the 96 channels.",
    [["target_model.js", "scores(features)"], ["products.js", "apply_filter(taps"], ["products.c", "void apply_filter("]]],
  ["Eq. 4: pixel weights", m(row(i("κ"), o("="), i("max"), o("("), sub(i("κ"), i("min")), o(","), i("κ̂"), o(")"))),
    "A small target would be outvoted by its background. The weights v give it the share κ of the loss.",
    [["loss.js", "export function pixel_weights"]]],
  ["Eq. 2: the loss", m(row(i("L"), o("="), `<munder>${o("∑")}${i("k")}</munder>`, sub(i("γ"), i("k")),
    squared(sub(i("v"), i("k")), o("·"), o("("), sub(i("y"), i("k")), o("−"), i("U"), sub(i("s"), i("k")), o(")")), o("+"),
    `<munder>${o("∑")}${i("j")}</munder>`, sub(i("λ"), i("j")), squared(sub(i("w"), i("j"))))),
    "U enlarges scores to the labels' size. It is linear, so a sample's loss is a quadratic of its small score map, sᵀK s − 2 bᵀs + const, " +
    "with K a symmetric stencil of nine points. Labels are not needed after that, and nothing is enlarged while D is learned.",
    [["loss.js", "export function weighted_normal_form"], ["loss.js", "export function apply_stencil"], ["loss.js", "product(taps)"]]],
  ["Eq. 3: Gauss-Newton and conjugate gradient", m(row(sup(i("J"), i("T")), i("J"), i("Δw"), o("="), o("−"), sup(i("J"), i("T")), i("r"))),
    "The filter moves by w2 δw1 + δw2 w1. Each step solves its normal equations by a few iterations of conjugate gradient, and every one of " +
    "them is a picture on the page.",
    [["target_model.js", "linearise(w) {"], ["solver.js", "export function* conjugate_gradient"], ["solver.js", "export function* gauss_newton"]]],
  ["Section 3.1: first-frame samples", "",
    "The target is cut out, turned, scaled, sheared, shifted, blurred, and laid over the background with the hole filled.",
    [["augmentation.js", "export function random_warp"], ["augmentation.js", "export function paste"]]],
  ["Section 3.4: memory", m(row(sub(i("γ"), i("i")), o("="), `<mfrac>${sub(i("γ"), row(i("i"), o("−"), n(1)))}${row(n(1), o("−"), i("η"))}</mfrac>`)),
    "Every frame and its answer become a sample; newer ones weigh more; every eighth frame w2 is learned again.",
    [["memory.js", "insert(features"], ["target_model.js", "export function update("]]],
  ["Section 3.4: several objects", m(row(sub(i("p"), n(0)), o("="), `<munder>${o("∏")}${i("n")}</munder>`, o("("), n(1), o("−"), sub(i("p"), i("n")), o(")"))),
    "Each object is segmented alone; then their probabilities are made to sum to one.", [["aggregation.js", "export function aggregate"]]],
  ["Algorithm 1: one frame", "", "F, D, R, aggregation, memory, and now and then an update.", [["segmenter.js", "async step(frame)"]]],
];

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** The function that begins with `start`, with the comment above it, up to the line that closes it. */
export function cut(text, start, where) {
  const lines = text.split("\n"), at = lines.findIndex((line) => line.includes(start));
  if (at < 0) throw new Error(`${where} has no "${start}": page/how.mjs names it`);
  const indent = lines[at].match(/^ */)[0];
  let first = at, last = at;
  while (first > 0 && /^\s*(\/\/|\/?\*)|^__attribute/.test(lines[first - 1])) first--;
  while (last < lines.length && lines[last] !== `${indent}}`) last++;
  return lines.slice(first, last + 1).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join("\n");
}

/** The page as HTML. */
export function how(engine) {
  const sections = SECTIONS.map(([title, equation, text, parts]) => {
    const code = parts.map(([file, start]) => {
      const found = cut(readFileSync(join(engine, file), "utf8"), start, file);
      return `<p><code>engine/${file}</code></p><pre tabindex="0">${escaped(found)}</pre>`;
    });
    return `<section><div><h2>${title}</h2>${equation}<p>${text}</p></div><div>${code.join("")}</div></section>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>The code beside the equations</title><link rel="stylesheet" href="style.css"></head>
<body class="how"><header><h1>The code beside the equations</h1>
<p>What <a href="index.html">the page</a> runs, cut from its sources. Names are those of the Python package, and the tests hold the one to
the other.</p></header>${sections.join("\n")}</body></html>
`;
}
