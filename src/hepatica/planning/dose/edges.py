"""Where a measurement error could change the dose, and where a dose is large for its lesion."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hepatica.core.errors import NotSetError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.planning.dose.protocol import Protocol
from hepatica.planning.dose.section import to_mm
from hepatica.planning.dose.values import DoseLesion

VARIABILITY: Final = ("hepatica.lesions.tables", "variability.toml")
"""Package and table of how far two readers differ: the measurements' own, so that no figure stands twice."""


def check_dose_edges(
    lesion: DoseLesion,
    *,
    protocol: Protocol,
    variability: EvidenceTable | None = None,
    variability_mm: float | None = None,
) -> tuple[Finding, ...]:
    """Say so where longest diameter plus or minus reader variability crosses a dose edge, with both doses.

    Parameters
    ----------
    lesion
        Lesion with its measured longest diameter.
    protocol
        Protocol with the edges.
    variability
        Limits of agreement relative to the diameter; the packaged table by default (Yoon 2016). A crossing
        within the limits of one reader is a warning; one within those of two readers only, an information.
    variability_mm
        A site's own variability, plus or minus; replaces the table.

    Returns
    -------
    findings
        None or one; it gives the doses on both sides and asks for a second measurement.
    """
    edges_mm = protocol.rule.edges_mm
    if not edges_mm:
        return ()
    longest_mm = lesion.longest_diameter_mm
    for lower_mm, upper_mm, severity, source in _derive_spans(longest_mm, variability, variability_mm):
        crossed = [edge for edge in edges_mm if lower_mm <= edge <= upper_mm]
        low, high = (_derive_volume(lesion, protocol, size_mm) for size_mm in (lower_mm, upper_mm))
        if not crossed or low == high:
            continue
        planned = _derive_volume(lesion, protocol, longest_mm)
        edge_text = ", ".join(f"{edge:g}" for edge in crossed)
        return (
            Finding(
                rule="dose.edge",
                severity=severity,
                message=(
                    f"{lesion.lesion_id}: longest diameter {longest_mm:.1f} mm is within reader variability "
                    f"of the dose edge at {edge_text} mm: {low} at {lower_mm:.1f} mm, {high} at "
                    f"{upper_mm:.1f} mm; the rule gives {planned} as measured. Measure again or ask a second "
                    "reader, then confirm the dose."
                ),
                measured=longest_mm,
                limit=edge_text,
                unit="mm",
                source=source[0],
                status=source[1].status if source[1] is not None else None,
                subject=lesion.lesion_id,
            ),
        )
    return ()


def _derive_spans(
    longest_mm: float, variability: EvidenceTable | None, variability_mm: float | None
) -> list[tuple[float, float, Severity, tuple[str, Evidence | None]]]:
    if variability_mm is not None:
        source = f"site variability of {variability_mm:g} mm"
        return [(longest_mm - variability_mm, longest_mm + variability_mm, Severity.WARNING, (source, None))]
    table = variability or read_evidence_table(*VARIABILITY)
    spans: list[tuple[float, float, Severity, tuple[str, Evidence | None]]] = []
    for name, severity in (("same_reader", Severity.WARNING), ("between_readers", Severity.INFO)):
        lower, upper = table[f"diameter_{name}_low"], table[f"diameter_{name}_high"]
        spans.append(
            (
                longest_mm * (1 + lower.number / 100),
                longest_mm * (1 + upper.number / 100),
                severity,
                (lower.source, lower),
            )
        )
    return spans


def _derive_volume(lesion: DoseLesion, protocol: Protocol, longest_mm: float) -> str:
    """Return the volume the rule would give at another diameter, in words."""
    try:
        changed = replace(lesion, longest_diameter_mm=longest_mm)
        return f"{float(protocol.rule.derive_volumes([changed], concentration=None)[0].volume):g} mL"
    except NotSetError:
        return "no amount in the table"


def check_lesion_share(
    lesion: DoseLesion, volume_ml: float, *, table: EvidenceTable | None = None
) -> tuple[Finding, ...]:
    """Say so where the planned volume is more than a set share of the lesion's own volume.

    Parameters
    ----------
    lesion
        Lesion with its volume.
    volume_ml
        Planned volume.
    table
        Table with ``max_share_of_lesion_volume``; the packaged one by default.
    """
    limit = (table or read_evidence_table("hepatica.planning.tables", "dose.toml"))[
        "max_share_of_lesion_volume"
    ]
    share = volume_ml / lesion.volume_ml
    if share <= limit.number:
        return ()
    return (
        Finding.from_limit(
            limit,
            rule="dose.share_of_lesion",
            severity=Severity.WARNING,
            message=(
                f"{lesion.lesion_id}: {volume_ml:g} mL is {share * 100:.0f} % of the lesion's "
                f"{lesion.volume_ml:.2f} mL; expect leak or spread beyond it."
            ),
            measured=share,
            subject=lesion.lesion_id,
        ),
    )


def check_smallest_lesion(lesion: DoseLesion, *, protocol: Protocol) -> tuple[Finding, ...]:
    """Say so where the protocol's smallest lesion lies within one reader's variability of the diameter."""
    smallest = protocol.lesions.longest_diameter_min
    if smallest is None or smallest.value is None:
        return ()
    table = read_evidence_table(*VARIABILITY)
    longest_mm, limit_mm = lesion.longest_diameter_mm, to_mm(smallest)
    lower_mm = longest_mm * (1 + table["diameter_same_reader_low"].number / 100)
    upper_mm = longest_mm * (1 + table["diameter_same_reader_high"].number / 100)
    if not lower_mm <= limit_mm <= upper_mm:
        return ()
    return (
        Finding.from_limit(
            smallest,
            rule="dose.smallest_lesion",
            severity=Severity.WARNING,
            message=(
                f"{lesion.lesion_id}: longest diameter {longest_mm:.1f} mm is within one reader's "
                f"variability of the protocol's smallest lesion, {limit_mm:g} mm."
            ),
            measured=longest_mm / 10 if smallest.unit == "cm" else longest_mm,
            subject=lesion.lesion_id,
        ),
    )
