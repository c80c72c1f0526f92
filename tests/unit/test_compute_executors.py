"""Where simulations run: the same bytes in this process, in others, and on a cluster that loses a worker."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import time

import numpy as np
import pytest
from spread_scenes import make_scene

from hepatica.adapters.compute.dask_cluster import find_version
from hepatica.adapters.compute.executors import THREAD_VARIABLES, open_executor
from hepatica.core.errors import ComputeError, InputError
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.trials.simulation.engine import simulate_trials
from hepatica.trials.simulation.job import SimulationJob

JOB = SimulationJob(design="boin", truth=(0.1, 0.25, 0.4), trials=40_000, options={"target": 0.25})


def end_process(number: int) -> int:
    """End the process this runs in, as the system does when memory is out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster():
    """A scheduler with two worker processes, each watched by a nanny."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, scheduler_port=0, dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as found:  # fmt: skip
        yield found


def to_bytes(outcome):
    return pickle.dumps(
        (outcome.retained, outcome.histogram, outcome.findings, outcome.coverage_probability.tobytes(), outcome.expected_per_ml.tobytes())
    )  # fmt: skip


@pytest.mark.requirement("C-COMPUTE")
def test_one_worker_runs_here_and_none_is_refused():
    with open_executor(workers=1) as executor:
        assert executor is None
    with pytest.raises(InputError), open_executor(workers=0):
        raise AssertionError


@pytest.mark.requirement("C-COMPUTE")
def test_an_interrupt_while_a_process_is_being_started_leaves_none_behind():
    with pytest.raises(KeyboardInterrupt), open_executor(workers=2) as executor:
        list(executor.map(abs, range(4)))
        # As an interrupt leaves it: started, and unknown to the library.
        stray = executor._mp_context.Process(target=time.sleep, args=(600,))
        stray.start()
        raise KeyboardInterrupt
    stray.join(timeout=10)
    assert stray.exitcode is not None


@pytest.mark.requirement("C-COMPUTE")
def test_processes_keep_the_order_and_a_process_that_ends_is_a_coded_error():
    with open_executor(workers=2) as executor:
        assert list(executor.map(abs, range(-20, 0))) == list(range(20, 0, -1))
    with open_executor(workers=2) as executor, pytest.raises(ComputeError, match="ended early"):
        list(executor.map(os._exit, [3, 3]))


@pytest.mark.requirement("C-COMPUTE-CLUSTER")
def test_trials_and_spread_are_the_same_bytes_on_a_cluster_and_here(cluster):
    scene = make_scene(cells=24)
    draws = draw_members(4, deposits=1, rng=np.random.default_rng(3))
    settings = {"draws": draws, "strength_per_ml": 1e6, "threshold_per_ml": 1e4}
    with open_executor(scheduler=cluster.scheduler_address) as executor:
        assert simulate_trials(JOB, run=executor.map) == simulate_trials(JOB)
        there = simulate_spread(scene, executor=executor, **settings)
        assert executor.submit(abs, -3).result() == 3
    assert to_bytes(there) == to_bytes(simulate_spread(scene, **settings))


@pytest.mark.requirement("C-COMPUTE-LOSS")
def test_a_worker_killed_in_the_middle_loses_nothing(cluster):
    with open_executor(scheduler=cluster.scheduler_address) as executor:
        # Worker processes say their own number; the nannies that watch them have others.
        pids = set(executor.map(_get_pid, range(40)))
        assert os.getpid() not in pids
        kept = []

        def keep(block, result):
            kept.append(block)
            if block == 2:
                os.kill(min(pids), signal.SIGKILL)

        assert simulate_trials(JOB, run=executor.map, keep=keep) == simulate_trials(JOB)
        assert kept == list(range(JOB.block_count))


def _get_pid(number: int) -> int:
    return os.getpid()


@pytest.mark.requirement("C-COMPUTE-CLUSTER")
def test_a_connection_closes_without_a_word(cluster, capfd):
    with open_executor(scheduler=cluster.scheduler_address) as executor:
        assert sum(executor.map(abs, [-1, -2])) == 3
    said = capfd.readouterr()
    assert "CommClosedError" not in said.err + said.out and "Traceback" not in said.err


@pytest.mark.requirement("C-COMPUTE-ERRORS")
@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "nonsense", "http://", "10.0.0.5", "tcp://host:port"]
)
def test_an_address_that_does_not_answer_says_so(address):
    with pytest.raises(ComputeError) as caught, open_executor(scheduler=address):
        raise AssertionError
    assert "scheduler" in caught.value.expected and caught.value.code == "compute"


@pytest.mark.requirement("C-COMPUTE-ERRORS")
def test_a_scheduler_without_workers_says_so(monkeypatch):
    from distributed import LocalCluster

    from hepatica.adapters.compute import dask_cluster

    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1)
    with (
        LocalCluster(
            n_workers=0, scheduler_port=0, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as empty,
        pytest.raises(ComputeError, match="without any"),
        open_executor(scheduler=empty.scheduler_address),
    ):
        raise AssertionError


@pytest.mark.requirement("C-COMPUTE-ERRORS")
def test_workers_of_another_version_are_refused(cluster, monkeypatch):
    from hepatica.adapters.compute import dask_cluster

    here = find_version()
    monkeypatch.setattr(dask_cluster, "find_version", lambda: "0.0.0")
    with pytest.raises(ComputeError, match=r"0\.0\.0"):
        dask_cluster._require_version({here})


@pytest.mark.requirement("C-COMPUTE-ERRORS")
@pytest.mark.soak
def test_a_piece_that_ends_every_worker_is_an_error_not_a_hang(cluster):
    with open_executor(scheduler=cluster.scheduler_address) as executor, pytest.raises(ComputeError):
        list(executor.map(end_process, [1]))


def hears_interrupts(_):
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.requirement("C-COMPUTE")
def test_an_interrupt_at_the_terminal_is_for_the_process_that_owns_the_pool():
    with open_executor(workers=2) as executor:
        assert list(executor.map(hears_interrupts, [0, 1])) == [False, False]


def read_threads(_):
    return {name: os.environ.get(name) for name in THREAD_VARIABLES}


@pytest.mark.requirement("C-COMPUTE")
def test_processes_of_this_machine_use_one_thread_each_unless_told_otherwise(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(THREAD_VARIABLES[1], "3")
    with open_executor(workers=2) as executor:
        (found,) = executor.map(read_threads, [0])
    assert found == {THREAD_VARIABLES[0]: "1", THREAD_VARIABLES[1]: "3", THREAD_VARIABLES[2]: "1"}
    assert THREAD_VARIABLES[0] not in os.environ
