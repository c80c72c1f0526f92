"""What a plan can be asked for: protocols, needles, structures to declare absent, tumour types."""

from __future__ import annotations

from typing import Any

from hepatica.anatomy.structures import NEEDED_FOR_CLEARANCE, StructureKind
from hepatica.core.errors import HepaticaError
from hepatica.lesions.enhancement import TumourType
from hepatica.planning.dose.protocol import list_protocols, read_protocol
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.needles import END_HOLE, parse_needles, read_needles
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.path.values import Needle
from hepatica.workflows.lay_out_plan import NEEDLES


def list_plan_choices(site_needles: bytes | None = None) -> dict[str, Any]:
    """Return the choices as JSON, each with its name and words.

    Parameters
    ----------
    site_needles
        The site's own table of needles; its needles come first, and the default is one of them.

    Raises
    ------
    InputError
        If that table is none.

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
    own = () if site_needles is None else parse_needles(site_needles, where=NEEDLES)
    known = {needle.name for needle in own}
    shipped = [needle for needle in read_needles() if needle.name not in known]
    return {
        "protocols": protocols,
        "needles": [
            *(_to_choice(needle, table="site") for needle in own),
            *(_to_choice(needle, table="shipped") for needle in shipped),
        ],
        "default_needle": choose_needle(limits=read_path_limits(), needles=own or None).name,
        "absent": list(NEEDED_FOR_CLEARANCE),
        "tumour_types": [kind.value for kind in TumourType],
        "structures": [kind.value for kind in StructureKind],
    }


def takes_site_needles(site_needles: bytes, name: str) -> bool:
    """Return whether a plan that names a needle is made with the site's table: unless only the shipped one has it.

    Parameters
    ----------
    site_needles
        The site's own table of needles.
    name
        Name of a needle; empty for the default.
    """
    own = {needle.name for needle in parse_needles(site_needles, where=NEEDLES)}
    return name in own or name not in {needle.name for needle in read_needles()}


def _to_choice(needle: Needle, *, table: str) -> dict[str, Any]:
    return {
        "name": needle.name,
        "gauge": needle.gauge,
        "length_mm": needle.length_mm,
        "holes": needle.holes,
        "holes_known": needle.holes == END_HOLE or bool(needle.hole_offsets_mm),
        "status": needle.status.value,
        "table": table,
    }
