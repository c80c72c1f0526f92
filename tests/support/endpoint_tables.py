"""Small SDTM tables for the endpoint tests, written as short rows. All people in them are made up."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

START = date(2024, 1, 1)
HEADERS = {
    "dm": ("STUDYID", "USUBJID", "ARM", "RFSTDTC", "DTHDTC", "DTHFL", "RFPENDTC"),
    "rs": (
        "USUBJID", "RSSEQ", "RSTESTCD", "RSSTRESC", "RSCAT", "RSGRPID", "RSEVAL", "RSEVALID", "VISITNUM", "VISIT",
        "RSDTC",
    ),
    "ds": ("USUBJID", "DSSEQ", "DSDECOD", "DSSTDTC"),
    "cm": ("USUBJID", "CMSEQ", "CMCAT", "CMSTDTC"),
    "ex": ("USUBJID", "EXSEQ", "EXSTDTC", "EXENDTC"),
    "tu": ("USUBJID", "TULNKID", "TUSTRESC"),
}  # fmt: skip


def iso(study_day: int) -> str:
    """The date of a study day; START is day 1."""
    return (START + timedelta(days=study_day - 1)).isoformat()


def responses(subject: str, days: Mapping[int, str], **more: Any) -> list[dict[str, Any]]:
    """Overall responses by study day; ``new`` gives NEWLIND or NEWLPROG by day."""
    rows = []
    place = {
        "RSCAT": more.get("category", "RECIST 1.1"),
        "RSGRPID": more.get("group", ""),
        "RSEVAL": more.get("evaluator", "INVESTIGATOR"),
        "RSEVALID": more.get("evaluator_id", ""),
    }
    for number, (day, code) in enumerate(days.items(), start=2):
        row = {**place, "USUBJID": subject, "VISITNUM": number, "VISIT": f"VISIT {number}", "RSDTC": iso(day)}
        word = more.get("new", {}).get(day)
        if word:
            test = "NEWLPROG" if word in ("EQUIVOCAL", "UNEQUIVOCAL") else "NEWLIND"
            rows.append({**row, "RSTESTCD": test, "RSSTRESC": word})
        rows.append({**row, "RSTESTCD": "OVRLRESP", "RSSTRESC": code})
    for number, row in enumerate(rows, start=more.get("first", 1)):
        row["RSSEQ"] = number
    return rows


def person(
    subject: str, *, death: int | None = None, contact: int | None = None, **more: Any
) -> dict[str, Any]:
    """One row of DM; days are study days."""
    return {
        "STUDYID": "X",
        "USUBJID": subject,
        "ARM": "VIRUS",
        "RFSTDTC": iso(1),
        "DTHDTC": iso(death) if death else "",
        "DTHFL": "Y" if death else "",
        "RFPENDTC": iso(contact) if contact else "",
        **more,
    }


class EndpointBench:
    """Writes tables and runs the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, role: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = self.folder / f"{role}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, HEADERS[role], restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def run(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        from hepatica.entrypoints.cli.main import app

        result = CliRunner().invoke(app, [str(part) for part in ("response", *arguments, "--json")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    def derive(self, *options: object, rules: object = "fda-2007", **tables: Sequence[Mapping[str, Any]]):
        out = self.folder / f"out{len(list(self.folder.iterdir()))}"
        named = [part for role, rows in tables.items() for part in (f"--{role}", self.write(role, rows))]
        code, document = self.run("endpoints", *named, "--rules", rules, "--out", out, *options)
        return code, document, out

    def table(self, path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def times(self, out: Path, code: str, **where: str) -> dict[str, tuple[int, int, str]]:
        """AVAL, CNSR and RULEID by subject."""
        return {
            row["USUBJID"]: (int(row["AVAL"]), int(row["CNSR"]), row["RULEID"])
            for row in self.table(out / "adtte.csv")
            if row["PARAMCD"] == code and all(row[key] == value for key, value in where.items())
        }
