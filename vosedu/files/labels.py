"""From the values and colours of a mask to object ids: what is clear is taken, what could mean two things is refused.

A mask is a picture of few values. What its maker meant is in the colours that are seen, not always in the numbers that are
stored: a palette may have the background anywhere, 255 may be "ignore" or the brightest object, and smoothed edges add values
that belong to no object.
"""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from ..errors import InputError

VOID = 255
"""What DAVIS, PASCAL VOC and YouTube-VOS write where nobody says what is there; read as background."""
BLEND_CONTRAST = 96
"""Values between two others count as a smoothed edge only where those are so far apart, of 255."""
MOST_COLOURS = 64
"""An RGB mask of more is a picture."""


def _palette() -> np.ndarray:
    """The colours of PASCAL VOC and DAVIS: bit k of each channel, from the top, is bit 3k + channel of the index."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for k in range(3):
            colours[:, channel] |= (((index >> (3 * k + channel)) & 1) << (7 - k)).astype(np.uint8)
    return colours


DAVIS_PALETTE = _palette()
"""uint8 (256, 3), RGB by object id."""
DAVIS_IDS = {tuple(colour): i for i, colour in enumerate(DAVIS_PALETTE.tolist())}
"""Object id by colour."""


def from_grey(values: np.ndarray, where: object) -> np.ndarray:
    """Ids of a grey mask.

    The values are the ids. Only 0 and 255: one object, id 1. 255 beside small ids is void. Where the values divide 0 to 255
    evenly (128 and 255; 85, 170 and 255), as one makes them to be seen, 255 is an object too, and they are numbered from 1.

    Args:
        values: (H, W) whole numbers from 0 to 255.
        where: the file, for messages.

    Raises:
        InputError: edges are smoothed, or 255 may be void as well as an object.
    """
    used = np.unique(values)
    if set(used.tolist()) <= {0, VOID}:
        return (values > 0).astype(np.uint8)
    others = used[(used > 0) & (used < VOID)]
    if others.max() < BLEND_CONTRAST // 2:
        return np.where(values == VOID, 0, values).astype(np.uint8)
    _refuse_blends(values, used[:, None], where)
    if VOID not in used:
        return values.astype(np.uint8)
    shown = used[used > 0]
    if np.abs(shown - 255 * np.arange(1, len(shown) + 1) / len(shown)).max() <= 2:
        return (np.searchsorted(shown, values) + (values > 0)).astype(np.uint8)
    raise InputError(f"the mask {where} has the greys {_listed(others)} and 255, and 255 can be an object or 'ignore': save it "
                     "with 0 for the background and 1, 2, … for the objects")


def from_palette(index: np.ndarray, palette: np.ndarray, where: object) -> np.ndarray:
    """Ids of a palette mask.

    Args:
        index: (H, W) uint8.
        palette: (n, 3) RGB of the first n entries.
        where: the file, for messages.

    Raises:
        InputError: edges are smoothed, or it is not clear which colour is the background.
    """
    used = np.unique(index)
    if set(used.tolist()) <= {0, VOID}:
        upright = len(palette) <= VOID or palette[0].max() <= palette[VOID].max()
        return (index != (0 if upright else used[_background(index, used, palette[used].astype(int), where)])).astype(np.uint8)
    kept = used[(used != VOID) & (used < len(palette))]
    colours = palette[kept].astype(int)
    if len(kept) < 2 or np.array_equal(colours, DAVIS_PALETTE[kept]) or (len(kept) == 2 and _dark(colours[0]) and kept[0] == 0):
        return np.where(index == VOID, 0, index).astype(np.uint8)
    if len(np.unique(colours, axis=0)) < len(colours):
        return np.where(index == VOID, 0, index).astype(np.uint8)  # a palette that tells nothing apart
    _refuse_blends(index, colours, where, kept)
    if kept[0] == 0 and colours[0].max() <= colours.max(1).min():
        return np.where(index == VOID, 0, index).astype(np.uint8)
    found = [DAVIS_IDS.get(tuple(c)) for c in colours.tolist()]
    table = np.arange(256, dtype=np.uint8)
    table[VOID] = 0
    if None not in found and 0 in found:
        table[kept] = found
        return table[index]
    ground = int(kept[_background(index, kept, colours, where)])
    if 0 in kept:
        table[0] = ground  # the entry 0 is an object, and takes the number that the background leaves free
    table[ground] = 0
    return table[index]


def from_colours(picture: np.ndarray, known: dict[tuple[int, ...], int], where: object) -> np.ndarray:
    """Ids of an RGB mask of few colours: those of the DAVIS palette where it has all of them, else in the order in which they
    come.

    Args:
        picture: (H, W, 3) uint8.
        known: colour -> id; colours that are not in it are added, so that they keep their numbers in the next mask.
        where: the file, for messages.

    Raises:
        InputError: too many colours, smoothed edges, or it is not clear which colour is the background.
    """
    flat = picture.reshape(-1, 3).astype(np.int64)
    codes, index = np.unique(flat @ (65536, 256, 1), return_inverse=True)
    if len(codes) > MOST_COLOURS:
        raise InputError(f"the mask {where} has {len(codes)} colours, and {MOST_COLOURS} are the most: save it without "
                         "smoothing and not as JPEG, one colour per object")
    colours, index = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1), index.reshape(picture.shape[:2])
    names = [tuple(c) for c in colours.tolist()]
    davis = all(DAVIS_IDS.get(name, 255) < 64 for name in names)  # those above are shades of the others
    if not davis:
        _refuse_blends(index, colours, where)
    ground = _background(index, np.arange(len(codes)), colours, where)
    for n, name in enumerate(names):
        if n != ground and name not in known:
            free = (i for i in range(1, 256) if i not in known.values())
            known[name] = DAVIS_IDS[name] if davis and DAVIS_IDS[name] not in known.values() else next(free)
    return np.array([0 if n == ground else known[name] for n, name in enumerate(names)], np.uint8)[index]


def _dark(colour: np.ndarray) -> bool:
    return max(colour) <= 8


def _background(index: np.ndarray, used: np.ndarray, colours: np.ndarray, where: object) -> int:
    """Which of the used entries is the background: black, where the rim of the picture does not say another.

    Raises:
        InputError: it does, or nothing is black and no colour has most of the rim.
    """
    rim = np.concatenate([index[0], index[-1], index[1:-1, 0], index[1:-1, -1]])
    share = np.array([(rim == i).mean() for i in used])
    black = [n for n, colour in enumerate(colours) if _dark(colour)]
    most = int(share.argmax())
    if len(black) == 1 and share[black[0]] >= min(0.5, share[most]):
        return black[0]
    if not black and share[most] > 0.5:
        return most
    raise InputError(f"the mask {where} does not say which of its colours is the background ({_named(colours)}): make the "
                     "background black and the first entry of the palette")


def _refuse_blends(index: np.ndarray, colours: np.ndarray, where: object, used: np.ndarray | None = None) -> None:
    """Refuse values that are a mixture of two others and lie between these, in bands along the edges.

    Args:
        index: (H, W), entries.
        colours: of the entries `used`, (n, channels).
        where: the file, for messages.
        used: entries; all values of `index` in their order where left out.
    """
    used = np.unique(index) if used is None else used
    contact, colours = _contacts(index, used), colours.astype(int)
    area = np.array([np.count_nonzero(index == i) for i in used])
    mixed = [n for n in range(len(used)) if contact[n].sum() and _between(n, colours, contact[n])]
    width = [2 * area[n] / contact[n].sum() for n in mixed]
    if min(width, default=9) < 4 or sum(w < max(12, min(index.shape) / 12) for w in width) > 2:
        raise InputError(f"the mask {where} has smoothed (anti-aliased) edges: {len(mixed)} of its {len(used)} values are "
                         "mixtures of others; save it without smoothing and not as JPEG, one value per object")


def _contacts(index: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(n, n): how many pixels of one entry have a neighbour of another, right or below, both ways."""
    place = np.full(int(max(index.max(), used.max())) + 1, -1)
    place[used] = np.arange(len(used))
    labels, count = place[index], np.zeros((len(used), len(used)), int)
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        edge = (a != b) & (a >= 0) & (b >= 0)
        np.add.at(count, (a[edge], b[edge]), 1)
    return count + count.T


