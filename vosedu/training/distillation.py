"""How the bundled `compact` backbone was made: feature distillation from a pre-trained teacher.

Not part of the paper, whose backbones are downloaded. A small ResNet learns to predict the teacher's maps at strides
4, 8, 16 and 32 through one 1x1 convolution each (thrown away afterwards), on random crops with colour and geometric
augmentation. Every teacher channel counts alike: the squared error is divided by the channel's variance.
"""

import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import InputError
from ..features import Backbone, build_backbone
from ..files.whole import write_bytes
from .checkpoints import reading_checkpoint, serialise
from .curves import add_row
from .effects import recolour

COLUMNS = ("step", "stride 4", "stride 8", "stride 16", "stride 32", "seconds")
DEPTHS = (1, 2, 3, 4)
DEPTH_WEIGHTS = (0.5, 0.75, 2.0, 0.75)
"""The share of each depth in the loss: the target model reads stride 16, so that map counts most."""


def load_images(folders: list[Path]) -> list[np.ndarray]:
    """Every JPEG (.jpg) and PNG below the folders, RGB uint8 (H, W, 3), in sorted order; damaged ones are left out.

    Raises:
        InputError: there is none.
    """
    paths = sorted(p for folder in folders for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    images = [cv2.imread(str(p), cv2.IMREAD_COLOR_RGB) for p in paths]
    images = [image for image in images if image is not None]
    if not images:
        raise InputError(f"no images below {', '.join(map(str, folders))}: give folders with .jpg or .png files")
    return images


def random_crop(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A crop of an image under a random scale, rotation, shear, mirroring, colour, blur and noise.

    Args:
        image: uint8 RGB (H, W, 3).
        size: rows and columns of the crop.
        rng: decides everything.

    Returns:
        float32 (size, size, 3) in [0, 1]. The scale is 0.6 to 2.2, or more where the image is small for the crop; what lies
        outside the image is mirrored.
    """
    height, width = image.shape[:2]
    scale = math.exp(rng.uniform(math.log(0.6), math.log(2.2)))
    scale = max(scale, size / min(height, width) * 0.9)
    angle, shear = rng.normal(0, 0.15), rng.normal(0, 0.08)
    aspect = math.exp(rng.normal(0, 0.1)) * rng.choice([-1, 1])
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = scale * linear @ np.array([[aspect, shear], [0, 1]])
    reach = size / (2 * scale)  # so that the crop mostly stays inside the image
    centre = [rng.uniform(min(reach, n / 2), max(n - reach, n / 2)) for n in (width, height)]
    offset = size / 2 - linear @ np.array(centre)
    matrix = np.hstack([linear, offset[:, None]])
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    crop = recolour(crop.astype(np.float32) / 255, rng)
    if rng.random() < 0.3:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < 0.2:
        crop = crop + rng.normal(0, 0.03, crop.shape)
    return np.clip(crop, 0, 1).astype(np.float32)


class Distillation:
    """The state of one distillation run: student, heads, optimiser, step.

    Args:
        teacher: frozen backbone with maps at the same strides.
        steps: length of the run; the learning rate rises for the first 3 % and falls to zero as a cosine.
        rate: its peak.
        seed: fixes the student's initial parameters and every crop.
    """

    def __init__(self, teacher: Backbone, steps: int, rate: float = 2e-3, seed: int = 0):
        torch.manual_seed(seed)
        self.teacher, self.steps, self.seed, self.step = teacher, steps, seed, 0
        self.student = build_backbone("compact").requires_grad_(True).to(memory_format=torch.channels_last)
        self.heads = nn.ModuleList(nn.Conv2d(self.student.channels[d], teacher.channels[d], 1) for d in DEPTHS)
        # momentum None: the plain mean over all batches so far, for the teacher does not change
        self.norms = nn.ModuleList(nn.BatchNorm2d(teacher.channels[d], affine=False, momentum=None) for d in DEPTHS)
        parameters = [*self.student.parameters(), *self.heads.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
        warm = max(1, round(0.03 * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser,
            lambda i: min((i + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, i / steps)))),
        )

    def losses(self, images: Tensor) -> Tensor:
        """Share of the variance of the teacher's maps, at each of the four depths, that the student leaves unexplained.

        Args:
            images: (B, 3, H, W), RGB in [0, 1].

        Returns:
            (4,), means over channels, each by its own variance over all batches so far.
        """
        with torch.no_grad():
            targets = [self.teacher(images)[d] for d in DEPTHS]
        maps = self.student(images)
        found = []
        for depth, head, norm, target in zip(DEPTHS, self.heads, self.norms, targets, strict=True):
            norm(target)  # only to follow the channel's running mean and variance
            centred = (target - norm.running_mean.view(1, -1, 1, 1)) * norm.running_var.view(1, -1, 1, 1).rsqrt()
            found.append(F.mse_loss(head(maps[depth]), centred))
        return torch.stack(found)

    def train_step(self, images: Tensor) -> Tensor:
        """One AdamW step on images (B, 3, H, W), RGB in [0, 1]; returns the four losses before it, shallowest first."""
        self.student.train()
        losses = self.losses(images)
        self.optimiser.zero_grad(set_to_none=True)
        (losses * torch.tensor(DEPTH_WEIGHTS)).sum().backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return losses.detach()

    def state(self) -> dict:
        """All that a later process needs to go on from this step."""
        parts = ("student", "heads", "norms", "optimiser", "schedule")
        return {"step": self.step, "steps": self.steps, **{p: getattr(self, p).state_dict() for p in parts}}

    def load(self, state: dict) -> None:
        """Go on from `state()`.

        Raises:
            InputError: it belongs to a run of another length.
        """
        if state["steps"] != self.steps:
            raise InputError(f"the checkpoint is of a run of {state['steps']} steps, not {self.steps}: use that number")
        self.step = state["step"]
        for part in ("student", "heads", "norms", "optimiser", "schedule"):
            getattr(self, part).load_state_dict(state[part])


def distill(
    teacher: Backbone,
    folders: list[Path],
    out: Path,
    steps: int,
    batch: int = 16,
    seed: int = 0,
    bar: tqdm | None = None,
) -> Backbone:
    """Distil `teacher` into a compact backbone; resumes from `out/distillation.pt` where that exists.

    Writes `out/distillation.pt` every 100 steps, whole or not at all, and before it a line of `out/distillation.csv`: step,
    the unexplained share of variance at the four strides, seconds.

    Args:
        teacher: as `Distillation` takes it.
        folders: of images, searched below as well.
        out: folder for the two files.
        steps: length of the run.
        batch: crops of 160 pixels per step; more of them where they are smaller, fewer where they are larger.
        seed: of the student's start and of all crops.
        bar: progress bar to move on.

    Returns:
        The student, frozen.

    Raises:
        InputError: no image, or a checkpoint that is damaged or of another run.
    """
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(folders)
    run = Distillation(teacher, steps, seed=seed)
    checkpoint, log = out / "distillation.pt", out / "distillation.csv"
    if checkpoint.exists():
        with reading_checkpoint(checkpoint):
            run.load(torch.load(checkpoint, weights_only=True))
        if bar is not None:
            bar.update(run.step)
    total, counted, began = torch.zeros(len(DEPTHS)), 0, time.monotonic()
    while run.step < steps:
        rng = np.random.default_rng((seed, run.step))  # a crop depends on its step alone: resuming repeats nothing
        size = int(rng.choice([128, 160, 192]))
        count = max(1, round(batch * (160 / size) ** 2))
        crops = [random_crop(images[rng.integers(len(images))], size, rng) for _ in range(count)]
        total += run.train_step(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))
        counted += 1
        if bar is not None:
            bar.update()
        if run.step % 100 == 0 or run.step == steps:
            unexplained = (total / counted).tolist()
            add_row(log, COLUMNS, [run.step, *unexplained, time.monotonic() - began])
            if bar is not None:
                bar.set_postfix_str("unexplained " + " ".join(f"{v:.2f}" for v in unexplained))
            write_bytes(checkpoint, serialise(run.state()))
            total, counted = torch.zeros(len(DEPTHS)), 0
    return run.student.eval().requires_grad_(False)
