"""Rules from their names and values, as written at the command line or in a protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hepatica.core.errors import InputError
from hepatica.trials.outcomes import parse_outcomes
from hepatica.trials.rules import (
    DemandN,
    ExpandCohort,
    FollowPath,
    NoSkip,
    Rescue,
    Rule,
    StickOn,
    StopAtN,
    StopCiCovered,
    StopNAtDose,
    StopTooToxic,
    UnadmitUntested,
)


def read_rule(name: str, text: str) -> Rule:
    """Return a rule from its command-line name and value.

    Raises
    ------
    InputError
        If the value does not fit the rule.

    Examples
    --------
    >>> read_rule("stop-n-at-dose", "12:recommended")
    StopNAtDose(n=12, where='recommended')
    """
    try:
        return _READERS[name](text)
    except (ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            expected=f"a value such as {_EXAMPLES.get(name, name)}",
            given=f"'{text}'",
            where=f"--{name}",
            action="correct the option",
        ) from None


def join_rules(pairs: Sequence[tuple[str, str]]) -> tuple[Rule, ...]:
    """Return rules in order; ``expand-cohort`` after ``follow-path`` completes the path's last cohort."""
    rules: list[Rule] = []
    for name, text in pairs:
        rule = read_rule(name, text)
        path = next((i for i, r in enumerate(rules) if isinstance(r, FollowPath)), None)
        if isinstance(rule, ExpandCohort) and path is not None:
            followed = rules[path]
            assert isinstance(followed, FollowPath)
            rules[path] = replace(followed, expand_cohort=rule.n)
        else:
            rules.append(rule)
    return tuple(rules)


def _read_where(text: str, default: str) -> tuple[int, str | int]:
    count, _, where = text.partition(":")
    if where in ("", "any", "recommended"):
        return _read_count(count), where or default
    return _read_count(count), _read_count(where)


def _read_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _read_too_toxic(text: str) -> StopTooToxic:
    dose, threshold, confidence = (part.strip() for part in text.split(","))
    where: str | int = dose if dose in ("any", "recommended") else _read_count(dose)
    if not (0 < float(threshold) < 1 and 0 < float(confidence) <= 1):
        raise ValueError(text)
    return StopTooToxic(where=where, threshold=float(threshold), confidence=float(confidence))


def _read_covered(text: str) -> StopCiCovered:
    low, high = (float(part) for part in text.split(","))
    if not 0 <= low < high <= 1:
        raise ValueError(text)
    return StopCiCovered(low=low, high=high)


def _read_pair(text: str) -> tuple[int, int]:
    first, second = (int(part) for part in text.split(","))
    if first < 0 or second < 1:
        raise ValueError(text)
    return first, second


def _read_direction(text: str) -> NoSkip:
    if text not in ("up", "down", "both"):
        raise ValueError(text)
    return NoSkip(direction=text)


def _read_stop_n(text: str) -> StopNAtDose:
    n, where = _read_where(text, "any")
    return StopNAtDose(n=n, where=where)


def _read_demand(text: str) -> DemandN:
    n, where = _read_where(text, "recommended")
    return DemandN(n=n, where=where)


def _read_stick(text: str) -> StickOn:
    x, n = _read_pair(text)
    return StickOn(x=x, n=n)


def _read_rescue(text: str) -> Rescue:
    dose, n = _read_pair(text)
    return Rescue(dose=max(dose, 1), n=n)


_READERS: dict[str, Callable[[str], Rule]] = {
    "stop-at-n": lambda text: StopAtN(n=_read_count(text)),
    "stop-n-at-dose": _read_stop_n,
    "demand-n": _read_demand,
    "stop-too-toxic": _read_too_toxic,
    "stop-ci-covered": _read_covered,
    "stick-on": _read_stick,
    "rescue": _read_rescue,
    "no-skip": _read_direction,
    "unadmit-untested": lambda text: UnadmitUntested(),
    "follow-path": lambda text: FollowPath(path=parse_outcomes(text)),
    "expand-cohort": lambda text: ExpandCohort(n=_read_count(text)),
}
_EXAMPLES = {
    "stop-at-n": "30",
    "stop-n-at-dose": "12:recommended",
    "demand-n": "9",
    "stop-too-toxic": "1,0.35,0.8",
    "stop-ci-covered": "0.1,0.4",
    "stick-on": "1,3",
    "rescue": "1,2",
    "no-skip": "up, down or both",
    "follow-path": '"1NNN 2NNN"',
    "expand-cohort": "6",
}
RULE_NAMES: tuple[str, ...] = tuple(_READERS)
"""Names of the rules, as at the command line."""
