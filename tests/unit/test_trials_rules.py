"""Rules around designs, linked populations, waiting for outcomes, pathways and backfilling."""

from __future__ import annotations

from datetime import date

import pytest

from hepatica.core.errors import InputError, NotFoundError, ProtocolError
from hepatica.trials.design import StopKind
from hepatica.trials.dose_levels import DoseLevel, EscalationProtocol, read_patients
from hepatica.trials.escalation import find_design
from hepatica.trials.outcomes import Patient, TrialData, parse_outcomes
from hepatica.trials.pathways import derive_pathways
from hepatica.trials.populations import FollowingPopulation, derive_cleared_level
from hepatica.trials.rule_options import join_rules, read_rule
from hepatica.trials.rules import RuledDesign

SKELETON = (0.05, 0.1, 0.25, 0.4, 0.6)


def crm(*rules, **options):
    design = find_design("crm", skeleton=SKELETON, target=0.25, **options)
    return RuledDesign(design=design, rules=join_rules(rules))


def ask(design, text):
    advice = design.next_dose(parse_outcomes(text))
    return advice.recommended_dose, advice.continue_


@pytest.mark.requirement("E-rules")
def test_stop_at_n_stops_when_the_planned_number_is_reached():
    design = crm(("stop-at-n", "6"))
    assert ask(design, "1NNN 2NN")[1]
    assert not ask(design, "1NNN 2NNN")[1]


@pytest.mark.requirement("E-rules")
@pytest.mark.parametrize(("where", "stops"), [("", True), (":any", True), (":2", True), (":1", False)])
def test_stop_n_at_dose_looks_where_it_is_told(where, stops):
    assert ask(crm(("stop-n-at-dose", f"12{where}")), "1NNN 2NTN 2TNN 2NNN 2NTT")[1] is not stops


@pytest.mark.requirement("E-rules")
def test_a_later_demand_overrules_an_earlier_size_stop_and_an_earlier_one_does_not():
    text = "1NNN 1NNN 2TNN 2NNN"
    assert not ask(crm(("stop-at-n", "12")), text)[1]
    assert ask(crm(("stop-at-n", "12"), ("demand-n", "9")), text)[1]
    assert not ask(crm(("demand-n", "9"), ("stop-at-n", "12")), text)[1]


@pytest.mark.requirement("E-rules")
def test_a_demand_never_overrules_a_toxicity_stop():
    rules = (("stop-too-toxic", "1,0.35,0.8"), ("demand-n", "9"))
    advice = crm(*rules).next_dose(parse_outcomes("1TTT"))
    assert (advice.recommended_dose, advice.continue_, advice.stop_kind) == (None, False, StopKind.TOXICITY)
    boin = RuledDesign(
        design=find_design("boin", dose_count=5, target=0.3), rules=join_rules([("demand-n", "9")])
    )
    assert ask(boin, "1TTT") == (None, False)


@pytest.mark.requirement("E-rules")
def test_rescue_tries_the_dose_before_stopping():
    rules = (("stop-too-toxic", "1,0.35,0.8"), ("rescue", "1,2"))
    assert ask(crm(rules[0]), "2TTT") == (None, False)
    assert ask(crm(*rules), "2TTT") == (1, True)
    assert ask(crm(*rules), "2TTT 1T") == (1, True)
    assert ask(crm(*rules), "2TTT 1TT") == (None, False)


@pytest.mark.requirement("E-rules")
def test_stop_when_the_interval_is_covered():
    text = "1NNN 2NNN 3NNT 3NNN 3TNT 2NNN"
    assert ask(crm(("stop-ci-covered", "0.15,0.35")), text)[1]
    assert not ask(crm(("stop-ci-covered", "0.05,0.45")), text)[1]


@pytest.mark.requirement("E-rules")
def test_stop_too_toxic_at_any_dose():
    rule = read_rule("stop-too-toxic", "any,0.5,0.7")
    design = RuledDesign(design=find_design("crm", skeleton=SKELETON, target=0.25), rules=(rule,))
    assert not ask(design, "1NNN 2NNN 3NNT 3NNN 3TNT 2NNN")[1]


@pytest.mark.requirement("E-rules")
def test_stick_on_stays_at_exact_counts_only():
    base = find_design("mtpi2", dose_count=5, target=0.25)
    stuck = RuledDesign(design=base, rules=join_rules([("stick-on", "1,3")]))
    assert ask(base, "1NNN 2NTN") == (1, True)
    assert ask(stuck, "1NNN 2NTN") == (2, True)
    assert ask(stuck, "1NNN 2NTN 2N") == ask(base, "1NNN 2NTN 2N")


