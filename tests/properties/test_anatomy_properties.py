"""Laws that hold for any labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.anatomy.assemble import assemble_anatomy
from hepatica.anatomy.naming import Reading, read_label_numbers, read_name
from hepatica.anatomy.segments import LabelledSegment
from hepatica.anatomy.structures import StructureKind as K
from hepatica.anatomy.structures import to_bit
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask

GRID = Grid.from_axes(shape=(16, 15, 14), spacing_mm=(2, 2, 3), origin_lps_mm=(-9, 4, 7))
NAMES = ("heart", "stomach", "portalvein", "bone", "psoas", "frobnicator", "kidney_left", "body")


def box_mask(corner, size):
    full = np.zeros(GRID.shape, bool)
    full[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = True
    return Mask.from_full(full, grid=GRID)


corners = st.tuples(*(st.integers(0, 8) for _ in range(3)))
sizes = st.tuples(*(st.integers(1, 5) for _ in range(3)))
boxes = st.builds(box_mask, corners, sizes)
others = st.lists(st.tuples(st.sampled_from(NAMES), boxes), max_size=6)
lesions = st.lists(
    st.builds(box_mask, st.tuples(*(st.integers(3, 7) for _ in range(3))), sizes), min_size=1, max_size=3
)
LIVER = LabelledSegment(name="liver", mask=box_mask((2, 2, 2), (9, 9, 9)))


def build(others, lesions):
    segments = [LIVER]
    segments += [LabelledSegment(name=name, mask=mask) for name, mask in others]
    segments += [LabelledSegment(name=f"lesion {n}", mask=mask) for n, mask in enumerate(lesions)]
    return segments


@pytest.mark.requirement("A-anatomy-order")
@settings(deadline=None, max_examples=30, derandomize=True)
@given(others=others, lesions=lesions, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_labels_never_matters(others, lesions, shuffle):
    segments = build(others, lesions)
    first = assemble_anatomy(GRID, segments)
    shuffle.shuffle(segments)
    second = assemble_anatomy(GRID, segments)
    assert (first.anatomy.bits == second.anatomy.bits).all()
    assert first.findings == second.findings
    assert dict(first.anatomy.sources) == dict(second.anatomy.sources)
    assert [s.name for s in first.lesion_segments] == [s.name for s in second.lesion_segments]


@pytest.mark.requirement("A-anatomy-overlap")
@settings(deadline=None, max_examples=30, derandomize=True)
@given(others=others, lesions=lesions)
def test_overlapping_labels_all_keep_their_voxels_and_nothing_else_gets_a_bit(others, lesions):
    segments = build(others, lesions)
    result = assemble_anatomy(GRID, segments)
    wanted = {}
    for segment in segments:
        reading = read_name(segment.name)
        kind = K.OTHER_ORGAN if reading.reading is Reading.UNKNOWN else reading.kind
        if kind is not None:
            wanted[kind] = wanted.get(kind, np.zeros(GRID.shape, bool)) | segment.mask.to_full()
    for kind, full in wanted.items():
        found = result.anatomy.select(kind)
        if kind in (K.LIVER, K.BODY):
            assert found[full].all()
        else:
            assert (found == full).all()
    known = sum(to_bit(kind) for kind in wanted)
    assert not (result.anatomy.bits & np.uint32(~known & 0xFFFFFFFF)).any()
    liver = result.anatomy.select(K.LIVER)
    assert liver[result.anatomy.select(K.LESION)].all()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    name=st.sampled_from(sorted(read_label_numbers("totalsegmentator-v2").values())),
    style=st.sampled_from(["{}", "{}.nii.gz", "MASK_{}", "{} 2", "  {}  "]),
    upper=st.booleans(),
    blank=st.sampled_from(["_", " ", "-"]),
)
def test_spelling_style_never_changes_what_a_name_means(name, style, upper, blank):
    written = style.format(name.replace("_", blank))
    assert read_name(written.upper() if upper else written) == read_name(name)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_read_without_failure(name, hint):
    reading = read_name(name, hint=hint)
    assert (reading.kind is None) == (reading.reading in (Reading.UNKNOWN, Reading.IGNORABLE))
