"""A table of a report as a value: who it is about, out of how many, and what it does not know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatica.trials.phase2.intervals import derive_interval

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of a table.

    Parameters
    ----------
    label
        What the line is about.
    cells
        Text, one for each column.
    level
        0 a heading or total, 1 and 2 below it.
    """

    label: str
    cells: tuple[str, ...]
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """One table.

    Parameters
    ----------
    table_id, title
        Stable name, and words.
    population
        Who it is about.
    denominator
        What percentages are of.
    stub
        Heading of the labels.
    columns
        Headings of the cells.
    rows
        Lines.
    notes
        How it was counted.
    absent
        Why there is nothing to report, for example ``not reported: no AE``; empty where there is.
    """

    table_id: str
    title: str
    population: str
    denominator: str
    stub: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[ReportRow, ...] = ()
    notes: tuple[str, ...] = ()
    absent: str = ""


def say_absent(*names: str) -> str:
    """Return the words for what was never given.

    Examples
    --------
    >>> say_absent("AE")
    'not reported: no AE'
    """
    return f"not reported: no {' and no '.join(names)}"


def list_arms(subjects: Rows) -> tuple[str, ...]:
    """Return the treatments given, in alphabetical order."""
    return tuple(sorted({row["TRT01A"] or row["TRT01P"] for row in subjects}))


def split_by_arm(subjects: Rows, arms: Sequence[str]) -> list[set[str]]:
    """Return the subjects of each arm, and of all of them last."""
    groups = [{row["USUBJID"] for row in subjects if (row["TRT01A"] or row["TRT01P"]) == arm} for arm in arms]
    return [*groups, {row["USUBJID"] for row in subjects}]


def head_columns(arms: Sequence[str], groups: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Return column headings with their numbers of subjects."""
    return tuple(f"{name} (N = {len(group)})" for name, group in zip((*arms, "All"), groups))


def say_share(count: int, whole: int) -> str:
    """Return a count with its percentage; no percentage of nothing.

    Examples
    --------
    >>> say_share(3, 24), say_share(0, 24), say_share(0, 0)
    ('3 (12.5)', '0', '0')
    """
    return f"{count} ({100 * count / whole:.1f})" if count and whole else str(count)


def say_counts(subjects: Collection[str], groups: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Return how many of each group are among some subjects."""
    return tuple(say_share(len(set(subjects) & set(group)), len(group)) for group in groups)


def say_interval(count: int, whole: int, *, conf: float) -> str:
    """Return the exact (Clopper-Pearson) interval in percent; a dash where there is nobody.

    Examples
    --------
    >>> say_interval(2, 24, conf=0.95)
    '1.0 to 27.0'
    """
    if not whole:
        return "-"
    found = derive_interval(count, whole, conf=conf)
    return f"{100 * found.lower:.1f} to {100 * found.upper:.1f}"


def say_spread(values: Sequence[float], *, digits: int = 1) -> str:
    """Return median and range; a dash where there is none.

    Examples
    --------
    >>> say_spread([1.0, 2.0, 4.0])
    '2 (1 to 4)'
    """
    if not values:
        return "-"
    from statistics import median

    return (
        f"{_short(median(values), digits)} ({_short(min(values), digits)} to {_short(max(values), digits)})"
    )


def _short(value: float, digits: int) -> str:
    if abs(value) >= 1e5:
        mantissa, _, power = f"{value:.2e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
