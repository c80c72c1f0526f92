"""Start queued jobs in processes of their own, and end those that were cancelled."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hepatica.record.job import Job, JobState
from hepatica.workflows.run_job import claim_job, clean_up, end_job, interrupt_left

if TYPE_CHECKING:
    from hepatica.workflows.job_ports import JobWorld
    from hepatica.workflows.record_ports import RecordContext
    from hepatica.workflows.worker_ports import StartWorker, Worker

AT_ONCE: Final = 2
"""Jobs that run at the same time: the cores of the smallest machine this is made for."""
LOOK_EVERY_S: Final = 0.25
"""Seconds between two looks while something runs; with nothing to do it sleeps until it is told."""
CHECK_EVERY_S: Final = 30.0
"""Seconds between two looks with nothing to do: a job may have been queued by another program."""


class JobKeeper:
    """Runs the jobs of one record, in the only server of that record.

    Parameters
    ----------
    record
        The program itself.
    world
        For cleaning up after jobs.
    start_worker
        Starts a process with a task.
    task
        What every task holds: home and database.
    """

    def __init__(
        self,
        record: RecordContext,
        world: JobWorld,
        *,
        start_worker: StartWorker,
        task: Mapping[str, Any],
    ) -> None:
        self._record, self._world = record, world
        self._start_worker, self._task = start_worker, dict(task)
        self._running: dict[str, tuple[Job, Worker]] = {}
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="jobs", daemon=True)

    @property
    def count_running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def start(self) -> int:
        """Find what an earlier server left, then begin; returns how many jobs were interrupted."""
        left = interrupt_left(self._record)
        self._thread.start()
        return left

    def wake(self) -> None:
        """Say that a job was queued or cancelled."""
        self._wake.set()

    def clean(self, job_id: str) -> None:
        """Remove what a job that is over left behind."""
        clean_up(self._record, self._world, job_id=job_id)

    def stop(self) -> None:
        """End the workers; their jobs are interrupted and can be resumed."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        for job, worker in list(self._running.values()):
            worker.end()
            end_job(self._record, job=job, state=JobState.INTERRUPTED, result={})
        self._running.clear()

    def _keep(self) -> None:
        from hepatica.core.errors import HepaticaError

        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._look()
            except HepaticaError:
                # A database that does not answer for a while must not end the keeping of jobs.
                self._wake.wait(LOOK_EVERY_S * 8)
                continue
            self._wake.wait(LOOK_EVERY_S if self._running else CHECK_EVERY_S)

    def _look(self) -> None:
        for job_id, (job, worker) in list(self._running.items()):
            if worker.is_over:
                self._close(job, worker)
                del self._running[job_id]
            elif self._is_given_up(job):
                worker.end()
                self.clean(job.job_id)
                del self._running[job_id]
        while len(self._running) < AT_ONCE and not self._stopping.is_set():
            claimed = claim_job(self._record)
            if claimed is None:
                return
            task = {**self._task, "task": "job", "job_id": claimed.job_id, "run_id": claimed.run_id}
            self._running[claimed.job_id] = (claimed, self._start_worker(task))

    def _is_given_up(self, job: Job) -> bool:
        with self._record.store.reading() as reader:
            now = reader.jobs.find_job(job.job_id)
        return now is None or now.state is not JobState.RUNNING or now.run_id != job.run_id

    def _close(self, job: Job, worker: Worker) -> None:
        """Write the end of a job whose worker did not; one that ended well has written it itself."""
        fault = {
            "code": "compute",
            "expected": "a worker that finishes",
            "given": f"one that ended with status {worker.status}",
            "where": f"job {job.job_id}",
            "action": "try again; if it ends again, look at the server's memory",
        }
        end_job(self._record, job=job, state=JobState.FAILED, result={"error": fault})
        self.clean(job.job_id)
