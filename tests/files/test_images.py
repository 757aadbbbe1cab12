"""Images and masks: formats, turning, resizing and drawing against NumPy and pixels counted by hand; what is refused."""

import cv2
import numpy as np
import pytest
from helpers import moving_shapes
from PIL import Image

from vosedu.errors import InputError
from vosedu.files.images import (
    DAVIS_PALETTE,
    check_first_mask,
    contact_sheet,
    image_files,
    natural_key,
    overlay,
    read_image,
    read_mask,
    resized,
    scaled_size,
    to_size,
    working_size,
    write_mask,
)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_natural_order():
    names = ["f10.png", "F9.png", "f09b.png", "f1 2.png", "10.png", "9.png", "f1 10.png", "g.png"]
    assert sorted(names, key=natural_key) == [
        "9.png", "10.png", "f1 2.png", "f1 10.png", "F9.png", "f09b.png", "f10.png", "g.png"]


def test_image_files_are_the_images_of_a_folder_in_natural_order(tmp_path):
    for name in ("11.JPG", "2.jpeg", "1.bmp", "3.webp", "10.png", "notes.txt", ".5.png", "4.gif"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "6.png").mkdir()
    assert [p.name for p in image_files(tmp_path)] == ["1.bmp", "2.jpeg", "3.webp", "10.png", "11.JPG"]


@pytest.mark.parametrize("kind", ["grey", "alpha", "16 bit", "palette"])
def test_other_kinds_of_image_become_rgb(tmp_path, kind):
    grey = np.arange(40 * 96, dtype=np.uint16).reshape(40, 96) // 16
    path = tmp_path / "i.png"
    image = {
        "grey": lambda: Image.fromarray(grey.astype(np.uint8)),
        "alpha": lambda: Image.fromarray(np.dstack([grey.astype(np.uint8)] * 4)),
        "16 bit": lambda: Image.fromarray(grey * 256 + 255),
        "palette": lambda: Image.fromarray(grey.astype(np.uint8)).convert("P"),
    }[kind]()
    image.save(path)
    found = read_image(path)
    assert found.shape == (40, 96, 3) and found.dtype == np.uint8 and found.flags.writeable
    assert all(np.array_equal(found[..., channel], grey) for channel in range(3))


def test_the_order_of_colours_is_red_green_blue(tmp_path):
    picture = noise(0, 7, 5, 3)
    cv2.imwrite(str(tmp_path / "i.png"), picture[..., ::-1])  # OpenCV writes blue, green, red
    assert np.array_equal(read_image(tmp_path / "i.png"), picture)


FIRST_ROW_AND_COLUMN = {1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
                        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom")}
"""Where the first stored row and column belong in what is shown, by the Exif standard's tag 274, Orientation."""


@pytest.mark.parametrize("orientation", FIRST_ROW_AND_COLUMN)
def test_exif_orientation_is_honoured(tmp_path, orientation):
    """Six blocks of six greys: every direction shows another picture."""
    stored = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.kron(stored, np.ones((16, 16), np.uint8))).save(tmp_path / "r.jpg", exif=exif, quality=95)
    row, column = FIRST_ROW_AND_COLUMN[orientation]
    expected = stored.astype(int)
    if row in ("left", "right"):
        expected, row, column = expected.T, column, row
    if row == "bottom":
        expected = expected[::-1]
    if column == "right":
        expected = expected[:, ::-1]
    found = read_image(tmp_path / "r.jpg")
    assert found.shape == (16 * expected.shape[0], 16 * expected.shape[1], 3)
    assert np.abs(found[8::16, 8::16, 1].astype(int) - expected).max() <= 3


def test_the_palette_is_that_of_davis():
    assert DAVIS_PALETTE[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert DAVIS_PALETTE[8].tolist() == [64, 0, 0] and DAVIS_PALETTE[20].tolist() == [0, 64, 128]
    assert DAVIS_PALETTE[255].tolist() == [224, 224, 192]
    assert len(np.unique(DAVIS_PALETTE, axis=0)) == 256


def test_masks_round_trip_as_palette_png(tmp_path):
    labels = noise(1, 11, 17) % 5
    write_mask(tmp_path / "m.png", labels)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), labels)
        assert image.getpalette()[3:6] == [128, 0, 0] and image.getpalette()[12:15] == [0, 0, 128]
    assert np.array_equal(read_mask(tmp_path / "m.png"), labels)
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


