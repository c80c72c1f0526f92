"""Compare simulated designs and write the comparison for a protocol: tables, pictures, words, assumptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.trials.simulation.engine import OperatingCharacteristics
from hepatica.trials.simulation.job import SimulationJob
from hepatica.workflows.ports import Clock

DISCLAIMER = "Research use. Simulated trials describe the designs under the assumptions listed, not patients."


class ComparisonWriter(Protocol):
    """Writes a comparison into a folder."""

    def write_comparison(self, document: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        """Write and return the names of the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPorts:
    """What the comparison needs of the world.

    Parameters
    ----------
    stage_output
        Opens the output folder, which appears whole or not at all.
    write_document
        Writes one JSON document.
    writers
        Writers of pages and pictures.
    clock, code_version
        For the manifest.
    """

    stage_output: Callable[..., AbstractContextManager[Path]]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    writers: Sequence[ComparisonWriter]
    clock: Clock
    code_version: str


def derive_comparison(
    scenarios: Sequence[Sequence[OperatingCharacteristics]], *, target: float | None
) -> dict[str, Any]:
    """Return the comparison as one document.

    Parameters
    ----------
    scenarios
        For each truth the results of every design, in one order.
    target
        Target DLT probability, for what counts as the right dose and as too toxic; None where none is given.

    Returns
    -------
    ``scenarios[]`` of ``truth, target_doses[], designs[]``, ``assumptions[]``, ``words[]``.
    """
    rows = [
        {
            "name": f"scenario {number}",
            "truth": list(results[0].job.truth),
            "target_doses": list(find_target_doses(results[0].job.truth, target)),
            "designs": [_describe(result, target=target) for result in results],
        }
        for number, results in enumerate(scenarios, start=1)
    ]
    jobs = [result.job for result in scenarios[0]]
    return {
        "target": target,
        "trials": jobs[0].trials,
        "seed": jobs[0].seed,
        "scenarios": rows,
        "words": list(_summarise(rows)),
        "assumptions": list(dict.fromkeys(line for job in jobs for line in list_assumptions(job))),
        "notice": DISCLAIMER,
    }


def find_target_doses(truth: Sequence[float], target: float | None) -> tuple[int, ...]:
    """Return the levels whose true DLT probability is nearest the target; none without a target."""
    if target is None:
        return ()
    least = min(abs(p - target) for p in truth)
    return tuple(d for d, p in enumerate(truth, start=1) if abs(abs(p - target) - least) < 1e-12)


def list_assumptions(job: SimulationJob) -> Iterable[str]:
    """Yield what a simulation takes for granted, in words for a protocol."""
    yield (
        f"Every patient has a fixed tolerance drawn from seed {job.seed}; designs with one seed "
        f"treat the same patients."
    )
    yield f"Cohorts of {job.cohort_size}, at most {job.cohorts * job.cohort_size} patients."
    if job.in_time:
        yield (
            f"{job.design}: arrivals follow a Poisson process, one in {job.gap:g} DLT windows; DLT times are "
            f"uniform in the window."
        )
        yield (
            f"{job.design}: each cohort is assigned when its first patient arrives, or when suspended accrual "
            f"may go on; after the last patient every window is followed to its end."
        )
    else:
        yield f"{job.design}: each cohort is followed for its whole DLT window before the next is assigned."
    if job.response:
        yield "Response and DLT of one patient are independent."


def write_comparison(
    document: Mapping[str, Any],
    *,
    jobs: Sequence[SimulationJob],
    ports: ComparisonPorts,
    out: Path,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write the comparison into a folder, whole or not at all, and return the names of the files.

    Parameters
    ----------
    document
        As `derive_comparison` returns it.
    jobs
        Everything simulated, for the manifest.
    ports
        The world.
    out
        Folder to make.
    overwrite
        Replace an earlier comparison.

    Raises
    ------
    OutputExistsError, OutputError
        As `ComparisonPorts.stage_output`.
    """
    run_time = ports.clock.now()
    with ports.stage_output(out, overwrite=overwrite) as folder:
        ports.write_document(folder / "comparison.json", document)
        names = ["comparison.json"]
        for writer in ports.writers:
            names += writer.write_comparison(document, folder)
        manifest = Manifest(
            command="trial compare",
            run_time=run_time,
            code_version=ports.code_version,
            inputs={},
            sources={},
            parameters={"jobs": [_to_parameters(job) for job in jobs]},
            tables={},
            seed=jobs[0].seed,
            outputs={name: digest_bytes((folder / name).read_bytes()) for name in names},
        )
        ports.write_document(folder / "manifest.json", manifest.to_dict())
    return (*names, "manifest.json")


def _to_parameters(job: SimulationJob) -> dict[str, Any]:
    return {
        "design": job.design,
        "options": {name: list(v) if isinstance(v, tuple) else v for name, v in job.options.items()},
        "rules": [list(pair) for pair in job.rules],
        "truth": list(job.truth),
        "response": list(job.response),
        "trials": job.trials,
        "seed": job.seed,
        "cohort_size": job.cohort_size,
        "cohorts": job.cohorts,
        "window": job.window,
        "gap": job.gap,
    }


def _describe(result: OperatingCharacteristics, *, target: float | None) -> dict[str, Any]:
    job = result.job
    right = find_target_doses(job.truth, target)
    chance = sum(result.selected[d - 1] for d in right)
    patients = sum(result.patients)
    above = sum(result.patients[max(right) :]) if right else 0.0
    return {
        **result.to_dict(),
        "settings": {name: list(v) if isinstance(v, tuple) else v for name, v in job.options.items()},
        "rules": [" ".join(pair).strip() for pair in job.rules],
        "selected_none_se": sqrt(result.selected_none * (1 - result.selected_none) / job.trials),
        "correct": chance if right else None,
        "correct_se": sqrt(chance * (1 - chance) / job.trials) if right else None,
        "share_above_target_dose": above / patients if right and patients else None,
    }


def _summarise(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        if not row["target_doses"]:
            continue
        best = max(row["designs"], key=lambda design: float(design["correct"]))
        level = " or ".join(str(d) for d in row["target_doses"])
        for design in row["designs"]:
            gap = float(best["correct"]) - float(design["correct"])
            error = sqrt(float(best["correct_se"]) ** 2 + float(design["correct_se"]) ** 2)
            if design is best:
                ending = "the most of all"
            elif gap <= 2 * error:
                ending = f"not told apart from {best['design']} by these simulations"
            else:
                ending = f"{100 * gap:.1f} points below {best['design']}"
            yield (
                f"{row['name'].capitalize()}: {design['design']} selects dose {level} in "
                f"{100 * design['correct']:.1f} % of trials (Monte Carlo standard error "
                f"{100 * design['correct_se']:.2f} points), {ending}; it treats "
                f"{design['total_patients']:.1f} patients with {design['total_dlts']:.1f} DLTs on average, "
                f"{100 * design['share_above_target_dose']:.0f} % of the patients above that dose."
            )
