"""Options of designs and rules, taken from the command line in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from typer import BadParameter, Context

from hepatica.entrypoints.cli.quick_command import QuickCommand

if TYPE_CHECKING:
    from hepatica.trials.design import Design
    from hepatica.trials.outcomes import TrialData
    from hepatica.trials.rules import Rule

META_KEY = "hepatica.trial.options"
EXPLICIT = ("dose_count", "dose_counts", "target")
EPILOG = (
    "Options of designs: --allow-deescalation (3+3); --k1 --k2 (tpi); --epsilon1 --epsilon2 "
    "(mtpi, mtpi2, keyboard, i3+3); "
    "--phi1 --phi2 (boin, tite-boin, bf-boin); --capacity --escalation-dose (bf-boin); "
    "--skeleton --model --intercept --prior-sd "
    "--method --allow-skipping (crm, tite-crm); --weighting (tite-crm); --dose-amounts "
    "--reference-amount --prior-mean "
    "--prior-sd --prior-correlation --interval --overdose-limit (blrm); --phi-t --phi-e --u1 "
    "--u2 --u3 --u4 --n-star --c-t "
    "--c-e --explore-from (boin12); --exclusion-certainty, --start-dose where a design has one. "
    " Rules, applied in the order "
    "given: --stop-at-n N, --stop-n-at-dose N[:any|recommended|D], --demand-n N[:any|recommended|D], "
    "--stop-too-toxic D,THRESHOLD,CONFIDENCE, --stop-ci-covered L,U, --stick-on x,n, --rescue D,n, "
    '--no-skip up|down|both, --unadmit-untested, --follow-path "1NNN 2NNN", --expand-cohort n.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Options of the design, and rules in order."""

    options: dict[str, Any]
    rules: tuple[tuple[str, str], ...]


class DesignCommand(QuickCommand):
    """A command that also takes every option of every design, and rules whose order matters."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options of designs and rules out, and leave the rest to the ordinary parser."""
        chosen, rest = split_arguments(args)
        ctx.meta[META_KEY] = chosen
        return super().parse_args(ctx, rest)


def split_arguments(arguments: Sequence[str]) -> tuple[Chosen, list[str]]:
    """Return the options of designs and rules, and the other arguments.

    Raises
    ------
    BadParameter
        If an option lacks its value.

    Examples
    --------
    >>> chosen, rest = split_arguments(["boin", "--stop-at-n", "30", "--target=0.3"])
    >>> chosen.rules, rest
    ((('stop-at-n', '30'),), ['boin', '--target=0.3'])
    """
    from hepatica.trials.rule_options import RULE_NAMES

    kinds = _list_kinds()
    options: dict[str, Any] = {}
    rules: list[tuple[str, str]] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument[2:].partition("=")
        field = name.replace("-", "_")
        if not argument.startswith("--") or (name not in RULE_NAMES and field not in kinds):
            rest.append(argument)
            continue
        flag = name == "unadmit-untested" or kinds.get(field) == "bool"
        if not flag and not equals:
            if not waiting:
                raise BadParameter(f"--{name} needs a value")
            value = waiting.pop(0)
        if name in RULE_NAMES:
            rules.append((name, value))
        else:
            options[field] = True if flag else _read_value(name, value, kinds[field])
    return Chosen(options=options, rules=tuple(rules)), rest


def take_chosen(ctx: Context) -> Chosen:
    """Return what `DesignCommand` put aside."""
    chosen: Chosen = ctx.meta[META_KEY]
    return chosen


def make_design(name: str, *, doses: str | None, target: float | None, chosen: Chosen) -> Design:
    """Return the design with its rules around it."""
    from hepatica.trials.rules import RuledDesign

    design = make_bare_design(name, doses=doses, target=target, options=chosen.options)
    return RuledDesign(design=design, rules=_make_rules(chosen)) if chosen.rules else design


def make_bare_design(
    name: str, *, doses: str | None, target: float | None, options: dict[str, Any]
) -> Design:
    """Return the design alone."""
    from hepatica.trials.escalation import find_design

    given = dict(options)
    if doses is not None:
        given |= read_doses(name, doses)
    if target is not None:
        given["target"] = target
    return find_design(name, **given)


def read_doses(name: str, text: str) -> dict[str, Any]:
    """Return ``dose_count`` for ``5``, ``dose_counts`` for ``3x4``.

    Raises
    ------
    InputError
        If the text does not fit the design.
    """
    from hepatica.core.errors import InputError

    pair = name == "boin-combination"
    parts = text.lower().split("x")
    if (
        not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts)
        or len(parts) != 1 + pair
    ):
        raise InputError(
            expected="two numbers of levels such as 3x4" if pair else "a number of dose levels such as 5",
            given=f"'{text}'",
            where="--doses",
            action="correct the option",
        )
    numbers = tuple(int(part) for part in parts)
    return {"dose_counts": numbers} if pair else {"dose_count": numbers[0]}


