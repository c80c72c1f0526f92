"""Simulated trials as folders of SDTM files, and a run of the report on them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.bootstrap import make_trial_report_ports
from hepatica.trials.report.simulated_trial import simulate_trial
from hepatica.workflows.trial_report import TrialReportRequest, report_trial

RUN_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NUMERIC = ("EXDOSE", "EXVAMT", "AESEQ", "EXSEQ", "TRSTRESN", "VISITNUM", "AGE")
"""Numbers in the transport files of the tests; everything else is text."""


@dataclass(frozen=True)
class FixedClock:
    """Always the same time."""

    def now(self) -> datetime:
        return RUN_TIME


def make_trial(*, subjects: int, seed: int = 7) -> dict[str, list[dict[str, str]]]:
    return simulate_trial(np.random.default_rng(seed), subjects=subjects)


def write_csv_folder(folder: Path, datasets: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, rows) in enumerate(datasets.items()):
        columns = list(dict.fromkeys(key for row in rows for key in row))
        # Names say nothing: the content tells which dataset it is.
        with (folder / f"table{number}-{len(name)}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
    return folder


def write_xpt_folder(folder: Path, datasets: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    from hepatica.adapters.cdisc.xpt_table import write_xpt

    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in datasets.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        values: dict[str, list[Any]] = {}
        for key in columns:
            texts = [row.get(key, "") for row in rows]
            values[key] = [float(t) if t else None for t in texts] if key in NUMERIC else texts
        write_xpt(
            folder / f"{name.lower()}.xpt", values, name=name, label=name, labels={c: c for c in columns},
            formats={c: "" if c in NUMERIC else "$" for c in columns}, run_time=RUN_TIME,
        )  # fmt: skip
    return folder


def write_json_folder(folder: Path, datasets: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    from hepatica.adapters.cdisc.dataset_json import write_dataset_json

    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in datasets.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        described = [
            {"itemOID": f"IT.{c}", "name": c, "label": c, "dataType": "string", "length": 200}
            for c in columns
        ]
        write_dataset_json(
            folder / f"{name.lower()}.json", ([row.get(c) or None for c in columns] for row in rows),
            description={"studyOID": "ST", "itemGroupOID": f"IG.{name}", "name": name, "label": name, "columns": described},
            records=len(rows), run_time=RUN_TIME,
        )  # fmt: skip
    return folder


def run_report(
    folder: Path, out: Path, *, pages: bool = False, **choices: Any
) -> tuple[dict[str, Any], bool]:
    """Return the document of a run and whether it was partial; pages only where asked, for speed."""
    ports = replace(make_trial_report_ports(), clock=FixedClock())
    if not pages:
        ports = replace(ports, write_pages=lambda folder, content, progress: ())
    outcome = report_trial(TrialReportRequest(folder=folder, **choices), ports=ports, out=out)
    return dict(outcome.document), outcome.partial


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
