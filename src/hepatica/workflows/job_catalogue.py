"""Every kind of long work, found by looking: a new file in `hepatica.workflows.job_kinds` is a new kind."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from hepatica.core.errors import NotFoundError
from hepatica.workflows import job_kinds
from hepatica.workflows.job_ports import JobKind


@cache
def read_job_kinds() -> Mapping[str, JobKind]:
    """Return every kind by name."""
    found = (
        importlib.import_module(f"{job_kinds.__name__}.{module.name}").JOB
        for module in pkgutil.iter_modules(job_kinds.__path__)
    )
    return MappingProxyType({kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)})


def find_job_kind(name: str) -> JobKind:
    """Return a kind.

    Parameters
    ----------
    name
        Its word.

    Raises
    ------
    NotFoundError
        If there is none of this name.
    """
    kind = read_job_kinds().get(name)
    if kind is None:
        raise NotFoundError(
            expected=f"one of {', '.join(read_job_kinds())}", given="another word", where="job"
        )
    return kind
