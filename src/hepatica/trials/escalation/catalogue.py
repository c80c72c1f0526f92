"""Find a design by its name; a new file in this folder is found without any list."""

from __future__ import annotations

import pkgutil
from dataclasses import MISSING, fields
from functools import cache
from importlib import import_module
from typing import Any

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.design import Design


@cache
def _designs() -> dict[str, type]:
    package = import_module("hepatica.trials.escalation")
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name == "catalogue":
            continue
        for value in vars(import_module(f"hepatica.trials.escalation.{module.name}")).values():
            if isinstance(value, type) and "name" in vars(value) and isinstance(vars(value)["name"], str):
                found[value.name] = value  # type: ignore[attr-defined]
    return found


def list_designs() -> tuple[str, ...]:
    """Return the names of all designs."""
    return tuple(sorted(_designs()))


def find_design(name: str, **options: Any) -> Design:
    """Return a design by name, set up with its own options.

    Parameters
    ----------
    name
        As listed by `list_designs`.
    options
        Fields of the design, for example ``dose_count`` and ``target``. ``target`` is ignored by designs
        without one.

    Raises
    ------
    NotFoundError
        If no design has this name.
    InputError
        If the design has no such option, or lacks one it needs.

    Examples
    --------
    >>> find_design("boin", dose_count=5, target=0.3).name
    'boin'
    """
    designs = _designs()
    if name not in designs:
        raise NotFoundError(
            expected=f"one of {', '.join(sorted(designs))}",
            given=f"'{name}'",
            where="design",
            action="choose one",
        )
    cls = designs[name]
    known = {field.name for field in fields(cls) if field.init}
    if "target" not in known:
        options.pop("target", None)
    unknown = sorted(set(options) - known)
    if unknown:
        raise InputError(
            expected=f"options of {name}: {', '.join(sorted(known))}",
            given=unknown[0],
            where=f"design {name}",
            action="leave the option out",
        )
    try:
        design: Design = cls(**options)
    except TypeError as error:
        raise InputError(
            expected=f"every option that {name} needs",
            given=str(error).split(") ")[-1],
            where=f"design {name}",
            action="supply it",
        ) from None
    return design


def list_design_needs(name: str) -> tuple[str, ...] | None:
    """Return the options that a design needs, or None where it decides by more than toxicity at one row of levels.

    Parameters
    ----------
    name
        One of `list_designs`.

    Examples
    --------
    >>> list_design_needs("crm"), list_design_needs("boin12")
    (('skeleton', 'target'), None)
    """
    cls = _designs()[name]
    options = [field for field in fields(cls) if field.init]
    if getattr(cls, "uses_responses", False) or any(field.name == "dose_counts" for field in options):
        return None
    return tuple(
        field.name
        for field in options
        if field.default is MISSING and field.default_factory is MISSING and field.name != "dose_count"
    )