STORED = np.array([[0, 1, 255], [2, 2, 0]], np.uint8)


@pytest.mark.parametrize("mode, stored, expected", [
    ("P", STORED, [[0, 1, 0], [2, 2, 0]]),  # 255 beside other ids: ignored by the data sets, so background
    ("P", STORED // 255 * 255, [[0, 0, 1], [0, 0, 0]]),  # 255 alone: the object
    ("L", STORED // 255 * 255, [[0, 0, 1], [0, 0, 0]]),
    ("L", STORED % 255, [[0, 1, 0], [2, 2, 0]]),
    ("L", STORED % 255 * 20, [[0, 20, 0], [40, 40, 0]]),  # ids need not follow each other
    ("1", STORED > 1, [[0, 0, 1], [1, 1, 0]]),
])
def test_ids_and_void_of_masks(tmp_path, mode, stored, expected):
    image = Image.fromarray(stored)
    if mode == "P":
        image.putpalette(DAVIS_PALETTE.tobytes())
    assert image.mode == mode
    image.save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png", (2, 3))
    assert found.tolist() == expected and found.dtype == np.uint8


@pytest.mark.parametrize("kind,words", [("rgb", "RGB"), ("smooth", "anti-aliased"), ("size", "128x50, the frames 128x96"),
                                        ("absent", "no mask"), ("text", "cannot be read")])
def test_unusable_masks(tmp_path, kind, words):
    labels, path = moving_shapes(1)[1][0], tmp_path / "m.png"
    if kind == "rgb":
        Image.fromarray(DAVIS_PALETTE[labels]).save(path)
    elif kind == "smooth":
        Image.fromarray(cv2.GaussianBlur(labels * 255, (5, 5), 1)).save(path)
    elif kind == "size":
        Image.fromarray(labels[:50]).save(path)
    elif kind == "text":
        path.write_text("no image")
    with pytest.raises(InputError, match=words):
        read_mask(path, (96, 128))


@pytest.mark.parametrize("kind,words", [("empty", "no object"), ("full", "no background"), ("few", "object 2 .* 9 pixels")])
def test_masks_that_nothing_can_be_learned_from(kind, words):
    labels = np.zeros((50, 40), np.uint8)
    if kind == "full":
        labels[:] = 1
    if kind == "few":
        labels[20:, 3:] = 1
        labels[:3, :3] = 2
    with pytest.raises(InputError, match=words):
        check_first_mask(labels, "first.png")
    if kind == "few":
        labels[3, 0] = 2
        check_first_mask(labels, "first.png")  # ten pixels are enough


@pytest.mark.parametrize("size, expected", [
    ((480, 854), (360, 640)), ((1920, 1080), (640, 360)), ((120, 160), (360, 480)), ((360, 640), (360, 640)),
    ((100, 240), (267, 640)), ((300, 2000), (300, 2000)), ((720, 4000), (360, 2000)), ((32, 32), (360, 360)),
])
def test_scaled_size(size, expected):
    assert scaled_size(size, 360) == expected
    assert scaled_size(size, 0) == working_size(size, 0) == size


def test_no_side_becomes_shorter_than_32_pixels():
    assert scaled_size((480, 854), 20) == (32, 36) and scaled_size((2000, 100), 33) == (660, 33)
    assert working_size((480, 854), 20) == (32, 32)


@pytest.mark.parametrize(("size", "rows", "expected"), [
    ((480, 854), 240, (240, 432)), ((480, 854), 360, (368, 640)), ((480, 854), 376, (384, 672)),
    ((1920, 1080), 360, (640, 368)), ((480, 854), 480, (480, 848)), ((100, 100), 40, (48, 48)),
])
def test_frames_are_worked_on_in_whole_cells_of_d(size, rows, expected):
    assert working_size(size, rows) == expected


def test_frames_shrink_to_the_mean_of_the_areas():
    frame = noise(2, 12, 20, 3)
    halves = frame.reshape(6, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(resized(frame, (6, 10)) - halves).max() <= 0.5
    # 3 pixels to 2: each takes one whole pixel and half of the middle one
    row = np.array([[[30], [90], [240]]] * 3, np.uint8).repeat(3, axis=2)
    assert np.abs(resized(row, (3, 2))[1, :, 0].astype(float) - [(30 + 45) / 1.5, (45 + 240) / 1.5]).max() <= 0.5
    assert resized(frame, (12, 20)) is frame


def test_frames_grow_by_cubic_interpolation():
    """Against the definition: kernel with a = -0.75, pixels lie at half-integers, the border is repeated."""
    frame = noise(3, 9, 7, 3)

    def weights(n, m):
        found = np.zeros((m, n))
        for i in range(m):
            x = (i + 0.5) * n / m - 0.5
            for k in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                d, a = abs(x - k), -0.75
                w = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)
                found[i, min(max(k, 0), n - 1)] += w
        return found

    exact = np.einsum("ih,jw,hwc->ijc", weights(9, 21), weights(7, 16), frame.astype(float)).clip(0, 255)
    assert np.abs(resized(frame, (21, 16)) - exact).max() < 1.5


@pytest.mark.parametrize("size", [(5, 9), (13, 40), (30, 7), (11, 23)])
def test_ids_are_those_of_the_nearest_pixel(size):
    labels = noise(4, 11, 23) % 7
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(int) for m, n in zip(size, labels.shape, strict=True))
    assert np.array_equal(to_size(labels, size), labels[np.ix_(rows, columns)])


def test_an_overlay_pixel_by_pixel():
    """Inside 45 % of the object's colour, a rim of one pixel on each side of the edge, nothing elsewhere."""
    frame = np.full((12, 14, 3), (101, 51, 203), np.uint8)
    labels = np.zeros((12, 14), np.uint8)
    labels[2:8, 3:9] = 3  # 128, 128, 0
    kept = frame.copy()
    found = overlay(frame, labels)
    assert np.array_equal(frame, kept)
    expected = frame.copy()
    expected[1:9, 2:10] = (128, 128, 0)
    # 0.55 · (101, 51, 203) + 0.45 · (128, 128, 0) = (113.15, 85.65, 111.65), cut to whole numbers
    expected[3:7, 4:8] = (113, 85, 111)
    assert np.array_equal(found, expected)
    assert overlay(frame, labels, alpha=0.9)[4, 5].tolist() == [125, 120, 20]  # 0.1 · frame + 0.9 · colour


def test_where_two_objects_meet_the_rim_has_the_greater_id():
    labels = np.zeros((9, 13), np.uint8)
    labels[:, 4:8], labels[:, 8:] = 2, 1
    found = overlay(np.zeros((9, 13, 3), np.uint8), labels)
    green, red = [0, 128, 0], [128, 0, 0]
    # columns: two of background, rim at 3|4, inside 5 and 6 at 45 %, rim at 7|8, inside of object 1
    assert found[5].tolist() == [[0, 0, 0]] * 3 + [green] * 2 + [[0, 57, 0]] * 2 + [green] * 2 + [[57, 0, 0]] * 4
    labels[labels == 1] = 4
    assert overlay(np.zeros((9, 13, 3), np.uint8), labels)[5, 7].tolist() == [0, 0, 128] and red not in found[5].tolist()


def test_a_contact_sheet_has_its_pictures_in_rows():
    pictures = [np.full((64, 40, 3), (10 * n, 255 - 10 * n, n), np.uint8) for n in range(5)]
    found = contact_sheet(pictures, columns=3, width=30)
    assert found.shape == (2 * 48, 3 * 30, 3) and found.dtype == np.uint8
    for place in range(6):
        row, column = divmod(place, 3)
        cell = found[48 * row : 48 * (row + 1), 30 * column : 30 * (column + 1)]
        assert (cell == (pictures[place][0, 0] if place < 5 else 255)).all()
    stripes = np.zeros((8, 40, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (contact_sheet([stripes], columns=1, width=20) == 100).all()  # averaged, not picked
    assert contact_sheet(pictures[:4]).shape == (512, 4 * 320, 3)
