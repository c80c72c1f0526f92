"""Protocol files: packaged ones are complete in their sources, wrong ones are refused in words."""

from __future__ import annotations

import pytest

from hepatica.core.errors import NotFoundError, ProtocolError
from hepatica.core.evidence import EvidenceStatus
from hepatica.planning.dose.protocol import Protocol, list_protocols, read_protocol
from hepatica.planning.dose.rules.rule import find_families
from hepatica.planning.dose.rules.step_table import StepTable

BASE = """
name = "x"
title = "x"
agent = "x"
[sites]
injected = ["liver"]
others = "exclude"
priority = []
[order]
source = "test"
first_visit = { value = "largest first" }
later_visits = { value = "largest first" }
[visits.all]
first = 1
concentration = { value = 1e6, unit = "pfu_per_ml", source = "test" }
ceiling = { value = 4.0, unit = "ml", source = "test" }
[rule]
family = "step_table"
source = "test"
[[rule.bands]]
upper = { value = 2.0, unit = "cm", edge = "<=" }
volume = { value = 1.0, unit = "ml" }
[[rule.bands]]
lower = { value = 2.0, unit = "cm", edge = ">" }
volume = { value = 2.0, unit = "ml" }
"""


def read(text: str) -> Protocol:
    return Protocol.from_toml(text.encode(), where="mine.toml")


def names() -> list[str]:
    plain = list(list_protocols())
    return plain + [f"{name}:{level}" for name in plain for level in read_protocol(name).levels]


@pytest.mark.requirement("A-dose-evidence")
@pytest.mark.parametrize("name", names())
def test_every_number_of_every_packaged_protocol_has_a_source_and_a_status(name: str) -> None:
    protocol = read_protocol(name)
    evidence = list(protocol.evidence)
    assert len(evidence) >= 5
    for item in evidence:
        assert item.source, item.key
        assert (item.value is None) == (item.status is EvidenceStatus.NOT_SET)
    assert len(protocol.digest) == 64 and protocol.title and protocol.agent and protocol.notices


@pytest.mark.requirement("A-dose-families")
def test_every_one_of_the_nine_families_has_a_real_protocol() -> None:
    used = {read_protocol(name).rule.family for name in list_protocols()}
    assert used == set(find_families()) and len(used) == 9


@pytest.mark.requirement("A-dose-notices")
def test_the_label_protocol_says_what_it_is_and_the_haemorrhage_heading_says_it_is_a_heading() -> None:
    protocol = read_protocol("tvec-label")
    kinds = {notice.kind for notice in protocol.printed}
    assert {"not the liver protocol", "off label", "hepatic haemorrhage", "biosafety"} <= kinds
    assert "label, not the liver protocol" in protocol.title
    assert any("Heading only" in line and "5.7" in line for line in protocol.notices)
    assert any("investigational" in line for line in read_protocol("tvec-liver-escalation").notices)


@pytest.mark.requirement("A-dose-schedule")
def test_label_intervals_are_three_weeks_then_two_and_the_liver_cycle_is_21_days() -> None:
    label = read_protocol("tvec-label")
    days = [
        interval.value for visit in (2, 3, 9) if (interval := label.visit_row(visit).interval) is not None
    ]
    assert days == [21, 14, 14] and label.visit_row(1).interval is None
    liver = read_protocol("tvec-liver-escalation")
    interval = liver.visit_row(6).interval
    assert interval is not None and interval.value == 21
    with pytest.raises(ProtocolError, match="visit from 1 to 6"):
        liver.visit_row(7)


@pytest.mark.requirement("A-dose-not-set")
def test_what_is_missing_is_named_before_anything_is_planned() -> None:
    assert read_protocol("tvec-liver-escalation").missing_for(1) == ("rule.bands", "visits.all.ceiling")
    assert read_protocol("tvec-label").missing_for(1) == ()
    assert read_protocol("pv10-liver").missing_for(1) == ("rule.amount", "rule.cap")


def test_a_name_nobody_knows_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="tvec-label"):
        read_protocol("tvec")
    with pytest.raises(NotFoundError, match="10-percent"):
        read_protocol("nbtxr3-liver:11-percent")


