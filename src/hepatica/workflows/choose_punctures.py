"""From what a search found to the punctures of a plan: shared holes, deposits, fans, needles, backups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.dose.values import Injection
from hepatica.planning.path.delivery import deliver_volume
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.share import measure_score
from hepatica.planning.path.trunk import Trunk, finish_trunk, join_on_coaxial
from hepatica.planning.path.values import LesionPath, Needle, Puncture

Fit = Callable[[Puncture], Needle]
"""Chooses the needle of a puncture."""
SAME_HOLE_MM: Final = 1e-6
"""Entries that agree to this are one place on the skin."""
NO_SCORES: Final[Mapping[str, float]] = MappingProxyType({})
LETTERS: Final = "bcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenPunctures:
    """The punctures of a plan.

    Parameters
    ----------
    punctures, backups
        First choices and backup entries, with deposits.
    undelivered
        Volume in mL that found no place, and why, by lesion id.
    paths
        The search's answers; their best paths and backups bear the plan's names.
    """

    punctures: tuple[Puncture, ...]
    backups: tuple[Puncture, ...]
    undelivered: Mapping[str, tuple[float, str]]
    paths: tuple[LesionPath, ...]


def choose_punctures(
    injections: Sequence[Injection],
    paths: Sequence[LesionPath],
    scene: Scene,
    *,
    fit: Fit,
    own_scores: Mapping[str, float] = NO_SCORES,
    progress: Progress = SILENT,
) -> ChosenPunctures:
    """Place every lesion's volume through few holes.

    Lesions that one coaxial needle can serve share it; the others have punctures of their own, some through
    the same hole in the skin. Each volume goes along a straight track, or on a fan where that gains enough.

    Parameters
    ----------
    injections
        What to give, in the order of injection.
    paths
        Search results; lesions without a path are left out.
    scene
        Scene.
    fit
        Chooses the needle of each puncture.
    own_scores
        Score of each lesion's own best path, before it shared anything; that of its path where not given.
    progress
        What to report to.
    """
    reached = {path.lesion_id: path for path in paths if path.best is not None}
    wanted = [item for item in injections if item.volume_ml > 0 and item.lesion_id in reached]
    best = {
        item.lesion_id: puncture for item in wanted if (puncture := reached[item.lesion_id].best) is not None
    }
    trunks = join_on_coaxial(
        scene,
        best=best,
        volumes_ml={item.lesion_id: item.volume_ml for item in wanted},
        own_scores={name: own_scores.get(name, measure_score(puncture)) for name, puncture in best.items()},
        progress=progress,
    )
    punctures: dict[str, Puncture] = {}
    backups: list[Puncture] = []
    undelivered: dict[str, tuple[float, str]] = {}
    served: dict[str, tuple[str, str]] = {}
    for injection in wanted:
        lesion_id, path = injection.lesion_id, reached[injection.lesion_id]
        if lesion_id not in served:
            name = f"P{len(punctures) + 1}"
            puncture, left = _give(best[lesion_id], injection, scene, name=name, trunks=trunks)
            punctures[name] = replace(puncture, needle=fit(puncture))
            if left[0] > 0:
                undelivered[lesion_id] = left
            served |= {
                other: (name, name + letter)
                for other, letter in zip(puncture.lesion_ids, LETTERS, strict=False)
            }
        if path.backup is not None:
            backups.append(_give_by_backup(path.backup, injection, scene, name=served[lesion_id][1], fit=fit))
    return ChosenPunctures(
        punctures=state_shared_skin(tuple(punctures.values())),
        backups=tuple(backups),
        undelivered=undelivered,
        paths=tuple(_rename_path(path, served.get(path.lesion_id)) for path in paths),
    )


def check_backup_volume(
    backup: Puncture, injection: Injection, *, left_ml: float, reason: str
) -> tuple[Finding, ...]:
    """Say so where a backup cannot give the whole planned volume: whoever changes to it gives less.

    Parameters
    ----------
    backup
        Backup puncture with its deposits.
    injection
        What is planned for the lesion.
    left_ml
        What the backup has no room for.
    reason
        Why, in words.
    """
    if left_ml <= 0:
        return ()
    return (
        Finding(
            rule="path.backup_undelivered",
            severity=Severity.WARNING,
            message=f"By this backup {left_ml:.3f} of {injection.volume_ml:.3f} mL for {injection.lesion_id} "
            f"cannot be given: {reason}.",
            measured=left_ml,
            limit=0.0,
            unit="ml",
            subject=backup.puncture_id,
        ),
    )


def state_shared_skin(punctures: Sequence[Puncture]) -> tuple[Puncture, ...]:
    """Return punctures that name the others through the same hole in the skin, with a finding that says so.

    Parameters
    ----------
    punctures
        First choices of a plan.
    """
    stated = []
    for puncture in punctures:
        names = tuple(
            other.puncture_id
            for other in punctures
            if other is not puncture
            and np.linalg.norm(other.entry_lps_mm - puncture.entry_lps_mm) <= SAME_HOLE_MM
        )
        if not names:
            stated.append(puncture)
            continue
        told = Finding(
            rule="path.shared_skin",
            severity=Severity.INFO,
            message=f"{puncture.puncture_id} goes through the same hole in the skin as {', '.join(names)}, on a "
            "way of its own with a fresh needle.",
            subject=puncture.puncture_id,
        )
        stated.append(replace(puncture, shares_skin_with=names, findings=(*puncture.findings, told)))
    return tuple(stated)


def _give(
    puncture: Puncture, injection: Injection, scene: Scene, *, name: str, trunks: Sequence[Trunk]
) -> tuple[Puncture, tuple[float, str]]:
    """Return the puncture that serves a lesion, and what it leaves."""
    lesion_id = injection.lesion_id
    trunk = next((trunk for trunk in trunks if lesion_id in trunk.puncture.lesion_ids), None)
    if trunk is not None:
        return finish_trunk(trunk, scene, name=name), (0.0, "")
    given = deliver_volume(_rename(puncture, name), scene, lesion_id=lesion_id, volume_ml=injection.volume_ml)
    return given.puncture, (given.undelivered_ml, given.reason)


def _give_by_backup(
    puncture: Puncture, injection: Injection, scene: Scene, *, name: str, fit: Fit
) -> Puncture:
    backup, (left_ml, reason) = _give(puncture, injection, scene, name=name, trunks=())
    told = check_backup_volume(backup, injection, left_ml=left_ml, reason=reason)
    return replace(backup, needle=fit(backup), findings=(*backup.findings, *told))


def _rename(puncture: Puncture, name: str) -> Puncture:
    findings = tuple(
        replace(f, subject=name) if f.subject == puncture.puncture_id else f for f in puncture.findings
    )
    return replace(puncture, puncture_id=name, findings=findings)


def _rename_path(path: LesionPath, names: tuple[str, str] | None) -> LesionPath:
    if names is None:
        return path
    best, backup = path.best, path.backup
    return replace(
        path,
        best=None if best is None else _rename(best, names[0]),
        backup=None if backup is None else _rename(backup, names[1]),
    )
