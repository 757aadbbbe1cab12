"""Gauss-Newton with conjugate gradient (Section 3.1, eq. 3).

The solver knows no network. It sees a least-squares problem through four functions, batched over N independent
unknowns (one row per object), and never asks for a number on the host: on a GPU a whole solve is queued without waiting.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class LeastSquares(Protocol):
    """A sum of squared residuals L(w) = ‖r(w)‖², for N independent problems with P unknowns each."""

    def loss(self, w: Tensor) -> Tensor:
        """(N,) values of L at w (N, P)."""

    def linearise(self, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Jᵀr (N, P) at w (N, P), and the function p -> JᵀJp, both (N, P), with J the Jacobian of r at w."""


class Iterate(NamedTuple):
    """What `gauss_newton` reports after every CG iteration, for pictures of the solver at work."""

    step: int
    """Gauss-Newton step, from 0."""
    iteration: int
    """CG iteration within the step, from 0."""
    w: Tensor
    """(N, P) unknowns if the step ended here."""
    residual: Tensor
    """(N,) norm of the CG residual, of the normal equations."""


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    rhs: Tensor,
    iterations: int,
    on_iteration: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Approximate solution of A p = rhs from p = 0, A symmetric positive definite (Hestenes and Stiefel, 1952).

    Directions are made conjugate with the formula of Fletcher and Reeves. A row whose residual is zero has been solved
    and stays as it is, so a zero right-hand side gives zero and more iterations than unknowns do no harm.

    Args:
        apply: p -> A p, both (N, P), row by row.
        rhs: (N, P).
        iterations: how many products with A are spent.
        on_iteration: called with (iteration, p, (N,) residual norm) after each.

    Returns:
        (N, P).
    """
    p = torch.zeros_like(rhs)
    residual, direction = rhs.clone(), rhs.clone()
    energy = _dot(residual, residual)
    for i in range(iterations):
        image = apply(direction)
        curvature = _dot(direction, image)
        length = _ratio(energy, curvature)
        p = p + length * direction
        residual = residual - length * image
        previous, energy = energy, _dot(residual, residual)
        direction = residual + _ratio(energy, previous) * direction
        if on_iteration is not None:
            on_iteration(i, p, energy.sqrt().squeeze(1))
    return p


def gauss_newton(
    problem: LeastSquares,
    w: Tensor,
    iterations: list[int],
    on_iteration: Callable[[Iterate], None] | None = None,
) -> Tensor:
    """Minimise L from w: each step minimises the quadratic model of eq. (3) over Δw by CG, then adds Δw.

    Args:
        problem: the loss, its gradient and its Gauss-Newton product.
        w: (N, P) start.
        iterations: CG iterations of each step; its length is the number of steps, N_GN.
        on_iteration: called after every CG iteration.

    Returns:
        (N, P).
    """
    for step, count in enumerate(iterations):
        gradient, product = problem.linearise(w)
        report = None
        if on_iteration is not None:

            def report(i: int, p: Tensor, norm: Tensor, step: int = step, w: Tensor = w) -> None:
                on_iteration(Iterate(step, i, w + p, norm))

        w = w + conjugate_gradient(product, -gradient, count, report)
    return w


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1, keepdim=True)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is not positive: there CG has nothing left to do."""
    return torch.where(b > 0, a / b.clamp_min(torch.finfo(b.dtype).tiny), torch.zeros_like(a))
