"""The escalation design of a protocol version, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.core.errors import HepaticaError, InputError, ProtocolError
from hepatica.core.findings import NotEvaluable
from hepatica.record.item import Item
from hepatica.trials.design import Design
from hepatica.trials.dose_levels import DoseLevel
from hepatica.trials.escalation import find_design
from hepatica.trials.rule_options import join_rules
from hepatica.trials.rules import RuledDesign

NO_STUDY: Final = NotEvaluable(reason="no protocol version is entered")
NO_DESIGN: Final = NotEvaluable(reason="the protocol version has no escalation design")
KEYS: Final = frozenset(
    {"design", "target_fraction", "cohort_size", "delay_days", "levels", "options", "rules", "populations"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPopulations:
    """Two populations of which one waits, level by level, for the other.

    Parameters
    ----------
    leader, follower
        Their names.
    follower_tumours
        Tumour types of the one that waits; every other patient leads.
    """

    leader: str
    follower: str
    follower_tumours: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationPlan:
    """What a protocol version says of the next dose.

    Parameters
    ----------
    name, target_fraction
        Design, and its target DLT probability where it has one.
    design
        With its rules around it.
    rules
        Names and values, in order.
    options
        Of the design itself.
    cohort_size, delay_days
        Patients of a cohort, and least days between two first doses at a level.
    levels
        From the lowest.
    populations
        None where all patients escalate together.
    """

    name: str
    target_fraction: float | None
    design: Design
    rules: tuple[tuple[str, str], ...]
    options: Mapping[str, Any]
    cohort_size: int
    delay_days: float
    levels: tuple[DoseLevel, ...]
    populations: LinkedPopulations | None

    @property
    def computes_apart(self) -> bool:
        """Whether the design needs numerical libraries."""
        inner = getattr(self.design, "design", self.design)
        return bool(getattr(inner, "computes_apart", False))


def read_escalation_plan(study: Item | None) -> EscalationPlan | NotEvaluable:
    """Return the escalation design of a protocol version, or why there is none that can be used.

    Parameters
    ----------
    study
        Item of kind ``study``, or None.
    """
    if study is None:
        return NO_STUDY
    given = study.values.get("escalation_design")
    if not isinstance(given, Mapping) or not given:
        return NO_DESIGN
    try:
        return parse_escalation_plan(given)
    except HepaticaError as problem:
        return NotEvaluable(
            reason=f"the escalation design cannot be used: expected {problem.expected}, given {problem.given}"
        )


def parse_escalation_plan(given: Mapping[str, Any]) -> EscalationPlan:
    """Read an escalation design.

    Parameters
    ----------
    given
        ``design`` with ``cohort_size, delay_days, levels`` and, where the design has them, ``target_fraction,
        options, rules, populations``.

    Raises
    ------
    ProtocolError, InputError
        On anything unknown, missing or contradictory.

    Examples
    --------
    >>> level = {"concentration_pfu_per_ml": 1e6, "volume_ceiling_ml": 2.0}
    >>> plan = parse_escalation_plan(
    ...     {"design": "3+3", "cohort_size": 3, "delay_days": 7, "levels": [level]}
    ... )
    >>> plan.design.dose_count, plan.populations
    (1, None)
    """
    unknown = sorted(set(given) - KEYS)
    if unknown:
        raise _refuse(f"keys {', '.join(sorted(KEYS))}", unknown[0])
    name = given.get("design")
    if not isinstance(name, str):
        raise _refuse("the name of a design", "none")
    levels = _read_levels(given.get("levels"))
    options = given.get("options", {})
    target = given.get("target_fraction")
    if not isinstance(options, Mapping):
        raise _refuse("options by name", "something else")
    if target is not None and not isinstance(target, int | float):
        raise _refuse("a target as a fraction", "something else")
    chosen: dict[str, Any] = {"dose_count": len(levels)} | {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }
    if "skeleton" in chosen:
        chosen.pop("dose_count")
    if target is not None:
        chosen["target"] = float(target)
    bare = find_design(name, **chosen)
    _require_usable(bare, levels)
    rules = _read_rules(given.get("rules", []))
    return EscalationPlan(
        name=name,
        target_fraction=None if target is None else float(target),
        design=RuledDesign(design=bare, rules=join_rules(rules)) if rules else bare,
        rules=rules,
        options=dict(options),
        cohort_size=int(_read_number(given, "cohort_size", least=1)),
        delay_days=_read_number(given, "delay_days", least=0),
        levels=levels,
        populations=_read_populations(given.get("populations")),
    )


def _require_usable(design: Design, levels: Sequence[DoseLevel]) -> None:
    if getattr(design, "uses_responses", False):
        raise _refuse("a design that decides by toxicity alone", f"{design.name}, which also needs responses")
    if getattr(design, "dose_counts", None) is not None:
        raise _refuse("a design with one row of levels, as patients have one", design.name)
    if design.dose_count != len(levels):
        raise _refuse(f"{design.dose_count} levels, as the design has", str(len(levels)))


def _read_levels(given: Any) -> tuple[DoseLevel, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _refuse("dose levels", "none")
    try:
        return tuple(DoseLevel(**{key: float(value) for key, value in level.items()}) for level in given)
    except HepaticaError:
        raise
    except (AttributeError, TypeError, ValueError):
        raise _refuse("concentration_pfu_per_ml and volume_ceiling_ml of each level", "others") from None


def _read_number(given: Mapping[str, Any], key: str, *, least: float) -> float:
    value = given.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < least:
        raise _refuse(f"{key} of {least:g} or more", "none" if value is None else "another value")
    return float(value)


def _read_rules(given: Any) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((str(name), str(text)) for name, text in given)
    except (TypeError, ValueError):
        raise _refuse("rules as pairs of name and value", "something else") from None


def _read_populations(given: Any) -> LinkedPopulations | None:
    if given is None:
        return None
    try:
        return LinkedPopulations(
            leader=str(given["leader"]),
            follower=str(given["follower"]),
            follower_tumours=frozenset(str(word) for word in given["follower_tumours"]),
        )
    except (KeyError, TypeError):
        raise _refuse("leader, follower and follower_tumours of linked populations", "others") from None


def _refuse(expected: str, given: str) -> InputError:
    return ProtocolError(expected=expected, given=given, where="escalation_design")