def test_the_base_of_the_refusal_tests_is_itself_accepted() -> None:
    rule = read(BASE).rule
    assert isinstance(rule, StepTable) and rule.edges_mm == (20.0,)


REFUSED = [
    ('edge = ">" }\n', 'edge = ">=" }\n', "overlap"),
    ("lower = { value = 2.0", "lower = { value = 1.9", "overlap"),
    ("lower = { value = 2.0", "lower = { value = 2.1", "gap"),
    ('edge = "<=" }', 'edge = "<" }', "gap"),
    ("volume = { value = 2.0", "volume = { value = 0.5", "never gets less"),
    ("volume = { value = 2.0", "volume = { value = -2.0", "above 0"),
    ("volume = { value = 2.0", "volume = { value = nan", "finite"),
    ("volume = { value = 2.0", "volume = { value = inf", "finite"),
    ("volume = { value = 2.0", "volume = { value = true", "finite"),
    ('volume = { value = 2.0, unit = "ml" }', "volume = 2.0", "no unit and no source"),
    ('volume = { value = 2.0, unit = "ml" }', 'volume = { value = 2.0, unit = "mL" }', "did you mean 'ml'"),
    ('volume = { value = 2.0, unit = "ml" }', "volume = { value = 2.0 }", "unit ''"),
    ('upper = { value = 2.0, unit = "cm"', 'upper = { value = 2.0, unit = "ml"', "unit"),
    ('edge = ">" }', 'edge = "above" }', "edge"),
    ('lower = { value = 2.0, unit = "cm", edge = ">" }', "", "open edge"),
    ("first = 1\n", "first = 2\n", "strength for visit 1"),
    ("first = 1\n", "first = 1\nlast = 2\n", "without a strength"),
    ("first = 1\n", "first = 0\n", "whole number from 1"),
    ('concentration = { value = 1e6, unit = "pfu_per_ml", source = "test" }\n', "", "neither"),
    ('unit = "pfu_per_ml"', 'unit = "pfu"', "unit"),
    ("ceiling = {", "celing = {", "did you mean 'ceiling'"),
    ('value = "largest first"', 'value = "smallest first"', "largest first"),
    ('family = "step_table"', 'family = "step_tables"', "step_table"),
    ('others = "exclude"', 'others = "maybe"', "warn"),
    ('injected = ["liver"]', "injected = []", "at least one site"),
    ('agent = "x"', "", "a text"),
    ("[sites]", "[[sites]]", "a table"),
    ("[order]", "[oder]", "order"),
    ('source = "test" }\n[rule]', 'status = "checked" }\n[rule]', "status one of"),
    ('name = "x"', "name = ", "TOML"),
    ("[rule]", '[eligibility]\nuses = ["age"]\n[rule]', "age_min"),
    ("[rule]", '[eligibility]\nage_min = { value = 18, unit = "months", edge = ">=" }\n[rule]', "years"),
    ("[rule]", '[[notices]]\nkind = "joke"\ntext = { value = "x" }\n[rule]', "off label"),
]


@pytest.mark.requirement("A-dose-refusals")
@pytest.mark.parametrize(("old", "new", "words"), REFUSED)
def test_a_protocol_that_contradicts_itself_is_refused_with_place_and_remedy(
    old: str, new: str, words: str
) -> None:
    assert old in BASE
    with pytest.raises(ProtocolError) as refusal:
        read(BASE.replace(old, new, 1))
    assert words in str(refusal.value)
    assert "mine.toml" in refusal.value.where and refusal.value.action


@pytest.mark.requirement("A-dose-refusals")
def test_two_rows_for_one_visit_are_refused() -> None:
    second = '[visits.more]\nfirst = 2\nconcentration = { value = 1e8, unit = "pfu_per_ml" }\n[rule]'
    with pytest.raises(ProtocolError, match="no row after an open one"):
        read(BASE.replace("[rule]", second, 1))


EXTENDING = 'extends = "{}"\nname = "y"\ntitle = "y"\n'


