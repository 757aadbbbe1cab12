// What is taken home: palette PNGs of the masks in a zip, and a film.

import { zipSync, zlibSync } from "fflate";
import { BufferTarget, CanvasSource, Mp4OutputFormat, Output, QUALITY_HIGH, WebMOutputFormat, getFirstEncodableVideoCodec } from "mediabunny";
import { DAVIS_PALETTE } from "../engine/images.js";
import { InputError } from "./frames.js";

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

function chunk(kind, content) {
  const out = new Uint8Array(content.length + 12), view = new DataView(out.buffer);
  view.setUint32(0, content.length);
  out.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  out.set(content, 8);
  let crc = 0xffffffff;
  for (const byte of out.subarray(4, content.length + 8)) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  view.setUint32(content.length + 8, ~crc >>> 0);
  return out;
}

/** Ids (H W) as a palette PNG in DAVIS colours. */
export function mask_png(labels, [height, width]) {
  const header = new Uint8Array(13), view = new DataView(header.buffer), rows = new Uint8Array(height * (width + 1));
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 3], 8); // bits, palette
  for (let y = 0; y < height; y++) rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const parts = [
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", header), chunk("PLTE", DAVIS_PALETTE),
    chunk("IDAT", zlibSync(rows)), chunk("IEND", new Uint8Array()),
  ];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A zip of files {name: bytes}, which are compressed already. */
export const zipped = (files) => new Blob([zipSync(files, { level: 0 })], { type: "application/zip" });

/** Tint objects in their colours, with an outline: in place, on RGBA. */
export function overlay(data, labels, [height, width], alpha = 0.45) {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x, id = labels[i];
      const edge = id && ((x && labels[i - 1] !== id) || (x + 1 < width && labels[i + 1] !== id) ||
        (y && labels[i - width] !== id) || (y + 1 < height && labels[i + width] !== id));
      if (!id) continue;
      const share = edge ? 1 : alpha;
      for (let c = 0; c < 3; c++) data[i * 4 + c] += share * (DAVIS_PALETTE[id * 3 + c] - data[i * 4 + c]);
    }
  }
}

/** A film of `count` pictures: `draw(context, index)` draws each. */
export async function film(draw, count, rate, [height, width], report) {
  const size = { width: width - (width % 2), height: height - (height % 2) }; // codecs want even numbers
  if (typeof VideoEncoder === "undefined") {
    throw new InputError("this browser cannot write films (no WebCodecs): save the masks, or use another browser");
  }
  for (const format of [new Mp4OutputFormat({ fastStart: "in-memory" }), new WebMOutputFormat()]) {
    const codec = await getFirstEncodableVideoCodec(format.getSupportedVideoCodecs(), size);
    if (!codec) continue;
    const canvas = new OffscreenCanvas(size.width, size.height), context = canvas.getContext("2d", { willReadFrequently: true });
    const output = new Output({ format, target: new BufferTarget() });
    const source = new CanvasSource(canvas, { codec, bitrate: QUALITY_HIGH });
    output.addVideoTrack(source, { frameRate: rate });
    await output.start();
    try {
      for (let index = 0; index < count; index++) {
        await draw(context, index);
        await source.add(index / rate, 1 / rate);
        await report({ stage: "film", done: index + 1, total: count });
      }
    } catch (stop) {
      await output.cancel();
      throw stop;
    }
    await output.finalize();
    return { blob: new Blob([output.target.buffer], { type: format.mimeType }), ending: format.fileExtension };
  }
  throw new InputError("this browser can encode no video: save the masks instead");
}
