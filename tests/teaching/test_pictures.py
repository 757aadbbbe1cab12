"""Pictures against colours, places and words that are worked out by hand."""

import io

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from teaching.seeing import close, finds, flat, over, red_marker, says, tinted, viridis

from vosedu.teaching.pictures import (
    Packed,
    boundary_picture,
    chart,
    jpeg,
    parts_picture,
    pca_colours,
    row,
    score_picture,
    with_scale,
)


def test_score_colours_run_evenly_between_fixed_limits():
    scores = np.array([[-9.0, -0.5, -0.25, 0.0, 0.25], [0.5, 0.75, 1.0, 1.5, 9.0]])
    levels = np.array([[0, 0, 1, 2, 3], [4, 5, 6, 8, 8]]) / 8
    for k, found in np.ndenumerate(np.empty(scores.shape)):
        found = score_picture(scores)[k]
        assert found.dtype == np.uint8 and close(found, viridis(levels[k]), 4), scores[k]
    assert close(score_picture(np.array([[3.0]]), limits=(2, 6))[0, 0], viridis(0.25), 4)


def test_scores_are_blended_over_their_frame_at_its_size():
    scores = np.zeros((3, 4))
    scores[0, 3] = 1.0
    found = score_picture(scores, flat((200, 100, 0), (48, 64)))
    assert found.shape == (48, 64, 3)
    assert close(found[2:6, 58:], over((200, 100, 0), 1.0), 4), "the cell right above"
    assert close(found[24:, :], over((200, 100, 0), 0.0), 4) and close(found[:, :40], over((200, 100, 0), 0.0), 4)
    edge = [over((200, 100, 0), s) for s in (0.25, 0.75)]
    assert close(found[4, 44], edge[0], 12) and close(found[4, 52], edge[1], 12), "in between it is bilinear"


def test_the_scale_is_drawn_into_the_corner_alone():
    picture = flat(200, (60, 220))
    found = with_scale(picture, (-0.5, 1.5))
    assert (picture == 200).all() and (found[:30] == 200).all() and (found[:, :100] == 200).all()
    bar = found[52, 118:214]  # 96 pixels, 6 from the right edge
    for column in (0, 24, 48, 71, 95):
        assert close(bar[column], viridis(column / 95), 4), column
    low, high = (finds(found, text, scale=0.35) for text in ("-0.5", "1.5"))
    assert low[0] > 0.9 and low[1][0] < 130 and high[0] > 0.9 and high[1][0] > 180
    other = with_scale(picture, (0.0, 2.0))
    assert finds(other, "0", scale=0.35)[1][0] < 130 and finds(other, "2", scale=0.35)[1][0] > 180
    assert close(other[52, 118 + 48], viridis(0.5), 5), "the bar shows the limits' own middle"
    assert with_scale(flat(200, (60, 40))).shape == (60, 40, 3), "a narrow picture has a short bar"


def test_jpeg_keeps_red_red():
    decoded = np.asarray(Image.open(io.BytesIO(jpeg(flat((220, 30, 90))))))
    assert decoded.shape == (96, 128, 3) and close(decoded, (220, 30, 90))


def test_the_four_parts_and_their_captions():
    frame = flat((60, 120, 90))
    features = np.zeros((6, 8, 3), np.uint8)
    features[:, :4], features[:, 4:] = (250, 0, 0), (0, 0, 250)
    scores, labels = np.zeros((6, 8)), np.zeros((96, 128), np.uint8)
    scores[:, 2:], labels[48:, :64] = 1.0, 1
    found = parts_picture(frame, features, scores, labels)
    above, below = np.vsplit(found, 2)
    quarters = [*np.hsplit(above, 2), *np.hsplit(below, 2)]
    assert (frame == (60, 120, 90)).all(), "the caption is not written into the frame itself"
    assert close(quarters[0][40:], (60, 120, 90), 0)
    assert close(quarters[1][40:, :64], (250, 0, 0), 0) and close(quarters[1][40:, 64:], (0, 0, 250), 0)
    assert close(quarters[2][40:60, :32], viridis(0.25), 4) and close(quarters[2][40:60, 32:], viridis(0.75), 4)
    assert close(quarters[3][40:46], (60, 120, 90), 0) and close(quarters[3][52:, :60], tinted((60, 120, 90)), 1)
    captions = ("I", "x = F(I)", "s = D(x)", "y = R(x, s)")
    for number, caption in enumerate(captions[1:], start=1):
        clear = [finds(quarter[:32], caption, scale=0.6)[0] for quarter in quarters]
        assert np.argmax(clear) == number and clear[number] > 0.6 and clear[0] < 0.6
    ink = [np.nonzero((quarter[:32] > 240).all(axis=2))[1].max() for quarter in quarters]
    assert ink[0] < 20 < min(ink[1:]), "the frame's caption is one letter"