def read_numbers(text: str, *, where: str) -> tuple[float, ...]:
    """Return comma-separated numbers.

    Raises
    ------
    InputError
        If one is not a finite number.
    """
    from math import isfinite

    from hepatica.core.errors import InputError

    try:
        numbers = tuple(float(part) for part in text.split(","))
        if not all(isfinite(number) for number in numbers):
            raise ValueError
    except ValueError:
        raise InputError(
            expected="finite numbers separated by commas", given=f"'{text}'", where=where
        ) from None
    return numbers


def read_counts(text: str, *, where: str) -> tuple[int, ...]:
    """Return comma-separated whole numbers of 0 or more.

    Raises
    ------
    InputError
        If one is not.
    """
    from hepatica.core.errors import InputError

    numbers = read_numbers(text, where=where)
    if any(value < 0 or value != int(value) for value in numbers):
        raise InputError(expected="whole numbers of 0 or more", given=f"'{text}'", where=where)
    return tuple(int(value) for value in numbers)


def read_trial_data(outcomes: str | None, patients: Any) -> TrialData:
    """Return trial data from outcomes in short form, or from a CSV file of patients.

    Raises
    ------
    InputError
        If both are given.
    """
    from hepatica.core.errors import InputError
    from hepatica.trials.outcomes import parse_outcomes

    if patients is None:
        return parse_outcomes(outcomes or "")
    if outcomes is not None:
        raise InputError(
            expected="--outcomes or --patients", given="both", where="options", action="leave one out"
        )
    from hepatica.trials.dose_levels import read_patients

    return read_patients(read_table(patients), where=str(patients.name))


def read_table(path: Any) -> list[dict[str, str]]:
    """Return the rows of a table: CSV, SAS transport version 5 or Dataset-JSON 1.1, told by its first bytes.

    Raises
    ------
    NotFoundError
        If there is no such file.
    SourceFormatError
        If it is not a table with a heading and a row.
    """
    from hepatica.core.errors import NotFoundError, SourceFormatError

    try:
        with open(path, "rb") as file:
            head = file.read(64)
        rows = _read_dataset(path) if _is_dataset(head) else _read_csv(path)
    except FileNotFoundError:
        raise NotFoundError(expected="a table", given="no such file", where="table") from None
    except (UnicodeDecodeError, OSError, AttributeError):
        raise SourceFormatError(
            expected="a CSV file in UTF-8 with one heading line", given="something else", where="table"
        ) from None
    if not rows:
        raise SourceFormatError(expected="a heading line and at least one row", given="no row", where="table")
    return rows


def _is_dataset(head: bytes) -> bool:
    return head.startswith(b"HEADER RECORD*******") or head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def _read_dataset(path: Any) -> list[dict[str, str]]:
    from hepatica.bootstrap import read_dataset_rows

    return read_dataset_rows(path)


def _read_csv(path: Any) -> list[dict[str, str]]:
    import csv

    from hepatica.core.errors import InputError, SourceFormatError

    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [cells for cells in csv.reader(file, strict=True) if cells]
    except csv.Error:
        raise SourceFormatError(
            expected="a CSV file in UTF-8 with one heading line", given="something else", where="table"
        ) from None
    if not lines:
        return []
    names = [name.strip() for name in lines[0]]
    if len(names) == 1 and ";" in names[0]:
        raise SourceFormatError(
            expected="a table whose cells are parted by commas",
            given="semicolons",
            where="table",
            action="save it as CSV with commas, and with a point in decimal numbers",
        )
    for number, cells in enumerate(lines[1:], start=1):
        if len(cells) != len(names):
            # A decimal comma makes two cells of one number, and every value after it another one.
            raise InputError(
                expected=f"{len(names)} cells",
                given=f"{len(cells)}",
                where=f"row {number}",
                action="put a point in decimal numbers, or quote cells with commas",
            )
    return [dict(zip(names, cells)) for cells in lines[1:]]


def _make_rules(chosen: Chosen) -> tuple[Rule, ...]:
    from hepatica.trials.rule_options import join_rules

    return join_rules(chosen.rules)


def _list_kinds() -> dict[str, str]:
    """Return the option fields of all designs, with their annotation."""
    from hepatica.trials.escalation.catalogue import _designs

    kinds: dict[str, str] = {}
    for cls in _designs().values():
        for field in fields(cls):
            if field.init and field.name not in EXPLICIT:
                kinds[field.name] = kinds.get(field.name, "") + f" {field.type}"
    return {
        name: "bool" if kind.split() == ["bool"] * len(kind.split()) else kind for name, kind in kinds.items()
    }


def _read_value(name: str, text: str, kind: str) -> Any:
    if "," in text or kind.strip().startswith("tuple"):
        numbers = read_numbers(text, where=f"--{name}")
        return numbers if "," in text or "float" not in kind.replace("tuple[float", "") else numbers[0]
    if kind.strip().startswith("str"):
        return text
    value = read_numbers(text, where=f"--{name}")[0]
    if set(kind.split()) == {"int"} and value != int(value):
        raise BadParameter(f"--{name} needs a whole number")
    return int(value) if "int" in kind and value == int(value) else value
