"""A lesion that was gone and comes back keeps its tracking UID for life, as a proposal a reader has to confirm."""

from __future__ import annotations

import numpy as np
import pytest
from tracked_pairs import make_lesions

from hepatica.core.errors import InputError
from hepatica.core.evidence import read_evidence_table
from hepatica.imaging.deformation import ScanMap
from hepatica.lesions.matching.decisions import Decision, LinkStatus, Verdict, apply_decisions
from hepatica.lesions.matching.identity import derive_first_identities, derive_next_identities
from hepatica.lesions.matching.match import TABLES, LinkKind, match_lesions
from hepatica.lesions.matching.reappearance import derive_gone, propose_reappearances

TABLE = read_evidence_table(TABLES, "tracking.toml")
UNCERTAINTY_MM = 2.0
SHIFT = np.array([[1.0, 0, 0, 8.0], [0, 1.0, 0, -3.0], [0, 0, 1.0, 2.0], [0, 0, 0, 1.0]])
"""The patient lies otherwise at every visit: coordinates of one scan mean nothing in the next."""
THERE = ScanMap(moving_from_fixed=SHIFT)


def visit(centres, names, *, shifts):
    places = [np.asarray(centre) + shifts * SHIFT[:3, 3] for centre in centres]
    move = np.eye(4)
    move[:3, 3] = shifts * SHIFT[:3, 3]
    return make_lesions(
        [place - move[:3, 3] for place in places], [6.0] * len(centres), names=names, move=move
    )


def three_visits(last):
    """A at all visits; B at the first only, then whatever is given."""
    first = visit([(-30, 0, 0), (20, 10, 5)], ["A", "B"], shifts=0)
    second = visit([(-30, 0, 0)], ["a"], shifts=1)
    third = visit([(-30, 0, 0), *last], ["x", *(f"y{n}" for n in range(len(last)))], shifts=2)
    known = derive_first_identities(["A", "B"], scan_digest="one")
    shared = {"scan_map": THERE, "uncertainty_mm": UNCERTAINTY_MM}
    settled = apply_decisions(match_lesions(first, second, table=TABLE, **shared), [])
    gone = derive_gone(settled, known, first, (), visit=1, **shared)
    before = derive_next_identities(settled, known=known, scan_digest="two")
    proposals = propose_reappearances(
        match_lesions(second, third, table=TABLE, **shared), gone, third, table=TABLE, **shared
    )
    return known, gone, before, proposals, (second, third)


@pytest.mark.requirement("D-track-reappearing")
def test_a_lesion_seen_again_where_it_was_last_seen_is_proposed_under_its_own_uid_and_flagged():
    known, gone, before, proposals, _ = three_visits([(21, 11, 5)])
    assert [one.lesion_id for one in gone] == ["B (gone)"] and gone[0].last_visit == 1
    (link,) = [p for p in proposals if p.kind is LinkKind.REAPPEARED]
    assert (link.baseline_ids, link.followup_ids) == (("B (gone)",), ("y0",))
    assert link.ambiguous and link.other == "new: none -> y0" and 0.5 < link.score < 1
    everyone = {**before, **{one.lesion_id: one.identity for one in gone}}
    settled = apply_decisions(proposals, [], gone_ids=["B (gone)"])
    after = derive_next_identities(settled, known=everyone, scan_digest="three")
    assert (after["y0"].name, after["y0"].tracking_uid) == ("B", known["B"].tracking_uid)
    assert after["y0"].status is LinkStatus.PROPOSED
    assert after["x"].tracking_uid == known["A"].tracking_uid


@pytest.mark.requirement("D-track-reappearing")
def test_a_lesion_elsewhere_is_new_and_of_two_at_the_place_the_nearer_one_comes_back():
    *_, proposals, _ = three_visits([(20, -30, -20)])
    assert {p.kind for p in proposals} == {LinkKind.MATCHED, LinkKind.NEW}
    *_, proposals, _ = three_visits([(31, 10, 5), (20.5, 10, 5)])
    kinds = {p.followup_ids[0]: p.kind for p in proposals if p.followup_ids}
    assert kinds["y1"] is LinkKind.REAPPEARED and kinds["y0"] is LinkKind.NEW


@pytest.mark.requirement("D-track-reappearing")
def test_a_reader_may_say_new_instead_and_the_lesion_stays_gone():
    _, gone, before, proposals, (second, third) = three_visits([(21, 11, 5)])
    (link,) = [p for p in proposals if p.kind is LinkKind.REAPPEARED]
    no = Decision(
        verdict=Verdict.REJECT, kind=link.kind, baseline_ids=link.baseline_ids,
        followup_ids=link.followup_ids, reason="another lesion",
    )  # fmt: skip
    new = Decision(
        verdict=Verdict.ADD, kind=LinkKind.NEW, baseline_ids=(), followup_ids=("y0",), reason="another lesion"
    )
    settled = apply_decisions(proposals, [no, new], reader="Reader A", gone_ids=["B (gone)"])
    assert settled.open_baseline_ids == () and settled.open_followup_ids == ()
    known = {**before, "B (gone)": gone[0].identity}
    after = derive_next_identities(settled, known=known, scan_digest="three")
    assert after["y0"].name == "NEW01" and after["y0"].tracking_uid != gone[0].identity.tracking_uid
    left = derive_gone(settled, known, second, gone, scan_map=THERE, uncertainty_mm=UNCERTAINTY_MM, visit=2)
    (still,) = left
    assert still.last_visit == 1 and still.uncertainty_mm == pytest.approx(UNCERTAINTY_MM * 2**0.5)
    # Carried through both moves of the patient to where it would lie in the third scan.
    assert still.centre_lps_mm == pytest.approx(np.array([20, 10, 5]) + 2 * SHIFT[:3, 3], abs=0.3)


@pytest.mark.requirement("D-track-reappearing")
def test_the_name_of_a_gone_lesion_is_never_given_to_a_new_one():
    first = visit([(-30, 0, 0)], ["a"], shifts=1)
    third = visit([(-30, 0, 0), (20, -30, -20)], ["x", "y"], shifts=2)
    settled = apply_decisions(
        match_lesions(first, third, scan_map=THERE, uncertainty_mm=UNCERTAINTY_MM, table=TABLE), []
    )
    known = derive_first_identities(["a", "NEW01"], scan_digest="one")
    known["NEW01 (gone)"] = known.pop("NEW01")
    after = derive_next_identities(settled, known=known, scan_digest="three")
    assert after["y"].name == "NEW02"


@pytest.mark.requirement("D-track-reappearing")
def test_only_a_gone_lesion_can_reappear():
    *_, proposals, _ = three_visits([(20, -30, -20)])
    (matched,) = [p for p in proposals if p.kind is LinkKind.MATCHED]
    no = Decision(
        verdict=Verdict.REJECT, kind=matched.kind, baseline_ids=matched.baseline_ids,
        followup_ids=matched.followup_ids, reason="no",
    )  # fmt: skip
    wrong = Decision(
        verdict=Verdict.ADD, kind=LinkKind.REAPPEARED, baseline_ids=matched.baseline_ids,
        followup_ids=matched.followup_ids, reason="no",
    )  # fmt: skip
    with pytest.raises(InputError, match="reappeared"):
        apply_decisions(proposals, [no, wrong], reader="Reader A", gone_ids=["B (gone)"])
