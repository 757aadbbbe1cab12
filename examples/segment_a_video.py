"""Segment a video from the mask of its first frame, in your own program. Copy it, and change what you like.

    python examples/segment_a_video.py clip.mp4 first.png masks/

`first.png` is an index PNG: 0 is background, 1, 2, … are objects. `masks/` gets one palette PNG per frame.
"""

import sys
from pathlib import Path

import numpy as np

from vosedu import BEST, InputError, Segmenter, track
from vosedu.files.frames import FrameSource
from vosedu.files.images import read_mask, write_mask


def main(video: Path, first: Path, out: Path) -> None:
    """Write a mask for every frame of `video` into `out`, and say how large each object is as it goes."""
    source = FrameSource(video)  # a video file, or a folder of images
    mask = read_mask(first, source.size)

    # Everything that stays the same from video to video: networks, settings, device. Frames are worked on at 432 rows, which
    # is what the bundled weights see best; the masks have the video's own size.
    segmenter = Segmenter.from_pretrained("compact", config=BEST, short_side=432)

    # Everything that changes during a video lives in `frame.state`. Objects may enter later: {0: mask, 25: another mask}.
    out.mkdir(parents=True, exist_ok=True)
    for frame in track(segmenter, source, {0: mask}):
        write_mask(out / f"{frame.name}.png", frame.labels)
        sizes = {i: int(np.count_nonzero(frame.labels == i)) for i in frame.state.ids}
        print(f"frame {frame.name}: pixels by object {sizes}")

    # D's score maps, and the probabilities after aggregation, of the last frame:
    state = frame.state
    print(f"score maps {tuple(state.scores.shape)}, probabilities {tuple(state.probabilities.shape)}")
    print("seconds by stage:", {stage: round(seconds, 2) for stage, seconds in state.stopwatch.seconds().items()})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*map(Path, sys.argv[1:]))
    except InputError as error:  # a missing file, a mask of another size: one line that says what to do
        sys.exit(f"{error}")
