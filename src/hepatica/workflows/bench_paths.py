"""Time the path planner on a synthetic torso of clinical size; deterministic work, measured from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.field_kernels import BLOCKED, FREE
from hepatica.planning.path.fields import CELL_MM, classify_paths, derive_squared_distance
from hepatica.planning.path.pairs import clear_pairs
from hepatica.planning.path.placement_error import DRAWS, simulate_placement
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import plan_lesion_paths
from hepatica.planning.path.session import PathSession
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.threads import map_over_threads
from hepatica.planning.path.values import LesionPath, Puncture
from hepatica.workflows.bench_torso import Torso, make_torso

VOLUME_ML: Final = 1.0
TOP: Final = 20
"""So many punctures get a simulated placement error, best ones first."""
CHECKS: Final = 1_000_000
SAMPLE: Final = 20_000
"""Paths of the coarse-miss rate, settled at full resolution."""
WINDOW_MM: Final = 20.0
REPEATS: Final = 3
FRESH_MM: Final = 0.01
CHANGES: Final = (("margin_lung", 8.0), ("margin_lung", 3.0), ("margin_bone", 4.0))
"""Margins changed one at a time: one wider, one narrower, and the one that nearly every path meets."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a stopwatch shows.

    Parameters
    ----------
    wall_s, cpu_s
        Since any fixed moment.
    peak_mib
        Most memory the process has held so far.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One measured piece of work.

    Parameters
    ----------
    name
        What was done.
    wall_s, cpu_s
        Of the quickest run.
    peak_mib
        Most memory the process had held by then.
    bar_s
        Wall time on two cores to be met; None where none is set.
    note
        What else was found.
    """

    name: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    bar_s: float | None = None
    note: str = ""


Stopwatch = Callable[[], Reading]


def bench_paths(*, stopwatch: Stopwatch, progress: Progress = SILENT) -> Iterator[BenchRow]:
    """Yield the rows of the path benchmark.

    Parameters
    ----------
    stopwatch
        Reads the clocks.
    progress
        Told of stages; may cancel.
    """
    progress.stage("Drawing the torso")
    torso = make_torso()
    progress.stage("First plan")
    row, _ = _clock(
        "first plan in this process, kernels loaded or compiled", stopwatch, lambda: plan_torso(torso), 1
    )
    yield row
    progress.stage("Timing whole plans")
    row, (scene, paths) = _clock(
        "whole plan: labels to ranked plan, Monte Carlo on the top 20",
        stopwatch,
        lambda: plan_torso(torso),
        REPEATS,
    )
    yield _told(row, bar_s=3.0, note=_describe(scene, torso))
    yield _clock("  of it: scene from labels", stopwatch, torso.to_scene, REPEATS)[0]
    yield _clock(
        "  of it: Monte Carlo on the top 20", stopwatch, lambda: simulate_top(paths, scene), REPEATS
    )[0]
    progress.stage("Timing changed margins")
    yield from _bench_session(torso, scene, paths, stopwatch=stopwatch)
    progress.stage("Timing path checks")
    yield from _bench_checks(torso, scene, stopwatch=stopwatch)
    cells, window = scene.obstacles.cells.some, int(WINDOW_MM / CELL_MM)
    row, _ = _clock(
        f"distance field {cells.shape}, exact to {WINDOW_MM:g} mm",
        stopwatch,
        lambda: derive_squared_distance(cells, mask=0xFFFFFFFF, window=window),
        REPEATS,
    )
    yield _told(row, note="one thread; truncated beyond the window")


def plan_torso(torso: Torso) -> tuple[Scene, tuple[LesionPath, ...]]:
    """Plan all lesions from labels in memory and simulate the best punctures.

    Parameters
    ----------
    torso
        From `make_torso`.
    """
    scene = torso.to_scene()
    paths = plan_lesion_paths(scene, volumes_ml=dict.fromkeys(torso.lesions, VOLUME_ML))
    simulate_top(paths, scene)
    return scene, paths


def simulate_top(paths: tuple[LesionPath, ...], scene: Scene) -> int:
    """Simulate the placement error of the best punctures; returns of how many.

    Parameters
    ----------
    paths, scene
        From `plan_torso`.
    """
    chosen: list[Puncture] = [p for path in paths for p in (path.best, path.backup) if p is not None]
    chosen += [p for path in paths for p in path.alternatives]
    model = make_placement_model("freehand")

    def simulate(puncture: Puncture, _progress: Progress) -> None:
        placed, _, _ = place_deposits(puncture, scene, lesion_id=puncture.lesion_ids[0], volume_ml=VOLUME_ML)
        simulate_placement(placed, scene, model=model, draws=DRAWS, rng=np.random.default_rng(1))

    map_over_threads(simulate, chosen[:TOP])
    return len(chosen[:TOP])


def _bench_session(
    torso: Torso, scene: Scene, paths: tuple[LesionPath, ...], *, stopwatch: Stopwatch
) -> Iterator[BenchRow]:
    session = PathSession(scene)
    volumes_ml = dict.fromkeys(torso.lesions, VOLUME_ML)
    session.rank_paths(volumes_ml)
    for key, value in CHANGES:
        old = scene.limits[key].number

        # Each run asks for a margin that nobody asked for before: what is remembered of answers does not help.
        values = iter(value + FRESH_MM * np.arange(REPEATS))

        def change(key: str = key, values: Iterator[float] = values) -> object:
            session.change_limits({key: float(next(values))})
            return session.rank_paths(volumes_ml)

        def back() -> object:
            session.change_limits({})
            return session.rank_paths(volumes_ml)

        name = f"{key} {old:g} -> {value:g} mm, five lesions re-ranked in a session"
        row, _ = _clock(name, stopwatch, change, REPEATS, before=back)
        yield _told(row, bar_s=0.5, note=f"session holds {session.count_bytes() / 2**20:.0f} MiB")
        back()
    best = next(path.best for path in paths if path.best is not None)
    model = make_placement_model("freehand")
    row, _ = _clock(
        "one moved path: clearances, runs, angles, deposits, 10,000 simulated needles",
        stopwatch,
        lambda: session.check_path(
            lesion_id=best.lesion_ids[0],
            entry_lps_mm=best.entry_lps_mm,
            tip_lps_mm=best.tracks[0].tip_lps_mm,
            volume_ml=VOLUME_ML,
            model=model,
        ),
        REPEATS,
    )
    yield _told(row, bar_s=0.1)


def choose_checked_paths(torso: Torso, scene: Scene) -> tuple[FloatArray, FloatArray]:
    """Return (n, 3) starts and ends of a million random paths of permitted length, in local millimetres.

    Parameters
    ----------
    torso, scene
        From `plan_torso`.
    """
    tips = np.concatenate([choose_targets(t, limits=scene.limits) for _, t in torso.lesions.values()])
    rng = np.random.default_rng(1)
    entries = scene.skin.points_lps_mm[~scene.skin.on_table]
    starts = scene.to_local_mm(entries[rng.integers(0, len(entries), CHECKS)])
    ends = scene.to_local_mm(tips[rng.integers(0, len(tips), CHECKS)])
    near = np.linalg.norm(ends - starts, axis=1) <= scene.limits["length_max"].number
    return np.resize(starts[near], (CHECKS, 3)), np.resize(ends[near], (CHECKS, 3))


def _bench_checks(torso: Torso, scene: Scene, *, stopwatch: Stopwatch) -> Iterator[BenchRow]:
    starts, ends = choose_checked_paths(torso, scene)
    row, classes = _clock(
        "1,000,000 path checks, margins included",
        stopwatch,
        lambda: classify_paths(scene.slack, starts, ends),
        REPEATS,
    )
    share = np.bincount(classes, minlength=3) / CHECKS
    note = f"free {share[0]:.1%}, undecided {share[1]:.1%}, blocked {share[2]:.1%}"
    yield _told(row, bar_s=0.5, note=note)
    tissue = scene.paint_target(next(iter(scene.lesions)))
    row, exact = _clock(
        f"{SAMPLE:,} exact clearances",
        stopwatch,
        lambda: clear_pairs(scene, tissue, starts[:SAMPLE], ends[:SAMPLE], comfort_mm=0.0),
        1,
    )
    clear, coarse = exact[0] == 0, classes[:SAMPLE]
    wrong = int((clear & (coarse == BLOCKED)).sum())
    missed = float((coarse[clear] != FREE).mean())
    note = f"coarse misses {missed:.1%} of {int(clear.sum())} clear paths, all then settled; {wrong} lost"
    yield _told(row, note=note)


def _describe(scene: Scene, torso: Torso) -> str:
    tips = sum(len(choose_targets(t, limits=scene.limits)) for _, t in torso.lesions.values())
    pairs = tips * len(scene.skin.points_lps_mm)
    shape = " x ".join(str(n) for n in scene.grid.shape)
    return f"{shape} voxels, {len(torso.lesions)} lesions, {tips} tips, {pairs / 1e6:.1f} million pairs"


def _clock(
    name: str,
    stopwatch: Stopwatch,
    work: Callable[[], T],
    repeats: int,
    *,
    before: Callable[[], Any] | None = None,
) -> tuple[BenchRow, T]:
    """Run work several times and keep the quickest; ``before`` each run something that is not timed."""
    rows: list[tuple[float, float, float]] = []
    results: list[T] = []
    for _ in range(repeats):
        if before is not None:
            before()
        # Two scenes at once would count as the memory of one.
        results.clear()
        start = stopwatch()
        results.append(work())
        end = stopwatch()
        rows.append((end.wall_s - start.wall_s, end.cpu_s - start.cpu_s, end.peak_mib))
    wall_s, cpu_s, _ = min(rows)
    return BenchRow(name=name, wall_s=wall_s, cpu_s=cpu_s, peak_mib=rows[-1][2]), results[0]


def _told(row: BenchRow, *, bar_s: float | None = None, note: str = "") -> BenchRow:
    return BenchRow(
        name=row.name, wall_s=row.wall_s, cpu_s=row.cpu_s, peak_mib=row.peak_mib, bar_s=bar_s, note=note
    )
