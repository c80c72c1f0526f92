"""What the server and its processes need from the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.bootstrap.planning import make_plan_ports
from hepatica.bootstrap.record import OpenRecord, open_record
from hepatica.bootstrap.reports import make_report_ports
from hepatica.bootstrap.scans import make_pacs_directory, make_scan_ports

if TYPE_CHECKING:
    from hepatica.adapters.compute.worker_process import WorkerProcess
    from hepatica.core.progress import Progress
    from hepatica.record.event import JsonValue
    from hepatica.record.people import Actor
    from hepatica.workflows.job_ports import JobWorld, ScanFetcher, ScanImporter
    from hepatica.workflows.record_ports import RecordContext
    from hepatica.workflows.view_ports import DerivedFiles, ViewPorts


def find_studies_apart(home: str, name: str, query: dict[str, str]) -> list[dict[str, Any]]:
    """Search a PACS; made for a process of its own, see `hepatica.entrypoints.web.apart`."""
    from dataclasses import asdict

    from hepatica.workflows.scan_ports import StudyQuery

    found = make_pacs_directory(Path(home)).open(name).find_studies(StudyQuery(**query))
    return [asdict(study) for study in found]


def move_scan_apart(
    home: str, database: str, actor: Actor, request_id: str, move: dict[str, Any]
) -> dict[str, Any]:
    """Move a scan; made for a process of its own, as images may have to be rewritten."""
    from dataclasses import replace

    from hepatica.workflows.judge_scan import move_scan

    with open_record(Path(home), database=database) as record:
        context = replace(record.context, actor=actor, request_id=request_id)
        item = move_scan(context, make_scan_ports(Path(home), mode=record.mode), **move)
        return {"item_id": item.item_id}


def derive_trial_outcomes_apart(
    home: str, database: str, actor: Actor, request_id: str, asked: dict[str, str]
) -> dict[str, Any]:
    """Derive response and survival; made for a process of its own, as curves take numerical libraries."""
    from dataclasses import replace

    from hepatica.bootstrap.trials import make_trial_report_ports
    from hepatica.workflows.conduct.outcomes import derive_trial_outcomes

    with open_record(Path(home), database=database) as record:
        context = replace(record.context, actor=actor, request_id=request_id)
        return derive_trial_outcomes(context, ports=make_trial_report_ports(), **asked)


def answer_standing_apart(home: str, database: str, actor: Actor, request_id: str) -> dict[str, Any]:
    """Ask a design that needs numerical libraries; made for a process of its own."""
    from dataclasses import replace

    from hepatica.workflows.conduct.answer import answer_standing

    with open_record(Path(home), database=database) as record:
        return answer_standing(replace(record.context, actor=actor, request_id=request_id))


def make_job_world(record: OpenRecord) -> JobWorld:
    """Return what long work of a record may use."""
    from hepatica.adapters.store.serving import open_scratch
    from hepatica.workflows.job_ports import JobWorld

    return JobWorld(
        make_plan_ports=make_plan_ports,
        sealed=record.sealed,
        read_checkpoint_key=lambda: record.read_checkpoint_key(None),
        open_scratch=partial(open_scratch, record.folder),
        incoming=record.incoming,
        check_archive=_check_archive,
        importer=make_scan_importer(record),
        fetcher=make_scan_fetcher(record),
        make_report_ports=make_report_ports,
        make_view_ports=partial(make_view_ports, record.folder),
        read_site_needles=partial(read_site_needles, record.folder),
    )


def make_view_ports(home: Path) -> ViewPorts:
    """Return what makes volumes for a viewer.

    Parameters
    ----------
    home
        The record's folder.
    """
    from hepatica.adapters.nifti.view_volumes import ViewVolumes
    from hepatica.workflows.view_ports import ViewPorts

    return ViewPorts(derived=open_derived(home), writer=ViewVolumes(), make_plan_ports=make_plan_ports)


def open_derived(home: Path) -> DerivedFiles:
    """Return where a record's derived data lie; loads nothing that reads images.

    Parameters
    ----------
    home
        The record's folder.
    """
    from hepatica.adapters.store.derived import DerivedFolder

    return DerivedFolder(home / "derived")


def make_view_apart(home: str, database: str, actor: Actor, request_id: str, what: dict[str, str]) -> None:
    """Make the volumes of a plan or scan; made for a process of its own.

    Parameters
    ----------
    home, database
        The record.
    actor, request_id
        Who looks.
    what
        ``plan_id`` or ``scan_id``.
    """
    from dataclasses import replace

    from hepatica.adapters.store.serving import open_scratch
    from hepatica.workflows.make_views import make_plan_views, make_scan_view

    ports = make_view_ports(Path(home))
    with open_record(Path(home), database=database) as record, open_scratch(record.folder) as folder:
        context = replace(record.context, actor=actor, request_id=request_id)
        if "plan_id" in what:
            make_plan_views(context, ports, plan_id=what["plan_id"], folder=folder)
        else:
            make_scan_view(context, ports, scan_id=what["scan_id"], folder=folder)


def list_label_values_apart(path: str) -> list[int]:
    """Return the label values of a NIfTI file; made for a process of its own."""
    from hepatica.adapters.nifti.view_volumes import list_label_values

    return list_label_values(Path(path))


def list_plan_choices_apart(needles: bytes | None = None) -> dict[str, Any]:
    """Return what a plan can be asked for; made for a process of its own.

    Parameters
    ----------
    needles
        The site's own table of needles; None for the shipped ones alone.
    """
    from hepatica.workflows.plan_choices import list_plan_choices

    return list_plan_choices(needles)


def read_site_needles(home: Path) -> bytes | None:
    """Return the bytes of the site's own table of needles; None where its record has none.

    Parameters
    ----------
    home
        The record's folder, where the table lies as ``needles.toml``. No request can name another.
    """
    from hepatica.adapters.files.small_files import read_small_file
    from hepatica.workflows.lay_out_plan import NEEDLES

    path = home / NEEDLES
    return read_small_file(path) if path.is_file() else None


def send_plan_apart(home: str, database: str, actor: Actor, request_id: str, plan_id: str) -> dict[str, Any]:
    """Send a plan to its PACS; made for a process of its own."""
    from dataclasses import asdict, replace

    from hepatica.workflows.exchange_scans import send_plan

    with open_record(Path(home), database=database) as record:
        context = replace(record.context, actor=actor, request_id=request_id)
        ports = make_scan_ports(Path(home), mode=record.mode)
        return asdict(send_plan(context, ports, make_pacs_directory(Path(home)), plan_id=plan_id))


def _check_archive(path: Path) -> None:
    from hepatica.adapters.files.tree import open_tree

    with open_tree(path):
        pass


def make_scan_importer(record: OpenRecord) -> ScanImporter:
    """Return what takes scans into a record."""
    from hepatica.workflows.import_scan import import_scan

    def take(
        context: RecordContext, *, patient_id: str, path: Path, progress: Progress
    ) -> dict[str, JsonValue]:
        ports = make_scan_ports(record.folder, mode=record.mode)
        return import_scan(context, ports, patient_id=patient_id, path=path, progress=progress).to_document()

    return take


def make_scan_fetcher(record: OpenRecord) -> ScanFetcher:
    """Return what takes studies from a PACS into a record."""
    from hepatica.workflows.exchange_scans import import_from_pacs

    def take(
        context: RecordContext, *, patient_id: str, pacs: str, study_uid: str, progress: Progress
    ) -> dict[str, JsonValue]:
        report = import_from_pacs(
            context,
            make_scan_ports(record.folder, mode=record.mode),
            make_pacs_directory(record.folder),
            name=pacs,
            study_uid=study_uid,
            patient_id=patient_id,
            progress=progress,
        )
        return report.to_document()

    return take


@contextmanager
def serving_alone(record: OpenRecord) -> Iterator[None]:
    """Be the only server of a record, and begin without what an earlier one left."""
    from hepatica.adapters.store import serving

    with serving.serving_alone(record.folder):
        serving.clear_left(record.folder, record.context.store, record.incoming)
        yield


def start_worker(task: Mapping[str, Any]) -> WorkerProcess:
    """Start a process of this program that works for the server."""
    from hepatica.adapters.compute.worker_process import WorkerProcess

    return WorkerProcess(task)
