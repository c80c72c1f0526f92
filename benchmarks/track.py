"""Lesion tracking: one 512 x 512 x 62 pair for time and memory, and random SIMULATED pairs for what is right.

``python -m benchmarks.track [first] [last] [stated|unknown]`` tracks the simulated pairs of these seeds (0 to 50)
at half the in-plane resolution and prints what was matched rightly and how far centres are off.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.commands import Row
from hepatica.bootstrap import make_demo_request, read_image, read_segments
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import ScanRegistration, ScanSide, register_scans
from hepatica.imaging.volume import Volume
from hepatica.lesions.matching.evidence import ScanLesion
from hepatica.lesions.matching.match import LesionLink, match_lesions
from hepatica.lesions.matching.measured import measure_lesions
from hepatica.lesions.matching.simulated_pair import SimulatedPair, simulate_pair

BAR_S = "60 s on 2 cores"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """What one simulated pair gave: lesions of both visits, those in a right link, and centre errors."""

    seed: int
    lesions: int
    right: int
    error_mm: np.ndarray
    stage: str
    wall_s: float


def read_demo(*, reduce: int) -> tuple[Volume, Mask, Mask]:
    """Return the shipped CT, its liver with the tumour, and the tumour, every n-th pixel of a slice."""
    request = make_demo_request()
    image = read_image(request.image)
    source = request.labels[0]
    masks = {s.name: s.mask for s in read_segments(source.path, reference=image, names=source.names)}
    affine = image.volume.grid.lps_from_ijk.copy()
    affine[:3, :2] *= reduce
    values = np.asfortranarray(image.volume.values[::reduce, ::reduce])
    i, j, k = values.shape
    grid = Grid(shape=(i, j, k), lps_from_ijk=affine, frame_of_reference=image.volume.grid.frame_of_reference)
    liver = masks["liver"].to_full() | masks["lesion"].to_full()

    def thin(full: np.ndarray) -> Mask:
        return Mask.from_full(np.asfortranarray(full[::reduce, ::reduce]), grid=grid)

    return Volume(values=values, grid=grid), thin(liver), thin(masks["lesion"].to_full())


def track_pair(
    pair: SimulatedPair, *, same_phase: bool | None
) -> tuple[ScanRegistration, tuple[LesionLink, ...]]:
    """Register and match one simulated pair."""
    sides = [
        ScanSide(volume=volume, region=liver, is_liver=True, lesions=tuple(mask for _, mask in lesions))
        for volume, liver, lesions in (
            (pair.baseline, pair.baseline_liver, pair.baseline_lesions),
            (pair.followup, pair.followup_liver, pair.followup_lesions),
        )
    ]
    registration = register_scans(*sides, same_phase=same_phase)
    links = match_lesions(
        _measure(pair.baseline_lesions),
        _measure(pair.followup_lesions),
        scan_map=registration.scan_map,
        uncertainty_mm=registration.uncertainty_mm,
    )
    return registration, links


def _measure(lesions: tuple[tuple[str, Mask], ...]) -> list[ScanLesion]:
    found = []
    for name, mask in lesions:
        one = measure_lesions([(name, mask), (name, mask)])[0][0]
        found.append(
            ScanLesion(
                lesion_id=name,
                mask=mask,
                longest_diameter_mm=one.longest_diameter.length_mm,
                volume_ml=one.volume_ml,
            )
        )
    return found


def judge_pair(
    pair: SimulatedPair,
    registration: ScanRegistration,
    links: tuple[LesionLink, ...],
    *,
    seed: int,
    wall_s: float,
) -> PairResult:
    """Count lesions (of both visits) whose whole link is the true one, and measure centre errors."""
    found = {(link.kind, link.baseline_ids, link.followup_ids) for link in links}
    missed = [link for link in pair.links if (link.kind, link.baseline_ids, link.followup_ids) not in found]
    count = len(pair.baseline_lesions) + len(pair.followup_lesions)
    centres = np.array([mask.centroid_lps_mm for _, mask in pair.baseline_lesions])
    error = registration.scan_map.to_moving(centres) - pair.truth.to_followup(centres)
    return PairResult(
        seed=seed,
        lesions=count,
        right=count - sum(len(link.baseline_ids) + len(link.followup_ids) for link in missed),
        error_mm=np.linalg.norm(error, axis=1),
        stage=registration.chosen,
        wall_s=wall_s,
    )


def run_pairs(seeds: range, *, same_phase: bool | None) -> Iterator[PairResult]:
    """Simulate and track one pair for each seed."""
    volume, liver, tumour = read_demo(reduce=2)
    for seed in seeds:
        pair = simulate_pair(volume, liver=liver, known=[tumour], rng=np.random.default_rng(seed))
        started = time.perf_counter()
        registration, links = track_pair(pair, same_phase=same_phase)
        yield judge_pair(pair, registration, links, seed=seed, wall_s=time.perf_counter() - started)


def measure_track() -> Iterator[Row]:
    """Register and match one simulated pair of full size."""
    volume, liver, tumour = read_demo(reduce=1)
    pair = simulate_pair(volume, liver=liver, known=[tumour], rng=np.random.default_rng(0))
    wall, cpu = time.perf_counter(), time.process_time()
    track_pair(pair, same_phase=True)
    yield Row(
        name="track one simulated 512x512x62 pair: register and match",
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        bar=BAR_S,
    )


def main(arguments: list[str]) -> None:
    """Print one line for each pair, then the sums."""
    first, last = (int(arguments[0]), int(arguments[1])) if len(arguments) > 1 else (0, 50)
    same_phase = None if "unknown" in arguments else True
    results = []
    for result in run_pairs(range(first, last), same_phase=same_phase):
        results.append(result)
        print(
            f"simulated pair {result.seed:>3}: {result.right}/{result.lesions} right, centres within "
            f"{result.error_mm.max():.1f} mm, {result.stage}, {result.wall_s:.1f} s",
            flush=True,
        )
    error = np.concatenate([result.error_mm for result in results])
    right, lesions = (sum(getattr(r, name) for r in results) for name in ("right", "lesions"))
    print(
        f"{right} of {lesions} lesions of {len(results)} simulated pairs matched rightly ({right / lesions:.1%})"
    )
    print(
        f"centre error: median {np.median(error):.2f} mm, 95 % {np.percentile(error, 95):.2f} mm, largest "
        f"{error.max():.2f} mm; under 5 mm: {np.mean(error < 5):.1%} of {len(error)}"
    )


if __name__ == "__main__":
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    main(sys.argv[1:])
