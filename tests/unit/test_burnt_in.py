"""Marks that look like text at the border of an image are noticed; anatomy, table and noise are not."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.adapters.dicom.burnt_in import looks_lettered

SIZE = 256


def make_body(*, table=True, seed=1) -> np.ndarray:
    """An axial slice: noise, a body, a spine and a curved table top."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    image = rng.normal(-1000, 15, (SIZE, SIZE))
    body = ((x - 128) / 95) ** 2 + ((y - 120) / 70) ** 2 < 1
    image[body] = rng.normal(50, 15, body.sum())
    image[((x - 128) / 12) ** 2 + ((y - 165) / 12) ** 2 < 1] = 700
    if table:
        curve = 205 + ((x - 128) / 60.0) ** 2 * 6
        image[abs(y - curve) < 2] = 200
    return image


def write_text(image, text, *, x, y, height=11, value=None):
    """Draw letters with the renderer that the reports use."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE / 100, SIZE / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(x / SIZE, 1 - y / SIZE, text, fontsize=height * 0.72, family="DejaVu Sans Mono")
    canvas.draw()
    ink = np.asarray(canvas.buffer_rgba())[..., 0] < 128
    result = image.copy()
    result[ink] = image.max() if value is None else value
    return result


@pytest.mark.requirement("F-research-burnt-in")
@pytest.mark.parametrize("place", [(8, 20), (150, 20), (8, 250), (150, 250)])
@pytest.mark.parametrize("text", ["QUAGGAPERSON", "03.02.1931", "ID 47110815"])
def test_a_line_of_text_in_a_corner_is_noticed(place, text):
    assert looks_lettered(write_text(make_body(), text, x=place[0], y=place[1]))


@pytest.mark.requirement("F-research-burnt-in")
@pytest.mark.parametrize("seed", range(6))
def test_a_body_with_or_without_a_table_is_not_taken_for_text(seed):
    assert not looks_lettered(make_body(seed=seed, table=seed % 2 == 0))


def test_its_limits_are_as_the_page_says_text_over_the_body_and_dark_text_are_not_found():
    assert not looks_lettered(write_text(make_body(), "QUAGGA", x=100, y=125, value=60))
    assert not looks_lettered(write_text(make_body() + 2000, "QUAGGA", x=8, y=20, value=0))


@pytest.mark.requirement("F-research-burnt-in")
@pytest.mark.real_data("hcc-tace-seg-015")
def test_no_image_of_a_real_ct_is_taken_for_one_with_text(real_data):
    from scan_files import make_readers

    from hepatica.core.progress import SILENT

    images, _ = make_readers()
    folder = real_data / "hcc-tace-seg-015" / "ct_venous"
    found = [s for s in images.list_series(folder) if s.role == "image"]
    assert found
    for series in found[:2]:
        values = images.read_image(folder, series=str(series.number), progress=SILENT).volume.values
        flagged = [k for k in range(0, values.shape[2], 3) if looks_lettered(np.asarray(values[:, :, k]).T)]
        assert flagged == []
