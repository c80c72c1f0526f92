"""A scan that no viewer could hold is shown on a coarser grid, at its place and with its values."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest

from hepatica.adapters.nifti import view_volumes
from hepatica.adapters.nifti.view_volumes import (
    MOST_VOXELS,
    ViewVolumes,
    choose_pooling,
    pool_mean,
    pool_middle,
    to_pooled_grid,
)
from hepatica.core.geometry import Grid

pytestmark = pytest.mark.requirement("G-view-large")
OBLIQUE = np.array(
    [[0.0, -0.8, 0.0, 40.0], [0.7, 0.0, 0.1, -30.0], [0.07, 0.0, -1.0, 12.0], [0.0, 0.0, 0.0, 1.0]]
)


def make_grid(shape, spacing_mm):
    return Grid.from_axes(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=(0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "expected"),
    [
        ((512, 512, 62), (0.66, 0.66, 2.5), (1, 1, 1)),
        ((512, 512, 256), (0.7, 0.7, 1.0), (1, 1, 1)),
        ((512, 512, 1000), (0.7, 0.7, 0.6), (1, 1, 4)),
        ((512, 512, 1000), (0.7, 0.7, 1.0), (1, 1, 4)),
        ((1024, 1024, 200), (0.35, 0.35, 4.0), (2, 2, 1)),
        ((96, 96, 1000), (4.0, 4.0, 0.6), (1, 1, 1)),
        ((2048, 2048, 64), (0.2, 0.2, 5.0), (2, 2, 1)),
    ],
)
def test_slices_are_put_together_before_pixels_are_and_only_where_there_are_too_many(
    shape, spacing_mm, expected
):
    grid = make_grid(shape, spacing_mm)
    factors = choose_pooling(grid)
    assert factors == expected
    assert np.prod(to_pooled_grid(grid, factors).shape) <= MOST_VOXELS


def test_a_pooled_voxel_has_the_mean_of_its_voxels_and_lies_in_their_middle():
    rng = np.random.default_rng(4)
    values = rng.integers(-1000, 1000, (6, 4, 8)).astype(np.int16)
    grid = Grid(shape=values.shape, lps_from_ijk=OBLIQUE)
    factors = (2, 1, 4)
    pooled, coarse = pool_mean(values, factors), to_pooled_grid(grid, factors)
    expected = values.reshape(3, 2, 4, 1, 2, 4).astype(float).mean(axis=(1, 3, 5))
    assert np.abs(pooled - expected).max() <= 1.0, "rounded once along each axis"
    middle = grid.to_lps_mm(np.array([[i, 1, k] for i in (2, 3) for k in (4, 5, 6, 7)], float)).mean(axis=0)
    assert coarse.to_lps_mm(np.array([1.0, 1.0, 1.0])) == pytest.approx(middle)


def test_labels_are_never_mixed_and_an_end_that_is_no_whole_pool_is_kept():
    labels = np.zeros((5, 4, 9), np.uint8)
    labels[:, :, 8] = 7
    found = pool_middle(labels, (2, 1, 4))
    assert (
        found.shape == to_pooled_grid(make_grid(labels.shape, (1.0, 1.0, 1.0)), (2, 1, 4)).shape == (3, 4, 3)
    )
    assert set(np.unique(found)) == {0, 7} and (found[:, :, 2] == 7).all()


def test_volume_labels_and_spread_of_a_large_scan_lie_on_one_grid(monkeypatch):
    real = view_volumes.choose_pooling
    monkeypatch.setattr(view_volumes, "choose_pooling", lambda grid: real(grid, most_voxels=700))
    grid = Grid(shape=(10, 8, 40), lps_from_ijk=OBLIQUE)
    writer = ViewVolumes()
    made = [
        writer.to_volume(np.zeros(grid.shape, np.int16), grid=grid),
        writer.to_labels(np.ones(grid.shape, np.uint8), grid=grid),
        writer.to_spread([], grid=grid),
    ]
    images = [nibabel.Nifti1Image.from_bytes(gzip.decompress(content)) for content in made]
    assert len({image.shape for image in images}) == 1 and np.prod(images[0].shape) <= 700
    for image in images[1:]:
        assert np.array_equal(image.affine, images[0].affine)
