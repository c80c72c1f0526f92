"""``hepatica trial survival``: curves, tests and rates from a table of follow-up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.core.errors import InputError, NotFoundError


def survival(
    table: Annotated[
        Path, typer.Argument(metavar="F", help="One row for each patient: CSV, XPT v5 or Dataset-JSON.")
    ],
    time: Annotated[str, typer.Option("--time", help="Column with follow-up time.")],
    event: Annotated[str | None, typer.Option("--event", help="Column with 1 event, 0 censored.")] = None,
    censor: Annotated[
        str | None, typer.Option("--censor", help="Column with 0 event, other censored (ADTTE CNSR).")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column with groups.")] = None,
    param: Annotated[
        str | None, typer.Option("--param", help="Only rows with this PARAMCD (ADTTE holds several).")
    ] = None,
    conf_type: Annotated[str, typer.Option("--conf-type", help="log-log, log or plain.")] = "log-log",
    conf: Annotated[float, typer.Option("--conf")] = 0.95,
    cox: Annotated[bool, typer.Option("--cox", help="Hazard ratios against the first group.")] = False,
    ties: Annotated[str, typer.Option("--ties", help="efron or breslow.")] = "efron",
    landmark: Annotated[float | None, typer.Option("--landmark", help="Rate at this time.")] = None,
    rmst: Annotated[float | None, typer.Option("--rmst", help="Restricted mean up to this time.")] = None,
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Follow-up instead of events (reverse Kaplan-Meier).")
    ] = False,
    competing: Annotated[
        bool,
        typer.Option(
            "--competing",
            help="Codes 1, 2, ...: cumulative incidence of each; with --group Gray's test, with --cox Fine-Gray.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Kaplan-Meier curves, medians, log-rank, Cox, landmark rates, restricted means, competing risks."""
    import numpy as np

    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import read_table

    rows = _choose_parameter(read_table(table), param)
    times = _read_column(rows, time)
    codes = _read_codes(rows, event=event, censor=censor)
    if group is not None and group not in rows[0]:
        raise NotFoundError(
            expected=f"one of {', '.join(rows[0])}", given=f"column '{group}'", where="--group"
        )
    labels = np.array(_read_labels(rows, group) if group else ["all"] * len(rows))
    _check(times, codes, competing=competing)
    names = sorted(set(labels.tolist()))
    settings = {"conf_type": conf_type, "conf": conf}
    groups = [
        _describe_group(
            name,
            times[labels == name],
            codes[labels == name],
            settings=settings,
            extras=(landmark, rmst, reverse, competing),
        )
        for name in names
    ]
    document: dict[str, Any] = {"conf_type": conf_type, "conf": conf, "reverse": reverse, "groups": groups}
    events = (codes > 0).astype(float)
    events = 1 - events if reverse else events
    document["logrank"] = _compare(times, events, labels) if len(names) > 1 else None
    if cox:
        document["cox"] = _fit(times, events, labels, names=names, ties=ties, conf=conf)
    if competing:
        document |= _compare_kinds(times, codes, labels, names=names, conf=conf if cox else None)
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(_to_lines(document)))


def _choose_parameter(rows: list[dict[str, str]], param: str | None) -> list[dict[str, str]]:
    found = sorted({row.get("PARAMCD", "") for row in rows})
    if param is None and len(found) < 2:
        return rows
    if param is None or param not in found:
        raise InputError(
            expected=f"--param with one of {', '.join(found) or 'no PARAMCD in this table'}",
            given=param or "none, for a table of several",
            where="--param",
            action="choose one: rows of several endpoints are several rows of one patient",
        )
    return [row for row in rows if row["PARAMCD"] == param]


