"""Read label sources onto a scan and hand them to the anatomy room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepatica.anatomy.segments import LabelledSegment
from hepatica.core.findings import Finding
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import digest_json
from hepatica.lesions.redrawn import Drawing, replace_redrawn
from hepatica.workflows.input_roles import name_findings, name_input
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import LabelSet, ReadImage
from hepatica.workflows.request import LabelInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadLabels:
    """What all label sources of one scan gave.

    Parameters
    ----------
    segments
        Labelled structures on the grid of the scan.
    digests
        SHA-256 by role: ``labels[0]``, and ``names[0]`` where a names table was given.
    findings
        What the readers had to say.
    """

    segments: tuple[LabelledSegment, ...]
    digests: Mapping[str, str]
    findings: tuple[Finding, ...]


def read_label_sources(
    sources: Sequence[LabelInput], *, image: ReadImage, ports: PlanPorts, progress: Progress = SILENT
) -> ReadLabels:
    """Read every label source onto the grid of a scan, in the order given.

    Parameters
    ----------
    sources
        Label sources with their names tables. Those that a person drew replace what they redraw, whatever their
        place; among themselves they count in the order given.
    image
        Scan they belong to.
    ports
        The world.
    progress
        Told after each source; may cancel.
    """
    segments: list[LabelledSegment] = []
    drawings: list[Drawing] = []
    findings: list[Finding] = []
    digests: dict[str, str] = {}
    for number, source in enumerate(sources):
        role = f"labels[{number}]"
        with name_input(f"names[{number}]"):
            names = ports.read_names(source.names) if source.names else None
        if names is not None:
            digests[f"names[{number}]"] = digest_json({str(value): name for value, name in names.items()})
        with name_input(role):
            labels = ports.label_reader.read_labels(
                source.path, reference=image, names=names, progress=SILENT
            )
        digests[role] = labels.digest
        findings += name_findings(labels.findings, role)
        read = to_segments(labels, source=role)
        if source.drawn:
            at = None if source.at_lps_mm is None else np.array(source.at_lps_mm)
            drawings.append(Drawing(segments=read, at_lps_mm=at))
        else:
            segments += read
        progress.advance((number + 1) / len(sources))
        progress.check_cancelled()
    kept, replaced = replace_redrawn(segments, drawings)
    return ReadLabels(segments=kept, digests=digests, findings=(*findings, *replaced))


def to_segments(labels: LabelSet, *, source: str) -> tuple[LabelledSegment, ...]:
    """Turn what a label reader returned into segments of the anatomy room."""
    return tuple(
        LabelledSegment(name=named.name, mask=named.mask, hint=named.kind_hint, source=source)
        for named in labels.masks
    )
