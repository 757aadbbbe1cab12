"""How the bundled `compact` weights were finished: backbone and R together, on features that are learned from.

Not part of the paper, whose backbone keeps its ImageNet parameters. Distillation (`vosedu.distillation`) makes a student
see what its teacher sees; D then needs features in which one frame tells the target from the rest of *other* frames. So
each step learns a 3x3 filter on the reference frame of a clip by ridge regression, which stands in for D and can be
differentiated, and lowers the cross-entropy of its scores in the clip's validation frames, and of what R makes of them,
by changing features and R.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augmentation import first_frame_samples
from .clips import Clips
from .features import TARGET_DEPTH, Backbone, build_backbone
from .refinement import Refinement
from .segmenter import READOUT, Segmenter
from .target_model import pixel_weights
from .training import Training, judge

FROZEN = ("body.conv1", "body.bn1", "body.layer1")
"""Edges and colours need no tuning, and their large maps are what a step's time would go into."""
REFERENCES = 3
"""First-frame samples that the filter is learned on: the frame and augmented copies."""
RIDGE_DECAY = 20.0
SHARE = 0.25
"""Least share of the target in the loss, as kappa_min in eq. (4)."""
PACE = 0.2
"""Learning rate of the features in units of R's."""


class Tunable(nn.Module):
    """A backbone whose blocks from conv3_x on learn, batch normalisation keeping the statistics that it came with, and R."""

    def __init__(self, backbone: Backbone, refinement: Refinement):
        super().__init__()
        self.backbone, self.refinement = backbone, refinement
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(not name.startswith(FROZEN))

    def train(self, mode: bool = True) -> "Tunable":
        """Evaluation mode always for the backbone: see the class."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What filters learned on each clip's first frames, and R behind them, make of its other frames.

        Args:
            images: (B, K + T, 3, H, W) in [0, 1].
            labels: (B, K, H, W), of the first K images.

        Returns:
            Scores (B·T, h, w) and logits (B·T, H, W).
        """
        clips, given = labels.shape[:2]
        maps = [m.unflatten(0, (clips, -1)) for m in self.backbone(images.flatten(0, 1))]
        x = maps[TARGET_DEPTH]
        cells = tuple(x.shape[-2:])
        scores = torch.cat([
            ridge_scores(x[n, :given], covered(y, cells), covered(pixel_weights(y).square(), cells), x[n, given:])
            for n, y in enumerate(labels)
        ])
        return scores, self.refinement([m[:, given:].flatten(0, 1) for m in maps], scores, tuple(images.shape[-2:]))


def ridge_scores(features: Tensor, labels: Tensor, weights: Tensor, others: Tensor, decay: float = RIDGE_DECAY) -> Tensor:
    """Scores in `others` of the 3x3 filter that fits `features` to `labels` best, differentiable in all maps.

    The filter f minimises Σ weights (labels - f * features)² + decay ‖f‖² on features of unit root mean square. There are
    fewer positions than coefficients, so the dual system is solved.

    Args:
        features: (K, C, h, w).
        labels: (K, h, w) in [0, 1].
        weights: (K, h, w), not negative.
        others: (T, C, h, w).

    Returns:
        (T, h, w).
    """
    scale = features.square().mean().rsqrt()

    def neighbourhoods(maps: Tensor) -> Tensor:
        return F.unfold(scale * maps, kernel_size=3, padding=1).mT

    root = weights.flatten().sqrt()[:, None]
    rows = root * neighbourhoods(features).flatten(0, 1)
    gram = rows @ rows.T
    dual = torch.linalg.solve(gram + decay * torch.eye(len(gram), device=gram.device), root * labels.reshape(-1, 1))
    return (neighbourhoods(others) @ (rows.T @ dual)).view(len(others), *others.shape[-2:])


def covered(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of each cell that the target covers: (K, H, W) -> (K, h, w)."""
    return F.interpolate(masks[:, None], size=size, mode="area")[:, 0]


class FeatureTuning(Training):
    """Training of backbone and R; samples, recipe, checkpoints and curves as when R alone is trained (`vosedu.training`)."""

    def build(self) -> nn.Module:
        """Backbone and R, ready to be tuned, with random parameters: `start` brings the trained ones."""
        backbone = build_backbone(self.segmenter.backbone.name)
        return Tunable(backbone, Refinement(backbone.channels))

    def groups(self) -> list[dict]:
        """Adam's parameter groups: features go at a pace of their own."""
        features = [p for p in self.network.backbone.parameters() if p.requires_grad]
        return [{"params": features, "pace": PACE}, {"params": list(self.network.refinement.parameters())}]

    def losses(self, batch: tuple) -> Tensor:
        """Weighted cross-entropy of the filters' scores, and cross-entropy of R's logits, in a batch from `Samples`."""
        sources, indices, frames, masks = batch
        device = self.segmenter.device
        shots = [self.samples.sources[s].reference(int(i)) for s, i in zip(sources, indices, strict=True)]
        drawn = [first_frame_samples(*shot, REFERENCES, (self.recipe.seed, self.step, n)) for n, shot in enumerate(shots)]
        images = torch.cat([torch.from_numpy(np.stack([d[0] for d in drawn])), frames], dim=1).to(device)
        labels = torch.from_numpy(np.stack([d[1] for d in drawn])).to(device).float()
        scores, logits = self.shared(images.permute(0, 1, 4, 2, 3).float() / 255, labels)
        asked = masks.flatten(0, 1).to(device).float()
        # the filter's at four times the score map's resolution: finer edges are R's business
        fine = tuple(4 * n for n in scores.shape[-2:])
        coarse = READOUT[0] * F.interpolate(scores[:, None], fine, mode="bilinear")[:, 0] + READOUT[1]
        truth = covered(asked, fine)
        weights = pixel_weights((truth > 0.5).float(), SHARE).square()
        found = (weights * F.binary_cross_entropy_with_logits(coarse, truth, reduction="none")).mean()
        return found + F.binary_cross_entropy_with_logits(logits, asked)

    @torch.no_grad()
    def validate(self, clips: Clips, shots: int = 4) -> tuple[float, float, float]:
        """Cross-entropy and J of R, and J of D alone, with D learned by the engine on the tuned features."""
        network, found = self.trained(), []
        engine = Segmenter(network.backbone, network.refinement, None, self.segmenter.config, str(self.segmenter.device))
        for index in range(len(clips)):
            video, rng = engine.start(*clips.reference(index)), np.random.default_rng(index)
            for _ in range(shots):
                shot = clips.draw(index, rng)
                features = engine.features(shot.frame[None])
                scores = video.model.scores(video.model.project(features[TARGET_DEPTH][0]))
                found.append(judge(engine.logits(features, scores, shot.mask.shape), scores, shot.mask))
        return tuple(np.mean(found, axis=0).tolist())
