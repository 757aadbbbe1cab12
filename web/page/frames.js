// Where frames come from: a bundled scene, or a video file of the user's. Each is decoded when it is asked for.

import { ALL_FORMATS, BlobSource, CanvasSink, EncodedPacketSink, Input } from "mediabunny";
import { DAVIS_PALETTE } from "../engine/images.js";

export const MOST_FRAMES = 1800;
export const MOST_ROWS = 720; // on the shorter side: larger frames are shrunk before anything else

/** What cannot be used; the message is for the user. */
export class InputError extends Error {}

function pixels(image, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

async function fetched(url) {
  let answer;
  try {
    answer = await fetch(url);
  } catch {
    answer = { ok: false, status: "no connection" };
  }
  if (!answer.ok) throw new InputError(`${url} cannot be loaded (${answer.status}): load the page again`);
  return answer.blob();
}

/** Ids (H W) of an index PNG in DAVIS colours. */
export async function read_mask(blob) {
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { data } = pixels(image, image.width, image.height), ids = new Map();
  for (let id = 255; id >= 0; id--) ids.set(DAVIS_PALETTE.subarray(id * 3, id * 3 + 3).join(), id);
  const labels = new Uint8Array(image.width * image.height);
  let last = -1, id = 0;
  for (let i = 0; i < labels.length; i++) {
    const colour = (data[i * 4] << 16) | (data[i * 4 + 1] << 8) | data[i * 4 + 2];
    if (colour !== last) id = ids.get(`${data[i * 4]},${data[i * 4 + 1]},${data[i * 4 + 2]}`) ?? 0;
    last = colour;
    labels[i] = id;
  }
  return { labels, size: [image.height, image.width] };
}

/** A bundled scene. */
export class Scene {
  static async open(base, notes) {
    const scene = new Scene();
    const path = (kind, index, ending) => `${base}${notes.name}/${kind}${String(index).padStart(5, "0")}.${ending}`;
    Object.assign(scene, { name: notes.name, count: notes.frames, rate: notes.fps, path, title: notes.title });
    scene.size = (await scene.truth(0)).size;
    return scene;
  }

  async frame(index) {
    const image = await createImageBitmap(await fetched(this.path("", index, "jpg")), { colorSpaceConversion: "none" });
    return pixels(image, image.width, image.height);
  }

  /** The true ids of a frame. */
  async truth(index) {
    return read_mask(await fetched(this.path("mask", index, "png")));
  }

  close() {}
}

/** A video file. */
export class VideoFile {
  static async open(file) {
    if (!file.size) throw new InputError(`${file.name} is empty: choose a video file`);
    const input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
    let track;
    try {
      track = await input.getPrimaryVideoTrack();
    } catch {
      throw new InputError(`${file.name} is not a video that can be read here: give MP4, WebM, MOV or MKV`);
    }
    if (!track) throw new InputError(`${file.name} has no picture track: choose a video file`);
    if (typeof VideoDecoder === "undefined") {
      throw new InputError("this browser cannot decode video for a page (no WebCodecs): use another browser, or a bundled scene");
    }
    if (!(await track.canDecode())) {
      throw new InputError(`this browser cannot decode ${track.codec ?? "the codec of"} ${file.name}: convert it to H.264 or VP9`);
    }
    const [width, height] = [track.displayWidth, track.displayHeight], scale = Math.min(1, MOST_ROWS / Math.min(width, height));
    const video = new VideoFile();
    video.size = [height, width].map((n) => Math.max(1, Math.round(n * scale)));
    if (Math.min(...video.size) < 32) throw new InputError(`${file.name} is ${width}x${height}: 32 pixels are the least`);
    video.times = [];
    for await (const packet of new EncodedPacketSink(track).packets(undefined, undefined, { metadataOnly: true })) {
      if ((video.cut = video.times.length === MOST_FRAMES)) break;
      video.times.push(packet.timestamp);
    }
    if (!video.times.length) throw new InputError(`${file.name} has no frames: choose another video`);
    video.times.sort((a, b) => a - b);
    const span = video.times.at(-1) - video.times[0];
    const rate = span > 0 ? (video.times.length - 1) / span : 25;
    Object.assign(video, { input, name: file.name.replace(/\.[^.]*$/, ""), title: file.name, count: video.times.length, rate });
    video.shrunk = scale < 1;
    video.sink = new CanvasSink(track, { width: video.size[1], height: video.size[0], fit: "fill", poolSize: 2 });
    return video;
  }

  async frame(index) {
    if (this.following?.next !== index) {
      await this.following?.frames.return();
      this.following = { next: index, frames: this.sink.canvases(this.times[index]) };
    }
    let turn;
    try {
      turn = await this.following.frames.next();
    } catch (error) {
      throw new InputError(`frame ${index} of ${this.title} is damaged (${error.message}): cut the video before it`);
    }
    if (turn.done) throw new InputError(`frame ${index} of ${this.title} cannot be decoded: cut the video before it`);
    this.following.next = index + 1;
    return pixels(turn.value.canvas, this.size[1], this.size[0]);
  }

  async truth() {
    return null;
  }

  close() {
    this.following?.frames.return();
    this.input.dispose();
  }
}
