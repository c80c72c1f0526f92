"""Endpoints from recorded responses: one hand-made row for each censoring rule, both shipped tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoint_tables import EndpointBench, iso, person, responses

from hepatica.core.errors import NotFoundError, ProtocolError
from hepatica.entrypoints.cli.response import PARTIAL
from hepatica.followup.endpoints import decide
from hepatica.followup.endpoints.rules import CONDITIONS, DATES, list_rules, read_rules, to_rules

SETTINGS = Path(__file__).parents[2] / "src/hepatica/followup/endpoints/tables"


@pytest.fixture
def bench(tmp_path: Path) -> EndpointBench:
    return EndpointBench(tmp_path)


# One subject for each situation. Scheduled scans: study days 43, 85, 169, 253 (weeks 6, 12, then every 12), each
# 7 days either way. Columns: overall responses by study day, facts, then by hand (AVAL, CNSR, rule) of PFS under
# fda-2007 and under itt.
CASES = {
    "progression": ({43: "SD", 85: "PD"}, {}, (85, 0, "progression"), (85, 0, "progression")),
    "no progression": ({43: "SD", 85: "PR"}, {}, (85, 6, "no_event"), (85, 6, "no_event")),
    "last assessment not evaluable": ({43: "SD", 85: "NE"}, {}, (43, 6, "no_event"), (43, 6, "no_event")),
    "death without progression": ({43: "SD"}, {"death": 60}, (60, 0, "death"), (60, 0, "death")),
    "death before the first assessment": ({}, {"death": 30}, (30, 0, "death"), (30, 0, "death")),
    "progression on the day of death": ({43: "PD"}, {"death": 43}, (43, 0, "progression"), (43, 0, "progression")),
    "never assessed": ({}, {"contact": 200}, (1, 2, "no_postbaseline"), (1, 2, "no_postbaseline")),
    "assessed, never evaluable": ({43: "NE"}, {"contact": 200}, (1, 2, "no_postbaseline"), (1, 2, "no_postbaseline")),
    "one missed, then progression": ({43: "SD", 169: "PD"}, {}, (169, 0, "progression"), (169, 0, "progression")),
    "two missed, then progression": ({43: "SD", 253: "PD"}, {}, (43, 4, "missed_visits"), (253, 0, "progression")),
    "two missed, then death": ({43: "SD"}, {"death": 253}, (43, 4, "missed_visits"), (253, 0, "death")),
    "two not evaluable, then progression": (
        {43: "SD", 85: "NE", 169: "NE", 253: "PD"}, {}, (43, 4, "missed_visits"), (253, 0, "progression"),
    ),
    "all missed, then death": ({}, {"death": 120}, (1, 4, "missed_visits"), (120, 0, "death")),
    "new therapy, then progression": (
        {43: "SD", 85: "PD"}, {"therapy": 50}, (43, 3, "new_therapy"), (85, 0, "progression"),
    ),
    "new therapy on the day of progression": (
        {43: "SD", 85: "PD"}, {"therapy": 85}, (85, 0, "progression"), (85, 0, "progression"),
    ),
    "new therapy, then death": ({43: "SD"}, {"therapy": 50, "death": 60}, (43, 3, "new_therapy"), (60, 0, "death")),
    "new therapy, no event": ({43: "SD", 85: "SD"}, {"therapy": 50}, (43, 3, "new_therapy"), (85, 6, "no_event")),
    "progression named, not seen": ({43: "SD"}, {"named": 60}, (43, 5, "undocumented"), (43, 5, "undocumented")),
    "no baseline": ({43: "SD"}, {"no_baseline": True}, (1, 1, "no_baseline"), (1, 1, "no_baseline")),
    "no baseline, then death": ({}, {"no_baseline": True, "death": 70}, (1, 1, "no_baseline"), (70, 0, "death")),
}  # fmt: skip


def to_tables(cases):
    tables = {"rs": [], "dm": [], "ds": [], "cm": [], "tu": []}
    for name, (days, facts, *_) in cases.items():
        tables["dm"].append(person(name, death=facts.get("death"), contact=facts.get("contact")))
        tables["rs"] += responses(name, days)
        if "therapy" in facts:
            therapy = {"CMSEQ": 7, "CMCAT": "NEW ANTI-CANCER THERAPY", "CMSTDTC": iso(facts["therapy"])}
            tables["cm"].append({"USUBJID": name, **therapy})
        if "named" in facts:
            reason = {"DSSEQ": 2, "DSDECOD": "PROGRESSIVE DISEASE", "DSSTDTC": iso(facts["named"])}
            tables["ds"].append({"USUBJID": name, **reason})
        role = "NEW" if facts.get("no_baseline") else "TARGET"
        tables["tu"].append({"USUBJID": name, "TULNKID": "T01", "TUSTRESC": role})
    return tables


@pytest.mark.requirement("D-endpoints-censoring")
@pytest.mark.parametrize(("rules", "column"), [("fda-2007", 2), ("itt", 3)])
def test_every_censoring_rule_gives_the_day_and_code_of_the_hand_made_table(bench, rules, column):
    code, document, out = bench.derive(rules=rules, **to_tables(CASES))
    assert (code, document["findings"]) == (0, [])
    assert bench.times(out, "PFS") == {name: case[column] for name, case in CASES.items()}


@pytest.mark.requirement("D-endpoints-censoring")
def test_the_cases_by_hand_reach_every_rule_of_both_shipped_tables():
    for name, column in (("fda-2007", 2), ("itt", 3)):
        reached = {case[column][2] for case in CASES.values()}
        assert reached == {row.rule_id for row in read_rules(name).progression}


@pytest.mark.requirement("D-endpoints-rules")
def test_every_word_a_table_may_use_has_its_meaning_in_code():
    assert tuple(decide.CONDITIONS) == CONDITIONS
    assert tuple(decide.DATES) == tuple(DATES)


@pytest.mark.requirement("D-endpoints-os")
def test_overall_survival_ends_with_death_or_with_the_last_day_known_alive(bench):
    dm = [person("dead", death=100), person("seen", contact=90), person("scanned"), person("lost")]
    dm += [person("month", RFPENDTC="2024-05")]
    _, _, out = bench.derive(rs=responses("scanned", {43: "SD", 85: "SD"}), dm=dm)
    assert bench.times(out, "OS") == {
        "dead": (100, 0, "death"),
        "seen": (90, 2, "alive"),
        "scanned": (85, 2, "alive"),
        "lost": (1, 1, "no_contact"),
        "month": (122, 2, "alive"),  # alive some day in May: surely on the first, day 122
    }
    month = next(
        r for r in bench.table(out / "adtte.csv") if r["USUBJID"] == "month" and r["PARAMCD"] == "OS"
    )
    assert (month["ADT"], month["ADTF"]) == ("2024-05-01", "D")


@pytest.mark.requirement("D-endpoints-dor")
def test_duration_of_response_is_for_responders_only_and_time_to_response_likewise(bench):
    days = {
        "lasting": {43: "PR", 85: "PR"},
        "lost": {43: "SD", 85: "CR", 169: "PD"},
        "never": {43: "SD", 85: "PD"},
        "after": {43: "PD", 85: "PR"},
    }
    rs = [row for name, found in days.items() for row in responses(name, found)]
    _, _, out = bench.derive(rs=rs, dm=[person(name) for name in days])
    assert bench.times(out, "DOR") == {"lasting": (43, 6, "no_event"), "lost": (85, 0, "progression")}
    assert bench.times(out, "TTR") == {"lasting": (43, 0, "response"), "lost": (85, 0, "response")}


def change_rules(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = (SETTINGS / "fda-2007.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


@pytest.mark.requirement("D-endpoints-dor")
def test_a_rule_file_may_ask_for_confirmed_response_and_count_everybody_in_time_to_response(bench, tmp_path):
    own = change_rules(
        tmp_path,
        ('response = { value = "unconfirmed"', 'response = { value = "confirmed"'),
        ('time_to_response = { value = "responders"', 'time_to_response = { value = "all"'),
    )
    rs = [*responses("once", {43: "PR", 85: "SD"}), *responses("twice", {43: "PR", 85: "PR"})]
    _, document, out = bench.derive(rules=own, rs=rs, dm=[person("once"), person("twice")])
    assert set(bench.times(out, "DOR")) == {"twice"}
    assert bench.times(out, "TTR") == {"once": (85, 6, "no_event"), "twice": (43, 0, "response")}
    assert document["rules"]["status"] == "unverified"


@pytest.mark.requirement("D-endpoints-bor")
def test_best_responses_and_every_visit_stand_in_adrs_with_their_source(bench):
    rs = responses("one", {43: "PR", 60: "SD", 85: "PR", 120: "PR", 169: "PD", 253: "CR"})
    _, _, out = bench.derive(rs=rs, dm=[person("one"), person("none")])
    rows = [row for row in bench.table(out / "adrs.csv") if row["USUBJID"] == "one"]
    values = {row["PARAMCD"]: (row["AVALC"], row["AVAL"], row["ADT"], row["SRCSEQ"]) for row in rows}
    assert values["BOR"] == ("PR", "2", iso(43), "1")
    assert values["CBOR"] == ("PR", "2", iso(85), "3")
    assert values["RSP"] == ("Y", "1", iso(43), "1")
    visits = [(row["AVALC"], row["ANL01FL"], row["ADY"]) for row in rows if row["PARAMCD"] == "OVR"]
    assert visits[0] == ("PR", "Y", "43")
    assert [v[0] for v in visits] == ["PR", "SD", "PR", "PR", "PD", "CR"]
    assert not [row for row in bench.table(out / "adrs.csv") if row["USUBJID"] == "none"]


@pytest.mark.requirement("D-endpoints-back-dated")
def test_progression_is_dated_back_to_the_first_equivocal_sighting_and_only_here(bench):
    new = {85: "EQUIVOCAL", 169: "EQUIVOCAL", 253: "UNEQUIVOCAL"}
    rs = responses("back", {43: "SD", 85: "SD", 169: "PR", 253: "PD"}, new=new)
    rs += responses(
        "gap", {43: "SD", 85: "SD", 169: "SD", 253: "PD"}, new={43: "EQUIVOCAL", 253: "UNEQUIVOCAL"}
    )
    rs += responses("other", {43: "SD", 85: "PD"}, new={43: "EQUIVOCAL"})
    _, _, out = bench.derive(rs=rs, dm=[person("back"), person("gap"), person("other")])
    assert bench.times(out, "PFS") == {
        "back": (85, 0, "progression"),
        "gap": (253, 0, "progression"),
        "other": (85, 0, "progression"),
    }
    row = next(r for r in bench.table(out / "adtte.csv") if (r["USUBJID"], r["PARAMCD"]) == ("back", "PFS"))
    assert row["EVNTDESC"].endswith("dated back to the first equivocal sighting")
    assert (row["SRCDOM"], row["SRCVAR"], row["SRCSEQ"]) == ("RS", "RSDTC", "3")
    adrs = [r for r in bench.table(out / "adrs.csv") if r["USUBJID"] == "back"]
    assert [r["AVALC"] for r in adrs if r["PARAMCD"] == "OVR"] == ["SD", "SD", "PR", "PD"]
    assert next(r["AVALC"] for r in adrs if r["PARAMCD"] == "RSP") == "N"


@pytest.mark.requirement("D-endpoints-immune")
def test_immune_endpoints_use_the_first_unconfirmed_progression_of_the_run_that_stays(bench):
    more = {"category": "iRECIST"}
    rs = [
        *responses("confirmed", {43: "iSD", 85: "iUPD", 127: "iCPD"}, **more),
        *responses("reset", {43: "iUPD", 85: "iPR", 169: "iUPD"}, **more),
        *responses("free", {43: "iUPD", 85: "iPR", 169: "iPR"}, **more),
    ]
    _, _, out = bench.derive(rs=rs, dm=[person(name) for name in ("confirmed", "reset", "free")])
    assert bench.times(out, "IPFS") == {
        "confirmed": (85, 0, "progression"),
        "reset": (169, 0, "progression"),
        "free": (169, 6, "no_event"),
    }
    assert bench.times(out, "IDOR") == {"reset": (85, 0, "progression"), "free": (85, 6, "no_event")}
    adrs = {r["USUBJID"]: r["AVALC"] for r in bench.table(out / "adrs.csv") if r["PARAMCD"] == "IBOR"}
    assert adrs == {"confirmed": "iSD", "reset": "iPR", "free": "iPR"}


@pytest.mark.requirement("D-endpoints-groups")
def test_injected_and_non_injected_lesions_and_evaluators_are_kept_apart(bench):
    rs = responses("one", {43: "PR", 85: "PR"}, group="INJECTED-A", category="itRECIST-based")
    rs += responses("one", {43: "SD", 85: "PD"}, group="NON-INJECTED", category="itRECIST-based", first=3)
    rs += responses(
        "one", {43: "PD"}, group="ALL", category="itRECIST-based", evaluator_id="READER 1", first=5
    )
    _, document, out = bench.derive(rs=rs, dm=[person("one", death=100)])
    assert bench.times(out, "PFS", GRPID="INJECTED-A") == {"one": (100, 0, "death")}
    assert bench.times(out, "PFS", GRPID="NON-INJECTED") == {"one": (85, 0, "progression")}
    assert bench.times(out, "PFS", AEVALID="READER 1") == {"one": (43, 0, "progression")}
    assert len(bench.times(out, "OS")) == 1
    assert "survival/pfs_itrecist-based_non-injected_investigator.csv" in document["files"]
    names = {r["PARAM"] for r in bench.table(out / "adtte.csv") if r["PARAMCD"] == "PFS"}
    assert "Progression-Free Survival, NON-INJECTED" in names


@pytest.mark.requirement("D-endpoints-months")
def test_days_become_months_by_the_divisor_that_the_rules_name(bench, tmp_path):
    rs, dm = responses("one", {43: "SD", 85: "PD"}), [person("one")]
    _, _, out = bench.derive(rs=rs, dm=dm)
    assert bench.table(out / "adtte.csv")[-1]["AVALM"] == "2.7926"  # 85 / 30.4375
    own = change_rules(tmp_path, ("value = 30.4375", "value = 30"))
    _, _, out = bench.derive(rules=own, rs=rs, dm=dm)
    assert bench.table(out / "adtte.csv")[-1]["AVALM"] == "2.8333"


@pytest.mark.requirement("D-endpoints-survival")
def test_the_small_tables_feed_the_survival_command_directly(bench):
    _, document, out = bench.derive(**to_tables(CASES))
    name = next(name for name in document["files"] if name.startswith("survival/pfs"))
    from typer.testing import CliRunner

    from hepatica.entrypoints.cli.main import app

    arguments = [
        "trial",
        "survival",
        str(out / name),
        "--time",
        "AVAL",
        "--censor",
        "CNSR",
        "--group",
        "TRTP",
    ]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.stdout
    import json

    group = json.loads(result.stdout)["groups"][0]
    assert (group["name"], group["n"]) == ("VIRUS", len(CASES))
    assert group["events"] == sum(case[2][1] == 0 for case in CASES.values())


@pytest.mark.requirement("D-endpoints-population")
def test_whoever_was_never_assessed_stays_in_every_series_of_whole_patients_but_not_of_lesion_groups(bench):
    rs = responses("read", {43: "SD"}, evaluator_id="READER 1", category="itRECIST-based", group="ALL")
    rs += responses(
        "read", {43: "SD"}, evaluator_id="READER 1", category="itRECIST-based", group="INJECTED-A", first=2
    )
    rs += responses(
        "read", {43: "PD"}, evaluator_id="ADJUDICATOR", category="itRECIST-based", group="ALL", first=3
    )
    rs += responses("read", {43: "iSD"}, category="iRECIST", first=4)
    _, _, out = bench.derive(rs=rs, dm=[person("read"), person("dead", death=30)])
    assert bench.times(out, "PFS", GRPID="ALL", AEVALID="READER 1")["dead"] == (30, 0, "death")
    assert bench.times(out, "IPFS")["dead"] == (30, 0, "death")
    assert "dead" not in bench.times(out, "PFS", GRPID="INJECTED-A")
    assert "dead" not in bench.times(out, "PFS", AEVALID="ADJUDICATOR")


@pytest.mark.requirement("D-endpoints-bad-rows")
@pytest.mark.parametrize(
    ("table", "rows", "column"),
    [
        ("rs", responses("bad", {43: "XX"}), "RSSTRESC"),
        ("rs", [*responses("bad", {43: "SD"}), *responses("bad", {43: "PR"})], "RSDTC"),
        ("rs", [{**responses("bad", {43: "SD"})[0], "RSDTC": "2024-02"}], "RSDTC"),
        ("rs", [{**responses("bad", {43: "SD"})[0], "RSDTC": "12.02.2024"}], "RSDTC"),
        ("rs", responses("bad", {43: "SD", 85: "iSD"}), "RSSTRESC"),
        ("rs", responses("bad", {43: "SD", 300: "SD"}), "RSDTC"),
        ("dm", [person("bad", RFSTDTC="2024-01")], "RFSTDTC"),
        ("dm", [person("bad", DTHFL="Y")], "DTHDTC"),
        ("dm", [person("bad"), person("bad")], "USUBJID"),
    ],
)
def test_a_bad_row_is_named_and_its_subject_left_out_while_others_are_derived(bench, table, rows, column):
    tables = {"rs": responses("good", {43: "SD"}), "dm": [person("good")]}
    if table == "rs":
        tables["dm"].append(person("bad", death=299 if column == "RSDTC" and len(rows) == 2 else None))
    tables[table] = [*tables[table], *rows]
    code, document, out = bench.derive(**tables)
    assert code == PARTIAL
    errors = [f for f in document["findings"] if f["severity"] == "error"]
    assert (errors[0]["table"], errors[0]["column"]) == (table, column)
    assert {row["USUBJID"] for row in bench.table(out / "adtte.csv")} == {"good"}
    assert "bad" not in str(errors)


@pytest.mark.requirement("D-endpoints-partial-dates")
def test_partial_dates_are_filled_in_one_way_where_the_rules_say_so_and_flagged(bench, tmp_path):
    own = change_rules(
        tmp_path, ('partial_dates = { value = "exclude"', 'partial_dates = { value = "latest"')
    )
    rs = [{**responses("one", {43: "PD"})[0], "RSDTC": "2024-02"}]
    _, _, out = bench.derive(rules=own, rs=rs, dm=[person("one", DTHDTC="2024", DTHFL="Y")])
    found = {row["PARAMCD"]: (row["ADT"], row["ADTF"]) for row in bench.table(out / "adtte.csv")}
    assert found == {"PFS": ("2024-02-29", "D"), "OS": ("2024-12-31", "M")}


@pytest.mark.requirement("D-endpoints-rules")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('when = "progression"', 'when = "perhaps"'),
        ('date = "death"', 'date = "some day"'),
        ('outcome = "event"', 'outcome = "censor"'),
        ('partial_dates = { value = "exclude"', 'partial_dates = { value = "guess"'),
        ("value = 30.4375", "value = 0"),
        ("missed_assessments", "missed_visits_allowed"),
        ('when = "otherwise"', 'when = "death"'),
        ("[settings]", "[setting]"),
    ],
)
def test_a_table_of_rules_that_contradicts_itself_is_refused(tmp_path, old, new):
    with pytest.raises(ProtocolError, match="the rules"):
        to_rules(change_rules(tmp_path, (old, new)).read_bytes())


@pytest.mark.requirement("D-endpoints-rules")
def test_shipped_tables_carry_source_and_status_and_an_unknown_name_is_refused(bench):
    for name in list_rules():
        rules = read_rules(name)
        assert rules.status == "unverified" and rules.source
        assert all(entry.source for entry in rules.settings)
    with pytest.raises(NotFoundError, match="fda-2007"):
        bench.derive(rules="fda", rs=[], dm=[person("one")])


@pytest.mark.requirement("D-endpoints-censoring")
def test_a_death_dated_in_ds_only_counts_though_dm_flags_it_without_a_date(bench):
    death = {"USUBJID": "S1", "DSSEQ": 1, "DSDECOD": "DEATH", "DSSTDTC": iso(60)}
    tables = {"dm": [person("S1", DTHFL="Y")], "rs": responses("S1", {43: "SD"}), "ds": [death]}
    code, document, out = bench.derive(rules="itt", **tables)
    assert (code, document["findings"]) == (0, [])
    assert bench.times(out, "OS") == {"S1": (60, 0, "death")}


@pytest.mark.requirement("D-endpoints-censoring")
def test_medication_in_words_that_the_rules_do_not_know_is_said_not_passed_over(bench):
    therapy = {"USUBJID": "S1", "CMSEQ": 1, "CMCAT": "ANTICANCER THERAPY", "CMSTDTC": iso(50)}
    tables = {"dm": [person("S1")], "rs": responses("S1", {43: "SD", 85: "PD"}), "cm": [therapy]}
    code, document, _ = bench.derive(rules="fda-2007", **tables)
    found = [(f["severity"], f["table"], f["row"], f["column"]) for f in document["findings"]]
    assert (code, found) == (0, [("warning", "cm", 2, "CMCAT")])
