"""``hepatica trial response``: response rates by kind of lesion and group, and survival from a landmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.core.errors import InputError, NotFoundError

KINDS = ("overall", "injected", "non_injected", "extrahepatic")


def response(
    table: Annotated[
        Path,
        typer.Argument(metavar="F", help="One row for each patient dosed: CSV, XPT v5 or Dataset-JSON."),
    ],
    subject: Annotated[str, typer.Option("--subject", help="Column with the subject; each stands once.")],
    overall: Annotated[
        str | None, typer.Option("--overall", help="Column with the best overall response.")
    ] = None,
    injected: Annotated[
        str | None, typer.Option("--injected", help="Column with the best response of injected lesions.")
    ] = None,
    non_injected: Annotated[
        str | None, typer.Option("--non-injected", help="The same of non-injected lesions in the liver.")
    ] = None,
    extrahepatic: Annotated[
        str | None, typer.Option("--extrahepatic", help="The same of lesions outside the liver.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column with groups.")] = None,
    method: Annotated[
        str, typer.Option("--method", help="Interval, as for 'hepatica trial interval'.")
    ] = "clopper-pearson",
    conf: Annotated[float, typer.Option("--conf")] = 0.95,
    landmark: Annotated[
        float | None,
        typer.Option("--landmark", help="Compare responders by then with the others, from then on."),
    ] = None,
    response_time: Annotated[
        str | None,
        typer.Option("--response-time", help="Column with time of first response; empty for none."),
    ] = None,
    time: Annotated[str | None, typer.Option("--time", help="Column with follow-up time.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Column with 1 event, 0 censored.")] = None,
    censor: Annotated[
        str | None, typer.Option("--censor", help="Column with 0 event, other censored (ADTTE CNSR).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Response rates with exact limits: injected, non-injected and extrahepatic lesions apart."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import read_table
    from hepatica.entrypoints.cli.trial_survival import _read_labels

    columns = dict(zip(KINDS, (overall, injected, non_injected, extrahepatic)))
    chosen = {kind: name for kind, name in columns.items() if name is not None}
    if not chosen:
        raise InputError(
            expected="--overall, --injected, --non-injected or --extrahepatic", given="none", where="options"
        )
    rows = read_table(table)
    _check_columns(rows, [subject, *chosen.values(), *([group] if group else [])])
    _check_subjects(rows, subject)
    labels = _read_labels(rows, group) if group else ["all"] * len(rows)
    document: dict[str, Any] = {
        "method": method,
        "conf": conf,
        "denominator": "full group",
        "groups": [
            _describe(
                name,
                [row for row, label in zip(rows, labels) if label == name],
                chosen,
                method=method,
                conf=conf,
            )
            for name in sorted(set(labels))
        ],
    }
    follow = (time, event, censor, response_time)
    document["landmark"] = (
        _compare_from(rows, landmark, follow, conf=conf) if _wants(landmark, follow) else None
    )
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(_to_lines(document)))


def _wants(landmark: float | None, follow: tuple[str | None, ...]) -> bool:
    if landmark is None and any(follow):
        raise InputError(
            expected="--landmark with --time and --response-time",
            given="no --landmark",
            where="options",
            action="choose a landmark: from the start, responders are credited with the time they needed to "
            "respond",
        )
    if landmark is not None and (follow[0] is None or follow[3] is None):
        raise InputError(
            expected="--time, --event or --censor, and --response-time",
            given="--landmark alone",
            where="options",
        )
    return landmark is not None


def _check_columns(rows: list[dict[str, str]], wanted: list[str]) -> None:
    for name in wanted:
        if name not in rows[0]:
            raise NotFoundError(
                expected=f"one of {', '.join(rows[0])}", given=f"column '{name}'", where="table"
            )


def _check_subjects(rows: list[dict[str, str]], subject: str) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        if not row[subject].strip() or row[subject] in seen:
            raise InputError(
                expected="each subject once",
                given="an empty one" if not row[subject].strip() else "one twice",
                where=f"row {number}",
                action="give one row for each patient dosed",
            )
        seen.add(row[subject])


def _describe(
    name: str, rows: list[dict[str, str]], chosen: dict[str, str], *, method: str, conf: float
) -> dict[str, Any]:
    from hepatica.trials.endpoints.response import cross_responses, measure_response_rate, read_outcome

    outcomes = {kind: [read_outcome(row[column]) for row in rows] for kind, column in chosen.items()}
    lesions = [
        {"kind": kind, **measure_response_rate(found, method=method, conf=conf).to_dict()}
        for kind, found in outcomes.items()
    ]
    found: dict[str, Any] = {"name": name, "n": len(rows), "lesions": lesions, "crossed": None}
    if "injected" in outcomes and "non_injected" in outcomes:
        crossed = cross_responses(outcomes["injected"], outcomes["non_injected"])
        found["crossed"] = {
            "both": crossed["both"],
            "injected_only": crossed["first_only"],
            "non_injected_only": crossed["second_only"],
            "neither": crossed["neither"],
            "not_comparable": crossed["not_comparable"],
        }
    return found


def _compare_from(
    rows: list[dict[str, str]], landmark: float | None, follow: tuple[str | None, ...], *, conf: float
) -> dict[str, Any]:
    import numpy as np

    from hepatica.core.errors import NotConvergedError
    from hepatica.entrypoints.cli.trial_survival import _compare, _fit, _read_codes, _read_column
    from hepatica.trials.endpoints.survival import estimate_survival, start_at_landmark

    time, event, censor, reached = follow
    assert landmark is not None and time is not None and reached is not None
    _check_columns(rows, [reached])
    filled = [{**row, reached: row[reached].strip() or "inf"} for row in rows]
    times, codes = _read_column(rows, time), _read_codes(rows, event=event, censor=censor)
    left, happened, responded = start_at_landmark(
        times, codes, landmark=landmark, status_times=_read_column(filled, reached)
    )
    labels = np.where(responded, "responder", "other")
    groups = []
    for name in ("responder", "other"):
        kept = labels == name
        row: dict[str, Any] = {"name": name, "n": int(kept.sum()), "events": int(happened[kept].sum())}
        if kept.any():
            median = estimate_survival(left[kept], happened[kept], conf=conf).quantile()
            row |= dict(zip(("median", "median_lower", "median_upper"), median))
        groups.append(row)
    both = all(row["n"] for row in groups)
    found: dict[str, Any] = {
        "time": landmark,
        "left_out": len(rows) - int(left.size),
        "groups": groups,
        "logrank": _compare(left, happened, labels) if both else None,
        "cox": None,
        "note": "times count from the landmark; patients without follow-up beyond it are left out",
    }
    if both and happened.any():
        try:
            fit = _fit(left, happened, labels, names=["other", "responder"], ties="efron", conf=conf)
            found["cox"] = fit
        except NotConvergedError as error:
            found["not_evaluable"] = str(error)
    return found


def _to_lines(document: dict[str, Any]) -> list[str]:
    percent = f"{100 * document['conf']:g} %"
    lines = []
    for group in document["groups"]:
        lines.append(f"{group['name']}: {group['n']} patients in the full group")
        for row in group["lesions"]:
            rate = row["objective"]
            counts = ", ".join(f"{count} {word}" for word, count in row["counts"].items() if count)
            lines.append(
                f"  {row['kind'].replace('_', '-')}: {row['responders']}/{row['n']} = "
                f"{100 * rate['estimate']:.1f} % ({percent} {100 * rate['lower']:.1f} to "
                f"{100 * rate['upper']:.1f}); {counts}"
            )
        if group["crossed"]:
            words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in group["crossed"].items())
            lines.append(f"  response in injected against non-injected lesions: {words}")
    if document["landmark"]:
        found = document["landmark"]
        lines.append(f"from {found['time']:g} ({found['left_out']} patients left out):")
        lines += [f"  {row['name']}: {row['n']} patients, {row['events']} events" for row in found["groups"]]
        if found["logrank"]:
            lines.append(f"  log-rank p {found['logrank']['p']:.4f}")
    return lines
