"""What every dose-finding design must never do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core.errors import InputError
from hepatica.trials.design import Action
from hepatica.trials.escalation import find_design, list_designs
from hepatica.trials.outcomes import Patient, TrialData, to_outcomes
from hepatica.trials.rule_options import RULE_NAMES, join_rules
from hepatica.trials.rules import RuledDesign

DOSES = 4
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
OPTIONS = {"crm": {"skeleton": (0.05, 0.15, 0.3, 0.45)}, "tite-crm": {"skeleton": (0.05, 0.15, 0.3, 0.45)}}
INTERVAL = ("boin", "tpi", "mtpi", "mtpi2", "keyboard", "i3+3")
SINGLE_AGENT = tuple(name for name in list_designs() if name != "boin-combination")


def make(name):
    return find_design(name, dose_count=DOSES, target=0.3, **OPTIONS.get(name, {}))


def run(design, draws, size=3):
    """Treat cohorts as the design advises; yield data and advice."""
    data = TrialData()
    for cohort in draws:
        advice = design.next_dose(data)
        yield data, advice
        if not advice.continue_ or advice.recommended_dose is None:
            return
        data = data.extend(
            Patient(dose=advice.recommended_dose, dlt=dlt, efficacy=eff) for dlt, eff in cohort[:size]
        )
    yield data, design.next_dose(data)


cohorts = st.lists(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3), min_size=1, max_size=7
)


@pytest.mark.requirement("E-never-skip")
@pytest.mark.parametrize("name", SINGLE_AGENT)
@SETTINGS
@given(draws=cohorts)
def test_no_design_skips_an_untried_dose_or_recommends_an_inadmissible_one(name, draws):
    for data, advice in run(make(name), draws):
        dose = advice.recommended_dose
        assert advice.reason
        if dose is None:
            assert not advice.continue_
            continue
        assert dose <= max(data.doses, default=0) + 1
        assert advice.dose_admissible[dose - 1]
        assert len(advice.dose_admissible) == len(advice.prob_tox) == DOSES


@pytest.mark.requirement("E-never-skip")
@SETTINGS
@given(draws=cohorts)
def test_combination_moves_one_agent_at_a_time_to_admissible_pairs(draws):
    design = find_design("boin-combination", dose_counts=(3, 3), target=0.3)
    for data, advice in run(design, draws):
        if advice.recommended_dose is None or data.current_dose is None:
            continue
        (i, j), (a, b) = advice.recommended_dose, data.current_dose
        assert advice.dose_admissible[i - 1][j - 1]
        assert max(i - a, 0) + max(j - b, 0) <= 1


@pytest.mark.requirement("E-monotone")
@pytest.mark.parametrize("name", [*INTERVAL, "3+3", "tite-boin", "crm", "tite-crm", "blrm"])
@SETTINGS
@given(n=st.integers(1, 6), x=st.integers(0, 5), current=st.integers(1, DOSES))
def test_more_toxicity_never_raises_the_dose(name, n, x, current):
    if x >= n:
        return
    counts = tuple(3 if d < current else n if d == current else 0 for d in range(1, DOSES + 1))
    design = make(name)
    doses = []
    for dlts in (x, x + 1):
        toxic = tuple(dlts if d == current else 0 for d in range(1, DOSES + 1))
        doses.append(design.next_dose(to_outcomes(counts, toxic, current=current)).recommended_dose or 0)
    assert doses[0] >= doses[1]


@pytest.mark.requirement("E-counts-only")
@pytest.mark.parametrize("name", INTERVAL)
@SETTINGS
@given(draws=cohorts, seed=st.randoms(use_true_random=False))
def test_interval_designs_depend_on_counts_and_current_dose_only(name, draws, seed):
    design = make(name)
    *_, (data, advice) = run(design, draws)
    if not data.patients:
        return
    last = data.patients[-1]
    others = list(data.patients[:-1])
    seed.shuffle(others)
    again = design.next_dose(TrialData(patients=(*others, last)))
    assert again == advice


@pytest.mark.requirement("E-monotone")
@pytest.mark.parametrize("name", INTERVAL)
def test_interval_actions_fall_from_escalate_to_deescalate_as_dlts_rise(name):
    design = make(name)
    order = [Action.ESCALATE, Action.STAY, Action.DEESCALATE]
    for n in range(1, 25):
        ranks = [order.index(design.action(n, x)) for x in range(n + 1)]
        assert ranks == sorted(ranks)
        gone = [design.eliminates(n, x) for x in range(n + 1)]
        assert gone == sorted(gone)


VALUES = {
    "stop-at-n": "9",
    "stop-n-at-dose": "6:any",
    "demand-n": "6",
    "stop-too-toxic": "1,0.4,0.8",
    "stop-ci-covered": "0.05,0.6",
    "stick-on": "1,3",
    "rescue": "1,2",
    "no-skip": "both",
    "unadmit-untested": "",
    "follow-path": "1NNN 2NNN",
    "expand-cohort": "6",
}


@pytest.mark.requirement("E-rules")
@pytest.mark.parametrize("name", ["boin", "crm", "3+3", "mtpi2"])
@SETTINGS
@given(draws=cohorts, chosen=st.lists(st.sampled_from(RULE_NAMES), max_size=4, unique=True))
def test_no_set_of_rules_recommends_an_inadmissible_dose_while_the_trial_goes_on(name, draws, chosen):
    design = RuledDesign(design=make(name), rules=join_rules([(rule, VALUES[rule]) for rule in chosen]))
    for _, advice in run(design, draws):
        if advice.continue_ and advice.recommended_dose is not None:
            assert advice.dose_admissible[advice.recommended_dose - 1]


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("boin", {"target": 1.2}),
        ("boin", {"target": 0.0}),
        ("boin", {"target": 0.8}),
        ("crm", {"target": 0.3, "skeleton": (0.3, 0.2, 0.4, 0.5)}),
        ("crm", {"target": 0.3, "skeleton": (0.1, 0.2)}),
        ("crm", {"target": 0.3, "skeleton": (0.1, 0.2, 0.3, 1.0)}),
        ("crm", {"target": 0.3, "skeleton": (0.1, 0.2, 0.3, 0.4), "model": "probit"}),
        ("mtpi", {"target": 0.03}),
        ("boin", {"target": 0.3, "skeleton": (0.1,)}),
        ("boin", {"target": 0.3, "dose_count": 0}),
    ],
)
def test_impossible_designs_are_refused(name, options):
    with pytest.raises(InputError):
        find_design(name, **{"dose_count": DOSES, **options})


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize("name", SINGLE_AGENT)
def test_an_unknown_dose_is_refused(name):
    with pytest.raises(InputError, match="dose levels"):
        make(name).next_dose(TrialData(patients=(Patient(dose=DOSES + 1, dlt=False),)))
