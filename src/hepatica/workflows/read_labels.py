"""Read label sources onto a scan and hand them to the anatomy room."""

from __future__ import annotations

from hepatica.anatomy.segments import LabelledSegment
from hepatica.core.progress import SILENT
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import LabelSet, ReadImage
from hepatica.workflows.request import LabelInput


def read_label_source(source: LabelInput, *, image: ReadImage, ports: PlanPorts) -> LabelSet:
    """Read one label source onto the grid of a scan."""
    names = ports.read_names(source.names) if source.names else None
    return ports.label_reader.read_labels(source.path, reference=image, names=names, progress=SILENT)


def to_segments(labels: LabelSet, *, source: str) -> tuple[LabelledSegment, ...]:
    """Turn what a label reader returned into segments of the anatomy room."""
    return tuple(
        LabelledSegment(name=named.name, mask=named.mask, hint=named.kind_hint, source=source)
        for named in labels.masks
    )
