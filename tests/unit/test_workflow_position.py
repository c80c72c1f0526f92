"""A position stated by a person."""

from __future__ import annotations

from dataclasses import replace

import pytest
from phantom import make_context, make_phantom

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.workflows.state_position import check_position, state_position


@pytest.fixture(scope="module")
def image():
    return make_context(make_phantom(spacing_mm=(8.0, 8.0, 8.0))).image


def _without_position(image):
    return replace(image, facts=replace(image.facts, patient_position=NotEvaluable(reason="unknown")))


def test_a_stated_position_fills_a_gap_and_is_a_warning(image):
    stated = state_position(_without_position(image), "ffp")
    assert stated.facts.patient_position == "FFP"
    assert [f.rule for f in stated.findings] == ["image.position_stated"]


def test_the_header_is_never_overruled(image):
    assert state_position(image, "HFS") is image
    with pytest.raises(InputError):
        state_position(image, "FFP")


def test_nothing_stated_changes_nothing(image):
    assert state_position(_without_position(image), "").facts.patient_position == NotEvaluable(
        reason="unknown"
    )


def test_a_word_that_dicom_does_not_know_is_refused():
    with pytest.raises(InputError):
        check_position("upside-down")
