"""Who is injected first, and who not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.errors import InputError, NonFiniteError
from hepatica.core.findings import Finding, Severity
from hepatica.planning.dose.protocol import Protocol
from hepatica.planning.dose.section import to_mm
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionOrder:
    """Lesions in order of injection, lesions left out with the reason, and what a person has to know."""

    lesions: tuple[DoseLesion, ...]
    left_out: tuple[tuple[DoseLesion, str], ...]
    findings: tuple[Finding, ...]


def check_lesions(lesions: Sequence[DoseLesion]) -> None:
    """Refuse sizes that are no measurements, and names given twice.

    Raises
    ------
    NonFiniteError, InputError
    """
    seen: set[str] = set()
    for lesion in lesions:
        sizes = {"longest diameter": lesion.longest_diameter_mm, "volume": lesion.volume_ml}
        for name, size in sizes.items():
            if not math.isfinite(size):
                raise NonFiniteError(
                    expected=f"a finite {name}", given=f"{size}", where=f"lesion {lesion.lesion_id}"
                )
            # A lesion one pixel wide has a longest diameter of 0: measured, but no size to dose by.
            if size < 0 or (size == 0 and name == "volume"):
                raise InputError(
                    expected=f"a {name} above 0", given=f"{size}", where=f"lesion {lesion.lesion_id}"
                )
        if lesion.lesion_id in seen:
            raise InputError(expected="one entry for each lesion", given=f"'{lesion.lesion_id}' twice")
        seen.add(lesion.lesion_id)


def order_lesions(lesions: Sequence[DoseLesion], *, protocol: Protocol, visit: int) -> InjectionOrder:
    """Put lesions into the protocol's order of injection; equal lesions by name.

    Sites with priority come first, then (where the protocol says so) lesions known to be new, then by longest
    diameter. A lesion of which nobody knows whether it is new is not guessed to be new: it is placed by size.
    """
    rule = (protocol.order_first if visit == 1 else protocol.order_later).value
    new_first = rule == "new first, then largest"
    kept: list[DoseLesion] = []
    left_out: list[tuple[DoseLesion, str]] = []
    findings: list[Finding] = []
    for lesion in lesions:
        reason = _find_obstacle(lesion, protocol=protocol, visit=visit)
        if reason:
            left_out.append((lesion, reason))
        else:
            kept.append(lesion)
            findings += _check_site(lesion, protocol=protocol)

    def place(lesion: DoseLesion) -> tuple[object, ...]:
        sites = protocol.sites.priority
        site = sites.index(lesion.site) if lesion.site in sites else len(sites)
        newness = 0 if new_first and lesion.is_new else 1
        return (site, newness, -lesion.longest_diameter_mm, natural_key(lesion.lesion_id))

    kept.sort(key=place)
    if new_first:
        findings += _check_newness(kept, protocol=protocol, visit=visit)
    kept, dropped, number_findings = _limit_number(kept, protocol=protocol)
    left_out += dropped
    left_out.sort(key=lambda pair: place(pair[0]))
    return InjectionOrder(
        lesions=tuple(kept), left_out=tuple(left_out), findings=tuple(findings) + number_findings
    )


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sorting key that puts L2 before L10."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts if part)


def _find_obstacle(lesion: DoseLesion, *, protocol: Protocol, visit: int) -> str:
    """Return why a lesion gets nothing at this visit; empty where nothing stands against it."""
    if not lesion.injectable:
        return lesion.reason or "marked not injectable"
    if lesion.longest_diameter_mm == 0:
        return "it is one pixel wide: no longest diameter to dose by"
    sites = protocol.sites
    if lesion.site not in sites.injected and sites.others == "exclude":
        return f"site '{lesion.site}' is not a site of this protocol ({', '.join(sites.injected)})"
    spill = sites.spill_over_from_visit
    if spill is not None and lesion.site != sites.priority[0] and visit < spill.number:
        return f"only {sites.priority[0]} lesions before visit {spill.number:g} ({spill.source})"
    smallest = protocol.lesions.longest_diameter_min
    if smallest is not None and smallest.value is not None and lesion.longest_diameter_mm < to_mm(smallest):
        mark = ", unverified" if smallest.unverified else ""
        return f"longest diameter below {to_mm(smallest):g} mm ({smallest.source}{mark})"
    return ""


def _check_site(lesion: DoseLesion, *, protocol: Protocol) -> list[Finding]:
    if lesion.site in protocol.sites.injected:
        return []
    return [
        Finding(
            rule="dose.site",
            severity=Severity.WARNING,
            message=(
                f"{lesion.lesion_id} lies in site '{lesion.site}', no site of '{protocol.title}': "
                "the amount is shown, the use is investigational."
            ),
            measured=lesion.site,
            limit=", ".join(protocol.sites.injected),
            source=protocol.title,
            subject=lesion.lesion_id,
        )
    ]


def _check_newness(kept: Sequence[DoseLesion], *, protocol: Protocol, visit: int) -> list[Finding]:
    unknown = [lesion.lesion_id for lesion in kept if lesion.is_new is None]
    if not unknown:
        return []
    return [
        Finding(
            rule="dose.newness_unknown",
            severity=Severity.WARNING,
            message=(
                f"At visit {visit} new lesions come first, but it is not known whether {', '.join(unknown)} "
                "are new: they were placed by size after lesions known to be new. Give the earlier plan."
            ),
            limit=str(protocol.order_later.value),
            source=protocol.order_later.source,
            status=protocol.order_later.status,
            subject=", ".join(unknown),
        )
    ]


def _limit_number(
    kept: list[DoseLesion], *, protocol: Protocol
) -> tuple[list[DoseLesion], list[tuple[DoseLesion, str]], tuple[Finding, ...]]:
    most, least = protocol.lesions.most, protocol.lesions.least
    findings: list[Finding] = []
    dropped: list[tuple[DoseLesion, str]] = []
    if most is not None and most.value is not None and len(kept) > most.number:
        number = int(most.number)
        dropped = [(lesion, f"the protocol injects at most {number} at a visit") for lesion in kept[number:]]
        kept = kept[:number]
        findings.append(
            Finding.from_limit(
                most,
                rule="dose.lesions_most",
                severity=Severity.WARNING,
                message=(
                    f"The protocol injects at most {number} at a visit; "
                    f"{', '.join(lesion.lesion_id for lesion in kept)} came first "
                    f"({protocol.order_first.value}). "
                    "Mark a lesion not injectable to choose another."
                ),
                measured=number + len(dropped),
            )
        )
    if least is not None and least.value is not None and 0 < len(kept) < least.number:
        findings.append(
            Finding.from_limit(
                least,
                rule="dose.lesions_least",
                severity=Severity.WARNING,
                message=f"The protocol asks for {least.number:g} lesions at least; {len(kept)} can be used.",
                measured=len(kept),
            )
        )
    return kept, dropped, tuple(findings)
