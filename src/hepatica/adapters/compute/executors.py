"""Where independent pieces of a simulation run: here, in processes of this machine, or on a Dask cluster.

All give a `concurrent.futures.Executor` whose ``map`` keeps the order of its input, so that what is computed does
not depend on where.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Final

from hepatica.core.errors import ComputeError, InputError

THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What libraries of linear algebra read when they are loaded."""


def start_worker() -> None:
    """Prepare a process of the pool: one thread for linear algebra, unless the environment says otherwise.

    Ctrl-C at a terminal reaches every process: the one that owns the pool hears it and closes the pool in order.

    There is a process for each processor already. Threads of small matrices only wait for each other, and they wait
    by spinning: they doubled the processor time of a simulated draw.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def open_executor(*, workers: int = 1, scheduler: str = "") -> Iterator[Executor | None]:
    """Open what runs the pieces; close it without a trace at the end of the block.

    Parameters
    ----------
    workers
        Processes of this machine; 1 runs in this process and yields None. Not used with a scheduler.
    scheduler
        Address of a Dask scheduler, for example ``tcp://10.0.0.5:8786``.

    Raises
    ------
    InputError
        On less than one worker.
    ComputeError
        If no scheduler answers, it has no worker, or its workers run another version of Hepatica.
    """
    if scheduler:
        from hepatica.adapters.compute.dask_cluster import connect_scheduler

        with connect_scheduler(scheduler) as cluster:
            yield cluster
        return
    if workers < 1:
        raise InputError(expected="at least one worker", given=str(workers), where="--workers")
    if workers == 1:
        yield None
        return
    pool = LocalPool(workers)
    try:
        yield pool
    except BaseException:
        pool.end_processes()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _NotingContext(SpawnContext):
    """Notes the processes it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]
        """Make a process."""
        process = SpawnProcess(*args, **kwargs)
        self.made.append(process)
        return process


class LocalPool(ProcessPoolExecutor):
    """Processes of this machine, started afresh: a copy of a process that runs threads may hang.

    Parameters
    ----------
    workers
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self._context = _NotingContext()
        super().__init__(workers, mp_context=self._context, initializer=start_worker)

    def end_processes(self) -> None:
        """End every process at once; nobody waits for an answer any more.

        An interrupt while a process is being started leaves one that the library does not know of: it would be told
        nothing, and waited for at the end of the program.
        """
        for process in self._context.made:
            if process.pid is not None and process.is_alive():
                process.terminate()

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """Run a function over items and yield the answers in their order.

        Raises
        ------
        ComputeError
            If a process ended before its answer, for example for want of memory.
        """
        try:
            yield from super().map(fn, *iterables, timeout=timeout, chunksize=chunksize)
        except BrokenProcessPool:
            raise ComputeError(
                expected="every worker process to finish its work",
                given="one that ended early, perhaps for want of memory",
                where="--workers",
                action="run again with fewer workers",
            ) from None
