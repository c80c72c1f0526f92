"""Work on a Dask cluster: a scheduler by its address, its workers, and answers in order."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Final

from hepatica.core.errors import ComputeError

ADDRESS: Final = re.compile(r"inproc://\S+|([a-z]+://)?([^\s/:]+|\[[0-9a-fA-F:]+\]):\d{1,5}")
"""Host and port, and how to reach them. Dask would try anything else until it times out."""
CONNECT_S: Final = 10
"""Long enough for a loaded machine, short enough for a typing error in the address."""
RETRIES: Final = 2
"""Times a piece that failed is tried again; a lost worker's pieces are given to others besides."""


@contextmanager
def connect_scheduler(address: str) -> Iterator[ClusterExecutor]:
    """Connect to a running Dask scheduler.

    Parameters
    ----------
    address
        For example ``tcp://10.0.0.5:8786``.

    Raises
    ------
    ComputeError
        If Dask is not installed here, nobody answers, there is no worker, or a worker has another version of Hepatica.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ComputeError(
            expected="dask.distributed beside Hepatica",
            given="an installation without it",
            where="--scheduler",
            action="install 'hepatica[distributed]', or leave out --scheduler",
        ) from None
    if not ADDRESS.fullmatch(address):
        raise ComputeError(
            expected="the address of a Dask scheduler, such as tcp://10.0.0.5:8786",
            given=f"'{address}'",
            where="--scheduler",
            action="copy the address that 'dask scheduler' prints",
        )
    with _quiet():
        try:
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ComputeError(
                expected="a Dask scheduler that answers",
                given=f"none at '{address}' ({type(error).__name__})",
                where="--scheduler",
                action="start one with 'dask scheduler', or correct the address",
            ) from error
    try:
        _check_workers(client)
        yield ClusterExecutor(client)
    finally:
        with _quiet():
            client.close(timeout=CONNECT_S)


def find_version() -> str:
    """Return the version of Hepatica where this runs."""
    return metadata.version("hepatica")


def _check_workers(client: Any) -> None:
    with _quiet():
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
            found = set(client.run(find_version).values())
        except (TimeoutError, OSError):
            raise ComputeError(
                expected="at least one Dask worker",
                given="a scheduler without any",
                where="--scheduler",
                action="start some with 'dask worker ADDRESS'",
            ) from None
        except Exception as error:
            raise ComputeError(
                expected="workers with Hepatica installed",
                given=f"one that answered {type(error).__name__}",
                where="--scheduler",
                action="install the same version of Hepatica for every worker",
            ) from error
    _require_version(found)


def _require_version(found: set[str]) -> None:
    if found != {find_version()}:
        raise ComputeError(
            expected=f"Hepatica {find_version()} on every worker",
            given=", ".join(sorted(found)) or "none",
            where="--scheduler",
            action="install the same version of Hepatica for every worker",
        )


class ClusterExecutor(Executor):
    """An executor over a Dask client; a lost worker's pieces are computed again by the others.

    Parameters
    ----------
    client
        Connected client. It belongs to who made it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._inner = client.get_executor(pure=False, retries=RETRIES)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give away one piece."""
        future: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return future

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
            If the scheduler is gone, or one piece ended several workers.
        """
        futures = self._client.map(fn, *iterables, pure=False, retries=RETRIES)
        try:
            for number, future in enumerate(futures):
                futures[number] = None
                yield _gather(future, timeout)
                # An answer that was read need not be kept on the cluster.
                future.release()
        finally:
            left = [future for future in futures if future is not None]
            if left:
                with _quiet():
                    self._cancel(left)

    def _cancel(self, futures: list[Any]) -> None:
        try:
            self._client.cancel(futures)
        except (OSError, FutureCancelled, RuntimeError):
            # The scheduler is gone, and its pieces with it.
            return

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as in the base class
        """Let go of the pieces; the client stays open."""
        self._inner.shutdown(wait=wait)


def _gather(future: Any, timeout: float | None) -> Any:
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result(timeout=timeout)
    except KilledWorker:
        raise ComputeError(
            expected="a worker that survives its piece",
            given="several that ended on the same one, perhaps for want of memory",
            where="--scheduler",
            action="give the workers more memory",
        ) from None
    except (FutureCancelled, CommClosedError):
        raise ComputeError(
            expected="the Dask scheduler to stay",
            given="a lost connection",
            where="--scheduler",
            action="start the scheduler again and repeat the run",
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own words about connections off the screen: they come as coded errors."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
