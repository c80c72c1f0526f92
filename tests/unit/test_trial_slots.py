"""Slots of the current cohort, by hand-made cohorts and by what must hold of any."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core.errors import InputError
from hepatica.trials.cohort_slots import derive_slots
from hepatica.trials.escalation import find_design
from hepatica.trials.outcomes import Patient, TrialData, parse_outcomes

TODAY = date(2026, 3, 10)
BOIN = {"dose_count": 3, "target": 0.3}


def slots_of(outcomes, *, waiting=(), first_doses=(), data=None, design=None, size=3, delay=7.0):
    data = parse_outcomes(outcomes) if data is None else data
    design = design or find_design("boin", **BOIN)
    return derive_slots(
        data, design.next_dose(data), size=size, waiting=waiting, first_doses=first_doses, delay_days=delay,
        today=TODAY,
    )  # fmt: skip


@pytest.mark.requirement("G-trial-slots")
@pytest.mark.parametrize(
    ("outcomes", "waiting", "expected"),
    [
        ("", [], (1, 0, 0, 3)),
        ("1N", [], (1, 1, 0, 2)),
        ("1NN", [1], (1, 2, 1, 0)),
        ("1NNN", [], (2, 0, 0, 3)),
        ("1NNN 2NNP", [], (2, 3, 0, 0)),
        ("1NNN 2NP", [], (2, 2, 0, 1)),
        # Two toxicities in two lead downwards at once: the cohort at level 2 is not filled up.
        ("1NNN 2TT", [], (1, 0, 0, 3)),
        # A patient at another level takes no slot here.
        ("1NNN 2N", [1], (2, 1, 0, 2)),
    ],
)
def test_the_slots_of_a_cohort_are_those_counted_by_hand(outcomes, waiting, expected):
    found = slots_of(outcomes, waiting=waiting)
    assert (found.dose, found.taken, found.assigned, found.free) == expected


@pytest.mark.requirement("G-trial-slots")
def test_a_trial_that_stops_has_no_slot():
    found = slots_of("1TTT")
    assert (found.dose, found.free, found.earliest_date) == (None, 0, None)


@pytest.mark.requirement("G-trial-slots")
def test_a_patient_who_is_replaced_leaves_a_free_slot():
    data = TrialData(
        patients=(*parse_outcomes("1NNN 2N").patients, Patient(dose=2, dlt=False, evaluable=False))
    )
    assert slots_of("", data=data).free == 2


@pytest.mark.requirement("G-trial-slots")
def test_the_next_slot_waits_for_the_days_between_first_doses_at_its_level_only():
    first = [(1, date(2026, 3, 9)), (2, date(2026, 3, 6))]
    found = slots_of("1NNN 2N", first_doses=first)
    assert (found.earliest_date, found.days) == (date(2026, 3, 13), 3)
    assert slots_of("1NNN", first_doses=first[:1]).days == 0


@pytest.mark.requirement("G-trial-slots")
def test_a_full_cohort_under_hold_waits_until_the_last_window_has_closed():
    open_ = Patient(dose=2, dlt=False, follow_up_fraction=0.5, days_left=14.0)
    data = TrialData(patients=(*parse_outcomes("1NNN 2NN").patients, open_))
    found = slots_of("", data=data)
    assert (found.free, found.days, found.earliest_date) == (0, 14, date(2026, 3, 24))


def test_a_cohort_of_nobody_is_refused():
    with pytest.raises(InputError):
        slots_of("", size=0)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    cohorts=st.lists(
        st.tuples(st.integers(1, 3), st.text("NTP", min_size=1, max_size=5)), min_size=0, max_size=6
    ),
    waiting=st.lists(st.integers(1, 3), max_size=5),
    size=st.integers(1, 4),
)
def test_no_slot_is_free_twice_and_none_at_a_level_that_is_not_admissible(cohorts, waiting, size):
    data = parse_outcomes(" ".join(f"{dose}{letters}" for dose, letters in cohorts))
    advice = find_design("boin", **BOIN).next_dose(data)
    found = derive_slots(data, advice, size=size, waiting=waiting, first_doses=[], delay_days=0, today=TODAY)
    assert 0 <= found.free <= size - min(size, found.taken)
    assert found.free == 0 or found.free == size - found.taken - found.assigned
    if found.free:
        assert advice.continue_ and advice.dose_admissible[found.dose - 1]
