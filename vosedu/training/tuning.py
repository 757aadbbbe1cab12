"""How the bundled `compact` backbone was made, second part: features tuned for being learned from.

Not part of the paper, whose backbone keeps its ImageNet parameters. Distillation (`distillation`) makes a student see what
its teacher sees; D then needs features in which one frame tells the target from the rest of *other* frames. So each step
learns a 3x3 filter on the reference frame of a sequence by ridge regression, which stands in for D and can be
differentiated, and changes the features so that the cross-entropy of its scores in the validation frames becomes less.
`JointTraining` trains R on those scores at the same time; D needs no other R after it, for its scores are fitted to the
same labels.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augmentation import first_frame_samples
from ..beyond.nearest import covered
from ..errors import InputError
from ..evaluation.metrics import jaccard
from ..features import TARGET_DEPTH, Backbone, build_backbone
from ..loss import pixel_weights
from ..refinement import Refinement
from ..segmenter import READOUT, Segmenter
from .offline import Pretrained, Training, mask_loss, output, score_jaccard, working_precision
from .shots import VOID, Clips

FROZEN = ("body.conv1", "body.bn1", "body.layer1")
"""Edges and colours need no tuning, and their large maps are what a step's time would go into."""
REFERENCES = 2
"""First-frame samples that the filter is learned on: the frame and one augmented copy."""
RIDGE_DECAY = 20.0
SHARE = 0.25
"""Least share of the target in the loss, as kappa_min in eq. (4)."""
FEATURE_RATE = 0.3
"""The learning rate of the backbone, as a share of R's."""
SCORES = 0.5
"""Weight of the scores' own loss beside that of R's masks."""


class Tunable(nn.Module):
    """A backbone whose blocks from conv3_x on learn; batch normalisation keeps the statistics that it came with."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(not name.startswith(FROZEN))

    def train(self, mode: bool = True) -> "Tunable":
        """Evaluation mode always: see the class."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> conv4_x maps (B, C, h, w)."""
        return self.backbone(images)[TARGET_DEPTH]


def ridge_scores(features: Tensor, labels: Tensor, weights: Tensor, others: Tensor, decay: float = RIDGE_DECAY) -> Tensor:
    """Scores in `others` of the 3x3 filter that fits `features` to `labels` best, differentiable in all maps.

    The filter f minimises Σ weights (labels - f * features)² + decay ‖f‖² on features of unit root mean square. There are
    fewer positions than coefficients, so the dual system is solved.

    Args:
        features: (K, C, h, w).
        labels: (K, h, w) in [0, 1].
        weights: (K, h, w), not negative.
        others: (T, C, h, w).
        decay: weight of the filter's square.

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


def filter_scores(maps: Tensor, labels: Tensor) -> Tensor:
    """Scores of a ridge filter that is learned on the first `REFERENCES` frames of a sequence, in the others: (T, h, w).

    Args:
        maps: (REFERENCES + T, C, h, w).
        labels: (REFERENCES + T, H, W), those of the references in {0, 1}.
    """
    cells, given = tuple(maps.shape[-2:]), labels[:REFERENCES]
    return ridge_scores(maps[:REFERENCES], covered(given, cells), covered(pixel_weights(given).square(), cells),
                        maps[REFERENCES:])


def score_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Weighted cross-entropy of scores (T, h, w) on masks (T, H, W) with values as in `Shot`: a number.

    Scores are read out at four times their resolution, for finer edges are R's business. The weights are those of eq. (4) with
    `SHARE`, and 0 where nobody knows.
    """
    fine = tuple(4 * n for n in scores.shape[-2:])
    logits = READOUT[0] * F.interpolate(scores[:, None], fine, mode="bilinear")[:, 0] + READOUT[1]
    truth, known = covered((masks == 1).to(logits.dtype), fine), covered((masks != VOID).to(logits.dtype), fine)
    weights = known * pixel_weights((truth > 0.5).to(logits.dtype), SHARE).square()
    return (weights * F.binary_cross_entropy_with_logits(logits, truth, reduction="none")).mean()


