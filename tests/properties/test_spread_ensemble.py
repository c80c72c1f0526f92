import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from spread_scenes import make_scene, make_site

from hepatica.core.errors import CancelledError, InputError
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import Silent
from hepatica.planning.spread.member import PLACES, Draw, simulate_member
from hepatica.planning.spread.ranking import rank_drivers
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.planning.spread.tissue import SpreadTissue, read_uncertain_inputs

STRENGTH, THRESHOLD = 1e8, 1e6


def simulate(scene, draws, **options):
    return simulate_spread(
        scene, draws=draws, strength_per_ml=STRENGTH, threshold_per_ml=THRESHOLD, **options
    )


def to_bytes(outcome):
    return pickle.dumps(
        (outcome.retained, outcome.histogram, outcome.covered, outcome.backflow, outcome.drivers, outcome.coverage_probability.tobytes(), outcome.findings)
    )  # fmt: skip


def draw(count, seed=7, deposits=1):
    return draw_members(count, deposits=deposits, rng=np.random.default_rng(seed))


@pytest.mark.requirement("C-ENSEMBLE-SAME-BYTES")
def test_the_same_seed_gives_the_same_bytes_on_no_one_and_two_workers():
    scene = make_scene(cells=24)
    here = to_bytes(simulate(scene, draw(6)))
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
            assert to_bytes(simulate(scene, draw(6), executor=executor)) == here
    assert to_bytes(simulate(scene, draw(6, seed=8))) != here


@pytest.mark.requirement("C-ENSEMBLE")
def test_a_latin_hypercube_puts_one_draw_in_each_stratum_of_each_input():
    members = draw(20, deposits=2)
    names = [name for name, entry in read_uncertain_inputs().items() if not entry.fixed]
    for name in names:
        strata = sorted(int(member.shares[name] * 20) for member in members)
        assert strata == list(range(20))
    assert all(len(member.clefts) == 2 for member in members)
    assert not any(read_uncertain_inputs()[name].fixed for name in members[0].shares)


@pytest.mark.requirement("C-ENSEMBLE")
def test_one_draw_is_the_same_physics_as_a_single_run():
    scene = make_scene(cells=24)
    single = simulate_member(scene, Draw(shares={}))
    outcome = simulate(scene, (Draw(shares={}),))
    for place in PLACES:
        band = outcome.retained[place]
        assert band.low == band.middle == band.high == single.fractions[place]
    relative = single.amounts_mm3 / 1.0
    assert (outcome.coverage_probability == (relative >= THRESHOLD / STRENGTH)).all()
    viable = scene.classes == SpreadTissue.VIABLE
    assert outcome.covered.middle == (relative[viable] >= 0.01).mean()
    assert isinstance(outcome.drivers, NotEvaluable)


@pytest.mark.requirement("C-ENSEMBLE")
def test_bands_are_ordered_the_histogram_falls_and_every_balance_closes():
    outcome = simulate(
        make_scene(
            cells=24,
            necrosis_mm=3.0,
            sites=(make_site(volume_ml=0.3), make_site(volume_ml=0.2, tip_lps_mm=np.array([3.0, 0, 0]))),
        ),
        draw(12, deposits=2),
    )
    assert outcome.draws == 12 and outcome.largest_imbalance_fraction < 1e-12
    for band in (
        *outcome.retained.values(),
        *outcome.histogram,
        outcome.covered,
        outcome.cleft,
        outcome.track,
    ):
        assert 0 <= band.low <= band.middle <= band.high <= 1
    for edge in ("low", "middle", "high"):
        values = [getattr(band, edge) for band in outcome.histogram]
        assert values == sorted(values, reverse=True)
    assert outcome.levels_per_ml[0] == pytest.approx(1e5) and outcome.levels_per_ml[-1] == STRENGTH
    assert sum(outcome.backflow.values()) == 12
    assert len(outcome.tip_pressure_kpa) == 2 and len(outcome.hole_shares) == 2
    assert outcome.coverage_probability.max() <= 1 and not outcome.coverage_probability.flags.writeable
    assert (
        "liver_conductivity_low" in outcome.unverified and "viable_conductivity_low" not in outcome.unverified
    )


@pytest.mark.requirement("C-DRIVERS")
def test_the_input_that_moves_the_output_ranks_first_with_its_sign():
    rng = np.random.default_rng(11)
    x = rng.random((120, 5))
    output = np.exp(4 * x[:, 3]) - 0.5 * np.exp(2 * x[:, 1]) + 0.3 * rng.random(120)
    ranked = rank_drivers(x, output, names=tuple("abcde"))
    assert [driver.name for driver in ranked[:2]] == ["d", "b"]
    assert ranked[0].correlation > 0.9 > 0 > ranked[1].correlation
    assert all(abs(driver.correlation) < 0.3 for driver in ranked[2:])


@pytest.mark.requirement("C-DRIVERS")
def test_partial_rank_correlation_of_two_inputs_is_the_textbook_formula():
    rng = np.random.default_rng(3)
    x = rng.random((40, 2))
    x[:, 1] += 0.5 * x[:, 0]
    y = x[:, 0] + 0.7 * x[:, 1] + rng.random(40)
    from scipy.stats import spearmanr

    r = spearmanr(np.column_stack([x, y])).statistic
    want = (r[0, 2] - r[1, 2] * r[0, 1]) / np.sqrt((1 - r[1, 2] ** 2) * (1 - r[0, 1] ** 2))
    have = {driver.name: driver.correlation for driver in rank_drivers(x, y, names=("a", "b"))}
    assert have["a"] == pytest.approx(want, rel=1e-10)


@pytest.mark.requirement("C-DRIVERS")
def test_too_few_draws_or_a_constant_output_are_not_ranked():
    x = np.random.default_rng(0).random((5, 4))
    assert isinstance(rank_drivers(x, x[:, 0], names=tuple("abcd")), NotEvaluable)
    x = np.random.default_rng(0).random((50, 4))
    assert isinstance(rank_drivers(x, np.ones(50), names=tuple("abcd")), NotEvaluable)
    with pytest.raises(InputError):
        rank_drivers(x, np.ones(49), names=tuple("abcd"))


def test_a_scene_outside_the_models_validity_is_not_evaluable_as_a_whole():
    scene = make_scene(cells=24, tumour_mm=5.0, sites=(make_site(volume_ml=100.0),))
    answer = simulate(scene, draw(3))
    assert isinstance(answer, NotEvaluable) and "tumour's volume" in answer.reason
    with pytest.raises(InputError):
        simulate_spread(scene, draws=(), strength_per_ml=1.0, threshold_per_ml=1.0)


def test_a_run_can_be_stopped():
    class Stop(Silent):
        def check_cancelled(self):
            raise CancelledError(where="spread")

    with pytest.raises(CancelledError):
        simulate(make_scene(cells=24), draw(3), progress=Stop())
