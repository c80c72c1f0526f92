"""Read earlier plans, and what is needed to bring them into today's frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatica.anatomy.assemble import assemble_anatomy
from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import HepaticaError, InputError, NotFoundError, SourceFormatError
from hepatica.core.progress import SILENT
from hepatica.core.provenance import digest_bytes
from hepatica.imaging.mask import Mask
from hepatica.workflows.documents import to_object
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.prior_plan import PriorPlan, from_plan_document
from hepatica.workflows.read_labels import read_label_sources
from hepatica.workflows.request import PlanRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorCase:
    """An earlier plan, with its liver where that is needed to align it.

    Parameters
    ----------
    plan
        The plan as read.
    liver
        Liver on the earlier scan's grid; None where not needed or not to be had.
    reason
        Why there is no liver, in words.
    """

    plan: PriorPlan
    liver: Mask | None
    reason: str


def read_priors(
    folders: tuple[Path, ...], *, frame: str | None, ports: PlanPorts, digests: dict[str, str]
) -> tuple[PriorCase, ...]:
    """Read earlier plans, oldest visit first.

    Parameters
    ----------
    folders
        Folders that an earlier run wrote.
    frame
        Frame of reference of today's scan; a plan in another frame needs its own scan again.
    ports
        The world.
    digests
        Takes the digest of each plan.
    """
    cases: list[PriorCase] = []
    for number, folder in enumerate(folders):
        role = f"prior[{number}]"
        file = folder / "plan.json" if folder.is_dir() else folder
        if not file.exists():
            raise NotFoundError(
                expected="a folder with plan.json",
                given="none",
                where=role,
                action="give a folder that 'hepatica plan' wrote",
            )
        with name_input(role):
            raw = ports.read_bytes(file)
            plan = from_plan_document(to_object(raw, where="plan.json", error=SourceFormatError))
        digests[role] = digest_bytes(raw)
        if any(plan.plan_id == case.plan.plan_id for case in cases):
            raise InputError(
                expected="each earlier plan once",
                given="one plan twice, which would count its doses twice",
                where=role,
                action="give each plan folder once",
            )
        if frame is not None and plan.frame_of_reference == frame:
            cases.append(PriorCase(plan=plan, liver=None, reason="not needed: same frame"))
            continue
        liver, reason = _read_liver(file.parent, ports=ports)
        cases.append(PriorCase(plan=plan, liver=liver, reason=reason))
    return tuple(sorted(cases, key=lambda case: case.plan.visit))


def _read_liver(folder: Path, *, ports: PlanPorts) -> tuple[Mask | None, str]:
    """Read scan and labels of an earlier plan again; a scan that is gone is an answer, not an error."""
    try:
        manifest = to_object(
            ports.read_bytes(folder / "manifest.json"), where="manifest.json", error=SourceFormatError
        )
        request = PlanRequest.from_manifest(manifest, where="manifest.json")
        image = ports.image_reader.read_image(
            request.image, series=request.series, resample=request.resample, progress=SILENT
        )
        inputs = manifest.get("inputs")
        if not isinstance(inputs, dict):
            return None, "its manifest names no inputs"
        if image.digest != inputs.get("ct"):
            return None, "its scan has changed since"
        labels = read_label_sources(request.labels, image=image, ports=ports)
        if any(inputs.get(role) != digest for role, digest in labels.digests.items()):
            return None, "its labels have changed since"
        anatomy = assemble_anatomy(image.volume.grid, labels.segments).anatomy
        return Mask.from_full(anatomy.select(StructureKind.LIVER), grid=anatomy.grid, where="liver"), ""
    except HepaticaError as error:
        return None, f"its scan or labels cannot be read again ({error.code})"
