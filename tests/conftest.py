"""What tests share: engines that find what moves in small videos, real data where VOSEDU_DATA points to it."""

import os
from pathlib import Path

import pytest
from helpers import FINDS, ROOM, assert_found, assert_remembered, moving_shapes

from vosedu.segmenter import Segmenter


@pytest.fixture(scope="session")
def segmenter():
    """The bundled backbone and refinement network with the default settings, on the CPU."""
    return Segmenter.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="session")
def quick_segmenter(segmenter):
    """The bundled backbone with the target model alone: quick, and it does find what moves in small frames."""
    quick = Segmenter(segmenter.backbone, config=FINDS, device="cpu")
    frames, labels = moving_shapes(4, ROOM, objects=2)
    video = quick.start(frames[0], labels[0])
    assert_found([video.step(frame).numpy() for frame in frames[1:]], labels[1:])
    assert_remembered(video)
    return quick


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data, from VOSEDU_DATA; tests that need it are skipped where it is not there."""
    folder = os.environ.get("VOSEDU_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set VOSEDU_DATA to a folder with davis2016/")
    return Path(folder)
