// The products in WebAssembly (products.c), and the memory that they work in.
//
// What is large, features of many samples, lies in that memory and stays there (`Samples`); what is small is copied in and out.

const PAGE = 65536;
const FLOAT = 4;

/** The distance between two rows of `columns` numbers: the next multiple of 8. */
export const pitch_of = (columns) => Math.ceil(columns / 8) * 8;

/** Features of up to `capacity` samples, each (channels, h w), in WebAssembly's memory. */
export class Samples {
  constructor(products, capacity, channels, size) {
    Object.assign(this, { products, capacity, channels, size });
    this.positions = size[0] * size[1];
    this.pitch = pitch_of(this.positions);
    this.pointer = products.allocate(capacity * channels * this.pitch);
    products.floats(this.pointer, capacity * channels * this.pitch).fill(0);
  }

  /** Sample k, as a view (channels, pitch); it is lost with the next allocation. */
  view(k) {
    return this.products.floats(this.pointer + k * this.bytes, this.channels * this.pitch);
  }

  get bytes() {
    return this.channels * this.pitch * FLOAT;
  }

  /** Put (channels, h w) in place k. */
  set(k, features) {
    const to = this.view(k);
    for (let c = 0; c < this.channels; c++) {
      to.set(features.subarray(c * this.positions, (c + 1) * this.positions), c * this.pitch);
    }
  }

  /** Sample k as (channels, h w). */
  get(k) {
    const from = this.view(k);
    const out = new Float32Array(this.channels * this.positions);
    for (let c = 0; c < this.channels; c++) {
      out.set(from.subarray(c * this.pitch, c * this.pitch + this.positions), c * this.positions);
    }
    return out;
  }

  /** Put matrix (channels, from.channels) times sample j of `from` in place k. */
  project(k, matrix, from, j) {
    const { products } = this;
    products.scratch([matrix], ([a]) =>
      products.wasm.multiply(a, this.channels, from.channels, from.pointer + j * from.bytes, from.pitch,
        this.pointer + k * this.bytes, this.pitch, this.pitch));
  }

  free() {
    this.products.release(this.pointer);
    this.pointer = 0;
  }
}

/** The functions of products.c on arrays. */
export class Products {
  /** @param {BufferSource | WebAssembly.Module} code of products.wasm */
  static async load(code) {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 32768 });
    const made = await WebAssembly.instantiate(code, { env: { memory } });
    return new Products((made.instance ?? made).exports, memory);
  }

  constructor(wasm, memory) {
    Object.assign(this, { wasm, memory });
    this.start = Math.ceil(wasm.__heap_base.value / 64) * 64;
    this.taken = new Map(); // pointer -> bytes
  }

  /** A view of `count` numbers at `pointer`; it is lost with the next allocation. */
  floats(pointer, count) {
    return new Float32Array(this.memory.buffer, pointer, count);
  }

  /** Room for `count` numbers: the first gap that is large enough.
   *  @throws {RangeError} there is no memory left */
  allocate(count) {
    const bytes = Math.ceil((count * FLOAT) / 64) * 64;
    let pointer = this.start;
    for (const [at, size] of [...this.taken].sort((a, b) => a[0] - b[0])) {
      if (at - pointer >= bytes) break;
      pointer = at + size;
    }
    const missing = pointer + bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    this.taken.set(pointer, bytes);
    return pointer;
  }

  release(pointer) {
    this.taken.delete(pointer);
  }

  /** Bytes in use. */
  get used() {
    return [...this.taken.values()].reduce((a, b) => a + b, 0);
  }

  /** Copy arrays (or make room, where a number is given) for the time of one call: f(pointers) -> result. */
  scratch(parts, f) {
    const pointers = parts.map((part) => this.allocate(typeof part === "number" ? part : part.length));
    try {
      parts.forEach((part, i) => typeof part === "number" || this.floats(pointers[i], part.length).set(part));
      return f(pointers);
    } finally {
      pointers.forEach((pointer) => this.release(pointer));
    }
  }

  /** a (rows, inner) times b (inner, columns). */
  multiply(a, b, rows, inner, columns) {
    const pitch = pitch_of(columns);
    const wide = new Float32Array(inner * pitch);
    for (let i = 0; i < inner; i++) wide.set(b.subarray(i * columns, (i + 1) * columns), i * pitch);
    return this.scratch([a, wide, rows * pitch], ([left, right, result]) => {
      this.wasm.multiply(left, rows, inner, right, pitch, result, pitch, pitch);
      const found = this.floats(result, rows * pitch);
      const out = new Float32Array(rows * columns);
      for (let i = 0; i < rows; i++) out.set(found.subarray(i * pitch, i * pitch + columns), i * columns);
      return out;
    });
  }

  /** Score maps (count, h w) of taps (9, channels) on the first `count` samples: F * x, zero outside the map. */
  apply_filter(taps, samples, count = samples.capacity) {
    const [h, w] = samples.size;
    return this.scratch([taps, count * h * w, 9 * samples.pitch], ([filter, scores, work]) => {
      this.wasm.apply_filter(filter, samples.pointer, count, samples.channels, h, w, samples.pitch, scores, work);
      return this.floats(scores, count * h * w).slice();
    });
  }

  /** The adjoint of `apply_filter`: maps (count, h w) correlated with the features at nine shifts, (9, channels). */
  apply_filter_transposed(maps, samples, count = samples.capacity) {
    const [h, w] = samples.size;
    return this.scratch([maps, 9 * samples.channels, 9 * samples.pitch], ([given, taps, work]) => {
      this.wasm.apply_filter_transposed(given, samples.pointer, count, samples.channels, h, w, samples.pitch, taps, work);
      return this.floats(taps, 9 * samples.channels).slice();
    });
  }
}

/** The transpose (columns, rows) of a matrix (rows, columns). */
export function transposed(a, rows, columns) {
  const out = new Float32Array(a.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j];
  return out;
}
