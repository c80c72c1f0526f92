"""What a plan can be asked for: protocols, needles, structures to declare absent, tumour types."""

from __future__ import annotations

from typing import Any

from hepatica.anatomy.structures import NEEDED_FOR_CLEARANCE, StructureKind
from hepatica.core.errors import HepaticaError
from hepatica.lesions.enhancement import TumourType
from hepatica.planning.dose.protocol import list_protocols, read_protocol
from hepatica.planning.path.needles import read_needles


def list_plan_choices() -> dict[str, Any]:
    """Return the choices as JSON, each with its name and words.

    Examples
    --------
    >>> "stomach" in list_plan_choices()["absent"]
    True
    """
    protocols = []
    for name in list_protocols():
        try:
            read = read_protocol(name)
        except HepaticaError:
            continue
        protocols.append({"name": name, "title": read.title, "agent": read.agent})
    return {
        "protocols": protocols,
        "needles": [needle.name for needle in read_needles()],
        "absent": list(NEEDED_FOR_CLEARANCE),
        "tumour_types": [kind.value for kind in TumourType],
        "structures": [kind.value for kind in StructureKind],
    }
