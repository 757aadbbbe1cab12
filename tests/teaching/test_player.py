"""The player, on frames, score maps and masks whose every pixel is known."""

import ipywidgets
import numpy as np
import pytest
from teaching.seeing import close, flat, is_described, over, parts, shown, tinted, viridis

from vosedu.teaching.player import VIEWS, Player

COLOURS = [(10, 60, 200), (60, 110, 160), (110, 160, 110), (160, 200, 60), (220, 90, 10)]
SCORES = [-0.5, 0.0, 0.5, 1.0, 1.5]


@pytest.fixture()
def player():
    """Frame t has one colour of its own and one score; its object covers the columns from 20 t on, 20 wide."""
    labels = np.zeros((5, 96, 128), np.uint8)
    for t in range(5):
        labels[t, :, 20 * t : 20 * t + 20] = 1
    features = [flat((40 * t, 0, 255 - 40 * t), (6, 8)) for t in range(5)]
    return Player([flat(c) for c in COLOURS], [np.full((6, 8), s) for s in SCORES], list(labels), features)


@pytest.mark.parametrize("t", range(5))
def test_every_view_is_of_the_slider_s_frame(player, t):
    player.index.value = t
    player.view.value = "frame"
    assert shown(player).shape == (96, 128, 3) and close(shown(player), COLOURS[t])
    player.view.value = "mask"
    assert close(shown(player)[40:60, 20 * t + 5 : 20 * t + 15], tinted(COLOURS[t]))
    assert close(shown(player)[40:60, (20 * t + 30) % 128], COLOURS[t])
    player.view.value = "score map"
    assert close(shown(player)[:60, :80], over(COLOURS[t], SCORES[t]))
    player.view.value = "all"
    picture = shown(player)
    assert picture.shape == (192, 256, 3)
    assert close(picture[40:90, 10:118], COLOURS[t]), "the frame, left above"
    assert close(picture[40:90, 138:246], (40 * t, 0, 255 - 40 * t)), "its features, right above"
    assert close(picture[136:160, 10:118], viridis((SCORES[t] + 0.5) / 2)), "its scores, left below"
    assert close(picture[136:180, 128 + 20 * t + 5 : 128 + 20 * t + 15], tinted(COLOURS[t])), "its mask, right below"


def test_its_controls(player):
    assert player.view.options == VIEWS and (player.index.min, player.index.max, player.index.value) == (0, 4, 2)
    assert Player([flat(1)] * 2, [np.zeros((6, 8))] * 2, [np.zeros((96, 128), np.uint8)] * 2).view.options == VIEWS[1:]
    plays = [part for part in parts(player.widget) if isinstance(part, ipywidgets.Play)]
    assert [play.max for play in plays] == [4] and is_described(player.widget)
    assert player.view in parts(player.widget) and player.index in parts(player.widget)


def test_a_picture_can_be_asked_for(player):
    player.index.value, player.view.value = 1, "frame"
    before = player.image.value
    assert close(player.picture(3, "frame"), COLOURS[3], 2) and close(player.picture(0), COLOURS[0], 2)
    assert close(player.picture(), COLOURS[1], 2) and player.image.value == before
