"""Columns and records give the same codes."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_courses import course, days

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.best.in_class import derive_bor, derive_confirmed_bor
from hepatica.followup.best.timeline import BestRule, BestSettings, Timeline
from hepatica.followup.columns import (
    CODES,
    GROWTH_NUMBERS,
    IMMUNE_CODES,
    NEW_NUMBERS,
    STATE_NUMBERS,
    ResponseColumns,
    derive_best_columns,
    derive_irecist_columns,
    derive_recist_columns,
)
from hepatica.followup.criteria.irecist import derive_irecist
from hepatica.followup.criteria.recist11 import derive_recist, read_recist_limits
from hepatica.followup.records import Course
from hepatica.followup.sums import measure_lesion

VISITS, TARGETS, OTHERS = 5, 4, 2
CHECKED = settings(deadline=None, max_examples=40, derandomize=True)
sizes = st.one_of(st.none(), st.sampled_from([0.0, 3.0, 9.0, 10.0, 12.0, 20.0, 24.0, 30.0, 35.0, 36.0, 60.0]))
states = st.sampled_from(
    ["ABSENT", "PRESENT", "PRESENT", "EQUIVOCAL", "UNEQUIVOCAL", "INCREASED", "NE", None]
)
news = st.sampled_from(["-", "-", "PRESENT", "ABSENT", "EQUIVOCAL", 12.0, 18.0, 30.0])


@st.composite
def courses(draw: st.DrawFn) -> Course:
    lesions: dict[str, list] = {}
    for number in range(draw(st.integers(min_value=0, max_value=TARGETS))):
        first = draw(st.sampled_from([15.0, 20.0, 30.0, 50.0, None]))
        lesions[f"T{number}"] = [first, *(draw(sizes) for _ in range(VISITS))]
    for number in range(draw(st.integers(min_value=0 if lesions else 1, max_value=OTHERS))):
        lesions[f"NT{number}"] = ["PRESENT", *(draw(states) for _ in range(VISITS))]
    for number in range(draw(st.integers(min_value=0, max_value=2))):
        lesions[f"NEW{number}"] = ["-", *(draw(news) for _ in range(VISITS))]
    gaps = draw(st.lists(st.integers(min_value=7, max_value=70), min_size=VISITS, max_size=VISITS))
    nodes = [key for key in lesions if draw(st.booleans()) and key[0] == "T"][:2]
    return course(lesions, dates=days(0, *np.cumsum(gaps).tolist()), nodes=nodes)


def to_columns(batch: list[Course]) -> ResponseColumns:
    count = len(batch)
    sizes_mm = np.full((count, VISITS + 1, TARGETS), np.nan)
    states = np.full((count, VISITS, OTHERS), -1, dtype=np.int8)
    target_nodes, other_nodes = np.zeros((count, TARGETS), dtype=bool), np.zeros((count, OTHERS), dtype=bool)
    new, growth = (np.zeros((count, VISITS), dtype=np.int8) for _ in range(2))
    sums, counts = (np.full((count, VISITS), np.nan) for _ in range(2))
    day = np.zeros((count, VISITS), dtype=np.int64)
    for i, one in enumerate(batch):
        for k, lesion in enumerate(one.targets):
            target_nodes[i, k] = lesion.is_node
            for v, visit in enumerate((one.baseline, *one.follow_ups)):
                size = measure_lesion(lesion, visit)
                sizes_mm[i, v, k] = np.nan if isinstance(size, NotEvaluable) else size
        for k, lesion in enumerate(one.non_targets):
            for v, visit in enumerate(one.follow_ups):
                reading = visit.readings[lesion.lesion_id]
                states[i, v, k] = STATE_NUMBERS[reading.state] if reading.state is not None else -1
        for v, answer in enumerate(derive_irecist(one)):
            new[i, v] = NEW_NUMBERS[answer.new.answer]
            growth[i, v] = GROWTH_NUMBERS[answer.facts.new_non_target_growth]
            sums[i, v] = np.nan if answer.facts.new_target_sum_mm is None else answer.facts.new_target_sum_mm
            counts[i, v] = answer.facts.new_lesion_count
            day[i, v] = (answer.visit.date.day - date(2024, 1, 1)).days
    return ResponseColumns(
        sizes_mm=sizes_mm,
        targets=np.array([len(one.targets) for one in batch]),
        target_nodes=target_nodes,
        states=states,
        non_targets=np.array([len(one.non_targets) for one in batch]),
        non_target_nodes=other_nodes,
        new=new,
        new_sums_mm=sums,
        new_counts=counts,
        new_growth=growth,
        days=day,
        reference_days=np.zeros(count, dtype=np.int64),
    )


@pytest.mark.requirement("D-columns")
@CHECKED
@given(st.lists(courses(), min_size=8, max_size=16), st.booleans())
def test_columns_and_records_give_the_same_codes(batch, continuing):
    columns, limits = to_columns(batch), read_recist_limits(continuing_pr=continuing)
    recist = derive_recist_columns(columns, limits=limits)
    immune, late = derive_irecist_columns(columns, limits=limits)
    for i, one in enumerate(batch):
        expected = [str(a.overall) for a in derive_recist(one, limits=limits)]
        assert [CODES[code] for code in recist[i]] == expected
        answers = derive_irecist(one, limits=limits)
        assert [IMMUNE_CODES[code] for code in immune[i]] == [str(a.answer.response) for a in answers]
        assert late[i].tolist() == [a.answer.late_confirmation for a in answers]


@pytest.mark.requirement("D-columns")
@CHECKED
@given(
    st.lists(st.lists(st.sampled_from(CODES), min_size=6, max_size=6), min_size=8, max_size=16),
    st.sampled_from([0, 42, 60]),
    st.sampled_from([0, 28, 50]),
    st.integers(min_value=0, max_value=2),
    st.booleans(),
)
def test_best_responses_on_columns_equal_those_on_records(rows, window, distance, between, accept):
    codes = np.array([[CODES.index(code) for code in row] for row in rows], dtype=np.int8)
    visits = codes.shape[1]
    day = np.tile(np.arange(1, visits + 1) * 25, (len(rows), 1))
    blank = np.zeros((len(rows), visits), dtype=np.int8)
    columns = ResponseColumns(
        sizes_mm=np.zeros((len(rows), visits + 1, 1)),
        targets=np.ones(len(rows), dtype=np.int64),
        target_nodes=np.zeros((len(rows), 1), dtype=bool),
        states=np.zeros((len(rows), visits, 1), dtype=np.int8),
        non_targets=np.zeros(len(rows), dtype=np.int64),
        non_target_nodes=np.zeros((len(rows), 1), dtype=bool),
        new=blank.copy(),
        new_sums_mm=np.full((len(rows), visits), np.nan),
        new_counts=np.full((len(rows), visits), np.nan),
        new_growth=blank.copy(),
        days=day,
        reference_days=np.zeros(len(rows), dtype=np.int64),
    )
    chosen = BestSettings(sd_window_days=window, confirm_days=distance, max_ne=between, accept_sd=accept)
    origin = date(2024, 1, 1)
    for confirmed, derive in ((False, derive_bor), (True, derive_confirmed_bor)):
        best, place = derive_best_columns(codes, columns=columns, settings=chosen, confirmed=confirmed)
        for i, row in enumerate(rows):
            points = [(origin + timedelta(days=int(d)), code) for d, code in zip(day[i], row)]
            expected = derive(Timeline.of(points, reference=origin), chosen)
            assert (CODES[best[i]] or "MISSING") == expected.value
            found = None if place[i] < 0 else origin + timedelta(days=int(day[i, place[i]]))
            assert found == expected.day


def test_columns_of_other_shapes_and_other_rules_are_refused():
    batch = [course({"T0": [20.0] * (VISITS + 1)}, dates=days(*range(0, 60, 10)))]
    columns = to_columns(batch)
    with pytest.raises(InputError, match="best-in-class"):
        derive_best_columns(
            columns.new, columns=columns, settings=BestSettings(rule=BestRule.TABLE3), confirmed=True
        )
    from dataclasses import replace

    with pytest.raises(InputError, match="targets"):
        replace(columns, targets=np.zeros(3, dtype=np.int64))
    with pytest.raises(InputError, match="negative"):
        replace(columns, sizes_mm=np.full_like(columns.sizes_mm, -1.0))
