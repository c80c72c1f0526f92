"""Response rates by kind of lesion, and survival of responders from a landmark."""

from __future__ import annotations

import json
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hepatica.core.errors import InputError, NotFoundError
from hepatica.entrypoints.cli.trial import app
from hepatica.trials.endpoints.comparison import compare_log_rank
from hepatica.trials.endpoints.response import Outcome, cross_responses, measure_response_rate, read_outcome
from hepatica.trials.endpoints.survival import start_at_landmark

PRINTED = 5e-4  # percent printed with one decimal
ROUNDING = 1e-9
STANDARD_ERRORS = 4.0  # the promise: within four standard errors
RUNNER = CliRunner()
TABLE = """subject,arm,best,inj,non,extra,resp_day,day,died
s1,A,PR,CR,PR,NED,60,400,1
s2,A,SD,PR,SD,SD,90,300,0
s3,A,PD,PD,PD,PD,,100,1
s4,A,,NE,,,,20,1
s5,B,iPR,iPR,NED,iSD,120,500,0
s6,B,NE,iUPD,iUPD,iUPD,,200,1
s7,B,NON-CR/NON-PD,SD,NON-CR/NON-PD,NED,,350,1
"""


def ask(*arguments):
    done = RUNNER.invoke(app, ["response", *arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "best.csv"
    path.write_text(TABLE)
    return str(path)


ALL = ("--overall", "best", "--injected", "inj", "--non-injected", "non", "--extrahepatic", "extra")


@pytest.mark.requirement("E-response-rates")
@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [
        (2, 24, 0.010, 0.270),
        (3, 22, 0.029, 0.349),
        (3, 18, 0.036, 0.414),
        (0, 10, 0.0, 0.308),
        (1, 5, 0.005, 0.716),
    ],
)
def test_limits_of_the_founding_trial_and_of_the_exact_tails(x, n, low, high):
    outcomes = [Outcome.PARTIAL] * x + [Outcome.PROGRESSION] * (n - x - 1) + [Outcome.UNEVALUABLE]
    rate = measure_response_rate(outcomes).objective
    assert (rate.lower, rate.upper) == (pytest.approx(low, abs=PRINTED), pytest.approx(high, abs=PRINTED))

    def tail(p, ks):
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in ks)

    assert tail(rate.upper, range(x + 1)) == pytest.approx(0.025, abs=ROUNDING)
    if x:
        assert tail(rate.lower, range(x, n + 1)) == pytest.approx(0.025, abs=ROUNDING)


@pytest.mark.requirement("E-response-rates")
def test_kinds_of_lesions_are_counted_apart_with_the_full_group_below(table):
    found = ask(table, "--subject", "subject", *ALL, "--group", "arm")
    first, second = found["groups"]
    assert (first["name"], first["n"], second["n"]) == ("A", 4, 3)
    rows = {row["kind"]: row for row in first["lesions"]}
    assert [rows[kind]["responders"] for kind in ("overall", "injected", "non_injected", "extrahepatic")] == [
        1,
        2,
        1,
        0,
    ]
    assert all(row["n"] == 4 for row in rows.values())
    assert rows["injected"]["objective"]["estimate"] == 0.5
    assert (rows["overall"]["unevaluable"], rows["injected"]["unevaluable"]) == (1, 1)
    extra = rows["extrahepatic"]
    assert (extra["with_lesions"], extra["evaluable"]) == (3, 2)
    assert extra["objective_with_lesions"]["upper"] > extra["objective"]["upper"]
    assert first["crossed"] == {
        "both": 1,
        "injected_only": 1,
        "non_injected_only": 0,
        "neither": 1,
        "not_comparable": 1,
    }
    assert {row["kind"]: row["responders"] for row in second["lesions"]} == {
        "overall": 1,
        "injected": 1,
        "non_injected": 0,
        "extrahepatic": 0,
    }
    words = RUNNER.invoke(app, ["response", table, "--subject", "subject", *ALL]).stdout
    assert "non-injected: 1/7 = 14.3 %" in words and "1 NE" in words


@pytest.mark.requirement("E-response-rates")
def test_survival_by_response_starts_at_a_landmark_and_never_at_day_0(table):
    follow = ("--time", "day", "--event", "died", "--response-time", "resp_day")
    with pytest.raises(InputError, match="landmark"):
        ask(table, "--subject", "subject", *ALL, *follow)
    found = ask(table, "--subject", "subject", *ALL, *follow, "--landmark", "100")["landmark"]
    assert [(row["name"], row["n"], row["events"]) for row in found["groups"]] == [
        ("responder", 2, 1),
        ("other", 3, 2),
    ]
    assert found["left_out"] == 2
    assert found["logrank"]["df"] == 1
    with pytest.raises(InputError, match="--time"):
        ask(table, "--subject", "subject", *ALL, "--landmark", "100")


@pytest.mark.requirement("E-response-rates")
def test_a_landmark_keeps_its_level_where_the_naive_comparison_favours_responders():
    level, trials, naive, fair = 0.05, 500, 0, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        life, answer = rng.exponential(12.0, 80), rng.exponential(10.0, 80)
        response = np.where(answer < life, answer, np.nan)  # one can only respond while alive
        dead = np.ones(80)
        naive += compare_log_rank(life, dead, np.isfinite(response)).p < level
        times, events, reached = start_at_landmark(life, dead, landmark=4.0, status_times=response)
        fair += compare_log_rank(times, events, reached).p < level
    assert abs(fair / trials - level) <= STANDARD_ERRORS * sqrt(level * (1 - level) / trials)
    assert naive / trials > 0.5


@pytest.mark.requirement("E-response-rates")
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    words=st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=40),
    seed=st.randoms(use_true_random=False),
)
def test_rates_depend_on_counts_only_and_nobody_leaves_the_denominator(words, seed):
    rate = measure_response_rate(words)
    assert sum(rate.counts.values()) == rate.n == len(words)
    assert rate.objective.estimate == rate.responders / len(words)
    assert rate.objective.lower <= rate.objective.estimate <= rate.control.estimate <= rate.control.upper
    mixed = list(words)
    seed.shuffle(mixed)
    assert measure_response_rate(mixed) == rate
    assert sum(cross_responses(words, mixed).values()) == len(words)
    same = cross_responses(words, words)
    assert (same["both"], same["first_only"], same["second_only"]) == (rate.responders, 0, 0)


@pytest.mark.requirement("E-impossible-input")
def test_impossible_response_tables_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="one of CR"):
        read_outcome("better")
    with pytest.raises(InputError, match="at least one patient"):
        measure_response_rate([])
    with pytest.raises(InputError, match="two outcomes"):
        cross_responses([Outcome.STABLE], [])
    with pytest.raises(InputError, match="--overall"):
        ask(table, "--subject", "subject")
    with pytest.raises(NotFoundError, match="nobody"):
        ask(table, "--subject", "nobody", *ALL)
    twice = tmp_path / "twice.csv"
    twice.write_text(TABLE + "s1,A,PR,CR,PR,NED,60,400,1\n")
    with pytest.raises(InputError, match="once"):
        ask(str(twice), "--subject", "subject", *ALL)