@pytest.mark.parametrize("limits", [(0, 1), (-1, 3)])
def test_a_chart_rises_where_its_values_do(limits):
    low, high = limits
    values = low + (high - low) * np.array([0, 0.25, 1, 0.5, 0.75])
    places = np.array([red_marker(chart(values, k, (140, 224), "J", limits)) for k in range(5)])
    assert np.allclose(places[:, 0], 12 + 50 * np.arange(5), atol=1), "evenly from left to right"
    assert np.allclose(places[:, 1], [128, 103, 28, 78, 53], atol=1), "the greatest value at the top"


def test_a_chart_s_curve_goes_through_all_values():
    picture = chart(np.array([0.0, 1.0, 0.5]), 0, (140, 224), "J", (0, 1)).astype(int)
    assert picture.shape == (140, 224, 3)
    for x, y in ((62, 78), (112, 28), (162, 53), (212, 78)):
        assert picture[y, x].max() < 110, "dark"
    assert close(picture[100:127, 100:], 255, 0) and close(picture[30:60, :60], 255, 0)
    picture = chart(np.array([0.25, 1.0, 0.5]), 0, (140, 224), "J", (0, 1))
    assert says(picture, "J 0.25") and not says(picture, "J 0.5"), "the value of the marked point"


def test_a_chart_has_its_ends_in_numbers_and_its_marks_as_lines():
    values = np.array([4000.0, 40, 400])
    picture, marked = (chart(values, 0, (140, 224), "loss", marks=marks).astype(int) for marks in ((), (1, 2)))
    assert says(picture, "loss 4e+03")
    assert close(picture[28, 60:200].max(axis=-1), 225, 31) and close(picture[128, 12:60], 225, 31)
    changed = np.unique(np.argwhere((picture != marked).any(axis=2))[:, 1])
    assert changed.tolist() == [112, 212], "one line at each"
    assert not np.array_equal(chart(values * 2, 0, (140, 224), "")[:28, 150:], chart(values, 0, (140, 224), "")[:28, 150:])
    assert not np.array_equal(chart(values * 2, 0, (140, 224), "")[110:, :60], chart(values, 0, (140, 224), "")[110:, :60])


def test_a_chart_without_limits_is_logarithmic():
    values = np.array([1000.0, 1.0, 10.0, 100.0])
    places = [red_marker(chart(values, k, (100, 200), "loss")) for k in range(4)]
    assert np.allclose([y for _, y in places], [28, 88, 68, 48], atol=1)
    assert says(chart(values, 2, (100, 200), "loss"), "loss 10")
    assert chart(np.array([2.0]), 0, (100, 200), "loss").shape == chart(np.zeros(3), 1, (100, 200), "loss").shape


def test_row_draws_every_picture_under_its_title():
    pictures = [flat(30 * k, (10, 20)) for k in range(3)]
    row(pictures, ["a", "b", "c"])
    axes = plt.gcf().axes
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert all(np.array_equal(ax.images[0].get_array(), picture) for ax, picture in zip(axes, pictures, strict=True))
    row(pictures, ["a", "b", "c"], limits=(-0.5, 2), label="similarity")
    bar = plt.gcf().axes[3]
    assert bar.get_ylim() == (-0.5, 2) and bar.get_ylabel() == "similarity"
    with pytest.raises(ValueError):
        row(pictures, ["a", "b"])
    plt.close("all")


def principal(features, basis):
    """Red, green and blue as NumPy makes them of (C, n): three coordinates, their 2nd and 98th percentile at 0 and 255."""
    mean = basis.mean(axis=1, keepdims=True)
    _, directions = np.linalg.eigh(np.cov(basis))
    own, found = (directions[:, :-4:-1].T @ (x - mean) for x in (basis, features))
    low, high = np.quantile(own, (0.02, 0.98), axis=1)[..., None]
    return 255 * np.clip((found - low) / (high - low), 0, 1)


