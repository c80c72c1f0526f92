"""Whether names may stand in the pixels: by what the header says, and by marks that look like text near the borders.

The pixel detector is simple on purpose. It finds lines of bright letters of one brightness, 6 to 40 pixels high, in the
outer fifth of an image, in a few images of a series. It does not find dark text on a bright ground, text over the
body, handwriting, large or very small letters, or text in images it did not look at. What it finds holds a series until
a person has looked; what it does not find proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.deid_policy import Policy

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

BORDER_FRACTION: Final = 0.2
"""Share of the width and height, at each side, in which text is looked for."""
BRIGHT_FRACTION: Final = 0.7
"""Share of the way from the border's median to the image's maximum from which a pixel may be a letter's."""
LETTER_HEIGHT_PIXELS: Final = (6, 40)
LETTERS_IN_LINE_MIN: Final = 4
"""Fewer marks in a row are found in noise and at the edge of a table."""
FILL_FRACTION: Final = (0.15, 0.85)
"""Share of its box that a letter fills: less is a thin edge, more a block."""
COMPONENTS_MAX: Final = 20_000
"""More marks than letters on a page: noise."""


def list_header_suspicions(dataset: Dataset, policy: Policy) -> frozenset[str]:
    """Return why an image's header speaks for text in its pixels.

    Parameters
    ----------
    dataset
        As read.
    policy
        With the classes and modalities that often carry text.
    """
    found = set()
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        found.add("the header says so")
    if str(dataset.get("SOPClassUID", "")) in policy.suspected:
        found.add("screen capture or ultrasound")
    if str(dataset.get("Modality", "")).upper() in policy.suspected_modalities:
        found.add("a kind of image that often carries text")
    if any(tag.group & 0xFF00 == 0x6000 for tag in tuple(dataset.keys())):
        found.add("overlay planes")
    if dataset.get("ConversionType"):
        found.add("converted from another medium")
    return frozenset(found)


def looks_lettered(plane: NDArray[Any]) -> bool:
    """Return whether a line of letters seems to stand near a border of an image.

    Parameters
    ----------
    plane
        Stored values, (rows, columns).

    Examples
    --------
    >>> looks_lettered(np.zeros((128, 128)))
    False
    """
    from scipy import ndimage

    if plane.ndim != 2 or min(plane.shape) < 32:
        return False
    values = plane.astype(np.float32)
    border = np.ones(values.shape, dtype=bool)
    depths = [max(12, round(size * BORDER_FRACTION)) for size in values.shape]
    border[depths[0] : -depths[0], depths[1] : -depths[1]] = False
    ground = float(np.median(values[border]))
    top = float(values.max())
    if top <= ground:
        return False
    marks = border & (values > ground + BRIGHT_FRACTION * (top - ground))
    labels, count = ndimage.label(marks, structure=np.ones((3, 3), dtype=int))
    if not LETTERS_IN_LINE_MIN <= count <= COMPONENTS_MAX:
        return False
    boxes = ndimage.find_objects(labels)
    filled = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    letters = [
        (rows.start, rows.stop, columns.start, columns.stop)
        for (rows, columns), pixels in zip(boxes, filled, strict=True)
        if _is_letter(rows.stop - rows.start, columns.stop - columns.start, int(pixels))
    ]
    return _has_line(sorted(letters, key=lambda box: box[2]))


def _is_letter(height: int, width: int, pixels: int) -> bool:
    low, high = LETTER_HEIGHT_PIXELS
    if not (low <= height <= high and 1 <= width <= 1.5 * height):
        return False
    # An I or a 1 fills its narrow box.
    share = pixels / (height * width)
    return width <= height / 3 or FILL_FRACTION[0] <= share <= FILL_FRACTION[1]


def _has_line(letters: list[tuple[int, int, int, int]]) -> bool:
    """Whether enough marks of one height stand on one line, near each other; ``letters`` go from left to right."""
    lengths = [1] * len(letters)
    broad = [int(right - left > (bottom - top) / 3) for top, bottom, left, right in letters]
    shaped = list(broad)
    for n, (top, bottom, left, _) in enumerate(letters):
        height = bottom - top
        for m in range(n - 1, -1, -1):
            other_top, other_bottom, _, other_right = letters[m]
            if left - letters[m][2] > 4 * height:
                break
            same_line = (
                abs(bottom - other_bottom) <= 0.2 * height + 1 and abs(top - other_top) <= 0.2 * height + 1
            )
            near = -1 <= left - other_right <= 1.2 * height
            if same_line and near and lengths[m] + 1 > lengths[n]:
                lengths[n], shaped[n] = lengths[m] + 1, shaped[m] + broad[n]
    # A row of narrow strokes alone is a scale or the edge of a table.
    return any(
        length >= LETTERS_IN_LINE_MIN and wide >= length / 2
        for length, wide in zip(lengths, shaped, strict=True)
    )
