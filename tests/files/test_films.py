"""The overlay film: what is in it, and that it is there whole or not at all."""

import cv2
import numpy as np
import pytest

from vosedu.errors import InputError
from vosedu.files.films import OverlayWriter, mute_opencv
from vosedu.files.frames import FrameSource


def quarters(index):
    """A picture whose four quarters differ, and which differs from those of other frames: RGB (66, 98, 3)."""
    picture = np.zeros((66, 98, 3), np.uint8)
    picture[:33, :49], picture[:33, 49:] = (200, 30, 40), (30, 60, 220)
    picture[33:, :49], picture[33:, 49:] = (40, 190, 50), 20 * index
    return picture


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
@pytest.mark.parametrize("rows, columns", [(66, 98), (65, 97)])
def test_a_film_shows_the_pictures_in_their_order(tmp_path, ending, rows, columns):
    path = tmp_path / "new" / f"o{ending}"
    with OverlayWriter(path, 10.0, (rows, columns)) as writer:
        for index in range(8):
            writer.add(quarters(index)[:rows, :columns])
        assert not path.exists()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    for index in range(8):
        there, found = capture.read()
        assert there and found.shape == (rows // 2 * 2, columns // 2 * 2, 3)  # the codec takes even sizes only
        expected = quarters(index)
        for y, x in ((16, 24), (16, 73), (49, 24), (49, 73)):
            assert np.abs(found[y, x, ::-1].astype(int) - expected[y, x]).max() < 12
    assert not capture.read()[0]
    assert list(path.parent.iterdir()) == [path]


def test_overlay_leaves_nothing_behind_when_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), OverlayWriter(tmp_path / "o.mp4", 24, (96, 128)) as writer:
        writer.add(np.zeros((96, 128, 3), np.uint8))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"\.mp4"):
        OverlayWriter(tmp_path / "o.avi", 24, (96, 128))


def test_a_film_that_lacks_frames_is_refused_and_the_old_one_kept(tmp_path):
    """OpenCV does not say when the disk is full: the file has fewer frames than were given."""
    path = tmp_path / "o.mp4"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match="could not be written whole"), OverlayWriter(path, 24, (66, 98)) as writer:
        for index in range(3):
            writer.add(quarters(index))
        writer.count += 1
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / ".vosedu-o-abcdefgh.mp4").write_bytes(b"half")
    (tmp_path / ".vosedu-other-abcdefgh.mp4").write_bytes(b"of another run")
    with OverlayWriter(tmp_path / "o.mp4", 24, (66, 98)) as writer:
        writer.add(quarters(0))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".vosedu-other-abcdefgh.mp4", "o.mp4"]


def test_opencv_is_muted_within_the_block_alone():
    log = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_INFO)
    try:
        with pytest.raises(RuntimeError), mute_opencv():
            assert log.getLogLevel() == log.LOG_LEVEL_SILENT
            raise RuntimeError
        assert log.getLogLevel() == log.LOG_LEVEL_INFO
    finally:
        log.setLogLevel(before)


def test_what_cannot_be_decoded_is_said_by_us_alone(tmp_path, capfd):
    """FFmpeg's own lines go round Python: they would stand before ours on the screen."""
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="not a video"):
        FrameSource(tmp_path / "text.mp4")
    assert capfd.readouterr() == ("", "")
