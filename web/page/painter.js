// The mask that the user paints on a frame: brush, ellipse, eraser, undo; by pointer and by keyboard.

import { decoded, encoded } from "./runs.js";

const MOST_UNDO = 50;

export class Painter {
  /** `canvas` shows the frame; `changed()` is called when the mask is another one. */
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, tool: "brush", radius: 12, id: 1, enabled: false, cross: null, box: null });
    this.reset(2, 2);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  reset(height, width) {
    Object.assign(this, { height, width, labels: new Uint8Array(height * width), past: [], from: null, cross: null });
  }

  /** Show another mask; what was painted before cannot be undone any more. */
  take(labels) {
    this.labels.set(labels);
    this.past = [];
  }

  remember() {
    this.past.push(encoded(this.labels));
    if (this.past.length > MOST_UNDO) this.past.shift();
  }

  undo() {
    if (!this.past.length) return;
    this.labels = decoded(this.past.pop(), this.labels.length);
    this.changed();
  }

  clear() {
    this.remember();
    this.labels.fill(0);
    this.changed();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.width, ((event.clientY - box.top) / box.height) * this.height];
  }

  down(event) {
    if (!this.enabled || event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.remember();
    this.from = this.last = this.place(event);
    if (this.tool !== "ellipse") this.stroke(this.from, this.from);
  }

  move(event) {
    if (!this.from) return;
    const at = this.place(event);
    if (this.tool === "ellipse") this.box = [this.from, at];
    else this.stroke(this.last, at);
    this.last = at;
    this.changed();
  }

  up(event) {
    if (!this.from) return;
    const at = event.type === "pointercancel" ? this.last : this.place(event);
    if (this.tool === "ellipse") this.ellipse(this.from, at);
    this.from = this.box = null;
    this.changed();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, step = steps[event.key];
    if (!this.enabled || !(step || event.key === " ")) return;
    event.preventDefault();
    this.cross ??= [this.width / 2, this.height / 2];
    if (step) {
      const far = event.shiftKey ? 20 : 5;
      this.cross = this.cross.map((x, n) => Math.min(Math.max(x + far * step[n], 0), [this.width, this.height][n] - 1));
    } else {
      this.remember();
      this.stroke(this.cross, this.cross);
    }
    this.changed();
  }

  /** Everything within `radius` of a line from one place to another. */
  stroke([x0, y0], [x1, y1]) {
    const { radius: r, width, height } = this, id = this.tool === "eraser" ? 0 : this.id;
    const [dx, dy] = [x1 - x0, y1 - y0], length = dx * dx + dy * dy;
    const rows = [Math.max(0, Math.floor(Math.min(y0, y1) - r)), Math.min(height - 1, Math.ceil(Math.max(y0, y1) + r))];
    const columns = [Math.max(0, Math.floor(Math.min(x0, x1) - r)), Math.min(width - 1, Math.ceil(Math.max(x0, x1) + r))];
    for (let y = rows[0]; y <= rows[1]; y++) {
      for (let x = columns[0]; x <= columns[1]; x++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0], t = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
        if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= r * r) this.labels[y * width + x] = id;
      }
    }
    this.changed();
  }

  /** The ellipse in a box between two corners. */
  ellipse([x0, y0], [x1, y1]) {
    const [cx, cy, a, b] = [(x0 + x1) / 2, (y0 + y1) / 2, Math.abs(x1 - x0) / 2, Math.abs(y1 - y0) / 2];
    for (let y = Math.max(0, Math.floor(cy - b)); y < Math.min(this.height, cy + b); y++) {
      for (let x = Math.max(0, Math.floor(cx - a)); x < Math.min(this.width, cx + a); x++) {
        if (((x + 0.5 - cx) / a) ** 2 + ((y + 0.5 - cy) / b) ** 2 <= 1) this.labels[y * this.width + x] = this.id;
      }
    }
  }

  /** What is being painted, over the frame. */
  draw(context) {
    context.lineWidth = Math.max(1, this.width / 400);
    context.strokeStyle = "#fff";
    if (this.box) {
      const [[x0, y0], [x1, y1]] = this.box;
      context.beginPath();
      context.ellipse((x0 + x1) / 2, (y0 + y1) / 2, Math.abs(x1 - x0) / 2, Math.abs(y1 - y0) / 2, 0, 0, 7);
      context.stroke();
    }
    if (this.cross) {
      context.beginPath();
      context.arc(...this.cross, this.radius, 0, 7);
      context.stroke();
    }
  }
}
