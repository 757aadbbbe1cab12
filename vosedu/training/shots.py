"""What a collection of training clips has to give: a frame to learn on, and others to be asked about."""

from typing import NamedTuple, Protocol

import numpy as np

VOID = 255
"""In a mask: not known, and left out of every loss."""


class Shot(NamedTuple):
    """A frame and where one object is in it."""

    frame: np.ndarray
    """uint8 RGB (H, W, 3)."""
    mask: np.ndarray
    """uint8 (H, W), 1 on the object, `VOID` where nobody knows."""


class Clips(Protocol):
    """A collection of sequences, each with one object; every shot has the size asked for at construction."""

    def __len__(self) -> int:
        """How many sequences there are."""

    def key(self, index: int) -> str:
        """A name that no other sequence has, for keeping what was learned on its reference frame."""

    def reference(self, index: int) -> Shot:
        """The frame that D is learned on; always the same."""

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """A validation frame (Section 3.3) at random."""

    def scene(self, index: int) -> str:
        """What the sequence was taken from, a video or a photograph: sequences with the same may show each other's target."""


def without_target(clips: Clips, index: int, rng: np.random.Generator) -> Shot:
    """A frame in which the target of a sequence is not: one of another scene, its mask empty. With one scene: `draw`'s."""
    scene = clips.scene(index)
    others = [k for k in range(len(clips)) if clips.scene(k) != scene]
    if not others:
        return clips.draw(index, rng)
    shot = clips.draw(int(rng.choice(others)), rng)
    return Shot(shot.frame, np.zeros_like(shot.mask))
