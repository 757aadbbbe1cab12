// Gauss-Newton with conjugate gradient (Section 3.1, eq. 3). The names are those of vosedu/solver.py.
//
// Both are generators: they stop after every CG iteration, so that the page can draw the score map, or give up.

const dot = (a, b) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/** Approximate solution of A p = rhs from p = 0, A symmetric positive definite; directions by Fletcher and Reeves.
 *
 *  @param apply p -> A p
 *  @param {Float32Array} rhs
 *  @param {number} iterations how many products with A are spent
 *  @yields {{iteration: number, p: Float32Array, residual: number}}
 *  @returns {Float32Array}
 */
export function* conjugate_gradient(apply, rhs, iterations) {
  const p = new Float32Array(rhs.length), residual = rhs.slice(), direction = rhs.slice();
  let energy = dot(residual, residual);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const image = apply(direction);
    const curvature = dot(direction, image);
    const length = curvature > 0 ? energy / curvature : 0; // zero: solved already
    for (let i = 0; i < p.length; i++) {
      p[i] += length * direction[i];
      residual[i] -= length * image[i];
    }
    const previous = energy;
    energy = dot(residual, residual);
    const beta = previous > 0 ? energy / previous : 0;
    for (let i = 0; i < p.length; i++) direction[i] = residual[i] + beta * direction[i];
    yield { iteration, p, residual: Math.sqrt(energy) };
  }
  return p;
}

/** Minimise L from w: each step minimises the quadratic model of eq. (3) over Δw by CG, then adds Δw.
 *
 *  @param problem with `linearise(w)`, which gives Jᵀr and the function p -> JᵀJp
 *  @param {Float32Array} w start
 *  @param {number[]} iterations CG iterations of each step
 *  @yields {{step: number, iteration: number, w: Float32Array, residual: number}} w as if the step ended here
 *  @returns {Float32Array}
 */
export function* gauss_newton(problem, w, iterations) {
  const plus = (p) => w.map((value, i) => value + p[i]);
  for (const [step, count] of iterations.entries()) {
    const [gradient, product] = problem.linearise(w);
    const solving = conjugate_gradient(product, gradient.map((value) => -value), count);
    let turn = solving.next();
    for (; !turn.done; turn = solving.next()) {
      const { iteration, p, residual } = turn.value;
      yield { step, iteration, residual, w: plus(p) };
    }
    w = plus(turn.value);
  }
  return w;
}

/** Run a generator to its end; what it returns. */
export function finished(generator) {
  let turn = generator.next();
  while (!turn.done) turn = generator.next();
  return turn.value;
}
