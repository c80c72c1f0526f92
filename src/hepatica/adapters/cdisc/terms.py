"""Controlled terms of the oncology code lists, SDTM terminology 2025-03-25.

The table ``terms.csv`` holds 384 terms as NCI EVS publishes them for CDISC (freely usable), taken through the
public repository patterninstitute/sdtm.terminology (Apache 2.0).
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Final

from hepatica.core.errors import NotFoundError
from hepatica.core.evidence import read_resource

VERSION: Final = "SDTM CT 2025-03-25"
IDENTIFICATION: Final = "TUIDRS"
TUMOUR_TEST: Final = "TUTESTCD"
RESULT_TEST: Final = "TRTESTCD"
RESULT: Final = "TRPROPRS"
RESPONSE_TEST: Final = "ONCRTSCD"
RESPONSE: Final = "ONCRSR"
CRITERION: Final = "ONCRSCAT"


@cache
def _read_lists() -> dict[str, frozenset[str]]:
    lists: dict[str, set[str]] = {}
    text = read_resource("hepatica.adapters.cdisc", "terms.csv").decode("utf-8")
    for row in csv.DictReader(text.splitlines()):
        lists.setdefault(row["codelist"], set()).add(row["term"])
    return {name: frozenset(terms) for name, terms in lists.items()}


def read_terms(codelist: str) -> frozenset[str]:
    """Return the terms of a code list by its short name.

    Parameters
    ----------
    codelist
        For example ``TUIDRS`` or ``ONCRSR``.

    Raises
    ------
    NotFoundError
        If there is no such list in the table.

    Examples
    --------
    >>> "iCPD" in read_terms("ONCRSR")
    True
    """
    lists = _read_lists()
    if codelist not in lists:
        raise NotFoundError(expected=f"one of {', '.join(lists)}", given=f"'{codelist}'", where=VERSION)
    return lists[codelist]
