"""Training of R together with the backbone's conv5_x, which R alone reads; the paper freezes all of F."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import InputError
from ..features import Backbone, architecture
from ..refinement import Refinement
from ..weights import part
from .offline import Pretrained, Training

CONV5_RATE = 0.3
"""The learning rate of conv5_x, as a share of R's."""


class WithConv5(nn.Module):
    """R after a conv5_x that learns too; its batch normalisation keeps the statistics that it came with.

    Args:
        backbone: a ResNet's architecture is taken from it; parameters are random.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        kind = architecture(backbone.name)
        self.conv5 = getattr(kind.network(), kind.conv5).eval()
        self.refinement = Refinement(backbone.channels)

    def train(self, mode: bool = True) -> "WithConv5":
        """Training mode for R alone."""
        super().train(mode)
        self.conv5.eval()
        return self

    def forward(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """As `Refinement`, with x^5 from the present conv5_x."""
        return self.refinement([*features[:-1], self.conv5(features[-2])], scores, size)


class Conv5Training(Training):
    """Training of R and conv5_x: samples, loss and recipe as when R is trained."""

    what = "R with conv5_x"
    flag = "with-conv5"
    help = "train the backbone's conv5_x too, which R alone reads"

    @classmethod
    def check(cls, flags: Sequence[str], backbone: str) -> None:
        """Other networks than R do not go together with it, nor backbones that have no conv5_x."""
        if set(flags) - {cls.flag, "fine-tune"} or not architecture(backbone).conv5:
            raise InputError("--with-conv5 is for training R on compact or a ResNet: leave it out")

    @classmethod
    def start(cls, pretrained: Pretrained, fine_tune: bool) -> dict[str, Tensor]:
        """conv5_x of the weights, and R too if `fine_tune`."""
        conv5 = part(pretrained.backbone.body.state_dict(), f"{architecture(pretrained.backbone.name).conv5}.")
        refinement = super().start(pretrained, fine_tune)
        return {f"conv5.{k}": v for k, v in conv5.items()} | {f"refinement.{k}": v for k, v in refinement.items()}

    def build(self) -> nn.Module:
        """R and conv5_x with random parameters."""
        return WithConv5(self.segmenter.backbone)

    def rate_share(self, parameter: str) -> float:
        """`CONV5_RATE` for the parameters of conv5_x."""
        return CONV5_RATE if parameter.startswith("conv5.") else 1.0

    def parts(self, pretrained: Pretrained) -> dict[str, nn.Module]:
        """The backbone with the trained conv5_x in it, and R."""
        network, body = self.trained(), copy.deepcopy(pretrained.backbone.body)
        name = architecture(pretrained.backbone.name).conv5
        body.load_state_dict({**body.state_dict(), **{f"{name}.{k}": v for k, v in network.conv5.state_dict().items()}})
        return {"backbone": body, "refinement": network.refinement}
