"""The trial commands: keys, one JSON document, exit statuses, order of rules."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from hepatica.core.errors import HepaticaError
from hepatica.entrypoints.cli.trial import app
from hepatica.trials.rule_options import RULE_NAMES

RUNNER = CliRunner()


def ask(*arguments):
    done = RUNNER.invoke(app, [*arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def advise(*arguments):
    return ask("next-dose", *arguments)


def test_the_group_is_one_typer_application():
    assert isinstance(app, typer.Typer)


@pytest.mark.requirement("E-command-next-dose")
def test_next_dose_has_the_keys_promised():
    answer = advise("boin", "--doses", "5", "--target", "0.3", "--outcomes", "1NNN 2NNT")
    assert {
        "recommended_dose",
        "continue",
        "dose_admissible",
        "prob_tox",
        "estimate",
        "hold",
        "reason",
    } <= set(answer)
    assert (answer["recommended_dose"], answer["continue"], answer["hold"]) == (2, True, None)
    pair = advise("boin-combination", "--doses", "3x4", "--target", "0.25", "--outcomes", "1.1NNN")
    assert pair["recommended_dose"] == [1, 2]


@pytest.mark.requirement("E-command-next-dose")
def test_advice_to_stop_exits_with_zero():
    answer = advise("boin", "--doses", "5", "--target", "0.3", "--outcomes", "1TTT")
    assert (answer["recommended_dose"], answer["continue"]) == (None, False)


DESIGNS = [
    ("3+3", "--allow-deescalation"),
    ("rolling6",),
    ("tpi", "--k1", "1", "--k2", "1.5"),
    ("mtpi",),
    ("mtpi2", "--epsilon1", ".05", "--epsilon2", ".05"),
    ("keyboard",),
    ("boin", "--exclusion-certainty", "0.9"),
    ("tite-boin",),
    ("bf-boin",),
    ("crm", "--skeleton", ".05,.1,.25,.4,.6"),
    (
        "tite-crm",
        "--skeleton",
        ".05,.1,.25,.4,.6",
        "--model",
        "logistic",
        "--intercept",
        "3",
        "--prior-sd",
        "1.1576",
        "--method",
        "bayes",
    ),
    ("crm", "--skeleton=.05,.1,.25,.4,.6", "--allow-skipping"),
    ("blrm",),
    ("blrm", "--dose-amounts", "1,2,4,8,16", "--prior-sd", "2,1"),
    ("i3+3",),
    (
        "boin12",
        "--phi-t",
        "0.35",
        "--phi-e",
        "0.25",
        "--u2",
        "40",
        "--u3",
        "60",
        "--n-star",
        "6",
        "--c-t",
        "0.95",
        "--c-e",
        "0.9",
    ),
]


@pytest.mark.requirement("E-command-next-dose")
@pytest.mark.parametrize("design", DESIGNS, ids=" ".join)
def test_every_design_answers_with_its_own_options(design):
    answer = advise(*design, "--doses", "5", "--target", "0.3", "--outcomes", "1NNN 2NNT 2NNN")
    assert answer["continue"] and answer["recommended_dose"] in (1, 2, 3, 4)
    assert len(answer["dose_admissible"]) == len(answer["prob_tox"]) == 5


@pytest.mark.requirement("E-rules")
def test_rules_apply_in_the_order_of_the_command_line():
    base = (
        "crm",
        "--doses",
        "5",
        "--target",
        "0.25",
        "--skeleton",
        ".05,.1,.25,.4,.6",
        "--outcomes",
        "1NNN 1NNN 2TNN 2NNN",
    )
    assert advise(*base, "--stop-at-n", "12", "--demand-n", "9")["continue"]
    assert not advise(*base, "--demand-n", "9", "--stop-at-n", "12")["continue"]
    assert not advise("crm", "--demand-n=9", "--stop-at-n=12", *base[1:])["continue"]


@pytest.mark.requirement("E-linked-populations")
def test_linked_population_waits_at_the_command_line():
    base = ("boin", "--doses", "4", "--target", "0.3", "--outcomes", "1NNN", "--population", "HCC")
    waiting = advise(*base, "--cleared", "1")
    assert (waiting["recommended_dose"], "non-HCC" in waiting["hold"]["why"]) == (1, True)
    assert advise(*base, "--cleared", "2")["recommended_dose"] == 2


@pytest.mark.requirement("E-hold")
def test_pending_patients_give_the_date_of_the_next_slot(tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text("dose,dlt,follow_up,window\n1,0,28,28\n1,0,20,28\n1,0,5,28\n")
    held = advise(
        "tite-boin", "--doses", "3", "--target", "0.3", "--patients", str(table), "--today", "2026-03-01"
    )
    assert held["hold"]["earliest_date"] == "2026-03-09"
    assert (
        advise("3+3", "--doses", "3", "--patients", str(table), "--today", "2026-03-01")["hold"][
            "earliest_date"
        ]
        == "2026-03-24"
    )


@pytest.mark.requirement("E-command-table")
def test_boin_table_rows_have_the_keys_promised():
    rows = ask("table", "boin", "--target", "0.3", "--max-n", "30")["rows"]
    assert len(rows) == 30
    assert rows[0] == {"n": 1, "escalate_if_le": 0, "deescalate_if_ge": 1, "eliminate_if_ge": None}
    assert rows[29] == {"n": 30, "escalate_if_le": 7, "deescalate_if_ge": 11, "eliminate_if_ge": 14}


@pytest.mark.requirement("E-command-select")
def test_select_mtd():
    assert ask("select-mtd", "boin", "--n", "3,3,6", "--x", "0,0,1", "--target", "0.3")["mtd"] == 3
    assert ask("select-mtd", "boin", "--n", "3,3", "--x", "3,0", "--target", "0.3")["mtd"] is None
    pair = ask(
        "select-mtd",
        "boin-combination",
        "--n",
        "3,5,0,0,0/7,6,15,0,0/0,0,4,0,0",
        "--x",
        "0,1,0,0,0/1,1,4,0,0/0,0,2,0,0",
        "--target",
        "0.3",
    )
    assert pair["mtd"] == [2, 3]


@pytest.mark.requirement("E-pathways")
def test_pathways_list_every_node():
    nodes = ask(
        "pathways", "boin", "--doses", "3", "--target", "0.3", "--cohorts", "3,3", "--truth", ".1,.3,.5"
    )["nodes"]
    assert nodes[0]["path"] == [] and nodes[0]["probability"] == 1.0
    assert len(nodes) == 1 + 4 + 3 * 4  # three of three at dose 1 stops


@pytest.mark.requirement("E-command-simulate")
def test_simulate_and_compare_share_patients():
    one = ask(
        "simulate", "boin", "--target", "0.3", "--truth", ".05,.15,.3", "--trials", "500", "--seed", "4"
    )
    both = ask(
        "compare", "boin", "3+3", "--target", "0.3", "--truth", ".05,.15,.3", "--trials", "500", "--seed", "4"
    )
    assert both["designs"][0]["selected"] == one["selected"]
    assert [d["design"] for d in both["designs"]] == ["boin", "3+3"]
    assert sum(one["selected"]) + one["selected_none"] == pytest.approx(1.0)
    assert both["assumptions"]


@pytest.mark.requirement("E-command-phase2")
def test_phase_two_commands():
    simon = ask(
        "phase2", "simon", "--p0", ".1", "--p1", ".3", "--alpha", ".05", "--beta", ".2", "--nmax", "150"
    )
    assert set(simon["optimal"]) == {"r1", "n1", "r", "n", "en", "pet", "alpha", "power"}
    assert (simon["minimax"]["r1"], simon["minimax"]["n1"], simon["minimax"]["r"], simon["minimax"]["n"]) == (
        1,
        15,
        5,
        25,
    )
    assert ask("phase2", "single-stage", "--p0", ".1", "--p1", ".3")["n"] == 25
    assert len(ask("phase2", "admissible", "--p0", ".1", "--p1", ".3")["designs"]) == 4
    assert (
        ask("phase2", "inference", "--r1", "1", "--n1", "10", "--n", "29", "--x", "6", "--p0", ".1")["stage"]
        == 2
    )
    options = ("--x", "16", "--n", "23", "--n-max", "40", "--p0", ".6", "--theta", ".9", "--prior", ".6,.4")
    assert ask("phase2", "predictive", *options)["predictive_probability"] == pytest.approx(0.5656, abs=5e-5)
    assert (
        ask("phase2", "bop2", "--p0", ".2", "--p1", ".4", "--looks", "10,20,40", "--alpha", ".1")["alpha"]
        <= 0.1
    )


@pytest.mark.requirement("E-bop2-search")
@pytest.mark.requirement("E-bop2-pairs")
def test_bop2_searches_sizes_and_takes_pairs_of_endpoints():
    words = ("phase2", "bop2", "--p0", ".2", "--p1", ".5", "--alpha", ".1")
    found = ask(*words, "--search", "--first", "6", "--every", "6")
    assert found["power"] >= 0.8 and found["n"] == found["boundaries"][-1]["n"]
    pair = ask(*words, "--endpoint", "efficacy-toxicity", "--q0", ".4", "--q1", ".15", "--looks", "10,20")
    assert pair["stop_when"] == "either fails"
    assert set(pair["boundaries"][0]) == {"n", "first_fails_if_le", "second_fails_if_ge"}
    for wrong in (
        (),
        ("--search", "--looks", "10,20"),
        ("--endpoint", "nested", "--looks", "10"),
        ("--endpoint", "x", "--looks", "10", "--q0", ".1", "--q1", ".2"),
    ):
        with pytest.raises(HepaticaError):
            ask(*words, *wrong)


@pytest.mark.requirement("E-intervals")
def test_interval_command_gives_fractions():
    found = ask("interval", "--x", "2", "--n", "24", "--method", "clopper-pearson")
    assert (found["estimate"], round(found["lower"], 3), round(found["upper"], 3)) == (2 / 24, 0.010, 0.270)


@pytest.fixture
def follow_up(tmp_path):
    table = tmp_path / "aml.csv"
    rows = zip([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0])
    other = zip([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1] * 5 + [0] + [1] * 6)
    lines = [f"{t},{e},{1 - e},A" for t, e in rows] + [f"{t},{e},{1 - e},B" for t, e in other]
    table.write_text("time,event,CNSR,arm\n" + "\n".join(lines) + "\n")
    return str(table)


@pytest.mark.requirement("E-command-survival")
def test_survival_command_has_the_keys_promised(follow_up):
    alone = ask("survival", follow_up, "--time", "time", "--event", "event")
    (group,) = alone["groups"]
    assert group["name"] == "all" and alone["logrank"] is None
    assert {"n", "events", "median", "median_lower", "median_upper", "curve"} <= set(group)
    assert set(group["curve"][0]) == {"time", "n_risk", "n_event", "survival", "lower", "upper"}
    both = ask(
        "survival",
        follow_up,
        "--time",
        "time",
        "--censor",
        "CNSR",
        "--group",
        "arm",
        "--conf-type",
        "log",
        "--cox",
        "--landmark",
        "20",
        "--rmst",
        "40",
    )
    assert [(g["name"], g["median"], g["median_lower"]) for g in both["groups"]] == [
        ("A", 31.0, 18.0),
        ("B", 23.0, 8.0),
    ]
    assert both["logrank"]["chi2"] == pytest.approx(3.4, abs=0.05)
    assert both["cox"]["terms"][0]["coefficient"] == pytest.approx(0.9155, abs=5e-4)
    assert both["groups"][0]["landmark"]["survival"] == pytest.approx(0.716, abs=5e-4)
    assert both["groups"][0]["rmst"]["mean"] < 40
    assert (
        ask("survival", follow_up, "--time", "time", "--event", "event", "--reverse")["groups"][0]["events"]
        == 5
    )


@pytest.mark.requirement("E-command-survival")
def test_an_event_code_other_than_0_or_1_is_an_error_unless_competing(tmp_path):
    table = tmp_path / "risks.csv"
    table.write_text("t,e\n1,1\n2,2\n3,0\n4,1\n")
    command = ("survival", str(table), "--time", "t", "--event", "e")
    with pytest.raises(HepaticaError, match="competing"):
        ask(*command)
    found = ask(*command, "--competing")
    assert [c["cause"] for c in found["groups"][0]["incidence"]] == [1, 2]


@pytest.fixture
def risks(tmp_path):
    table = tmp_path / "risks.csv"
    rows = zip(range(1, 25), [1, 2, 1, 0, 2, 1, 1, 2, 0, 1, 2, 1] * 2, "ABBAAAABABBA" * 2)
    table.write_text("t,e,arm\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return str(table)


@pytest.mark.requirement("E-gray")
@pytest.mark.requirement("E-fine-gray")
def test_competing_groups_are_compared_by_gray_and_with_cox_by_fine_gray(risks):
    command = ("survival", risks, "--time", "t", "--event", "e", "--competing")
    assert ask(*command)["gray"] is None
    plain = ask(*command, "--group", "arm")
    assert [(test["cause"], test["df"]) for test in plain["gray"]] == [(1, 1), (2, 1)]
    assert all(0 < test["p"] <= 1 and test["chi2"] >= 0 for test in plain["gray"])
    assert "fine_gray" not in plain
    both = ask(*command, "--group", "arm", "--cox")
    for model in both["fine_gray"]:
        (term,) = model["terms"]
        assert (term["group"], term["against"], model["not_evaluable"]) == ("B", "A", None)
        assert term["lower"] < term["hazard_ratio"] < term["upper"]
    words = RUNNER.invoke(app, [*command, "--group", "arm", "--cox"]).stdout
    assert "Gray, kind 1" in words and "subdistribution hazard ratio, kind 2" in words


@pytest.mark.requirement("E-fine-gray")
def test_a_kind_of_event_that_one_group_lacks_is_not_evaluable_instead_of_an_error(tmp_path):
    table = tmp_path / "one.csv"
    table.write_text("t,e,arm\n1,1,A\n2,2,A\n3,1,B\n4,1,B\n5,2,A\n6,1,A\n7,0,B\n")
    found = ask(
        "survival", str(table), "--time", "t", "--event", "e", "--group", "arm", "--competing", "--cox"
    )
    first, second = found["fine_gray"]
    assert first["terms"] and not second["terms"]
    assert "maximum" in second["not_evaluable"]


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    "arguments",
    [
        ("next-dose", "boin", "--doses", "5", "--target", "1.3"),
        ("next-dose", "boin", "--doses", "x", "--target", "0.3"),
        ("next-dose", "boin", "--doses", "3x4", "--target", "0.3"),
        ("next-dose", "boin", "--target", "0.3"),
        ("next-dose", "nothing", "--doses", "5"),
        ("next-dose", "boin", "--doses", "3", "--target", "0.3", "--outcomes", "4NNN"),
        ("next-dose", "crm", "--doses", "3", "--target", "0.3", "--skeleton", ".3,.2,.4"),
        ("next-dose", "boin", "--doses", "3", "--target", "0.3", "--cleared", "7"),
        ("select-mtd", "boin", "--n", "3,3", "--x", "4,0", "--target", "0.3"),
        ("interval", "--x", "5", "--n", "4"),
        ("phase2", "simon", "--p0", ".3", "--p1", ".1"),
        ("survival", "/nowhere.csv", "--time", "t", "--event", "e"),
    ],
    ids=" ".join,
)
def test_impossible_input_is_a_coded_refusal(arguments):
    done = RUNNER.invoke(app, [*arguments, "--json"])
    assert isinstance(done.exception, HepaticaError)
    assert done.exception.expected and done.exception.given


@pytest.mark.requirement("E-baskets")
def test_basket_command_marks_borrowing_with_unverified_priors():
    answer = ask(
        "phase2", "basket", "--x", "2,3,3,0,1", "--n", "24,22,18,10,5", "--p0", ".1", "--method", "exnex"
    )
    assert len(answer["prob_above_p0"]) == 5
    assert "unverified" in answer["notes"][0]


@pytest.mark.requirement("E-same-bytes")
def test_two_processes_print_the_bytes_of_one():
    words = (
        "simulate",
        "boin",
        "--target",
        "0.3",
        "--truth",
        ".05,.15,.3",
        "--trials",
        "9000",
        "--seed",
        "4",
    )
    assert ask(*words, "--workers", "2") == ask(*words)


TOXIC = ("crm", "--doses", "5", "--target", "0.25", "--skeleton", ".05,.1,.25,.4,.6", "--outcomes")
RULED = [
    # rule and value, outcomes, (dose, goes on) without the rule, and with it
    (("--stop-at-n", "6"), "1NNN 2NNN", (3, True), (3, False)),
    (("--stop-n-at-dose", "3:any"), "1NNN", (2, True), (2, False)),
    (("--stop-n-at-dose", "3:recommended"), "1NNN 2NTT", (1, True), (1, False)),
    (("--stop-n-at-dose", "3:2"), "1NNN 2NTT", (1, True), (1, False)),
    (("--stop-n-at-dose", "3"), "1NNN", (2, True), (2, False)),
    (("--stop-at-n", "3", "--demand-n", "9"), "1NNN", (2, True), (2, True)),
    (("--stop-too-toxic", "1,0.35,0.8"), "1TTT", (1, True), (None, False)),
    (("--stop-too-toxic", "1,0.35,0.8", "--demand-n", "9"), "1TTT", (1, True), (None, False)),
    (("--stop-ci-covered", "0.01,0.9"), "1NNN 2NNN 3NNT 3NNN", (4, True), (4, False)),
    (("--stick-on", "0,3"), "1NNN", (2, True), (1, True)),
    (("--stop-too-toxic", "1,0.35,0.8", "--rescue", "1,6"), "1TTT", (1, True), (1, True)),
    (("--allow-skipping", "--no-skip", "up"), "1NNN", (2, True), (2, True)),
    (("--no-skip", "both"), "1NNN 2N 3TTT", (1, True), (2, True)),
    (("--unadmit-untested",), "1NNN", (2, True), (2, True)),
    (("--follow-path", "1NNN 1NNN"), "1NNN", (2, True), (1, True)),
    (("--follow-path", "1NN 2NN", "--expand-cohort", "3"), "1NT", (1, True), (1, True)),
]


@pytest.mark.requirement("E-rules")
@pytest.mark.parametrize(("rule", "outcomes", "before", "after"), RULED, ids=str)
def test_every_rule_acts_at_the_command_line(rule, outcomes, before, after):
    plain, ruled = advise(*TOXIC, outcomes), advise(*TOXIC, outcomes, *rule)
    assert (plain["recommended_dose"], plain["continue"]) == before
    assert (ruled["recommended_dose"], ruled["continue"]) == after
    assert ruled["reason"]


@pytest.mark.requirement("E-rules")
def test_no_rule_is_left_out_of_the_command_line_tests():
    tried = {word[2:] for rule, *_ in RULED for word in rule if word.startswith("--")} - {"allow-skipping"}
    assert tried == set(RULE_NAMES)


@pytest.mark.requirement("E-interface-keys")
def test_every_key_of_the_interface_is_in_the_document(follow_up):
    advice = advise("boin", "--doses", "3", "--target", "0.3", "--outcomes", "1NNN")
    assert {
        "recommended_dose",
        "continue",
        "dose_admissible",
        "prob_tox",
        "estimate",
        "hold",
        "reason",
    } <= set(advice)
    for row in ask("table", "boin", "--target", "0.3", "--max-n", "30")["rows"]:
        assert set(row) == {"n", "escalate_if_le", "deescalate_if_ge", "eliminate_if_ge"}
    simon = ask("phase2", "simon", "--p0", ".1", "--p1", ".3")
    for name in ("optimal", "minimax"):
        assert set(simon[name]) == {"r1", "n1", "r", "n", "en", "pet", "alpha", "power"}
    for method in ("clopper-pearson", "wilson", "wilson-cc", "jeffreys", "agresti-coull"):
        found = ask("interval", "--x", "0", "--n", "10", "--method", method)
        assert found["estimate"] == 0 and 0 <= found["lower"] < found["upper"] <= 1
    words = ("survival", follow_up, "--time", "time", "--event", "event")
    both = ask(*words, "--group", "arm")
    assert set(both["logrank"]) == {"chi2", "df", "p"}
    for document, names in ((ask(*words), ["all"]), (both, ["A", "B"])):
        assert [group["name"] for group in document["groups"]] == names
        for group in document["groups"]:
            assert {"n", "events", "median", "median_lower", "median_upper", "curve"} <= set(group)
            for point in group["curve"]:
                assert set(point) == {"time", "n_risk", "n_event", "survival", "lower", "upper"}
