"""From colours to ids: what each kind of mask means, by hand; and every mask that could mean two things is refused."""

import cv2
import numpy as np
import pytest
from helpers import moving_shapes
from PIL import Image

from vosedu.errors import InputError
from vosedu.files.images import check_first_mask, read_mask
from vosedu.files.labels import (
    DAVIS_PALETTE,
    described,
    filled,
    from_colours,
    from_grey,
    from_palette,
    refuse_noise,
)

IDS = moving_shapes(1, (96, 128), objects=3)[1][0]
"""Three objects that touch nothing: 0, 1, 2, 3."""
NESTED = np.kron(np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 2, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]),
                 np.ones((20, 20))).astype(np.uint8)
"""An object within another: of the greys 0, 128 and 255, the middle one lies between the others, and is no edge."""


def colours(ids, *table):
    return np.array(table, np.uint8)[ids]


@pytest.mark.parametrize(("table", "expected"), [
    ((0, 1, 2, 3), (0, 1, 2, 3)), ((0, 1, 2, 255), (0, 1, 2, 0)), ((0, 5, 9, 44), (0, 5, 9, 44)),
    ((0, 85, 170, 255), (0, 1, 2, 3)), ((0, 127, 255, 255), (0, 1, 2, 2)), ((0, 128, 255, 0), (0, 1, 2, 0)),
    ((0, 255, 255, 0), (0, 1, 1, 0)), ((0, 200, 100, 150), (0, 200, 100, 150)), ((0, 47, 255, 255), (0, 47, 0, 0)),
])
def test_greys(table, expected):
    assert np.array_equal(from_grey(colours(IDS, *table), "m"), colours(IDS, *expected))


def test_an_object_within_another_is_no_edge():
    assert np.array_equal(from_grey(colours(NESTED, 0, 128, 255), "m"), NESTED)
    assert np.array_equal(from_grey(colours(NESTED, 0, 1, 2), "m"), NESTED)


@pytest.mark.parametrize("table", [(0, 100, 255, 255), (0, 200, 255, 0), (0, 60, 70, 255)])
def test_255_beside_greys_that_are_not_even_could_be_void_or_an_object(table):
    with pytest.raises(InputError, match="255 can be an object or 'ignore'"):
        from_grey(colours(IDS, *table), "m")


@pytest.mark.parametrize("sigma", [0.6, 1.5, 5.0])
@pytest.mark.parametrize("levels", [0, 5, 8])
def test_smoothed_edges_are_no_objects(sigma, levels):
    """Grey, and as a palette of few reds or greens, narrow and wide."""
    soft = cv2.GaussianBlur((cv2.resize(IDS, (384, 288), interpolation=cv2.INTER_NEAREST) > 0) * 255.0, (0, 0), sigma * 3)
    grey = (np.rint(soft / 255 * levels) / levels * 255 if levels else soft).astype(np.uint8)
    with pytest.raises(InputError, match="smoothed"):
        from_grey(grey, "m")
    if levels:
        values, index = np.unique(grey, return_inverse=True)
        for channel in (0, 1):
            palette = np.zeros((len(values), 3), np.uint8)
            palette[:, channel] = values
            with pytest.raises(InputError, match="smoothed"):
                from_palette(index.reshape(grey.shape).astype(np.uint8), palette, "m")


def test_a_mask_that_was_saved_as_jpeg_is_refused(tmp_path):
    Image.fromarray(colours(IDS, 0, 255, 255, 255)).save(tmp_path / "m.jpg", quality=60)
    with pytest.raises(InputError, match=r"m\.jpg"):
        read_mask(tmp_path / "m.jpg")


WHITE, BLACK, RED, BLUE, ORANGE = (255, 255, 255), (0, 0, 0), (230, 20, 30), (20, 60, 220), (240, 150, 10)


