// The products of the engine, for WebAssembly with SIMD: matrices times matrices, and a 3x3 filter over many samples.
//
// All matrices are float32, rows one after the other; `pitch` is the distance between two rows, a multiple of 8, and what
// lies between a row's end and the pitch is zero.

typedef float v4 __attribute__((vector_size(16), aligned(4)));


#define INLINE static inline __attribute__((always_inline))
#define ROWS 5  // of the result at once: 5 x 8 numbers stay in registers

INLINE v4 load(const float *p) { return *(const v4 *)p; }
INLINE v4 all(float x) { return (v4){x, x, x, x}; }
INLINE float sum(v4 x) { return (x[0] + x[1]) + (x[2] + x[3]); }

// c = a b for `rows` rows of a: a (rows, inner), b (inner, columns), columns a multiple of 8.
INLINE void block(int rows, const float *a, int inner, const float *b, int pitch_b, float *c, int pitch_c, int columns) {
  for (int j = 0; j < columns; j += 8) {
    v4 left[ROWS], right[ROWS];
    for (int i = 0; i < rows; i++) left[i] = right[i] = all(0);
    const float *column = b + j;
    for (int k = 0; k < inner; k++, column += pitch_b) {
      v4 x = load(column), y = load(column + 4);
      for (int i = 0; i < rows; i++) {
        v4 s = all(a[i * inner + k]);
        left[i] += s * x;
        right[i] += s * y;
      }
    }
    for (int i = 0; i < rows; i++) {
      *(v4 *)(c + i * pitch_c + j) = left[i];
      *(v4 *)(c + i * pitch_c + j + 4) = right[i];
    }
  }
}

// c (rows, columns) = a (rows, inner) b (inner, columns).
__attribute__((export_name("multiply")))
void multiply(const float *a, int rows, int inner, const float *b, int pitch_b, float *c, int pitch_c, int columns) {
  while (rows >= 5) {
    block(5, a, inner, b, pitch_b, c, pitch_c, columns);
    a += 5 * inner, c += 5 * pitch_c, rows -= 5;
  }
  switch (rows) {
    case 4: block(4, a, inner, b, pitch_b, c, pitch_c, columns); break;
    case 3: block(3, a, inner, b, pitch_b, c, pitch_c, columns); break;
    case 2: block(2, a, inner, b, pitch_b, c, pitch_c, columns); break;
    case 1: block(1, a, inner, b, pitch_b, c, pitch_c, columns); break;
  }
}

// c += a bT for `rows` rows of a and `columns` (1 or 2) rows of b; `inner` is a multiple of 4.
INLINE void dots(int rows, int columns, const float *a, int pitch_a, const float *b, int pitch_b, float *c, int pitch_c, int inner) {
  v4 sums[2][ROWS];
  for (int j = 0; j < columns; j++)
    for (int i = 0; i < rows; i++) sums[j][i] = all(0);
  for (int k = 0; k < inner; k += 4) {
    for (int i = 0; i < rows; i++) {
      v4 s = load(a + i * pitch_a + k);
      for (int j = 0; j < columns; j++) sums[j][i] += s * load(b + j * pitch_b + k);
    }
  }
  for (int j = 0; j < columns; j++)
    for (int i = 0; i < rows; i++) c[i * pitch_c + j] += sum(sums[j][i]);
}

// The same for any number of rows of a.
INLINE void all_dots(int rows, int columns, const float *a, int pitch_a, const float *b, int pitch_b, float *c, int pitch_c,
                     int inner) {
  int i = 0;
  for (; i + 5 <= rows; i += 5) dots(5, columns, a + i * pitch_a, pitch_a, b, pitch_b, c + i * pitch_c, pitch_c, inner);
  for (; i + 4 <= rows; i += 4) dots(4, columns, a + i * pitch_a, pitch_a, b, pitch_b, c + i * pitch_c, pitch_c, inner);
  for (; i < rows; i++) dots(1, columns, a + i * pitch_a, pitch_a, b, pitch_b, c + i * pitch_c, pitch_c, inner);
}

// c (rows, columns) += a (rows, inner) bT, b (columns, inner); both pitches and `inner` are multiples of 4.
__attribute__((export_name("multiply_transposed")))
void multiply_transposed(const float *a, int rows, int pitch_a, const float *b, int columns, int pitch_b, float *c,
                         int pitch_c, int inner) {
  int j = 0;
  for (; j + 2 <= columns; j += 2) all_dots(rows, 2, a, pitch_a, b + j * pitch_b, pitch_b, c + j, pitch_c, inner);
  if (j < columns) all_dots(rows, 1, a, pitch_a, b + j * pitch_b, pitch_b, c + j, pitch_c, inner);
}

// Scores (samples, h * w) = taps (9, channels) * features (samples, channels, pitch): 3x3, zero outside the map.
// `work` has room for 9 * pitch numbers.
__attribute__((export_name("apply_filter")))
void apply_filter(const float *taps, const float *features, int samples, int channels, int h, int w, int pitch, float *scores,
                  float *work) {
  for (int k = 0; k < samples; k++, features += channels * pitch, scores += h * w) {
    multiply(taps, 9, channels, features, pitch, work, pitch, pitch);
    for (int i = 0; i < h * w; i++) scores[i] = 0;
    for (int t = 0; t < 9; t++) {
      int dy = t / 3 - 1, dx = t % 3 - 1;  // the tap reads the feature at this distance from the score
      const float *product = work + t * pitch;
      for (int y = dy < 0 ? 1 : 0; y < (dy > 0 ? h - 1 : h); y++)
        for (int x = dx < 0 ? 1 : 0; x < (dx > 0 ? w - 1 : w); x++) scores[y * w + x] += product[(y + dy) * w + x + dx];
    }
  }
}

// The adjoint: taps (9, channels) = the maps (samples, h * w) correlated with the features at nine shifts, over all samples.
// `work` has room for 9 * pitch numbers.
__attribute__((export_name("apply_filter_transposed")))
void apply_filter_transposed(const float *maps, const float *features, int samples, int channels, int h, int w, int pitch,
                             float *taps, float *work) {
  for (int i = 0; i < 9 * channels; i++) taps[i] = 0;
  for (int k = 0; k < samples; k++, features += channels * pitch, maps += h * w) {
    for (int i = 0; i < 9 * pitch; i++) work[i] = 0;
    for (int t = 0; t < 9; t++) {
      int dy = t / 3 - 1, dx = t % 3 - 1;
      float *shifted = work + t * pitch;
      for (int y = dy < 0 ? 1 : 0; y < (dy > 0 ? h - 1 : h); y++)
        for (int x = dx < 0 ? 1 : 0; x < (dx > 0 ? w - 1 : w); x++) shifted[(y + dy) * w + x + dx] = maps[y * w + x];
    }
    multiply_transposed(work, 9, pitch, features, channels, pitch, taps, channels, pitch);
  }
}
