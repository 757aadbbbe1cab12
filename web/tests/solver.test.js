import assert from "node:assert/strict";
import { test } from "node:test";
import { conjugate_gradient, finished, gauss_newton } from "../engine/solver.js";
import { near, vectors } from "./helpers.js";

const { matrix, rhs, steps } = vectors("solver");
const apply = (p) => Float32Array.from(p, (_, i) => p.reduce((sum, value, j) => sum + matrix[i * 12 + j] * value, 0));

test("every iterate of conjugate gradient is Python's", () => {
  const found = [...conjugate_gradient(apply, rhs, 8)].map(({ p, residual }) => ({ p: p.slice(), residual }));
  assert.equal(found.length, steps.length);
  const last = finished(conjugate_gradient(apply, rhs, 8));
  near(last, steps[7].p, 1e-3);
  const second = finished(conjugate_gradient(apply, rhs, 2));
  near(second, steps[1].p, 1e-4);
  steps.forEach(({ residual }, i) => near([found[i].residual], [residual], 0.02, `residual ${i}`));
});

test("a zero right-hand side gives zero, and more iterations than unknowns do no harm", () => {
  assert.ok(finished(conjugate_gradient(apply, new Float32Array(12), 5)).every((value) => value === 0));
  const [one] = finished(conjugate_gradient((p) => p.map((value) => 4 * value), Float32Array.of(8), 6));
  assert.equal(one, 2);
});

test("Gauss-Newton finds the least squares of a curve that is not linear, and reports every iteration", () => {
  // r(w) = (w0², w0 w1) - (4, 6): the solution is (2, 3)
  const problem = {
    linearise([a, b]) {
      const r = [a * a - 4, a * b - 6], j = [[2 * a, 0], [b, a]];
      const back = (u) => Float32Array.of(j[0][0] * u[0] + j[1][0] * u[1], j[0][1] * u[0] + j[1][1] * u[1]);
      return [back(r), (p) => back([j[0][0] * p[0] + j[0][1] * p[1], j[1][0] * p[0] + j[1][1] * p[1]])];
    },
  };
  const reports = [], solving = gauss_newton(problem, Float32Array.of(1, 1), Array(8).fill(2));
  let turn = solving.next();
  for (; !turn.done; turn = solving.next()) reports.push([turn.value.step, turn.value.iteration]);
  near(turn.value, [2, 3], 1e-4);
  assert.equal(reports.length, 16);
  assert.deepEqual(reports[3], [1, 1]);
});
