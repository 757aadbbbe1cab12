"""M: the samples that D is learned from during a video, and their weights gamma (Section 3.4)."""

import torch
from torch import Tensor

from .loss import NormalForm


def initial_gamma(objects: int, samples: int, first_weight: float, like: Tensor) -> Tensor:
    """Weights of the first-frame samples (Section 3.1): (N, K), the original first and heavier, summing to one."""
    gamma = like.new_ones(objects, samples)
    gamma[:, 0] = first_weight
    return gamma / gamma.sum(dim=1, keepdim=True)


class Memory:
    """Projected samples of N objects, at most `capacity` each; allocated once, so a long video costs no more.

    An empty slot is a slot of weight 0. Inserting overwrites the slot of least weight, so empty ones go first and then
    the rule of the paper applies. Nothing here waits for the device.

    Args:
        projected: (N, K, c, P) first-frame samples after the first layer of D.
        normal: their normal forms.
        gamma: (N, K) their weights, summing to one.
        capacity: K_max, above K.
        learning_rate: eta.
        first_share: the least share of all weight that first-frame samples keep; above 0 they are never overwritten.
    """

    def __init__(self, projected: Tensor, normal: NormalForm, gamma: Tensor, capacity: int = 80, learning_rate: float = 0.1,
                 first_share: float = 0.0):
        def allocate(part: Tensor) -> Tensor:
            room = part.new_zeros(part.shape[0], capacity, *part.shape[2:])
            room[:, : part.shape[1]] = part
            return room

        self.first, self.capacity = projected.shape[1], capacity
        self.learning_rate, self.first_share = learning_rate, first_share
        self.projected, self.normal = allocate(projected), NormalForm(*(allocate(part) for part in normal))
        self.gamma = allocate(gamma)
        # gamma_0 = eta: the weight that the first inserted sample is set against.
        self.newest = gamma.new_full((len(gamma), 1), learning_rate)
        self.filled = self.first

    def insert(self, projected: Tensor, normal: NormalForm, valid: Tensor) -> None:
        """Add one sample per object, with gamma_i = gamma_(i-1) / (1 - eta), then normalise.

        Args:
            projected: (N, c, P).
            normal: normal forms with leading dimension N.
            valid: (N,) bool; an object where it is False is left as it is.
        """
        candidates = self.gamma.clone()
        if self.first_share > 0:
            candidates[:, : self.first].fill_(torch.inf)
        rows, slot = torch.arange(len(valid), device=valid.device), candidates.argmin(dim=1)

        def put(room: Tensor, part: Tensor) -> None:
            keep = valid.view(-1, *[1] * (part.dim() - 1))
            room[rows, slot] = torch.where(keep, part, room[rows, slot])

        put(self.projected, projected)
        for room, part in zip(self.normal, normal, strict=True):
            put(room, part)
        gamma = self.gamma.clone()
        gamma[rows, slot] = (self.newest / (1 - self.learning_rate)).squeeze(1)
        gamma = gamma / gamma.sum(dim=1, keepdim=True)
        if self.first_share > 0:
            first, rest = gamma[:, : self.first], gamma[:, self.first :]
            share = first.sum(dim=1, keepdim=True)
            kept = share.clamp_min(self.first_share)
            gamma = torch.cat([first * (kept / share), rest * ((1 - kept) / (1 - share))], dim=1)
        self.newest = torch.where(valid[:, None], gamma[rows, slot][:, None], self.newest)
        self.gamma = torch.where(valid[:, None], gamma, self.gamma)
        self.filled = min(self.filled + 1, self.capacity)

    def samples(self) -> tuple[Tensor, NormalForm, Tensor]:
        """(N, K, c, P) projected features, normal forms and (N, K) weights of the slots in use so far."""
        k = self.filled
        return self.projected[:, :k], NormalForm(*(room[:, :k] for room in self.normal)), self.gamma[:, :k]

    def append(self, other: "Memory") -> None:
        """Take over the objects of `other`, a memory of the same capacity and maps."""
        self.projected = torch.cat([self.projected, other.projected])
        self.normal = NormalForm(*(torch.cat(pair) for pair in zip(self.normal, other.normal, strict=True)))
        self.gamma = torch.cat([self.gamma, other.gamma])
        self.newest = torch.cat([self.newest, other.newest])
        self.filled = max(self.filled, other.filled)

    def state(self) -> dict[str, Tensor]:
        """The slots in use and what weighs them: with the arguments of the constructor, all there is."""
        projected, normal, gamma = self.samples()
        parts = {f"normal.{name}": part for name, part in normal._asdict().items()}
        return {"first": torch.tensor(self.first), "projected": projected, "gamma": gamma, "newest": self.newest, **parts}

    @classmethod
    def from_state(cls, state: dict[str, Tensor], capacity: int, learning_rate: float, first_share: float) -> "Memory":
        """The memory whose `state()` was taken; the other arguments as in the constructor."""
        normal = NormalForm(*(state[f"normal.{name}"] for name in NormalForm._fields))
        memory = cls(state["projected"], normal, state["gamma"], capacity, learning_rate, first_share)
        memory.first, memory.newest = int(state["first"]), state["newest"]
        return memory