def _between(n: int, colours: np.ndarray, contact: np.ndarray) -> bool:
    """Whether a quarter of an entry's contacts, and more, are on either side of it on a line between two other colours."""
    touched = np.flatnonzero(contact)
    for a in touched:
        along = colours[a].astype(float) - colours[n]
        far = np.linalg.norm(along)
        if far == 0:
            continue
        off = colours[touched] - colours[n]
        t = off @ along / far**2
        near = np.linalg.norm(off - t[:, None] * along, axis=1) <= 12
        high, low = touched[near & (t > 0)], touched[near & (t < 0)]
        sides = contact[high].sum(), contact[low].sum()
        if min(sides) >= 0.25 * contact.sum() and np.ptp(colours, axis=0).max() >= BLEND_CONTRAST:
            return True
    return False


def refuse_noise(ids: np.ndarray, where: object, most: int) -> None:
    """Refuse a first mask that is no picture of a few objects.

    Args:
        ids: (H, W).
        where: the file, for messages.
        most: objects.

    Raises:
        InputError: more objects than that, or most neighbours differ.
    """
    count = len(np.unique(ids[ids > 0]))
    if count > most:
        raise InputError(f"the mask {where} has {count} objects, and {most} are the most, for each is learned by itself: keep "
                         "those that you need")
    inner = np.mean([(ids[:, 1:] != ids[:, :-1]).mean(), (ids[1:] != ids[:-1]).mean()])
    if inner > 0.25:
        raise InputError(f"the mask {where} looks like noise or a photograph: {inner:.0%} of neighbouring pixels differ; give "
                         "a mask with one value per object")


def described(ids: np.ndarray, names: Mapping[int, str] | None = None) -> str:
    """The objects of a mask in words: "2 objects: 1 (640 pixels), 2 (96 pixels)"."""
    found, counts = np.unique(ids[ids > 0], return_counts=True)
    parts = [f"{i} ({names[i]}, {c} pixels)" if names and i in names else f"{i} ({c} pixels)"
             for i, c in zip(found.tolist(), counts.tolist(), strict=True)]
    return f"{len(parts)} object{'s' * (len(parts) != 1)}: {_shortened(parts)}"


def _shortened(parts: list[str], most: int = 6) -> str:
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def _listed(values: Iterable[int]) -> str:
    return _shortened([str(v) for v in values])


def _named(colours: np.ndarray) -> str:
    return _shortened([f"({r} {g} {b})" for r, g, b in colours.tolist()])


def filled(size: tuple[int, int], corners: np.ndarray) -> np.ndarray:
    """A polygon as bool (H, W): pixels whose middle is inside, or on its rim.

    Args:
        size: (H, W).
        corners: (n, 2), x and y in pixels, 0 at the upper left corner of the picture.
    """
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.rint((np.asarray(corners, float) - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask > 0
