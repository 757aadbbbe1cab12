"""Notebook 10: the four exercises."""

import numpy as np
import torch
import torch.nn.functional as F
from teaching.answers import Answers, exercises_of, judge

from vosedu.teaching import solutions, your_engine


def product(scale=(1, 1), swap=False, first=True, second=True, at_w=False):
    def answer(w1, w2, d1, d2, normal, decay):
        decay = decay[::-1] if swap else decay
        moved = w2 @ w1 if at_w else first * (w2 @ d1) + second * (d2 @ w1)
        g = normal(moved)
        return w2.T @ g + decay[0] ** scale[0] * d1 * scale[1], g @ w1.T + decay[1] ** scale[0] * d2 * scale[1]

    return answer


def by_columns(w1, w2, d1, d2, normal, decay):
    """J from one unit change of the layers after another, in NumPy; then JᵀJp without any formula for the layers."""
    n1, n2 = w1.numel(), w2.numel()
    changes = torch.eye(n1 + n2)
    moves = torch.stack([(w2 @ c[:n1].view_as(w1) + c[n1:].view_as(w2) @ w1).flatten() for c in changes])  # (P, 9 C)
    p = torch.cat([d1.flatten(), d2.flatten()])
    back = moves @ normal((moves.T @ p).view(w2.shape[0], w1.shape[1])).flatten()
    lifted = back + torch.cat([decay[0] * d1.flatten(), decay[1] * d2.flatten()])
    return lifted[:n1].view_as(w1), lifted[n1:].view_as(w2)


def steps(sign=1, once=False, same=False, first=False, alone=False):
    def answer(w, linearise, counts, solve):
        ready = linearise(w)
        for count in counts[:1] if first else [counts[0]] * len(counts) if same else counts:
            gradient, apply = ready if once else linearise(w)
            delta = solve(apply, -sign * gradient, count)
            w = w + delta
        return delta if alone else w

    return answer


def recursive(w, linearise, counts, solve):
    if not counts:
        return w
    gradient, apply = linearise(w)
    return recursive(w - solve(apply, gradient, counts[0]), linearise, counts[1:], solve)


def inserted(which="least", normalise=True, late=False, grow=True):
    def answer(gamma, newest, capacity, eta):
        full = len(gamma) >= capacity
        slot = {"least": int(gamma.argmin()), "first": 0, "newest": len(gamma) - 1}[which] if full else len(gamma)
        weights = list(gamma) + [torch.tensor(0.0)] * (slot == len(gamma))
        weights[slot] = torch.tensor(newest / (1 - eta))
        plain = torch.stack(weights)
        weights = plain / plain.sum() if normalise else plain
        return slot, weights, float((plain if late else weights)[slot])

    return answer


def numpy_insertion(gamma, newest, capacity, eta):
    gamma = gamma.numpy()
    if len(gamma) < capacity:
        slot, gamma = len(gamma), np.append(gamma, 0.0)
    else:
        slot, gamma = np.argmin(gamma), gamma.copy()
    gamma[slot] = newest / (1 - eta)
    return slot, gamma / gamma.sum(), gamma[slot] / gamma.sum()


def trained(clear=True, move=True, reduction="mean", after=False, count=1):
    def answer(network, optimiser, features, scores, masks):
        for _ in range(count):
            loss = F.binary_cross_entropy_with_logits(network(features, scores), masks, reduction=reduction)
            if clear:
                optimiser.zero_grad()
            loss.backward()
            if move:
                optimiser.step()
        return F.binary_cross_entropy_with_logits(network(features, scores), masks).item() if after else loss.item()

    return answer


def by_hand(network, optimiser, features, scores, masks):
    logits = network(features, scores)
    losses = logits.clamp_min(0) - logits * masks + torch.log1p(torch.exp(-logits.abs()))
    for group in optimiser.param_groups:
        for parameter, gradient in zip(group["params"], torch.autograd.grad(losses.mean(), group["params"]), strict=True):
            parameter.grad = gradient
    optimiser.step()
    return losses.mean().item()


ANSWERS = {
    "normal_product": Answers(
        [solutions.normal_product, product(), by_columns],
        [(product((1, 0)), "The regularisers are missing"), (product(swap=True), "are exchanged"),
         (product((0.5, 1)), "The residual holds sqrt"), (product(first=False), "moves by w2 d1 as well"),
         (product(second=False), "moves by d2 w1 as well"), (product(at_w=True), "J is applied to (d1, d2)"),
         (lambda *given: product()(*given)[0], "Return two parts"),
         (lambda *given: product()(*given)[::-1], "Expected a tensor")],
    ),
    "gauss_newton": Answers(
        [solutions.my_gauss_newton, steps(), recursive],
        [(steps(sign=-1), "uphill"), (steps(once=True), "linearised once"), (steps(same=True), "a count of its own"),
         (steps(first=True), "Only the first step"), (steps(alone=True), "the last step alone"),
         (lambda w, linearise, counts, solve: w, "linearise at the present w")],
    ),
    "insertion": Answers(
        [solutions.insertion, inserted(), numpy_insertion],
        [(inserted("newest"), "the newest that goes"), (inserted("first"), "not always the least"),
         (inserted(normalise=False), "normalise"), (inserted(late=True), "after all were normalised"),
         (lambda *given: inserted()(*given)[1], "Return three things"),
         (lambda gamma, newest, capacity, eta: inserted()(gamma, eta, capacity, eta), "the others keep their ratios")],
    ),
    "training_step": Answers(
        [solutions.training_step, trained(), by_hand],
        [(trained(clear=False), "zero_grad"), (trained(move=False), "No parameter has moved"),
         (trained(reduction="sum"), "not the sum"), (trained(after=True), "the loss after the step"),
         (trained(count=2), "two steps per call")],
    ),
}


def test_answers(capsys, monkeypatch):
    assert exercises_of(your_engine) == ANSWERS.keys()
    for name, answers in ANSWERS.items():
        judge(your_engine, name, answers, capsys, monkeypatch)
