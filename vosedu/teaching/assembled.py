"""An engine put together from small functions, each a student's own or the project's (`parts`).

It is Algorithm 1 with one object at a time and nothing hidden between the parts: slower than `Segmenter`, with the same masks
up to rounding.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from .. import literal
from ..aggregation import labels_at
from ..beyond import method
from ..features import TARGET_DEPTH
from ..files.images import resized, to_size
from ..loss import NormalForm, WeightedSamples, apply_filter, normal_form
from ..memory import initial_gamma
from ..refinement import Refinement, ResidualBlock
from ..segmenter import Segmenter
from ..target_model import FirstFrame, conditioning, initial_weights
from .parts import Parts


@dataclass
class Learned:
    """D and M of one object.

    Attributes:
        w1: (c, C), acts on the features as they come.
        w2: (9, c).
        projected: of all samples, (c, P) each.
        labels: of the same, (H, W) each.
        normal: the losses of the samples.
        gamma: (K), their weights.
        newest: the weight that the next sample is set against.
    """

    w1: Tensor
    w2: Tensor
    projected: list[Tensor]
    labels: list[Tensor]
    normal: list[NormalForm]
    gamma: Tensor
    newest: float
    now: Tensor = field(default=None)
    """(c, P), the frame that was scored last."""


class Assembled:
    """An engine from parts; fits `protocols.Engine`.

    Args:
        segmenter: gives F, R, the settings and the size; a window and a protected first frame are left out.
        parts: the functions.
        literal_form: eqs. (2) and (3) at label resolution with autograd, in place of the normal form (notebook 03).
    """

    def __init__(self, segmenter: Segmenter, parts: Parts, literal_form: bool = False):
        self.config = replace(method(segmenter.config), first_share=0.0)
        self.segmenter, self.parts, self.literal_form = segmenter.changed(config=self.config), parts, literal_form

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """As `Segmenter.working_size`."""
        return self.segmenter.working_size(size)

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> "AssembledVideo":
        """As `Segmenter.start`."""
        return AssembledVideo(self, frame, labels, seed)


class AssembledVideo:
    """One video of an `Assembled` engine: Algorithm 1.

    Attributes:
        ids: of the objects.
        frame_index: frames stepped so far.
    """

    def __init__(self, engine: Assembled, frame: np.ndarray, labels: np.ndarray, seed: int):
        self.engine, self.parts, self.config = engine, engine.parts, engine.config
        self.size, self.small = frame.shape[:2], engine.working_size(frame.shape[:2])
        self.ids, self.frame_index = [int(i) for i in np.unique(labels) if i], 0
        picture, self.targets = resized(frame, self.small), []
        for i in self.ids:
            mask = to_size((labels == i).astype(np.uint8), self.small)
            self.targets.append(self._learn(engine.segmenter.first_frame(picture, mask, seed=(seed, i)), seed * 256 + i))

    @torch.no_grad()
    def _learn(self, samples: FirstFrame, seed: int) -> Learned:
        """Section 3.1: both layers of D, from the first-frame samples of one object."""
        c = self.config
        gamma = initial_gamma(1, len(samples.labels), c.first_weight, samples.features)[0]
        condition = conditioning(samples.features, c.conditioning, c.shrinkage)
        matrix = condition.matrix[0]
        features = matrix @ (samples.features[0] - condition.mean)
        labels, normal = list(samples.labels), [self._normal(label, samples.size) for label in samples.labels]
        start = initial_weights(1, features.shape[1], c.channels, torch.Generator().manual_seed(seed))[0] * c.start_scale
        problem = self._both_layers(features, labels, normal, gamma, samples.size)
        w1, w2 = self._split(self._solved(start.to(features), problem, c.gn_schedule()))
        return Learned(w1 @ matrix, w2, list(w1 @ features), labels, normal, gamma, c.learning_rate)

    def _solved(self, w: Tensor, linearise: Callable, counts: list[int]) -> Tensor:
        """Eq. (3) from w (P), by the parts."""
        def solve(apply: Callable, b: Tensor, count: int) -> Tensor:
            return torch.as_tensor(self.parts.conjugate_gradient(apply, b, count)).to(b)

        return torch.as_tensor(self.parts.gauss_newton(w, linearise, counts, solve)).to(w)

    def _normal(self, label: Tensor, size: tuple[int, int]) -> NormalForm:
        return normal_form(label, torch.as_tensor(self.parts.pixel_weights(label, self.config.target_share)).to(label), size)

    def _split(self, w: Tensor) -> tuple[Tensor, Tensor]:
        channels = self.config.channels
        w1, w2 = w[: -9 * channels], w[-9 * channels :]
        return w1.view(channels, -1), w2.view(9, channels)

    def _both_layers(self, features: Tensor, labels: list[Tensor], normal: list[NormalForm], gamma: Tensor,
                     size: tuple[int, int]) -> Callable:
        """w (P) -> Jᵀr and p -> JᵀJp, eq. (3) in both layers."""
        decay = self.config.projection_decay, self.config.filter_decay
        if self.engine.literal_form:
            return self._literally(features.unflatten(2, size), labels, gamma, decay)
        data = stacked(features, normal, gamma)

        def filtered(taps: Tensor) -> Tensor:
            return data.product(taps[None])[0]

        def linearise(w: Tensor) -> tuple[Tensor, Callable]:
            w1, w2 = self._split(w)
            g = data.gradient((w2 @ w1)[None])[0]
            gradient = torch.cat([(w2.T @ g + decay[0] * w1).flatten(), (g @ w1.T + decay[1] * w2).flatten()])

            def product(p: Tensor) -> Tensor:
                d1, d2 = self._split(p)
                return torch.cat([part.flatten() for part in self.parts.normal_product(w1, w2, d1, d2, filtered, decay)])

            return gradient, product

        return linearise

    def _one_layer(self, target: Learned, size: tuple[int, int]) -> Callable:
        """The same in w2 alone, over the memory (Section 3.4)."""
        features, decay = torch.stack(target.projected), self.config.filter_decay
        if self.engine.literal_form:
            return self._literally(features.unflatten(2, size), target.labels, target.gamma, (decay,))
        data = stacked(features, target.normal, target.gamma)

        def linearise(w: Tensor) -> tuple[Tensor, Callable]:
            gradient = data.gradient(w.view(1, 9, -1)).flatten() + decay * w
            return gradient, lambda p: data.product(p.view(1, 9, -1)).flatten() + decay * p

        return linearise

    def _literally(self, features: Tensor, labels: list[Tensor], gamma: Tensor, decay: tuple) -> Callable:
        """The same as `literal` has it."""
        v = torch.stack([torch.as_tensor(self.parts.pixel_weights(label, self.config.target_share)) for label in labels])
        data = features, torch.stack(labels), v, gamma, decay

        def kernels(w: Tensor) -> tuple[Tensor, ...]:
            *first, w2 = self._split(w) if len(decay) == 2 else (w.view(9, -1),)
            return (*(w1[:, :, None, None] for w1 in first), w2.T.reshape(1, -1, 3, 3))

        def flat(parts: tuple[Tensor, ...]) -> Tensor:
            *first, w2 = parts
            return torch.cat([*(w1.flatten() for w1 in first), w2[0].flatten(1).T.flatten()])

        def linearise(w: Tensor) -> tuple[Tensor, Callable]:
            with torch.enable_grad():
                gradient = flat(literal.gradient(kernels(w), *data))

            def product(p: Tensor) -> Tensor:
                with torch.enable_grad():
                    return flat(literal.normal_product(kernels(w), kernels(p), *data))

            return gradient, product

        return linearise

    @torch.no_grad()
    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """The next frame, uint8 RGB (H, W, 3) -> ids, uint8 (H, W). Objects cannot enter late here."""
        c, self.frame_index = self.config, self.frame_index + 1
        maps = self.engine.segmenter.features(resized(frame, self.small)[None])
        x = maps[TARGET_DEPTH][0]
        size = tuple(x.shape[1:])
        logits = torch.cat([self._refined(maps, self._scores(target, x)) for target in self.targets])
        together = torch.as_tensor(self.parts.soft_aggregation(logits.sigmoid().clamp(1e-5, 1 - 1e-5))).float()
        small, labels = (labels_at(together, self.ids, shape) for shape in (self.small, self.size))
        for i, target in zip(self.ids, self.targets, strict=True):
            mask = (small == i).float()
            if c.cg_update and mask.sum() >= c.min_pixels:
                self._remember(target, mask, size)
                if self.frame_index % c.update_every == 0:
                    target.w2 = self._solved(target.w2.flatten(), self._one_layer(target, size), [c.cg_update]).view(9, -1)
        return labels

    def _scores(self, target: Learned, x: Tensor) -> Tensor:
        """Eq. (1): (1, h, w)."""
        target.now = target.w1 @ x.flatten(1)
        return apply_filter(target.w2[None], target.now[None, None], tuple(x.shape[1:]))[0]

    def _remember(self, target: Learned, mask: Tensor, size: tuple[int, int]) -> None:
        """Section 3.4: one more sample in M."""
        slot, target.gamma, target.newest = self.parts.insertion(target.gamma, target.newest, self.config.capacity,
                                                                 self.config.learning_rate)
        for kept, new in ((target.projected, target.now), (target.labels, mask), (target.normal, self._normal(mask, size))):
            kept[slot : slot + 1] = [new]

    def _refined(self, maps: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        """R (Section 3.2) of one object, its levels and their blocks parts: logits (1, H, W)."""
        network, z = self.engine.segmenter.refinement, None
        for layer, x in zip(reversed(network.layers), reversed(maps), strict=False):
            z = refined_level(self.parts, network, layer, x, scores[:, None], z)
        return network.project(z, self.small)[:, 0]


@torch.no_grad()
def refined_level(parts: Parts, network: Refinement, layer: str, x: Tensor, scores: Tensor, deeper: Tensor | None) -> Tensor:
    """One level of R (eq. 5) by the parts, with the weights that a network has for it.

    Args:
        parts: the functions.
        network: whose weights they are given.
        layer: which level, a name of `network.layers`.
        x: (1, C_d, h_d, w_d), its features.
        scores: (1, 1, h, w), of one object.
        deeper: z^(d+1), (1, 64, …), or None at the deepest level.

    Returns:
        z^d, (1, 64, h_d, w_d).
    """
    encoder, attention = network.TSE[layer], network.CAB[layer].convreluconv

    def encode(features: Tensor, own: Tensor) -> tuple[Tensor, ...]:
        found = parts.target_encoder(features, own, _pairs(encoder.reduce), _pairs(encoder.transform))
        return tuple(torch.as_tensor(part).to(x) for part in found)

    def block(module: ResidualBlock) -> Callable:
        first, norm, _, second = module.bblock
        weights = *_pairs([module.conv1x1]), *_pairs([first]), norm, *_pairs([second])
        return lambda y: torch.as_tensor(parts.residual_block(y, *weights)).to(x)

    def attend(deep: Tensor, shallow: Tensor) -> Tensor:
        gate = lambda averages: attention(averages[..., None, None])[..., 0, 0]  # noqa: E731
        return torch.as_tensor(parts.channel_attention(deep, shallow, gate)).to(x)

    z = parts.refinement_level(x, scores, deeper, encode, block(network.RRB1[layer]), attend, block(network.RRB2[layer]))
    return torch.as_tensor(z).to(x)


def _pairs(modules: Iterable[nn.Module]) -> list[tuple[Tensor, Tensor | None]]:
    """(weight, bias) of every convolution among some modules."""
    return [(module.weight, module.bias) for module in modules if isinstance(module, nn.Conv2d)]


def stacked(features: Tensor, normal: list[NormalForm], gamma: Tensor) -> WeightedSamples:
    """The data term over samples (K, C, P) of one object, their losses and weights (K)."""
    forms = NormalForm(*(torch.stack(parts)[None] for parts in zip(*normal, strict=True)))
    return WeightedSamples(features[None], forms, gamma[None])
