"""A reader decides; a lesion keeps one UID for life; what nobody confirmed never counts as gone."""

from __future__ import annotations

import pytest
from tracked_pairs import make_lesions

from hepatica.core.errors import InputError
from hepatica.lesions.matching.decisions import Decision, LinkStatus, Verdict, apply_decisions
from hepatica.lesions.matching.identity import derive_first_identities, derive_next_identities
from hepatica.lesions.matching.match import LesionLink, LinkKind
from hepatica.lesions.matching.measured import measure_lesions


def link(kind, before=(), after=(), score=0.99):
    return LesionLink(
        kind=kind,
        baseline_ids=tuple(before),
        followup_ids=tuple(after),
        score=score,
        ambiguous=False,
        evidence=None,
    )


PROPOSALS = (
    link(LinkKind.MATCHED, ["L1"], ["F1"]),
    link(LinkKind.SPLIT, ["L2"], ["F2", "F3"]),
    link(LinkKind.MERGED, ["L3", "L4"], ["F4"]),
    link(LinkKind.VANISHED, ["L5"]),
    link(LinkKind.NEW, [], ["F5"]),
)
KNOWN = derive_first_identities([f"L{n}" for n in range(1, 6)], scan_digest="baseline")


def decide(verdict, of, reason="seen"):
    return Decision(
        verdict=verdict,
        kind=of.kind,
        baseline_ids=of.baseline_ids,
        followup_ids=of.followup_ids,
        reason=reason,
    )


@pytest.mark.requirement("D-track-uid")
def test_a_match_keeps_name_and_uid_and_parts_get_their_own_with_parents_recorded():
    found = derive_next_identities(apply_decisions(PROPOSALS, []), known=KNOWN, scan_digest="follow-up")
    assert (found["F1"].name, found["F1"].tracking_uid) == ("L1", KNOWN["L1"].tracking_uid)
    assert [found[name].name for name in ("F2", "F3", "F4", "F5")] == ["L2.1", "L2.2", "L3/L4", "NEW01"]
    assert found["F2"].parent_uids == (KNOWN["L2"].tracking_uid,)
    assert found["F4"].parent_uids == (KNOWN["L3"].tracking_uid, KNOWN["L4"].tracking_uid)
    uids = [one.tracking_uid for one in (*KNOWN.values(), *(found[n] for n in ("F2", "F3", "F4", "F5")))]
    assert len(set(uids)) == len(uids)


@pytest.mark.requirement("D-track-uid")
def test_baseline_uids_do_not_depend_on_the_follow_up_or_on_confirmation():
    accepted = apply_decisions(PROPOSALS, [decide(Verdict.ACCEPT, PROPOSALS[0])], reader="Reader A")
    found = derive_next_identities(accepted, known=KNOWN, scan_digest="another follow-up")
    assert found["F1"].tracking_uid == KNOWN["L1"].tracking_uid
    assert found["F1"].status is LinkStatus.CONFIRMED
    assert found["F5"].status is LinkStatus.PROPOSED


@pytest.mark.requirement("D-track-confirm")
def test_a_rejected_link_leaves_its_lesions_open_until_another_is_added():
    rejected = apply_decisions(
        PROPOSALS, [decide(Verdict.REJECT, PROPOSALS[1], "not a part")], reader="Reader A"
    )
    assert (rejected.open_baseline_ids, rejected.open_followup_ids) == (("L2",), ("F2", "F3"))
    replaced = apply_decisions(
        PROPOSALS,
        [
            decide(Verdict.REJECT, PROPOSALS[1], "not a part"),
            decide(Verdict.ADD, link(LinkKind.MATCHED, ["L2"], ["F2"])),
            decide(Verdict.ADD, link(LinkKind.NEW, [], ["F3"])),
        ],
        reader="Reader A",
    )
    assert replaced.open_baseline_ids == replaced.open_followup_ids == ()
    found = derive_next_identities(replaced, known=KNOWN, scan_digest="follow-up")
    assert found["F2"].tracking_uid == KNOWN["L2"].tracking_uid


@pytest.mark.requirement("D-track-confirm")
@pytest.mark.parametrize(
    ("decisions", "reader", "word"),
    [
        ([decide(Verdict.ACCEPT, PROPOSALS[0])], "", "reader"),
        ([decide(Verdict.ADD, PROPOSALS[0])], "A", "proposed"),
        ([decide(Verdict.ACCEPT, link(LinkKind.MATCHED, ["L1"], ["F2"]))], "A", "proposed"),
        ([decide(Verdict.ADD, link(LinkKind.MATCHED, ["L1"], ["F2"]))], "A", "twice"),
        ([decide(Verdict.ADD, link(LinkKind.NEW, [], ["F9"]))], "A", "unknown"),
        ([decide(Verdict.ACCEPT, PROPOSALS[0]), decide(Verdict.REJECT, PROPOSALS[0])], "A", "one decision"),
    ],
)
def test_decisions_that_contradict_are_refused(decisions, reader, word):
    with pytest.raises(InputError, match=word):
        apply_decisions(PROPOSALS, decisions, reader=reader)


@pytest.mark.requirement("D-track-confirm")
def test_a_decision_without_a_reason_or_with_the_wrong_number_of_lesions_is_refused():
    with pytest.raises(InputError, match="reason"):
        decide(Verdict.ACCEPT, PROPOSALS[0], " ")
    with pytest.raises(InputError, match="several"):
        decide(Verdict.ADD, link(LinkKind.SPLIT, ["L1"], ["F1"]))


@pytest.mark.requirement("D-track-measure")
def test_lesions_are_named_by_longest_diameter_and_measured_exactly():
    balls = make_lesions([(-30, 0, 0), (20, 0, 0)], [6, 9])
    found, _ = measure_lesions([(one.lesion_id, one.mask) for one in balls])
    assert [(one.lesion_id, one.label) for one in found] == [("L1", "L2"), ("L2", "L1")]
    pixels = (one.mask.index_ijk().shape[0] for one in found)
    assert [one.volume_ml for one in found] == pytest.approx([n * 1.5**3 / 1000 for n in pixels])
    # Centres of boundary pixels lie within a pixel of the ball's surface at either end.
    assert [one.longest_diameter.length_mm for one in found] == pytest.approx([18.0, 12.0], abs=2 * 1.5)