@pytest.mark.requirement("A-dose-refusals")
def test_a_file_that_extends_may_not_replace_what_was_read_in_a_source() -> None:
    text = EXTENDING.format("tvec-label") + '[visits.first.ceiling]\nvalue = 8\nunit = "ml"\n'
    with pytest.raises(ProtocolError, match=r"set to 4\.0 ml"):
        read(text)
    with pytest.raises(ProtocolError, match="a list"):
        read(EXTENDING.format("tvec-label") + '[[rule.bands]]\nvolume = { value = 8, unit = "ml" }\n')
    with pytest.raises(ProtocolError, match="write a protocol of your own"):
        read(EXTENDING.format("tvec-label") + '[rule]\nfamily = "fraction_of_volume"\n')


def test_a_file_that_extends_may_replace_what_is_unverified_and_add_notices() -> None:
    text = EXTENDING.format("pv10-liver:cohort-1") + (
        '[visits.first.concentration]\nvalue = 90\nunit = "mg_per_ml"\nsource = "site"\nstatus = "verified"\n'
        '[eligibility]\nuses = ["age_min"]\n'
        '[[notices]]\nkind = "practice"\ntext = { value = "House.", source = "site", status = "verified" }\n'
    )
    protocol = read(text)
    concentration = protocol.visit_row(1).concentration
    assert concentration is not None and concentration.value == 90 and concentration.source == "site"
    assert protocol.notices[-1] == "House." and len(protocol.notices) == 2
    assert "age_min" in protocol.eligibility and "bleeding_inr" in protocol.eligibility
    assert protocol.digest != read_protocol("pv10-liver:cohort-1").digest


def test_a_file_that_extends_has_to_name_itself_and_a_known_base() -> None:
    with pytest.raises(ProtocolError, match="a title of its own"):
        read('extends = "tvec-label"\nname = "y"\n')
    with pytest.raises(NotFoundError):
        read(EXTENDING.format("tvec"))


def test_a_level_may_be_chosen_later_in_a_file_that_extends() -> None:
    protocol = Protocol.from_toml(EXTENDING.format("nbtxr3-liver").encode(), where="y", level="15-percent")
    assert protocol.rule.evidence[0].value == 15


def test_lesions_outside_the_table_get_nothing_below_and_are_refused_above() -> None:
    from hepatica.core.errors import NotSetError
    from hepatica.planning.dose.values import DoseLesion

    text = BASE.replace(
        "upper = { value = 2.0", 'lower = { value = 1.0, unit = "cm", edge = ">" }\nupper = { value = 2.0'
    )
    text = text.replace(
        'edge = ">" }\nvolume', 'edge = ">" }\nupper = { value = 5, unit = "cm", edge = "<=" }\nvolume'
    )
    rule = read(text).rule

    def volume(longest_mm: float) -> tuple[float, str]:
        found = rule.derive_volumes(
            [DoseLesion(lesion_id="L1", longest_diameter_mm=longest_mm, volume_ml=1)], concentration=None
        )[0]
        return float(found.volume), found.reason

    assert volume(10.0) == (0.0, "smaller than the smallest lesion of the size table")
    assert volume(10.1) == (1.0, "") and volume(50.0) == (2.0, "")
    with pytest.raises(NotSetError, match=r"50\.1 mm"):
        volume(50.1)


@pytest.mark.requirement("A-dose-evidence")
def test_reader_variability_and_allocation_numbers_carry_source_and_status() -> None:
    from hepatica.core.evidence import read_evidence_table
    from hepatica.planning.dose.edges import VARIABILITY

    for name in ("dose.toml", "criteria.toml", "eligibility.toml"):
        for item in read_evidence_table("hepatica.planning.tables", name):
            assert item.source, f"{name} {item.key}"
    variability = read_evidence_table(*VARIABILITY)
    low, high = variability["diameter_between_readers_low"], variability["diameter_between_readers_high"]
    assert (low.value, high.value) == (-22.0, 25.0) and low.source and high.source
    assert (low.status.value, high.status.value) == ("verified", "verified")