def filter_loss(maps: Tensor, labels: Tensor) -> Tensor:
    """`score_loss` of `filter_scores`: how well a filter learned on a sequence's references does in its other frames.

    Args:
        maps: (REFERENCES + T, C, h, w).
        labels: (REFERENCES + T, H, W), 1 on the target, 0 elsewhere, or `VOID`, which only the others may have.
    """
    return score_loss(filter_scores(maps, labels), labels[REFERENCES:])


class FeatureTuning(Training):
    """Training of the backbone: samples, recipe, checkpoints and curves as when R is trained."""

    what = "features"
    flag = "tune-backbone"
    help = "train the backbone instead, so that D generalises; R then needs --fine-tune"

    @classmethod
    def check(cls, flags: Sequence[str], backbone: str) -> None:
        """No other network goes together with it, nor an R to begin with."""
        if set(flags) - {cls.flag}:
            raise InputError("--tune-backbone trains no R: leave --base-net and --fine-tune out")

    @classmethod
    def start(cls, pretrained: Pretrained, fine_tune: bool) -> dict[str, Tensor]:
        """The whole backbone of the weights."""
        return {f"backbone.{name}": value for name, value in pretrained.backbone.state_dict().items()}

    def build(self) -> nn.Module:
        """The backbone, ready to be tuned, with random parameters."""
        return Tunable(build_backbone(self.segmenter.backbone.name))

    def parts(self, pretrained: Pretrained) -> dict[str, nn.Module]:
        """The backbone; R of the weights, made for the features as they were, comes along to be fine-tuned."""
        refinement = {} if pretrained.refinement is None else {"refinement": pretrained.refinement}
        return {"backbone": self.trained().backbone.body, **refinement}

    def with_references(self, batch: tuple) -> tuple[Tensor, Tensor]:
        """A batch from `Samples`, before each sequence's frames its references: the reference frame and augmented copies.

        Returns:
            Images (B, REFERENCES + T, 3, H, W) in [0, 1], and labels (B, REFERENCES + T, H, W), float32.
        """
        sources, indices, frames, masks = batch
        shots = [self.samples.sources[s].clips.reference(int(i)) for s, i in zip(sources, indices, strict=True)]
        drawn = [first_frame_samples(*shot, REFERENCES, (self.recipe.seed, self.step, n)) for n, shot in enumerate(shots)]
        images = torch.cat([torch.from_numpy(np.stack([d[0] for d in drawn])), frames], dim=1).to(self.segmenter.device)
        labels = torch.cat([torch.from_numpy(np.stack([d[1] for d in drawn])), masks], dim=1).to(self.segmenter.device)
        return images.permute(0, 1, 4, 2, 3).float() / 255, labels.float()

    def losses(self, batch: tuple) -> Tensor:
        """Mean of `filter_loss` over a batch from `Samples`."""
        images, labels = self.with_references(batch)
        each = output(self.segmenter, self.shared, images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return torch.stack([filter_loss(x, y) for x, y in zip(each, labels, strict=True)]).mean()

    @torch.no_grad()
    def validate(self, clips: Clips, shots: int = 4) -> tuple[float, float, float]:
        """Cross-entropy and J by D itself, learned by the engine on the tuned features, and by R where that is trained too; J
        of D alone (threshold 0.5), or NaN without R."""
        network = self.trained()
        refinement = getattr(network, "refinement", None)
        engine = Segmenter(network.backbone, refinement, None, self.segmenter.config, str(self.segmenter.device))
        found = []
        for index in range(len(clips)):
            video, rng = engine.start(*clips.reference(index)), np.random.default_rng(index)
            for _ in range(shots):
                shot = clips.draw(index, rng)
                features = engine.features(shot.frame[None])
                scores = video.targets.model.scores(video.targets.model.project(features[TARGET_DEPTH][0]))
                logits = engine.logits(features, scores, shot.mask.shape)
                truth = torch.from_numpy(shot.mask[None]).to(logits)
                found.append((F.binary_cross_entropy_with_logits(logits, truth).item(),
                              jaccard((logits[0] > 0).cpu().numpy(), shot.mask),
                              score_jaccard(scores, shot.mask) if refinement else float("nan")))
        return tuple(np.mean(found, axis=0).tolist())


class Joint(Tunable):
    """`Tunable` with an R that learns too; in training mode only R is."""

    def __init__(self, backbone: Backbone):
        super().__init__(backbone)
        self.refinement = Refinement(backbone.channels)

    def train(self, mode: bool = True) -> "Joint":
        """Training mode for R alone."""
        super().train(mode)
        self.refinement.train(mode)
        return self

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What becomes of sequences whose references come first.

        Args:
            images: (B, REFERENCES + T, 3, H, W) in [0, 1].
            labels: (B, REFERENCES + T, H, W), those of the references in {0, 1}.

        Returns:
            Scores (B, T, h, w) of the ridge filters, and R's logits (B·T, H, W).
        """
        maps = self.backbone(images.flatten(0, 1))
        each = maps[TARGET_DEPTH].float().unflatten(0, images.shape[:2])  # the filter is solved in float32
        with torch.autocast(images.device.type, enabled=False):
            scores = torch.stack([filter_scores(x, y) for x, y in zip(each, labels, strict=True)])
        asked = [x.unflatten(0, images.shape[:2])[:, REFERENCES:].flatten(0, 1) for x in maps]
        return scores, self.refinement(asked, scores.flatten(0, 1), tuple(images.shape[-2:]))


class JointTraining(FeatureTuning):
    """Training of the backbone from conv3_x on and of R: samples, recipe, checkpoints and curves as when R is trained."""

    what = "features and R"
    flag = "with-features"
    help = "train the backbone from conv3_x on together with R, a ridge filter in D's place"

    @classmethod
    def check(cls, flags: Sequence[str], backbone: str) -> None:
        """Other networks do not go together with it; R may begin with the weights' (--fine-tune)."""
        if set(flags) - {cls.flag, "fine-tune"}:
            raise InputError("--with-features trains all that others would: leave --base-net, --with-conv5 and --tune-backbone "
                             "out")

    @classmethod
    def start(cls, pretrained: Pretrained, fine_tune: bool) -> dict[str, Tensor]:
        """The backbone of the weights, and R too if `fine_tune`."""
        refinement = super(FeatureTuning, cls).start(pretrained, fine_tune)
        return super().start(pretrained, fine_tune) | {f"refinement.{name}": value for name, value in refinement.items()}

    def build(self) -> nn.Module:
        """Backbone and R with random parameters."""
        return Joint(super().build().backbone)

    def rate_share(self, parameter: str) -> float:
        """`FEATURE_RATE` for the backbone."""
        return FEATURE_RATE if parameter.startswith("backbone.") else 1.0

    def parts(self, pretrained: Pretrained) -> dict[str, nn.Module]:
        """Backbone and R as they are now."""
        network = self.trained()
        return {"backbone": network.backbone.body, "refinement": network.refinement}

    def losses(self, batch: tuple) -> Tensor:
        """`mask_loss` of R's logits plus `SCORES` times `score_loss` of the filters, of a batch from `Samples`."""
        images, labels = self.with_references(batch)
        with working_precision(self.segmenter):
            scores, logits = self.shared(images, labels)
        asked = labels[:, REFERENCES:]
        alone = torch.stack([score_loss(s, m) for s, m in zip(scores, asked, strict=True)]).mean()
        return mask_loss(logits.float(), asked.flatten(0, 1), self.recipe.overlap) + SCORES * alone
