"""Jobs of a record under test, run here instead of in a process of their own."""

from __future__ import annotations

from types import SimpleNamespace

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.bootstrap import make_job_world
from hepatica.workflows.run_job import claim_job, run_job


def open_world(web):
    class Open(SimpleNamespace):
        def read_checkpoint_key(self, _path):
            return None

    return make_job_world(
        Open(
            folder=web.home.folder, context=web.context, sealed=web.home.store, mode="clinical",
            incoming=IncomingFolder(web.home.folder / "uploads"),
        )
    )  # fmt: skip


def run_next(web, world):
    claimed = claim_job(web.context)
    state = run_job(web.context, world, job_id=claimed.job_id, run_id=claimed.run_id)
    with web.context.store.reading() as reader:
        return state, reader.jobs.find_job(claimed.job_id)


def add_scan(web, item_id, content, *, patient_id="p1", state="accepted", modality="CT"):
    values = {
        "series_uid": f"2.25.{len(item_id)}{abs(hash(item_id)) % 10**6}", "modality": modality, "state": state,
        "content_digest": web.context.files.keep_bytes(content),
    }  # fmt: skip
    return web.add("scan", item_id, values, patient_id=patient_id)