def _describe_group(
    name: str, times: Any, codes: Any, *, settings: dict[str, Any], extras: Any
) -> dict[str, Any]:
    from hepatica.trials.beta_distribution import measure_normal_quantile
    from hepatica.trials.endpoints.survival import estimate_follow_up, estimate_survival

    landmark, rmst, reverse, competing = extras
    estimate = estimate_follow_up if reverse else estimate_survival
    curve = estimate(times, (codes > 0).astype(int), **settings)
    median, lower, upper = curve.quantile()
    found: dict[str, Any] = {
        "name": name,
        "n": int(times.size),
        "events": int(curve.n_event.sum()),
        "median": median,
        "median_lower": lower,
        "median_upper": upper,
    }
    if landmark is not None:
        rate, low, high = curve.at(landmark)
        found["landmark"] = {"time": landmark, "survival": rate, "lower": low, "upper": high}
    if rmst is not None:
        mean, error = curve.restricted_mean(rmst)
        half = measure_normal_quantile((1 + settings["conf"]) / 2) * error
        found["rmst"] = {"tau": rmst, "mean": mean, "se": error, "lower": mean - half, "upper": mean + half}
    if competing:
        found["incidence"] = _list_incidence(times, codes, conf=settings["conf"])
    found["curve"] = curve.to_rows()
    return found


def _list_incidence(times: Any, codes: Any, *, conf: float) -> list[dict[str, Any]]:
    from hepatica.trials.endpoints.competing import estimate_incidence

    return [
        {
            "cause": c.cause,
            "events": int(c.n_event.sum()),
            "curve": [
                {
                    "time": float(c.time[i]),
                    "n_risk": int(c.n_risk[i]),
                    "n_event": int(c.n_event[i]),
                    "incidence": float(c.incidence[i]),
                    "std_err": float(c.std_err[i]),
                    "lower": None if c.lower[i] != c.lower[i] else float(c.lower[i]),
                    "upper": None if c.upper[i] != c.upper[i] else float(c.upper[i]),
                }
                for i in range(c.time.size)
            ],
        }
        for c in estimate_incidence(times, codes, conf=conf)
    ]


def _compare(times: Any, events: Any, labels: Any) -> dict[str, Any]:
    from hepatica.trials.endpoints.comparison import compare_log_rank

    test = compare_log_rank(times, events, labels)
    return {"chi2": test.chi2, "df": test.df, "p": test.p}


def _compare_kinds(
    times: Any, codes: Any, labels: Any, *, names: list[str], conf: float | None
) -> dict[str, Any]:
    """Gray's test of every kind of event; with a confidence level also a Fine-Gray model of each."""
    if len(names) < 2:
        return {"gray": None}
    from hepatica.trials.endpoints.gray import compare_incidence

    tests = compare_incidence(times, codes, labels)
    found: dict[str, Any] = {
        "gray": [{"cause": t.cause, "chi2": t.chi2, "df": t.df, "p": t.p} for t in tests],
        "notes": [
            "logrank and cox take every kind of event as the event; gray and fine_gray take one kind each"
        ],
    }
    if conf is not None:
        found["fine_gray"] = [
            _fit_kind(times, codes, labels, names=names, cause=t.cause, conf=conf) for t in tests
        ]
    return found


def _fit_kind(
    times: Any, codes: Any, labels: Any, *, names: list[str], cause: int, conf: float
) -> dict[str, Any]:
    import numpy as np

    from hepatica.core.errors import NotConvergedError
    from hepatica.trials.endpoints.fine_gray import fit_fine_gray

    columns = np.column_stack([(labels == name).astype(float) for name in names[1:]])
    settled = {"cause": cause, "ties": "breslow", "standard_errors": "robust"}
    try:
        fit = fit_fine_gray(times, codes, columns, cause=cause, conf=conf)
    except NotConvergedError as error:
        return {**settled, "terms": [], "not_evaluable": str(error)}
    return {**settled, "terms": _list_terms(fit, names), "not_evaluable": None}


def _fit(times: Any, events: Any, labels: Any, *, names: list[str], ties: str, conf: float) -> dict[str, Any]:
    import numpy as np

    from hepatica.core.errors import NotConvergedError
    from hepatica.trials.endpoints.comparison import fit_cox

    if len(names) < 2:
        raise InputError(expected="--group with two or more groups", given="one group", where="--cox")
    columns = np.column_stack([(labels == name).astype(float) for name in names[1:]])
    try:
        fit = fit_cox(times, events, columns, ties=ties, conf=conf)
    except NotConvergedError as error:
        # No event, or none in one group, is no reason to withhold the curves.
        return {"ties": ties, "terms": [], "not_evaluable": str(error)}
    return {"ties": ties, "terms": _list_terms(fit, names), "not_evaluable": None}