@pytest.mark.requirement("E-rules")
def test_no_skip_holds_both_directions():
    assert ask(crm(allow_skipping=True), "1NNN")[0] > 2
    assert ask(crm(("no-skip", "up"), allow_skipping=True), "1NNN")[0] == 2
    assert ask(crm(), "1NNN")[0] == 2
    assert ask(crm(), "1NNN 2N 3TTT")[0] == 1
    assert ask(crm(("no-skip", "down")), "1NNN 2N 3TTT")[0] == 2


@pytest.mark.requirement("E-rules")
def test_unadmit_untested_leaves_given_and_recommended_doses():
    advice = crm(("unadmit-untested", "")).next_dose(parse_outcomes("1NNN"))
    assert advice.dose_admissible == (True, True, False, False, False)


@pytest.mark.requirement("E-rules")
@pytest.mark.parametrize(
    ("text", "three", "four"),
    [
        ("", (1, True), (1, True)),
        ("1N", (1, True), (1, True)),
        ("1NN", (2, True), (2, True)),
        ("1NT", (1, True), (1, True)),
        ("1NTN", (1, True), (1, True)),
        ("1TTT", (None, False), (1, True)),
        ("1TTTT", (None, False), (None, False)),
    ],
)
def test_a_path_is_followed_then_its_cohort_completed_then_the_design_decides(text, three, four):
    base = find_design("mtpi2", dose_count=5, target=0.25)
    path = ("follow-path", "1NN 2NN 3NN")
    for n, expected in (("3", three), ("4", four)):
        assert ask(RuledDesign(design=base, rules=join_rules([path, ("expand-cohort", n)])), text) == expected


@pytest.mark.requirement("E-rules")
def test_a_path_lets_maximum_likelihood_wait_for_the_first_dlt():
    bare = crm(method="mle")
    with pytest.raises(InputError, match="at least one DLT"):
        bare.next_dose(parse_outcomes("1NNN"))
    assert ask(crm(("follow-path", "1NNN 2NNN 3NNN"), method="mle"), "1NNN") == (2, True)
    assert ask(crm(("follow-path", "1NNN 2NNN 3NNN"), method="mle"), "1NNN 2NNT")[1]


@pytest.mark.requirement("E-rules")
def test_expand_cohort_alone_fills_the_recommended_dose_of_a_complete_design():
    base = find_design("3+3", dose_count=3)
    design = RuledDesign(design=base, rules=join_rules([("expand-cohort", "9")]))
    assert ask(base, "1NNN 2NTT") == (1, False)
    assert ask(design, "1NNN 2NTT") == (1, True)
    assert ask(design, "1NNN 2NTT 1NNNNNN") == (1, False)


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop-at-n", "0"),
        ("stop-at-n", "many"),
        ("stop-too-toxic", "1,0.3"),
        ("stop-ci-covered", "0.5,0.2"),
        ("no-skip", "left"),
        ("stick-on", "1"),
        ("rescue", "x,2"),
        ("follow-path", "1XYZ"),
    ],
)
def test_rules_refuse_values_that_do_not_fit(name, value):
    with pytest.raises(InputError):
        read_rule(name, value)


@pytest.mark.requirement("E-linked-populations")
def test_a_level_of_the_following_population_stays_closed_until_the_leading_one_has_cleared_it():
    own = find_design("boin", dose_count=4, target=0.3)
    for cleared, dose, held in ((0, None, True), (1, 1, True), (2, 2, False), (4, 2, False)):
        advice = FollowingPopulation(design=own, cleared=cleared).next_dose(parse_outcomes("1NNN"))
        assert (advice.recommended_dose, advice.hold is not None, advice.continue_) == (dose, held, True)
        assert advice.dose_admissible == tuple(d <= cleared for d in range(1, 5))


@pytest.mark.requirement("E-linked-populations")
@pytest.mark.parametrize(
    ("name", "text", "cleared"),
    [
        ("3+3", "", 0),
        ("3+3", "1NNT", 0),
        ("3+3", "1NNN", 1),
        ("3+3", "1NNN 2NTT", 1),
        ("3+3", "1NTT", 0),
        ("3+3", "1NNN 2NNN 3NNN", 3),
        ("boin", "1NNN 2NNN 3NNN", 3),
        ("boin", "1NNN 2NTT", 0),
        ("boin", "1NNN 2NNN 3NNT", 2),
    ],
)
def test_cleared_levels_follow_from_the_leading_population_under_its_own_design(name, text, cleared):
    assert derive_cleared_level(find_design(name, dose_count=3, target=0.3), parse_outcomes(text)) == cleared


def waiting(dose, fractions, window=30.0, dlts=()):
    return [
        Patient(dose=dose, dlt=i in dlts, follow_up_fraction=f, days_left=(1 - f) * window)
        for i, f in enumerate(fractions)
    ]


