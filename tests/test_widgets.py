"""Widgets without a browser: a slider goes in, pixels come out."""

import cv2
import numpy as np
from conftest import moving_disk
from matplotlib import colormaps

from vosedu.widgets import VIEWS, Player, score_picture, setup


def decode(player):
    return cv2.imdecode(np.frombuffer(player.image.value, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_player_shows_the_frame_of_its_slider():
    frames, labels = moving_disk(5)
    scores = [label[::16, ::16].astype(float) for label in labels]
    player = Player(list(frames), scores, list(labels))
    shown = {}
    for view in VIEWS:
        player.view.value = view
        for index in (0, 4):
            player.index.value = index
            shown[view, index] = decode(player)
            assert np.abs(shown[view, index].astype(int) - player.picture(index, view)).mean() < 6
        assert np.abs(shown[view, 0].astype(int) - shown[view, 4]).max() > 60
    assert np.abs(shown["frame", 0].astype(int) - frames[0]).mean() < 6


def test_score_colours_have_fixed_limits():
    table = (colormaps["viridis"]([0, 255])[:, :3] * 255).astype(np.uint8)
    found = score_picture(np.array([[-0.5, 1.5], [-9.0, 9.0]]))
    assert np.array_equal(found, [[table[0], table[1]], [table[0], table[1]]])


def test_setup_prints_versions_device_and_seed(capsys):
    setup(3)
    out = capsys.readouterr().out
    assert "torch" in out and "seed: 3" in out and "device:" in out