def test_pca_colours_are_the_three_directions_of_most_variance():
    g = np.random.default_rng(0)
    mix = np.linalg.qr(g.standard_normal((7, 7)))[0]
    features = mix @ (np.array([9, 5, 3, 0.5, 0.3, 0.2, 0.1])[:, None] * g.standard_normal((7, 48))) + 4
    found, basis = pca_colours(torch.tensor(features, dtype=torch.float32).view(7, 6, 8))
    assert found.shape == (6, 8, 3) and found.dtype == np.uint8
    wanted = principal(features, features).reshape(3, 6, 8)
    flipped = []
    for channel in range(3):  # a direction may point either way
        errors = [np.abs(found[..., channel] - value).max() for value in (wanted[channel], 255 - wanted[channel])]
        flipped.append(errors[1] < errors[0])
        assert min(errors) < 2, channel
    other = mix @ (np.array([3, 9, 5, 0.5, 0.3, 0.2, 0.1])[:, None] * g.standard_normal((7, 48))) + 3
    again, same = pca_colours(torch.tensor(other, dtype=torch.float32).view(7, 6, 8), basis)
    assert same is basis, "with the basis of another map colours compare"
    for channel, value in enumerate(principal(other, features).reshape(3, 6, 8)):
        assert np.abs(again[..., channel] - (255 - value if flipped[channel] else value)).max() < 2


def test_boundary_picture_tells_right_from_wrong_edges():
    truth = np.zeros((60, 80), np.uint8)
    truth[20:40, 20:40] = 1
    prediction = truth.copy()
    prediction[20:40, 20:60] = 1  # the right edge is twenty pixels off
    picture = boundary_picture(flat((100, 200, 50), (60, 80)), prediction, truth)
    assert tuple(picture[30, 19]) == (60, 220, 90)
    assert tuple(picture[30, 59]) == (255, 60, 220)
    assert tuple(picture[30, 39]) == (255, 255, 255)
    assert close(picture[30, 5], (45, 90, 22), 0), "the frame is darkened"
    picture = boundary_picture(flat((100, 200, 50), (60, 80)), truth, prediction)
    assert tuple(picture[30, 39]) == (255, 60, 220) and tuple(picture[30, 59]) == (255, 255, 255), "exchanged"


def test_a_boundary_that_is_nearly_right_is_drawn_where_it_was_found():
    """One pixel beside the true one, within the tolerance: green at the prediction's own place, and nothing white."""
    truth = np.zeros((60, 80), np.uint8)
    truth[20:40, 20:40] = 1
    prediction = np.roll(truth, -1, axis=1)
    picture = boundary_picture(flat(0, (60, 80)), prediction, truth)
    green = (picture == (60, 220, 90)).all(axis=2)
    assert green[30, 17:20].all() and not green[30, 20] and green[30, 37:40].all() and not green[30, 40]
    assert set(map(tuple, picture.reshape(-1, 3).tolist())) == {(0, 0, 0), (60, 220, 90)}


def test_finds_knows_one_text_from_another():
    picture = cv2.putText(flat(255, (40, 300)), "step 12, loss 0.5", (60, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1,
                          cv2.LINE_AA)
    clear, (x, _) = finds(picture, "step 12, loss 0.5")
    assert clear > 0.95 and abs(x - 60) <= 1
    assert says(picture, "step 12, loss 0.5")
    for other in ("step 13, loss 0.5", "step 12, loss 0.8", "step 1, loss 0.5", "loss 12, step 0.5"):
        assert not says(picture, other), other


def test_packed_pictures_come_back():
    ids = np.random.default_rng(0).integers(0, 255, (3, 40, 60)).astype(np.uint8)
    exact = Packed(ids[:2], exact=True)
    exact.append(ids[2])
    assert len(exact) == 3 and all(np.array_equal(a, b) for a, b in zip(exact, ids, strict=True))
    assert isinstance(exact[1:], Packed) and np.array_equal(exact[1:][0], ids[1]) and np.array_equal(exact[-1], ids[2])
    ramp = np.full((40, 60, 3), (0, 200, 30), np.uint8)
    ramp[..., 0] = np.arange(0, 240, 4)
    packed = Packed([ramp] * 5)
    assert np.abs(packed[4].astype(int) - ramp).max() < 12 and packed[0].shape == ramp.shape
    assert sum(map(len, packed._bytes)) < 5 * ramp.size / 4