@pytest.mark.requirement("E-hold")
def test_open_windows_hold_designs_that_need_every_outcome_until_the_last_closes():
    data = TrialData(patients=tuple(waiting(1, (1.0, 0.5, 0.2))))
    for name in ("3+3", "boin", "mtpi2", "i3+3"):
        advice = find_design(name, dose_count=3, target=0.3).next_dose(data)
        assert advice.hold.pending == 2
        assert advice.hold.days == pytest.approx(24.0)
        assert advice.hold.dated(date(2026, 3, 1)).earliest_date == date(2026, 3, 25)
    assert find_design("boin", dose_count=3, target=0.3).next_dose(parse_outcomes("1NNN")).hold is None


@pytest.mark.requirement("E-hold")
@pytest.mark.parametrize("name", ["3+3", "boin", "mtpi", "tite-boin", "bf-boin", "boin12", "crm", "blrm"])
def test_a_new_dose_without_any_outcome_is_neither_left_nor_passed(name):
    options = {"skeleton": (0.1, 0.2, 0.3)} if name == "crm" else {}
    advice = find_design(name, dose_count=3, target=0.3, **options).next_dose(parse_outcomes("1NNN 2PPP"))
    assert advice.recommended_dose == (
        3 if name == "crm" else 2
    )  # the model also learns from the other doses
    assert advice.hold is not None and advice.hold.pending == 3


@pytest.mark.requirement("E-rolling6")
@pytest.mark.parametrize(
    ("text", "dose", "goes_on", "held"),
    [
        ("1NNN", 2, True, False),
        ("1NNP", 1, True, False),
        ("1NNNN", 2, True, False),
        ("1NNNPP", 1, True, False),
        ("1NNNNNP", 2, True, False),
        ("1NNNNPP", 1, True, True),
        ("1NNT", 1, True, False),
        ("1NNTNNP", 1, True, True),
        ("1NNTNNN", 2, True, False),
        ("1NTT", None, False, False),
        ("1NNN 2TTP", 1, True, False),
        ("1NNNNNN 2TT", 1, False, False),
        ("1NNN 2NNN 3NNN", 3, False, False),
    ],
)
def test_rolling_six_decides_from_enrolled_evaluable_and_dlts(text, dose, goes_on, held):
    advice = find_design("rolling6", dose_count=3).next_dose(parse_outcomes(text))
    assert (advice.recommended_dose, advice.continue_, advice.hold is not None) == (dose, goes_on, held)


@pytest.mark.requirement("E-tite-boin")
def test_tite_boin_predicts_by_its_formula_and_suspends_when_more_than_half_are_pending():
    design = find_design("tite-boin", dose_count=5, target=0.2)
    assert design.predict_rate(6, 1, 2, 0.5) == pytest.approx(
        (1 + (1.1 / 5) / (1 - 1.1 / 5) * 1.5) / 6, abs=1e-12
    )
    assert design.predict_rate(6, 1, 2, design.find_stft(6, 1, 2, 0.238)) == pytest.approx(0.238, abs=1e-12)
    assert design.predict_rate(6, 1, 0, 0.0) == pytest.approx(1 / 6, abs=1e-12)
    held = design.next_dose(TrialData(patients=tuple(waiting(1, (1.0, 0.6, 0.3)))))
    assert held.hold.days == pytest.approx(12.0)  # one more outcome leaves one of three pending
    free = design.next_dose(TrialData(patients=tuple(waiting(1, (1.0, 1.0, 0.3)))))
    assert (free.recommended_dose, free.hold) == (2, None)


@pytest.mark.requirement("E-tite-boin")
def test_tite_boin_decides_by_follow_up_where_counts_alone_do_not():
    design = find_design("tite-boin", dose_count=5, target=0.2)
    dlt = (1.0, 1.0, 1.0, 1.0)
    early = TrialData(patients=tuple(waiting(2, (*dlt, 0.1, 0.1), dlts=(0,))))
    late = TrialData(patients=tuple(waiting(2, (*dlt, 0.9, 0.9), dlts=(0,))))
    assert (design.next_dose(early).recommended_dose, design.next_dose(late).recommended_dose) == (1, 2)


@pytest.mark.requirement("E-bf-boin")
def test_backfill_opens_below_the_current_dose_after_a_response_and_closes_when_toxic_or_full():
    design = find_design("bf-boin", dose_count=4, target=0.25)
    assert design.next_dose(parse_outcomes("1NNN 2NNN")).backfill_doses == ()
    assert design.next_dose(parse_outcomes("1NNE 2NNE 3NNN")).backfill_doses == (1, 2)
    assert design.next_dose(parse_outcomes("1NNEBTT 2NNETTT 3NNN")).backfill_doses == ()
    full = find_design("bf-boin", dose_count=4, target=0.25, capacity=3)
    assert full.next_dose(parse_outcomes("1NNE 2NNN")).backfill_doses == ()


