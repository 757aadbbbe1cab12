// Algorithm 1 with a network of our own: colours of a frame at stride 16 in F's place, and no R.

import assert from "node:assert/strict";
import { test } from "node:test";
import { jaccard } from "../engine/images.js";
import { Video } from "../engine/segmenter.js";
import { products, vectors } from "./helpers.js";

const [H, W] = [128, 192];
const config = { ...vectors("learning").config, samples: 6, channels: 4, projection_decay: 1, filter_decay: 1, window_share: 0 };

/** Three colours, their squares, and one, in cells of 16 x 16 pixels. */
const networks = {
  r: null, facts: { readout: [10, -5] }, held: 0,
  async maps({ data, width, height }) {
    this.held++;
    const [h, w] = [Math.ceil(height / 16), Math.ceil(width / 16)], out = new Float32Array(7 * h * w).fill(1), count = new Float32Array(h * w);
    out.fill(0, 0, 6 * h * w);
    for (let i = 0; i < width * height; i++) {
      const cell = (Math.floor(i / width) >> 4) * w + ((i % width) >> 4);
      count[cell]++;
      for (let c = 0; c < 3; c++) out[c * h * w + cell] += data[i * 4 + c] / 255;
    }
    for (let i = 0; i < 3 * h * w; i++) {
      out[i] /= count[i % (h * w)];
      out[i + 3 * h * w] = out[i] ** 2;
    }
    return { target: { data: out, size: [h, w] } };
  },
  release() {
    this.held--;
  },
};

/** A red and a green square on grey stripes, and their ids. */
function scene(n) {
  const data = new Uint8ClampedArray(H * W * 4).fill(255), labels = new Uint8Array(H * W);
  for (let i = 0; i < H * W; i++) {
    const [y, x] = [Math.floor(i / W), i % W], red = x >= 16 + 6 * n && x < 64 + 6 * n && y >= 16 && y < 64;
    const green = x >= 120 - 4 * n && x < 168 - 4 * n && y >= 72 && y < 120;
    labels[i] = red ? 1 : green ? 4 : 0;
    const colour = red ? [220, 30, 30] : green ? [40, 200, 60] : [90 + (x % 32), 100, 110];
    data.set(colour, i * 4);
  }
  return { frame: { data, width: W, height: H }, labels };
}

async function learned(more = {}, labels = scene(0).labels) {
  const p = await products(), video = new Video(networks, p, { ...config, ...more }, [H, W]);
  await video.add(scene(0).frame, labels);
  return { p, video };
}

for (const window_share of [0, 0.3]) {
  test(`two objects are found in every frame under their ids, window share ${window_share}`, async () => {
    const { p, video } = await learned({ window_share });
    assert.deepEqual(video.ids, [1, 4]);
    for (let n = 1; n <= 10; n++) {
      const { labels, scores, score_size } = await video.step(scene(n).frame);
      for (const id of [1, 4]) assert.ok(jaccard(labels, scene(n).labels, id) > 0.6, `object ${id} in frame ${n}`);
      assert.deepEqual([scores.length, scores[0].length], [2, score_size[0] * score_size[1]]);
      if (n === 1) assert.equal(video.windows.whole, window_share === 0);
    }
    assert.equal(video.targets.get(1).memory.filled, 16);
    assert.equal(networks.held, 0, "all maps are given back");
    video.free();
    assert.equal(p.used, 0);
  });
}

test("the score map that is shown while an object is learned lies where the object is in the frame", async () => {
  const shown = new Map(), video = new Video(networks, await products(), { ...config, window_share: 0.3 }, [H, W]);
  await video.add(scene(0).frame, scene(0).labels, async ({ stage, id, scores, size }) => {
    if (stage === "learning") shown.set(id, { scores, size });
  });
  for (const id of [1, 4]) {
    const { scores, size: [h, w] } = shown.get(id);
    const middle = (values, width) => {
      let [sum, x, y] = [0, 0, 0];
      values.forEach((value, i) => {
        sum += value;
        x += value * ((i % width) + 0.5);
        y += value * (Math.floor(i / width) + 0.5);
      });
      return [x / sum, y / sum];
    };
    const [x, y] = middle(scores.map((score) => (score > 0.5 ? score : 0)), w);
    const [wanted_x, wanted_y] = middle(scene(0).labels.map((label) => (label === id ? 1 : 0)), W);
    const away = Math.hypot((x * W) / w - wanted_x, (y * H) / h - wanted_y);
    assert.ok(video.first.get(id).window[2] < H && away < 7, `object ${id} is shown ${away} pixels away`);
  }
});

test("every eighth frame w2 is learned again", async () => {
  const { video } = await learned(), changed = [];
  for (let n = 1; n <= 9; n++) {
    const before = video.targets.get(4).taps;
    await video.step(scene(n).frame);
    if (video.targets.get(4).taps !== before) changed.push(n);
  }
  assert.deepEqual(changed, [8]);
});

test("work that is stopped leaves nothing, and can be done afterwards", async () => {
  for (const at of ["samples", "learning"]) {
    const p = await products(), video = new Video(networks, p, { ...config, window_share: 0.3 }, [H, W]);
    const stopping = video.add(scene(0).frame, scene(0).labels, async ({ stage, id, done }) => {
      if (stage === at && id === 4 && done === 3) throw new Error("stopped");
    });
    await assert.rejects(stopping, /stopped/);
    assert.deepEqual([video.ids, [...video.windows.gazes.keys()], networks.held], [[1], [1], 0]);
    await video.step(scene(1).frame);
    await video.add(scene(0).frame, scene(0).labels);
    assert.deepEqual(video.ids, [1, 4]);
    video.free();
    assert.equal(p.used, 0);
  }
});

test("a correction is remembered, what came after is forgotten, and new objects are learned", async () => {
  const only_red = scene(0).labels.map((label) => (label === 1 ? 1 : 0)), { video } = await learned({}, only_red);
  for (let n = 1; n <= 6; n++) await video.step(scene(n).frame);
  await video.correct(scene(3).frame, 3, scene(3).labels);
  const { memory } = video.targets.get(1);
  assert.deepEqual([...memory.gamma.subarray(6, 12)].map((gamma) => gamma > 0), [true, true, true, false, false, false]);
  assert.equal(memory.frames[8], 3);
  assert.deepEqual(video.ids, [1, 4]);
  assert.equal(video.frame_index, 3);
  const { labels } = await video.step(scene(4).frame);
  for (const id of [1, 4]) assert.ok(jaccard(labels, scene(4).labels, id) > 0.6);
});

test("a look-alike that turns up elsewhere is not taken for the target where leaps are off", async () => {
  const twin = ({ frame }) => {
    const data = frame.data.slice();
    for (let y = 16; y < 64; y++) for (let x = 136; x < 184; x++) data.set([220, 30, 30], (y * W + x) * 4);
    return { ...frame, data };
  };
  const only_red = scene(0).labels.map((label) => (label === 1 ? 1 : 0)), there = (labels) => labels[40 * W + 160] === 1;
  for (const [leap, taken] of [[0, true], [0.1, false]]) {
    const { video } = await learned({ leap }, only_red);
    await video.step(scene(1).frame);
    const { labels } = await video.step(twin(scene(2)));
    assert.equal(there(labels), taken, `leap ${leap}`);
    assert.ok(labels[40 * W + 50] === 1, "the target stays");
  }
});
