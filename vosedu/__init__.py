"""vosedu: discriminative online learning for fast video object segmentation (Robinson et al. 2019).

The engine, in the order of the paper; an afternoon's reading:

1. `features`: F, five maps of a frozen network (Section 3.5)
2. `loss`: pixel weights (eq. 4), and the weighted L2 loss (eq. 2) in exact low-resolution form
3. `target_model`: D, two layers (eq. 1), learned on the first frame and updated later (3.1, 3.4)
4. `solver`: Gauss-Newton and conjugate gradient (eq. 3)
5. `augmentation`: the samples of the first frame (3.1)
6. `refinement`: R, from scores to a mask (3.2, eq. 5)
7. `memory`, `aggregation`: samples of later frames and their weights; several objects (3.4)
8. `segmenter`: Algorithm 1
9. `config`: every number of Section 3.5, and what we do otherwise

`literal` is eqs. (1) to (4) written out, slow and obvious: the tests hold the engine to it.

What may be skipped: `weights`, `device` and `errors` serve the engine; `pipeline` leads a video through it.
In the wings: `files` (images, films, data sets), `evaluation` (J, F, speed), `training` (R offline, Section 3.3), `teaching`
(what the notebooks show and ask), `commands` (python -m vosedu), `web` (for browsers).

Example:

    import vosedu

    clip = vosedu.load_clip("huddle", short_side=240)
    segmenter = vosedu.Segmenter.from_pretrained("compact")
    video = segmenter.start(clip.frames[0], clip.masks[0])
    labels = [video.step(frame) for frame in clip.frames[1:]]
"""

import importlib

__version__ = "0.1.0"
_HOMES = {"config": "BEST FAST PAPER WHOLE Config", "errors": "InputError", "files.clip": "Clip load_clip", "pipeline": "track",
          "segmenter": "Segmenter Video"}
__all__ = ["BEST", "FAST", "PAPER", "WHOLE", "Clip", "Config", "InputError", "Segmenter", "Video", "load_clip", "track"]


def __getattr__(name: str) -> object:  # each is imported when it is asked for: `doctor` must run where a package is missing
    home = next((home for home, names in _HOMES.items() if name in names.split()), None)
    if home is None:
        raise AttributeError(f"vosedu has no {name}")
    return getattr(importlib.import_module(f".{home}", __name__), name)