@pytest.mark.parametrize(("palette", "stored", "expected"), [
    ((BLACK, RED, BLUE, ORANGE), (0, 1, 2, 3), (0, 1, 2, 3)),  # in their order
    ((WHITE, BLACK), (1, 0, 0, 0), (0, 1, 1, 1)),  # the background is the second
    ((RED, BLUE, ORANGE, BLACK), (3, 0, 1, 2), (0, 3, 1, 2)),  # and the last
    ((WHITE, RED, BLUE, ORANGE), (0, 1, 2, 3), (0, 1, 2, 3)),  # white, where nothing is black
    (DAVIS_PALETTE, (0, 1, 8, 9), (0, 1, 8, 9)),  # (64, 0, 0) lies between (0, 0, 0) and (128, 0, 0), and is no edge
    (DAVIS_PALETTE[[2, 1, 0, 3]], (2, 1, 0, 3), (0, 1, 2, 3)),  # the data sets' colours have their numbers
    ([(3 * n, 3 * n + 1, 3 * n + 2) for n in range(9)], (0, 1, 2, 255), (0, 1, 2, 0)),  # a palette of no meaning
    ([BLACK] * 9, (0, 1, 2, 3), (0, 1, 2, 3)),  # and one of no colours
])
def test_palettes(palette, stored, expected):
    found = from_palette(colours(IDS, *stored), np.array(palette, np.uint8), "m")
    assert np.array_equal(found, colours(IDS, *expected))


def test_black_objects_on_white_are_asked_about():
    """Entry 0 is white and all around, entry 1 black: either could be the background."""
    with pytest.raises(InputError, match="does not say which of its colours is the background"):
        from_palette((IDS > 0).astype(np.uint8), np.array([WHITE, BLACK], np.uint8), "m")


def test_rgb_by_colour():
    """In the order in which they come, the same in the next mask; the data sets' colours have their numbers."""
    known = {}
    first = from_colours(colours(IDS, BLACK, RED, BLUE, BLACK), known, "m")
    assert sorted(np.unique(first)) == [0, 1, 2] and known == {RED: first[IDS == 1][0], BLUE: first[IDS == 2][0]}
    second = from_colours(colours(IDS, BLACK, BLUE, ORANGE, BLACK), known, "m")
    assert (second[IDS == 1] == known[BLUE]).all() and (second[IDS == 2] == 3).all()
    assert np.array_equal(from_colours(DAVIS_PALETTE[IDS], {}, "m"), IDS)
    with pytest.raises(InputError, match="64 are the most"):
        from_colours(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8), {}, "m")
    soft = cv2.GaussianBlur(colours(IDS, BLACK, RED, RED, RED), (0, 0), 1) // 48 * 48
    with pytest.raises(InputError, match="smoothed"):
        from_colours(soft, {}, "m")


def test_noise_and_hundreds_of_objects_are_refused_before_the_work():
    noise = np.random.default_rng(0).integers(0, 4, (96, 128)).astype(np.uint8)
    with pytest.raises(InputError, match="noise"):
        check_first_mask(noise, "m")
    blocks = np.kron(np.arange(121).reshape(11, 11), np.ones((8, 8))).astype(np.uint8)
    with pytest.raises(InputError, match="120 objects, and 100 are the most"):
        check_first_mask(blocks, "m")
    refuse_noise(np.where(blocks > 100, 0, blocks), "m", 100)
    refuse_noise(IDS, "m", 3)


@pytest.mark.parametrize(("mode", "scale", "expected"), [("I;16", 1, 1), ("I;16", 65535, 1), ("F", 1, 1), ("RGB", 255, 1),
                                                         ("LA", 255, 1), ("RGBA", 255, 1), ("RGBA", 1, 1)])
def test_other_modes(tmp_path, mode, scale, expected):
    """16 bits, floating point, greys in three channels, and transparency: the object is 1."""
    ids = IDS == 1
    if mode == "I;16":
        image = Image.fromarray((ids * scale).astype(np.uint16))
    elif mode == "F":
        image = Image.fromarray(ids.astype(np.float32))
    else:
        image = Image.fromarray((ids * scale).astype(np.uint8)).convert(mode)
    image.save(tmp_path / "m.tif")
    assert np.array_equal(read_mask(tmp_path / "m.tif"), ids)


def test_objects_in_words():
    assert described(np.array([[0, 1, 1], [0, 3, 0]])) == "2 objects: 1 (2 pixels), 3 (1 pixels)"
    assert described(np.array([[1]]), {1: "cat"}) == "1 object: 1 (cat, 1 pixels)"
    assert described(np.arange(9)).endswith("6 (1 pixels) and 2 more")


def test_polygons_are_filled_to_the_pixel():
    """Corners are points between pixels: a square from 2 to 6 covers pixels 2 to 5, its rim included."""
    found = filled((8, 9), np.array([(2, 1), (6, 1), (6, 4), (2, 4)]))
    assert found[1:4, 2:6].all() and found.sum() <= 5 * 4