@pytest.mark.requirement("E-bf-boin")
def test_conflicting_data_are_pooled_before_the_dose_changes():
    design = find_design("bf-boin", dose_count=4, target=0.25, escalation_dose=3)
    # dose 2 alone (3 of 6) calls for less, dose 3 alone (0 of 3) for more; pooled, 3 of 9 is above lambda_d,
    # and no run of doses from 2 upward is tolerable: below dose 2
    advice = design.next_dose(parse_outcomes("1NNN 2NNN 3NNN 2TTT"))
    assert advice.recommended_dose == 1
    assert "conflict" in advice.reason and "3 of 9" in advice.reason
    # pooled 1 of 9 lies below lambda_e: go on
    mild = design.next_dose(parse_outcomes("1NNN 2NNT 3NNNNNN"))
    assert mild.recommended_dose == 4


@pytest.mark.requirement("E-protocol-data")
def test_delay_replacement_and_window_are_protocol_data():
    levels = tuple(
        DoseLevel(concentration_pfu_per_ml=c, volume_ceiling_ml=v) for c, v in ((1e6, 4), (1e7, 4), (1e8, 8))
    )
    protocol = EscalationProtocol(levels=levels, window_days=28, delay_days=7, replace_non_evaluable=True)
    day = date(2026, 1, 1)
    seen = protocol.read_patient(dose=1, first_dose_on=day, today=date(2026, 1, 15), dlt_on=None)
    assert (seen.pending, seen.follow_up_fraction, seen.days_left) == (True, 0.5, 14)
    lost = protocol.read_patient(
        dose=1, first_dose_on=day, today=date(2026, 1, 15), dlt_on=None, evaluable=False
    )
    assert TrialData(patients=(seen, lost)).total == 1
    late = protocol.read_patient(dose=1, first_dose_on=day, today=date(2026, 3, 1), dlt_on=date(2026, 2, 20))
    assert not late.dlt
    assert protocol.find_slot([(1, day), (2, date(2026, 1, 20))], dose=1, today=date(2026, 1, 3)) == date(
        2026, 1, 8
    )
    with pytest.raises(ProtocolError, match="rises"):
        EscalationProtocol(levels=levels[::-1], window_days=28, delay_days=7, replace_non_evaluable=True)


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    "row",
    [
        {"dose": "1", "dlt": "0", "follow_up": "5"},
        {"dose": "x", "dlt": "0", "follow_up": "5", "window": "28"},
        {"dose": "1", "dlt": "0", "follow_up": "-1", "window": "28"},
        {"dose": "1", "dlt": "2", "follow_up": "1", "window": "28"},
        {"dose": "0", "dlt": "0", "follow_up": "1", "window": "28"},
    ],
)
def test_patient_tables_with_impossible_values_are_refused(row):
    with pytest.raises(InputError):
        read_patients([row])


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize("text", ["NNN", "1", "1NXN", "1.NNN", "1nnn", "0NN"])
def test_outcomes_that_do_not_follow_the_pattern_are_refused(text):
    with pytest.raises(InputError):
        parse_outcomes(text)


def test_an_unknown_design_is_refused_with_the_known_ones():
    with pytest.raises(NotFoundError, match="boin"):
        find_design("boyn", dose_count=3)


@pytest.mark.requirement("E-pathways")
def test_pathways_carry_probabilities_that_sum_to_one_at_the_ends():
    design = find_design("3+3", dose_count=3)
    nodes = derive_pathways(design, TrialData(), cohort_sizes=(3, 3, 3), truth=(0.1, 0.25, 0.5))
    depth = {node.path for node in nodes}
    ends = [node for node in nodes if not any(other[:-1] == node.path for other in depth if other)]
    assert sum(node.probability for node in ends) == pytest.approx(1.0, abs=1e-12)
    assert all(node.reason for node in nodes)


@pytest.mark.requirement("E-tables")
@pytest.mark.parametrize(
    "name",
    [
        "3+3",
        "rolling6",
        "tpi",
        "mtpi",
        "mtpi2",
        "keyboard",
        "boin",
        "i3+3",
        "tite-boin",
        "bf-boin",
        "boin12",
        "blrm",
    ],
)
def test_every_design_prints_a_table_in_words(name):
    table = find_design(name, dose_count=3, target=0.3).table(6)
    text = table.to_text()
    assert len(text.splitlines()) > len(table.rows)
    assert all(heading in text for heading in table.columns.values())
    assert all(set(row) - set(table.columns) <= {"eliminate_if_ge"} for row in table.rows)
