"""From RS, DM, EX, DS, CM and TU to what is known of each subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.followup.best.timeline import IMMUNE_CODES, RECIST_CODES
from hepatica.followup.dates import PartialDate
from hepatica.followup.endpoints.history import SILENT, Assessment, Dated, Stream, SubjectHistory
from hepatica.followup.endpoints.rules import EndpointRules
from hepatica.workflows.derive_response import RowFinding

ReadTable = Callable[..., Iterator[tuple[int, tuple[str, ...] | None]]]
BLANK: Final = ("", "NA")
NEW_TESTS: Final = ("NEWLIND", "NEWLPROG", "NEWLWIND")
BASELINE_ROLES: Final = ("TARGET", "NON-TARGET")
YEAR: Final = 4
"""Characters of a date known to the year only."""
WHOLE_GROUPS: Final = ("", "ALL")
ADJUDICATION: Final = "ADJUDICAT"
ALIVE_COLUMNS: Final = ("RFSTDTC", "RFXSTDTC", "RFXENDTC", "RFENDTC", "RFPENDTC", "DMDTC")

COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "dm": (("USUBJID",), ("STUDYID", "ARM", "DTHDTC", "DTHFL", *ALIVE_COLUMNS)),
    "rs": (
        ("USUBJID", "RSTESTCD", "RSDTC"),
        ("RSSTRESC", "RSORRES", "RSSEQ", "RSCAT", "RSGRPID", "RSEVAL", "RSEVALID", "VISITNUM", "VISIT"),
    ),
    "ex": (("USUBJID", "EXSTDTC"), ("EXSEQ", "EXENDTC")),
    "ds": (("USUBJID", "DSDECOD", "DSSTDTC"), ("DSSEQ",)),
    "cm": (("USUBJID", "CMCAT", "CMSTDTC"), ("CMSEQ",)),
    "tu": (("USUBJID",), ("TUSTRESC", "TUORRES")),
}
"""Columns needed and used, by table."""


@dataclass(slots=True)
class _Draft:
    """One subject while the tables are read."""

    line: int
    cells: Mapping[str, str]
    overall: dict[tuple[str, ...], list[tuple[Assessment, int, str]]] = field(default_factory=dict)
    new: dict[tuple[str, ...], str] = field(default_factory=dict)
    exposures: list[Dated] = field(default_factory=list)
    deaths: list[Dated] = field(default_factory=list)
    therapies: list[Dated] = field(default_factory=list)
    undocumented: list[Dated] = field(default_factory=list)
    alive: list[Dated] = field(default_factory=list)
    baseline: bool = False
    bad: bool = False


@dataclass(slots=True)
class Histories:
    """Reads the tables; `build` gives one history for each good subject.

    Parameters
    ----------
    rules
        Name the start, partial dates and the words that mean death, therapy and progression.
    findings
        What was said about rows.
    medications, therapies
        First line of CM that belongs to a subject (0 for none), and how many rows name a new anticancer therapy.
    """

    rules: EndpointRules
    findings: list[RowFinding] = field(default_factory=list)
    drafts: dict[str, _Draft] = field(default_factory=dict)
    medications: int = 0
    therapies: int = 0
    immune: dict[tuple[str, ...], bool] = field(default_factory=dict)

    def report(
        self, place: tuple[str, int, str], message: str, *, draft: _Draft | None = None, warn: bool = False
    ) -> None:
        """Keep a finding; an error leaves the subject out."""
        table, row, column = place
        self.findings.append(
            RowFinding(
                rule="response.endpoints",
                severity=Severity.WARNING if warn else Severity.ERROR,
                table=table,
                row=row,
                column=column,
                message=message,
            )
        )
        if draft is not None and not warn:
            draft.bad = True

    def read(self, tables: Mapping[str, Path], *, read_table: ReadTable) -> None:
        """Read all tables, DM first."""
        takers: dict[str, Callable[[int, Mapping[str, str], _Draft], None]] = {
            "rs": self._take_response,
            "ex": self._take_exposure,
            "ds": self._take_disposition,
            "cm": self._take_therapy,
            "tu": self._take_lesion,
        }
        for line, cells in self._iterate("dm", tables["dm"], read_table):
            if cells["USUBJID"] in self.drafts:
                self.report(
                    ("dm", line, "USUBJID"), "The subject stands twice.", draft=self.drafts[cells["USUBJID"]]
                )
            else:
                self.drafts[cells["USUBJID"]] = _Draft(line, cells)
        for role, take in takers.items():
            if role not in tables:
                continue
            for line, cells in self._iterate(role, tables[role], read_table):
                draft = self.drafts.get(cells["USUBJID"])
                if draft is None:
                    self.report((role, line, "USUBJID"), "DM has no such subject.")
                else:
                    take(line, cells, draft)
        if "cm" in tables and self.medications and not self.therapies:
            # Sponsors choose their own words: a table none of which is known would censor nobody, unseen.
            known = ", ".join(self.rules.words("new_therapy_categories"))
            message = (
                f"No category means new anticancer therapy by the rules ({known}): nobody is censored for it."
            )
            self.report(("cm", self.medications, "CMCAT"), message, warn=True)

    def _iterate(
        self, role: str, path: Path, read_table: ReadTable
    ) -> Iterator[tuple[int, Mapping[str, str]]]:
        required, optional = COLUMNS[role]
        names = (*required, *optional)
        for line, cells in read_table(path, required=required, optional=optional, role=role):
            if cells is None or not cells[0].strip():
                self.report(
                    (role, line, "USUBJID"), "The row names no subject, or is not as long as the header."
                )
                continue
            yield (
                line,
                {name: "" if cell.strip() in BLANK else cell.strip() for name, cell in zip(names, cells)},
            )

    def _date(
        self, text: str, place: tuple[str, int, str], draft: _Draft, *, sequence: str = ""
    ) -> Dated | None:
        """Return a date that decides something; a partial one as the rules say, else the subject is out."""
        table, _, column = place
        number = int(float(sequence)) if sequence.replace(".", "", 1).isdigit() else None
        source = {"domain": table.upper(), "variable": column, "sequence": number}
        try:
            given = PartialDate.from_text(text)
        except InputError:
            self.report(place, "The date is not an ISO 8601 date.", draft=draft)
            return None
        if given.day is not None:
            return Dated(day=given.day, **source)  # type: ignore[arg-type]
        choice = self.rules.choice("partial_dates")
        if choice == "exclude" or given.earliest is None or given.latest is None:
            self.report(place, "The date is not whole, and the rules fill in none.", draft=draft)
            return None
        day = given.earliest if choice == "earliest" else given.latest
        flag = "M" if len(text.strip()) <= YEAR else "D"
        return Dated(day=day, flag=flag, **source)  # type: ignore[arg-type]

    def _contact(self, text: str, source: tuple[str, str, str], draft: _Draft) -> None:
        """Remember a day on which the subject was alive: of a partial date the first it may mean."""
        try:
            given = PartialDate.from_text(text)
        except InputError:
            return
        if given.earliest is not None:
            domain, variable, sequence = source
            number = int(float(sequence)) if sequence.replace(".", "", 1).isdigit() else None
            flag = "" if given.day else "M" if len(text) <= YEAR else "D"
            draft.alive.append(
                Dated(day=given.earliest, flag=flag, domain=domain, variable=variable, sequence=number)
            )

    def _take_response(self, line: int, cells: Mapping[str, str], draft: _Draft) -> None:
        code = cells["RSSTRESC"] or cells["RSORRES"]
        stream = tuple(cells[name] for name in ("RSCAT", "RSGRPID", "RSEVAL", "RSEVALID"))
        visit = cells["VISITNUM"] or cells["RSDTC"]
        at_visit = (*stream, visit)
        if cells["RSTESTCD"] in NEW_TESTS:
            # Sure comes before suspected, suspected before no.
            if code in ("Y", "UNEQUIVOCAL"):
                draft.new[at_visit] = "Y"
            elif code == "EQUIVOCAL":
                draft.new.setdefault(at_visit, "EQUIVOCAL")
            return
        if cells["RSTESTCD"] != "OVRLRESP":
            return
        if code not in (*RECIST_CODES, *IMMUNE_CODES, *SILENT):
            self.report(("rs", line, "RSSTRESC"), "The code is none of RECIST or iRECIST.", draft=draft)
            return
        if not cells["RSDTC"] and code in SILENT:
            self.report(
                ("rs", line, "RSDTC"), "A response without a date and a result plays no part.", warn=True
            )
            return
        when = self._date(cells["RSDTC"], ("rs", line, "RSDTC"), draft, sequence=cells["RSSEQ"])
        try:
            number = float(cells["VISITNUM"] or 0)
        except ValueError:
            self.report(("rs", line, "VISITNUM"), "The visit number is not a number.", draft=draft)
            return
        if when is not None:
            self._contact(cells["RSDTC"], ("RS", "RSDTC", cells["RSSEQ"]), draft)
            assessment = Assessment(when=when, code=code, number=number, visit=cells["VISIT"])
            draft.overall.setdefault(stream, []).append((assessment, line, visit))

    def _take_exposure(self, line: int, cells: Mapping[str, str], draft: _Draft) -> None:
        for column in ("EXSTDTC", "EXENDTC"):
            self._contact(cells[column], ("EX", column, cells["EXSEQ"]), draft)
        if self.rules.choice("start") == "EXSTDTC" and cells["EXSTDTC"]:
            when = self._date(cells["EXSTDTC"], ("ex", line, "EXSTDTC"), draft, sequence=cells["EXSEQ"])
            if when is not None:
                draft.exposures.append(when)

    def _take_disposition(self, line: int, cells: Mapping[str, str], draft: _Draft) -> None:
        term, place = cells["DSDECOD"].upper(), ("ds", line, "DSSTDTC")
        found = {
            "death_terms": draft.deaths,
            "progression_terms": draft.undocumented,
        }
        for key, kept in found.items():
            if term in self.rules.words(key):
                when = self._date(cells["DSSTDTC"], place, draft, sequence=cells["DSSEQ"])
                if when is not None:
                    kept.append(when)
        self._contact(cells["DSSTDTC"], ("DS", "DSSTDTC", cells["DSSEQ"]), draft)

    def _take_therapy(self, line: int, cells: Mapping[str, str], draft: _Draft) -> None:
        self.medications = self.medications or line
        if cells["CMCAT"].upper() not in self.rules.words("new_therapy_categories"):
            return
        self.therapies += 1
        when = self._date(cells["CMSTDTC"], ("cm", line, "CMSTDTC"), draft, sequence=cells["CMSEQ"])
        if when is not None:
            draft.therapies.append(when)
            self._contact(cells["CMSTDTC"], ("CM", "CMSTDTC", cells["CMSEQ"]), draft)

    def _take_lesion(self, line: int, cells: Mapping[str, str], draft: _Draft) -> None:
        draft.baseline |= (cells["TUSTRESC"] or cells["TUORRES"]).upper() in BASELINE_ROLES

    def build(self, *, lesions_known: bool) -> Iterator[SubjectHistory]:
        """Yield the history of every subject whose rows are good.

        Parameters
        ----------
        lesions_known
            Whether a table of lesions was read, so that its silence means no baseline.
        """
        self._fill_streams()
        for subject, draft in self.drafts.items():
            history = self._build(subject, draft, lesions_known=lesions_known)
            if history is not None and not draft.bad:
                yield history

    def _fill_streams(self) -> None:
        """Give every subject a series for each criterion and evaluator of the study, if only an empty one.

        Whoever was never assessed stays in the analysis, censored or with death as event. Groups of lesions
        are another matter: who has no such lesion has no such series. Adjudicators read only disputed cases.
        """
        immune: dict[tuple[str, ...], bool] = {}
        for draft in self.drafts.values():
            for key, found in draft.overall.items():
                codes = (assessment.code for assessment, _, _ in found)
                if key[1] in WHOLE_GROUPS and ADJUDICATION not in " ".join(key[2:]).upper():
                    immune[key] = immune.get(key, False) or any(_is_immune(code) for code in codes)
        self.immune = immune
        for draft in self.drafts.values():
            for key in immune:
                draft.overall.setdefault(key, [])

    def _build(self, subject: str, draft: _Draft, *, lesions_known: bool) -> SubjectHistory | None:
        cells = draft.cells
        start = self._find_start(draft)
        if cells["DTHDTC"] or (cells["DTHFL"] == "Y" and not draft.deaths):
            when = self._date(cells["DTHDTC"], ("dm", draft.line, "DTHDTC"), draft)
            draft.deaths = [when] if when is not None else []
        for column in ALIVE_COLUMNS:
            self._contact(cells[column], ("DM", column, ""), draft)
        if start is None or draft.bad:
            return None
        death = min(draft.deaths, key=_day, default=None)
        if death is not None and death.day < start.day:
            self.report(("dm", draft.line, "DTHDTC"), "Death lies before the start.", draft=draft)
        streams = self._build_streams(draft, start, death)
        after = [when for when in draft.alive if when.day > start.day]
        therapies = [when for when in draft.therapies if when.day >= start.day]
        return SubjectHistory(
            study=cells["STUDYID"],
            subject=subject,
            arm=cells["ARM"],
            start=start,
            death=death,
            alive=max(after, key=_day, default=None),
            therapy=min(therapies, key=_day, default=None),
            undocumented=min(draft.undocumented, key=_day, default=None),
            baseline=draft.baseline if lesions_known else None,
            streams=streams,
        )

    def _find_start(self, draft: _Draft) -> Dated | None:
        choice = self.rules.choice("start")
        if choice == "EXSTDTC":
            if not draft.exposures:
                self.report(
                    ("dm", draft.line, "USUBJID"), "EX has no dose, which the rules start from.", draft=draft
                )
            return min(draft.exposures, key=_day, default=None)
        return self._date(draft.cells[choice], ("dm", draft.line, choice), draft)

    def _build_streams(self, draft: _Draft, start: Dated, death: Dated | None) -> tuple[Stream, ...]:
        streams = []
        for key, found in draft.overall.items():
            kept: dict[date, Assessment] = {}
            for assessment, line, visit in sorted(found, key=lambda item: item[0].when.day):
                day = assessment.when.day
                place = ("rs", line, "RSDTC")
                if day < start.day:
                    self.report(place, "The assessment lies before the start; it plays no part.", warn=True)
                elif death is not None and day > death.day:
                    self.report(place, "The assessment lies after death.", draft=draft)
                elif day in kept:
                    self.report(place, "Two overall responses on one day.", draft=draft)
                else:
                    kept[day] = replace(assessment, new=draft.new.get((*key, visit), ""))
            kinds = {_is_immune(a.code) for a in kept.values() if a.code not in SILENT}
            if len(kinds) > 1:
                self.report(
                    ("rs", found[0][1], "RSSTRESC"), "Codes of two criteria in one series.", draft=draft
                )
            category, group, evaluator, evaluator_id = key
            streams.append(
                Stream(
                    category=category, group=group, evaluator=evaluator, evaluator_id=evaluator_id,
                    assessments=tuple(kept.values()), immune_codes=self.immune.get(key, False),
                )
            )  # fmt: skip
        return tuple(streams)


def _is_immune(code: str) -> bool:
    return code.startswith(("i", "NON-i"))


def _day(when: Dated) -> date:
    return when.day
