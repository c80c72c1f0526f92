"""What holds for every dose rule and every set of lesions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.planning.dose.allocate import allocate_dose
from hepatica.planning.dose.protocol import Protocol, read_protocol
from hepatica.planning.dose.values import Allocation, DoseLesion

CLOSURE_ML = 1e-9
"""Sums of at most a dozen decimals, turned into floats once."""
CHECKED = settings(deadline=None, max_examples=40, derandomize=True)
SESSION = (
    b'extends = "ethanol-pei"\nname = "x"\ntitle = "x"\n[visits.session.ceiling]\nvalue = 9\nunit = "ml"\n'
)
WEEK = (
    b'extends = "tilsotolimod-deep"\nname = "x"\ntitle = "x"\n'
    b'[visits.week-1.concentration]\nvalue = 4\nunit = "mg_per_ml"\n'
)
PACKAGED = (
    "tvec-label", "pv10-liver:cohort-2", "nbtxr3-liver:42-percent", "jx594-liver:1e9-pfu", "h101-liver",
    "pts100-hcc:30-percent", "tavo-melanoma",
)  # fmt: skip
PROTOCOLS = {name: read_protocol(name) for name in PACKAGED} | {
    "ethanol-pei": Protocol.from_toml(SESSION, where="x"),
    "tilsotolimod-deep": Protocol.from_toml(WEEK, where="x"),
}
every_family = pytest.mark.parametrize("name", PROTOCOLS)

sizes = st.floats(min_value=1.0, max_value=150.0)
volumes = st.floats(min_value=0.01, max_value=800.0)


@st.composite
def lesion_lists(draw: st.DrawFn) -> list[DoseLesion]:
    count = draw(st.integers(min_value=1, max_value=9))
    return [
        DoseLesion(
            lesion_id=f"L{number}",
            longest_diameter_mm=draw(sizes),
            volume_ml=draw(volumes),
            is_new=draw(st.sampled_from([True, False, None])),
            site=draw(st.sampled_from(["liver", "cutaneous"])),
        )
        for number in range(1, count + 1)
    ]


def given_ml(allocation: Allocation) -> dict[str, float]:
    return {injection.lesion_id: injection.volume_ml for injection in allocation.injections}


def one(name: str, longest_mm: float, volume_ml: float) -> float:
    site = "cutaneous" if name == "tavo-melanoma" else "liver"
    lesion = DoseLesion(lesion_id="L1", longest_diameter_mm=longest_mm, volume_ml=volume_ml, site=site)
    return allocate_dose([lesion], protocol=PROTOCOLS[name], visit=1).injections[0].volume_ml


@pytest.mark.requirement("A-dose-monotone")
@every_family
@CHECKED
@given(st.tuples(sizes, sizes), st.tuples(volumes, volumes))
def test_a_larger_lesion_never_gets_less(
    name: str, pair_mm: tuple[float, float], pair_ml: tuple[float, float]
) -> None:
    (small_mm, large_mm), (small_ml, large_ml) = sorted(pair_mm), sorted(pair_ml)
    assert one(name, small_mm, small_ml) <= one(name, large_mm, small_ml) <= one(name, large_mm, large_ml)


@pytest.mark.requirement("A-dose-ceiling")
@every_family
@CHECKED
@given(lesion_lists())
def test_volumes_add_up_to_the_total_and_stay_under_ceiling_and_rule(
    name: str, lesions: list[DoseLesion]
) -> None:
    allocation = allocate_dose(lesions, protocol=PROTOCOLS[name], visit=1)
    assert abs(math.fsum(given_ml(allocation).values()) - allocation.total_ml) <= CLOSURE_ML
    if allocation.ceiling_ml is not None:
        assert allocation.total_ml <= allocation.ceiling_ml
    assert {injection.lesion_id for injection in allocation.injections} == {
        lesion.lesion_id for lesion in lesions
    }
    for injection in allocation.injections:
        assert 0 <= injection.volume_ml <= injection.rule_volume_ml + CLOSURE_ML
        assert (injection.reason != "") == (
            injection.volume_ml < injection.rule_volume_ml
        ) or injection.rank == 0
        assert injection.rank > 0 or injection.reason


@pytest.mark.requirement("A-dose-permutation")
@every_family
@CHECKED
@given(lesion_lists(), st.randoms(use_true_random=False))
def test_the_order_in_which_lesions_are_listed_does_not_matter(
    name: str, lesions: list[DoseLesion], random
) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(lesions)
    random.shuffle(shuffled)
    one_way = allocate_dose(lesions, protocol=PROTOCOLS[name], visit=1)
    other_way = allocate_dose(shuffled, protocol=PROTOCOLS[name], visit=1)
    assert one_way.injections == other_way.injections
    assert one_way.total_ml == other_way.total_ml


@pytest.mark.requirement("A-dose-monotone")
@every_family
@CHECKED
@given(lesion_lists(), sizes, volumes)
def test_one_lesion_more_never_gives_another_of_lower_rank_more(
    name: str, lesions: Sequence[DoseLesion], longest_mm: float, volume_ml: float
) -> None:
    site = "cutaneous" if name == "tavo-melanoma" else "liver"
    added = DoseLesion(lesion_id="L99", longest_diameter_mm=longest_mm, volume_ml=volume_ml, site=site)
    before = given_ml(allocate_dose(lesions, protocol=PROTOCOLS[name], visit=1))
    after = given_ml(allocate_dose([*lesions, added], protocol=PROTOCOLS[name], visit=1))
    smaller = [lesion.lesion_id for lesion in lesions if lesion.longest_diameter_mm < longest_mm]
    assert all(after[lesion_id] <= before[lesion_id] for lesion_id in smaller)