def _list_terms(fit: Any, names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "group": name,
            "against": names[0],
            "coefficient": fit.coefficients[i],
            "se": fit.standard_errors[i],
            "hazard_ratio": fit.hazard_ratios[i],
            "lower": fit.lower[i],
            "upper": fit.upper[i],
            "p": fit.p[i],
        }
        for i, name in enumerate(names[1:])
    ]


def _read_column(rows: list[dict[str, str]], name: str) -> Any:
    import numpy as np

    if name not in rows[0]:
        raise NotFoundError(expected=f"one of {', '.join(rows[0])}", given=f"column '{name}'", where="table")
    values = []
    for number, row in enumerate(rows, start=1):
        try:
            values.append(float(row[name]))
        except ValueError:
            raise InputError(
                expected="a number",
                given=f"'{row[name]}'",
                where=f"column {name}, row {number}",
                action="correct the table",
            ) from None
    return np.array(values)


def _read_labels(rows: list[dict[str, str]], group: str) -> list[str]:
    labels = [row[group].strip() for row in rows]
    if "" in labels:
        raise InputError(
            expected="a group for each patient",
            given="an empty cell",
            where=f"column {group}, row {labels.index('') + 1}",
            action="fill the cell, or leave the patient out",
        )
    return labels


def _read_codes(rows: list[dict[str, str]], *, event: str | None, censor: str | None) -> Any:
    if (event is None) == (censor is None):
        raise InputError(
            expected="--event or --censor",
            given="both" if event else "neither",
            where="options",
            action="give one",
        )
    if event is not None:
        return _read_column(rows, event)
    assert censor is not None
    codes = _read_column(rows, censor)
    for number, code in enumerate(codes.tolist(), start=1):
        if not code >= 0:
            raise InputError(
                expected="0 for an event, 1 or more for a censoring",
                given=f"{code:g}",
                where=f"column {censor}, row {number}",
                action="correct the table",
            )
    return (codes == 0).astype(float)


def _check(times: Any, codes: Any, *, competing: bool) -> None:
    from hepatica.trials.endpoints.times import FollowUp

    FollowUp.from_arrays(times, codes, competing=competing)


def _to_lines(document: dict[str, Any]) -> list[str]:
    lines = []
    for g in document["groups"]:
        limits = " to ".join(
            "not reached" if v is None else f"{v:g}" for v in (g["median_lower"], g["median_upper"])
        )
        median = "not reached" if g["median"] is None else f"{g['median']:g}"
        lines.append(f"{g['name']}: {g['n']} patients, {g['events']} events, median {median} ({limits})")
        if "landmark" in g:
            lines.append(f"  at {g['landmark']['time']:g}: {g['landmark']['survival']:.3f}")
        if "rmst" in g:
            lines.append(
                f"  restricted mean to {g['rmst']['tau']:g}: {g['rmst']['mean']:.3f} (se "
                f"{g['rmst']['se']:.3f})"
            )
        for c in g.get("incidence", []):
            lines.append(
                f"  kind {c['cause']}: {c['events']} events, incidence at the end "
                f"{c['curve'][-1]['incidence']:.3f}"
            )
    if document["logrank"]:
        test = document["logrank"]
        lines.append(f"log-rank: chi-square {test['chi2']:.3f} on {test['df']} df, p {test['p']:.4f}")
    if document.get("cox", {}).get("not_evaluable"):
        lines.append(f"Cox: not evaluable, {document['cox']['not_evaluable']}")
    for term in document.get("cox", {}).get("terms", []):
        lines.append(
            f"hazard ratio {term['group']} against {term['against']}: {term['hazard_ratio']:.3f} "
            f"({term['lower']:.3f} to {term['upper']:.3f}), p {term['p']:.4f}"
        )
    for test in document.get("gray") or []:
        lines.append(
            f"Gray, kind {test['cause']}: chi-square {test['chi2']:.3f} on {test['df']} df, p {test['p']:.4f}"
        )
    for model in document.get("fine_gray", []):
        if model["not_evaluable"]:
            lines.append(f"Fine-Gray, kind {model['cause']}: not evaluable, {model['not_evaluable']}")
        for term in model["terms"]:
            lines.append(
                f"subdistribution hazard ratio, kind {model['cause']}, {term['group']} against {term['against']}: "
                f"{term['hazard_ratio']:.3f} ({term['lower']:.3f} to {term['upper']:.3f}), p {term['p']:.4f}"
            )
    return lines
