"""What holds of every day, however its entries arrive and whatever was entered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from procedure_days import SETTINGS, at, make_day, make_entry, make_planned

from hepatica.core.errors import HepaticaError, LockedError
from hepatica.core.findings import NotEvaluable
from hepatica.procedure.append import append_entries
from hepatica.procedure.check_day import check_day
from hepatica.procedure.outputs import sum_all, to_day_document
from hepatica.procedure.state import derive_day

PLANNED = make_planned()
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SLACK_ML = 1e-6
"""Rounding of sums of volumes."""


def to_document(entries):
    day = derive_day(entries, PLANNED, settings=SETTINGS)
    found = check_day(day, PLANNED, as_of=at("14:00"), settings=SETTINGS)
    return to_day_document(day, PLANNED, findings=found, as_of=at("14:00"))


def corrections():
    deposit = next(entry for entry in make_day() if entry.entry_id == "e45")
    return [
        replace(deposit, entry_id="c1", supersedes="e45", reason="a", entered_at=at("13:00")),
        replace(deposit, entry_id="c2", supersedes="e45", reason="b", entered_at=at("13:01")),
        make_entry("c3", "void", "13:02", supersedes="e40", reason="other patient"),
    ]


@pytest.mark.requirement("F-procedure-merge")
@QUICK
@given(st.permutations([*make_day(), *corrections()]))
def test_the_order_of_arrival_changes_nothing(entries):
    assert to_document(entries) == to_document([*make_day(), *corrections()])


@pytest.mark.requirement("F-procedure-idempotency")
@QUICK
@given(st.lists(st.sampled_from(make_day()), max_size=30), st.integers(0, 20))
def test_delivery_twice_changes_nothing(again, minutes):
    late = [replace(entry, entered_at=at(f"18:{minutes:02d}")) for entry in again]
    assert to_document([*make_day(), *late]) == to_document(make_day())
    outcome = append_entries(make_day(), late, planned=PLANNED, settings=SETTINGS)
    assert outcome.added == () and outcome.entries == tuple(make_day())


@pytest.mark.requirement("F-procedure-merge")
@QUICK
@given(
    st.lists(st.booleans(), min_size=len(make_day()) - 1, max_size=len(make_day()) - 1),
    st.randoms(use_true_random=False),
)
def test_two_tablets_that_send_in_any_order_give_the_same_day(hands, random):
    """Each tablet sends its own entries in lots of three; the closing comes at the end."""
    rest, closing = make_day()[:-1], make_day()[-1]
    first = [entry for entry, mine in zip(rest, hands) if mine]
    second = [entry for entry, mine in zip(rest, hands) if not mine]
    lots = [tablet[i : i + 3] for tablet in (first, second) for i in range(0, len(tablet), 3)]
    random.shuffle(lots)
    held = ()
    for lot in [*lots, [closing]]:
        held = append_entries(held, lot, planned=PLANNED, settings=SETTINGS).entries
    assert to_document(held) == to_document(make_day())


volumes = st.floats(0.01, 3.0).map(lambda v: round(v, 2))


@pytest.mark.requirement("F-procedure-balance")
@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from(["S1", "S2"]), st.sampled_from(["L1", "L2", "L3"]), volumes), max_size=8
    ),
    st.lists(
        st.tuples(st.sampled_from(["S1", "S2"]), st.sampled_from(["V1", "V2", "V3"]), volumes), max_size=4
    ),
)
def test_no_total_exceeds_what_was_drawn_and_no_draw_what_vials_held(gifts, draws):
    entries = [entry for entry in make_day() if entry.kind not in ("deposit", "draw", "close")]
    entries += [
        make_entry(
            f"g{i}",
            "deposit",
            "08:48",
            needle_id="N1",
            lesion_id=lesion,
            syringe_id=syringe,
            volume_ml=ml,
            leak="none",
        )
        for i, (syringe, lesion, ml) in enumerate(gifts)
    ]
    entries += [
        make_entry(f"d{i}", "draw", "08:31", syringe_id=syringe, vial_id=vial, volume_ml=ml)
        for i, (syringe, vial, ml) in enumerate(draws)
    ]
    day = derive_day(entries, PLANNED, settings=SETTINGS)
    total = sum_all([row.given_ml for row in day.comparison.lesions])
    if isinstance(total, NotEvaluable):
        assert not day.supply.is_balanced and not day.may("close").allowed
    else:
        assert total <= day.supply.drawn_ml + SLACK_ML
        used = {name for syringe, _, _ in gifts for name in day.supply.syringes[syringe].vial_ids}
        assert all(day.supply.vials[name].drawn_ml <= 1.0 + SLACK_ML for name in used)
        assert total == pytest.approx(sum(ml for _, _, ml in gifts))


@pytest.mark.requirement("F-procedure-close")
@QUICK
@given(
    st.sampled_from(
        ["note", "vital_signs", "deposit", "complication", "needle_in", "deviation_reason", "close"]
    )
)
def test_nothing_but_a_correction_enters_a_closed_day(kind):
    values = {
        "note": {"text": "x"}, "vital_signs": {"heart_rate_per_min": 70}, "complication": {"term": "pain"},
        "deposit": {"needle_id": "N1", "lesion_id": "L1", "syringe_id": "S1", "volume_ml": 0.1, "leak": "none"},
        "needle_in": {"needle_id": "N9"}, "deviation_reason": {"deviation": "volume:L1", "text": "x"}, "close": {},
    }[kind]  # fmt: skip
    with pytest.raises(LockedError):
        append_entries(
            make_day(), [make_entry("n1", kind, "13:20", **values)], planned=PLANNED, settings=SETTINGS
        )


@pytest.mark.requirement("F-procedure-order")
@QUICK
@given(st.sets(st.sampled_from([entry.entry_id for entry in make_day()])))
def test_whatever_is_missing_the_day_can_be_read_and_every_deposit_counts(dropped):
    entries = [entry for entry in make_day() if entry.entry_id not in dropped]
    day = derive_day(entries, PLANNED, settings=SETTINGS)
    check_day(day, PLANNED, as_of=at("14:00"), settings=SETTINGS)
    assert sum(row.deposits for row in day.comparison.lesions) == sum(e.kind == "deposit" for e in entries)


@pytest.mark.requirement("F-procedure-correction")
@QUICK
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6))
def test_corrections_in_a_circle_are_refused_and_no_other_chain_is(pairs):
    """Entry i may name entry j as what it corrects; a circle has no entry that came first."""
    target = dict(pairs)
    entries = [
        make_entry(
            f"n{i}",
            "note",
            "10:00",
            text="x",
            **({"supersedes": f"n{target[i]}", "reason": "r"} if i in target else {}),
        )
        for i in range(7)
    ]

    def is_circular(i):
        seen = set()
        while i in target and i not in seen:
            seen.add(i)
            i = target[i]
        return i in seen

    if any(is_circular(i) for i in range(7)):
        with pytest.raises(HepaticaError):
            derive_day(entries, PLANNED, settings=SETTINGS)
    else:
        live = derive_day(entries, PLANNED, settings=SETTINGS).live
        assert len(live) == 7 - len(target)
