"""Best overall response: both rules, every endpoint, hand-made sequences on study days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hepatica.core.errors import InputError
from hepatica.followup.best.endpoints import derive_best, read_best_settings
from hepatica.followup.best.timeline import Best, BestRule, BestSettings, Endpoint, ProgressionCut, Timeline

START = date(2024, 1, 1)
STANDARD = {"sd_window_days": 42, "confirm_days": 28, "max_ne": 1}


def line(text, *, pd=None, response=None):
    """'PR@60 NE@90': a PR sixty days after the reference, then NE; '-' is an empty response."""
    points = []
    for word in text.split():
        code, day = word.rsplit("@", 1)
        points.append((START + timedelta(days=int(day)), "" if code == "-" else code))
    given = {"progression": pd, "response": response}
    return Timeline.of(
        points,
        reference=START,
        **{k: None if v is None else START + timedelta(days=v) for k, v in given.items()},
    )


def best(text, endpoint="BOR", *, pd=None, response=None, **settings):
    answer = derive_best(
        line(text, pd=pd, response=response),
        endpoint=Endpoint(endpoint),
        settings=BestSettings(**{**STANDARD, **settings}),
    )
    day = "" if answer.day is None else f"@{(answer.day - START).days}"
    return answer.value + day


@pytest.mark.requirement("D-bor")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SD@50 PR@90 CR@120 PD@150", "CR@120"),
        ("SD@41 SD@42", "SD@42"),  # the window is inclusive
        ("SD@41", "NE@41"),
        ("PR@-5", "PR@-5"),  # CR, PR and PD count on any day
        ("NON-CR/NON-PD@50 SD@90", "SD@90"),
        ("NON-CR/NON-PD@50 PD@90", "NON-CR/NON-PD@50"),
        ("SD@20 PD@30", "PD@30"),
        ("SD@20 NE@30", "NE@20"),
        ("ND@60", "ND@60"),
        ("NA@60 -@70", "MISSING"),
        ("", "MISSING"),
        ("PD@60 CR@90", "PD@60"),
        ("PR@60 PR@90", "PR@60"),
    ],
)
def test_bor_is_the_best_class_before_progression(text, expected):
    assert best(text) == expected


@pytest.mark.requirement("D-bor")
def test_progression_cuts_by_first_pd_by_column_or_never():
    text = "SD@50 PD@90 CR@120"
    assert best(text, until_pd=ProgressionCut.DERIVE) == "SD@50"
    assert best(text, until_pd=ProgressionCut.NEVER) == "CR@120"
    assert best(text, until_pd=ProgressionCut.COLUMN, pd=120) == "CR@120"  # that day itself is kept
    assert best(text, until_pd=ProgressionCut.COLUMN) == "CR@120"  # no date given, nothing cut
    assert best("CR@50", until_pd=ProgressionCut.COLUMN, pd=40) == "MISSING"  # the date adds no PD
    assert best("CR@50", until_pd=ProgressionCut.COLUMN, pd=40, missing_as_ne=True) == "NE"


@pytest.mark.requirement("D-cbor")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CR@60 CR@88", "CR@60"),
        ("CR@60 CR@87", "SD@60"),
        ("CR@60 NE@70 CR@90", "CR@60"),
        ("CR@60 NE@70 NE@80 CR@90", "SD@60"),
        ("CR@60 PR@70 CR@90", "SD@60"),
        ("CR@60 SD@70 CR@90", "SD@60"),
        ("CR@60 ND@65 -@70 NA@75 CR@90", "CR@60"),  # silence neither breaks nor counts
        ("PR@60 CR@88", "PR@60"),
        ("PR@60 PR@70 PR@88", "PR@60"),
        ("PR@60 NE@70 PR@88", "PR@60"),
        ("PR@60 SD@70 PR@88", "SD@60"),
        ("PR@60 CR@70 PR@88", "SD@60"),  # a PR after a CR inside the span voids it
        ("PR@60 PR@70 CR@88 PR@120", "PR@60"),  # behind the span it does not
        ("PR@30 NE@90", "NE@30"),
        ("CR@30 PD@90", "PD@90"),
        ("PR@60 CR@90 CR@120", "CR@90"),
        ("SD@30 NON-CR/NON-PD@60", "NON-CR/NON-PD@60"),
        ("ND@60", "ND@60"),
    ],
)
def test_confirmed_bor_needs_a_second_look(text, expected):
    assert best(text, "CBOR") == expected


@pytest.mark.requirement("D-cbor")
def test_settings_move_the_confirmation():
    assert best("PR@60 SD@70 PR@88", "CBOR", accept_sd=True) == "PR@60"
    assert best("PR@60 SD@70 SD@80 PR@88", "CBOR", accept_sd=True) == "SD@60"
    assert best("CR@60 SD@70 CR@90", "CBOR", accept_sd=True) == "SD@60"
    assert best("PR@60 NE@70 PR@88", "CBOR", max_ne=0) == "SD@60"
    assert best("PR@60 NE@70 NE@75 PR@88", "CBOR", max_ne=2) == "PR@60"
    assert best("CR@60 CR@70", "CBOR", confirm_days=10) == "CR@60"


@pytest.mark.requirement("D-rsp")
def test_response_and_confirmed_response_give_the_first_qualifying_day():
    assert best("SD@50 PR@90 PD@120", "RSP") == "Y@90"
    assert best("SD@50 PD@90 PR@120", "RSP") == "N"
    assert best("PR@60 SD@90 PR@120 PR@150", "CRSP") == "Y@120"
    assert best("PR@60 CR@90", "CRSP") == "Y@60"
    assert best("PR@60 CR@80", "CRSP") == "N"


@pytest.mark.requirement("D-cbr")
def test_clinical_benefit_takes_responses_any_day_and_other_values_when_late():
    assert best("PR@20", "CBR") == "Y@20"
    assert best("SD@41 NE@60", "CBR") == "N"
    assert best("SD@41 SD@60", "CBR") == "Y@60"
    assert best("SD@60", "CBR", benefit_values=("CR", "PR")) == "N"
    assert best("SD@60 PR@90", "CBR", benefit_values=("CR", "PR")) == "Y@90"
    assert best("SD@60", "CBR", response=50) == "Y@50"
    assert best("PD@60 SD@90", "CBR") == "N"


# Table 3 of RECIST 1.1, every row, with a late (day 60) and an early (day 30) first response.
TABLE3 = [
    ("CR", "CR", "CR@60", "CR@30"),
    ("CR", "PR", "SD@60", "PR@60"),  # the PR at day 60 is itself not confirmed: see below
    ("CR", "SD", "SD@60", "SD@60"),
    ("CR", "PD", "SD@60", "PD@60"),
    ("CR", "NE", "SD@60", "NE@30"),
    ("PR", "CR", "PR@60", "PR@30"),
    ("PR", "PR", "PR@60", "PR@30"),
    ("PR", "SD", "SD@60", "SD@30"),
    ("PR", "PD", "SD@60", "PD@60"),
    ("PR", "NE", "SD@60", "NE@30"),
    ("NE", "NE", "NE@60", "NE@30"),
]


@pytest.mark.requirement("D-bor-table3")
@pytest.mark.parametrize(("first", "second", "late", "early"), TABLE3)
def test_every_row_of_table_3_gives_the_written_best_response(first, second, late, early):
    settings = {"rule": BestRule.TABLE3, "max_ne": 0}
    assert best(f"{first}@60 {second}@90", **settings) == late
    if (first, second) == ("CR", "PR"):
        # An early CR then PR reads PD by the table; the PR, late by itself, then gives SD as its own reading.
        assert best("CR@30 PR@60", **settings) == "SD@60"
        assert best("CR@10 PR@40", **settings) == "PD@40"
    else:
        assert best(f"{first}@30 {second}@60", **settings) == early


@pytest.mark.requirement("D-bor-table3")
def test_table_3_passes_over_early_repeats_and_ne_where_the_protocol_allows():
    settings = {"rule": BestRule.TABLE3, "max_ne": 0}
    assert best("PR@60 PR@70 PR@90", **settings) == "PR@60"
    assert best("PR@60 NE@75 PR@90", **settings) == "SD@60"
    assert best("PR@60 NE@75 PR@90", **{**settings, "max_ne": 1}) == "PR@60"
    assert best("PR@60 SD@75 PR@90", **{**settings, "accept_sd": True}) == "PR@60"
    assert best("SD@60 PD@90", **settings) == "SD@60"
    assert best("PR@60", **settings) == "SD@60"
    assert best("", **settings) == "MISSING"


def test_table_3_has_no_other_endpoint():
    with pytest.raises(InputError, match="table3"):
        best("PR@60", "RSP", rule=BestRule.TABLE3)


def test_the_packaged_settings_allow_one_ne_between_but_none_by_table_3():
    assert read_best_settings().max_ne == 1
    assert read_best_settings(rule=BestRule.TABLE3).max_ne == 0
    assert read_best_settings(sd_window_days=35).sd_window_days == 35


ANY = "iCR iPR iSD iUPD iCPD NE"
# Seymour 2017, table 3: alternatives at each time point and the best response.
STILL = "iPR iSD iUPD NE iCPD"
IMMUNE_TABLE3 = {
    "1": (("iCR", "iCR iPR iUPD NE", "iCR iPR iUPD NE", "iUPD", "iCPD"), "iCR"),
    "2": (("iUPD", "iPR iSD NE", "iCR", "iCR iUPD NE", ANY), "iCR"),
    "3": (("iUPD", "iPR", "iPR iSD iUPD NE", STILL, STILL), "iPR"),
    "4": (("iUPD", "iSD NE", "iPR", "iPR iSD iUPD NE", STILL), "iPR"),
    "5": (("iUPD", "iSD", "iSD iUPD NE", "iSD iUPD iCPD NE", "iSD iUPD iCPD NE"), "iSD"),
    "6": (("iUPD", "iCPD", ANY, ANY, ANY), "iCPD"),
    "7": (("iUPD", "iUPD", "iCPD", ANY, ANY), "iCPD"),
    "8": (("iUPD", "NE", "NE", "NE", "NE"), "iUPD"),
}


@pytest.mark.requirement("D-ibor")
@pytest.mark.parametrize("example", IMMUNE_TABLE3)
def test_every_sequence_of_the_published_examples_gives_the_published_ibor(example):
    from itertools import product

    columns, expected = IMMUNE_TABLE3[example]
    for codes in product(*(column.split() for column in columns)):
        text = " ".join(f"{code}@{60 * number}" for number, code in enumerate(codes, start=1))
        assert best(text, "IBOR").split("@")[0] == expected, text


@pytest.mark.requirement("D-ibor")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iSD@60 iUPD@90 iCPD@120 iCR@150", "iSD@60"),  # rows after iCPD are ignored
        ("iSD@30 iUPD@90 NE@120 iCPD@150", "iCPD@90"),
        ("NON-iCR/NON-iUPD@60 iUPD@90", "NON-iCR/NON-iUPD@60"),
        ("iSD@30", "NE@30"),
        ("ND@30", "ND@30"),
        ("", "MISSING"),
    ],
)
def test_ibor_is_best_before_confirmed_progression(text, expected):
    assert best(text, "IBOR") == expected


@pytest.mark.requirement("D-ipfs")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iSD@60 iUPD@90 iUPD@120 iCPD@150", "Y@90"),
        ("iUPD@60 iSD@90 iUPD@120 iCPD@150", "Y@120"),  # the first run was resolved
        ("iUPD@60 NE@90 iCPD@120", "Y@60"),  # NE does not resolve
        ("iUPD@60", "Y@60"),  # never resolved
        ("iUPD@60 iPR@90", "N"),
        ("iUPD@60 NON-iCR/NON-iUPD@90", "N"),
        ("iSD@60", "N"),
        ("iUPD@60 iCPD@90 iSD@120", "Y@60"),
    ],
)
def test_ipfs_starts_at_the_first_iupd_of_the_run_that_counts(text, expected):
    assert best(text, "IPFS") == expected


@pytest.mark.requirement("D-idor")
def test_idor_counts_both_days_from_the_first_response_to_the_event():
    assert best("iPR@60 iCR@90 iUPD@120 iCPD@150", "IDOR") == "61@120"
    assert best("iPR@60 iUPD@90 iSD@120", "IDOR") == ""
    assert best("iSD@60 iUPD@90 iCPD@120", "IDOR") == ""


def test_two_responses_on_one_day_and_foreign_benefit_values_are_refused():
    with pytest.raises(InputError):
        line("PR@60 SD@60")
    with pytest.raises(InputError):
        BestSettings(benefit_values=("iPR",))


def test_an_empty_answer_has_no_day():
    assert Best(value="N").day is None
