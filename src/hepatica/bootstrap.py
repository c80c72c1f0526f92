"""The one place where adapters meet workflows. The environment is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.core.errors import NotFoundError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from hepatica.adapters.store.backup import BackupSummary
    from hepatica.adapters.store.home import RecordHome
    from hepatica.anatomy.segments import LabelledSegment
    from hepatica.core.progress import Progress
    from hepatica.planning.spread.member import Draw
    from hepatica.planning.spread.simulate import SpreadOutcome
    from hepatica.planning.spread.verification import VerificationRow
    from hepatica.workflows.derive_response import ResponsePorts
    from hepatica.workflows.explain_ports import ExplanationWriter
    from hepatica.workflows.followup_ports import FollowupPorts
    from hepatica.workflows.plan_ports import PlanPorts
    from hepatica.workflows.ports import ImageReader, LabelReader, ReadImage
    from hepatica.workflows.record_ports import Passwords, RecordContext, SealedRecord
    from hepatica.workflows.report_response import WriteReport
    from hepatica.workflows.request import PlanRequest
    from hepatica.workflows.response_endpoints import EndpointPorts
    from hepatica.workflows.trial_report import TrialReportPorts

NUMERIC_LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "SimpleITK", "pydicom", "highdicom", "typst")
"""Their versions influence numbers or bytes, so the manifest names them."""


class SystemClock:
    """The time of the machine, to the second."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC).replace(microsecond=0)


def make_image_reader() -> ImageReader:
    """Return a reader of every scan format."""
    from hepatica.adapters.dicom.image_reader import DicomImageReader
    from hepatica.adapters.files.readers import FormatImageReader
    from hepatica.adapters.files.sniff import SourceFormat
    from hepatica.adapters.files.tree import open_tree
    from hepatica.adapters.nifti.image_reader import VolumeFileImageReader

    files = VolumeFileImageReader(open_tree)
    return FormatImageReader(
        {
            SourceFormat.DICOM: DicomImageReader(open_tree),
            SourceFormat.NIFTI: files,
            SourceFormat.NRRD: files,
            SourceFormat.METAIMAGE: files,
        }
    )


def make_label_reader() -> LabelReader:
    """Return a reader of every label format."""
    from hepatica.adapters.dicom.label_reader import DicomLabelReader
    from hepatica.adapters.files.readers import FormatLabelReader
    from hepatica.adapters.files.sniff import SourceFormat
    from hepatica.adapters.files.tree import open_tree
    from hepatica.adapters.nifti.label_reader import VolumeFileLabelReader

    files = VolumeFileLabelReader(open_tree)
    return FormatLabelReader(
        {
            SourceFormat.DICOM: DicomLabelReader(open_tree),
            SourceFormat.NIFTI: files,
            SourceFormat.NRRD: files,
            SourceFormat.METAIMAGE: files,
        }
    )


def make_plan_ports(*, workers: int = 1, scheduler: str = "") -> PlanPorts:
    """Join the world to the planning workflow.

    Parameters
    ----------
    workers, scheduler
        Where a simulated spread runs, as for `open_executor`.
    """
    from hepatica.adapters.dicom.plan_writers import make_plan_writers, make_spread_writers
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.adapters.nifti.spread_writer import SpreadVolumeWriter
    from hepatica.adapters.reports.html import HtmlReportWriter
    from hepatica.adapters.reports.markups import MarkupsWriter
    from hepatica.adapters.reports.picture_book import PictureBook
    from hepatica.adapters.reports.sheet import SheetWriter
    from hepatica.adapters.reports.spread_page import SpreadPageWriter
    from hepatica.workflows.plan_ports import PlanPorts

    book = PictureBook()
    return PlanPorts(
        image_reader=make_image_reader(),
        label_reader=make_label_reader(),
        read_bytes=read_small_file,
        read_names=read_names,
        stage_output=stage_output,
        writers=(
            SheetWriter(book),
            HtmlReportWriter(book),
            MarkupsWriter(),
            SpreadVolumeWriter(),
            *make_plan_writers(_read_files),
        ),
        write_document=write_document,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
        libraries={name: metadata.version(name) for name in NUMERIC_LIBRARIES},
        open_executor=partial(open_executor, workers=workers, scheduler=scheduler),
        make_card=make_credibility_card,
        spread_writers=(SpreadPageWriter(), SpreadVolumeWriter(), *make_spread_writers(_read_files)),
    )


def make_credibility_card(
    rows: Sequence[VerificationRow], draws: Sequence[Draw], outcome: SpreadOutcome | None
) -> Any:
    """Return the credibility card of a spread: verification, what its draws agree with, its parameters."""
    from hepatica.planning.spread.anchors import check_anchors
    from hepatica.planning.spread.card import assemble_card

    return assemble_card(verification=rows, anchors=check_anchors(draws), outcome=outcome)


def make_explanation_writers() -> tuple[ExplanationWriter, ...]:
    """Return the writers of an explanation of paths."""
    from hepatica.adapters.reports.paths_html import PathsPageWriter

    return (PathsPageWriter(),)


def read_names(name: str) -> Mapping[int, str]:
    """Return a names table: a built-in one by name, or a CSV file."""
    from hepatica.adapters.files.names_table import read_names_table
    from hepatica.anatomy.naming import read_label_numbers

    path = Path(name)
    if path.suffix or path.exists():
        return read_names_table(path)
    return read_label_numbers(name)


def _read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    from hepatica.adapters.files.tree import open_tree

    with open_tree(path) as tree:
        for entry in tree.entries:
            yield entry.name, tree.read_bytes(entry)


def read_image(path: Path | str, *, series: str | None = None, resample: bool = False) -> ReadImage:
    """Read one scan from a folder, archive or file; see `hepatica.workflows.ports.ImageReader`."""
    from hepatica.core.progress import SILENT

    return make_image_reader().read_image(Path(path), series=series, resample=resample, progress=SILENT)


def read_segments(path: Path | str, *, reference: ReadImage, names: str = "") -> tuple[LabelledSegment, ...]:
    """Read every labelled structure of one source onto the grid of a scan.

    Parameters
    ----------
    path
        Label map, DICOM SEG, RTSTRUCT, or folder/zip of mask series.
    reference
        Scan the labels belong to.
    names
        CSV file or built-in table for a label map.
    """
    from hepatica.core.progress import SILENT
    from hepatica.workflows.read_labels import to_segments

    table = read_names(names) if names else None
    labels = make_label_reader().read_labels(Path(path), reference=reference, names=table, progress=SILENT)
    return to_segments(labels, source="labels")


@cache
def _demo_folder() -> Path:
    return Path(str(resources.files("hepatica.resources.demo")))


DEMO_RATE_ML_PER_MIN = 1.0
"""Made up for the demonstration, as its laboratory values are: no source read gives a rate."""


def make_demo_request(*, spread_draws: int = 0) -> PlanRequest:
    """Return the planning job of the shipped case: HCC_015, first visit, label table.

    Parameters
    ----------
    spread_draws
        Draws of a simulated spread; 0 for none.
    """
    from hepatica.workflows.request import LabelInput, PlanRequest
    from hepatica.workflows.spread_request import SpreadRequest

    folder = _demo_folder()
    return PlanRequest(
        image=folder / "venous.zip",
        labels=(
            LabelInput(path=folder / "labels.nii.gz", names=str(folder / "labels.csv")),
            LabelInput(path=folder / "organs.nii.gz", names=str(folder / "organs.csv")),
        ),
        protocol="tvec-label",
        visit=1,
        arterial=folder / "arterial.zip",
        facts=folder / "facts-simulated.json",
        tumour_type="hcc",
        spread=SpreadRequest(draws=spread_draws, rate_ml_per_min=DEMO_RATE_ML_PER_MIN)
        if spread_draws
        else None,
    )


def read_schema(name: str) -> str:
    """Return a published JSON Schema as text.

    Parameters
    ----------
    name
        ``plan``, ``facts`` or ``spread``.
        ``plan``, ``facts`` or ``explain``.
    """
    from hepatica.core.evidence import read_resource

    homes = {
        "plan": ("hepatica.resources.schemas", "plan.schema.json"),
        "facts": ("hepatica.planning.tables", "facts.schema.json"),
        "spread": ("hepatica.resources.schemas", "spread.schema.json"),
        "explain": ("hepatica.resources.schemas", "explain.schema.json"),
    }
    if name not in homes:
        raise NotFoundError(expected=f"one of {', '.join(homes)}", given=f"'{name}'", where="schema")
    return read_resource(*homes[name]).decode("utf-8")


def open_executor(*, workers: int = 1, scheduler: str = "") -> AbstractContextManager[Executor | None]:
    """Open what shares out a simulation; see `hepatica.adapters.compute.executors.open_executor`."""
    from hepatica.adapters.compute import executors

    return executors.open_executor(workers=workers, scheduler=scheduler)


def make_response_ports() -> ResponsePorts:
    """Join the world to the response workflows."""
    from hepatica.adapters.cdisc.courses import read_courses
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.response_tables import open_response_tables, write_formats
    from hepatica.adapters.cdisc.tables import read_header, read_rows
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import write_document
    from hepatica.workflows.derive_response import ResponsePorts

    return ResponsePorts(
        read_courses=read_courses,
        open_tables=open_response_tables,
        stage_output=stage_output,
        digest_file=digest_file,
        write_document=write_document,
        read_table=read_rows,
        read_header=read_header,
        write_table=write_table,
        write_formats=write_formats,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenRecord:
    """A record that is open, and the program itself as the actor.

    Parameters
    ----------
    record_id, mode
        Of the record.
    context
        For use cases.
    sealed
        The record as its trail knows it.
    folder
        Its home.
    passwords
        Hashes and verifies them.
    version
        Of the program.
    """

    record_id: str
    mode: str
    context: RecordContext
    sealed: SealedRecord
    folder: Path
    passwords: Passwords
    version: str

    def read_checkpoint_key(self, path: Path | None) -> bytes | None:
        """Return the checkpoint key from where it is kept, None where it is not in the home."""
        source = path or self.folder / "keys" / "checkpoint.key"
        try:
            return source.read_bytes()
        except OSError as problem:
            if path is None:
                return None
            raise NotFoundError(
                expected="the checkpoint key", given=type(problem).__name__, where="--key"
            ) from problem


@contextmanager
def open_record(home: Path, *, database: str = "") -> Iterator[OpenRecord]:
    """Open a record for the program itself."""
    from hepatica.adapters.store.home import open_home

    with _opened(open_home(home, database=database)) as record:
        yield record


@contextmanager
def make_record(home: Path, *, mode: str, database: str = "") -> Iterator[OpenRecord]:
    """Make a record and open it."""
    from hepatica.adapters.store.home import make_home

    with _opened(make_home(home, mode=mode, database=database)) as record:
        yield record


@contextmanager
def _opened(home: RecordHome) -> Iterator[OpenRecord]:
    from hepatica.adapters.store.passwords import ArgonPasswords
    from hepatica.record.people import make_system_actor
    from hepatica.workflows.record_ports import RecordContext

    try:
        yield OpenRecord(
            record_id=home.record_id,
            mode=home.mode,
            context=RecordContext(
                store=home.store, files=home.files, clock=SystemClock(), actor=make_system_actor()
            ),
            sealed=home.store,
            folder=home.folder,
            passwords=ArgonPasswords(),
            version=metadata.version("hepatica"),
        )
    finally:
        home.close()


def migrate_record(home: Path, *, database: str = "") -> tuple[str, str]:
    """Bring a record's tables to this version; returns the versions before and after."""
    from hepatica.adapters.store.home import migrate_home

    return migrate_home(home, database=database)


def back_up_record(home: Path, *, out: Path, database: str, progress: Progress) -> BackupSummary:
    """Copy a record, also while it is in use."""
    from hepatica.adapters.store.backup import write_backup
    from hepatica.adapters.store.home import open_home

    opened = open_home(home, database=database)
    try:
        return write_backup(opened, out, progress=progress)
    finally:
        opened.close()


def restore_record(source: Path, *, home: Path, database: str, progress: Progress) -> None:
    """Put a copy back into an empty home."""
    from hepatica.adapters.store.backup import restore_backup

    restore_backup(source, home, database=database, progress=progress).close()


def make_followup_ports() -> FollowupPorts:
    """Join the world to the workflows of visits and safety."""
    from hepatica.adapters.cdisc.csv_table import read_header, read_rows, to_csv
    from hepatica.adapters.files.calendar import to_calendar
    from hepatica.adapters.files.file_set import write_file_set
    from hepatica.adapters.files.small_files import read_small_file
    from hepatica.workflows.followup_ports import FollowupPorts

    return FollowupPorts(
        read_table=read_rows,
        read_header=read_header,
        read_bytes=read_small_file,
        to_csv=to_csv,
        to_calendar=to_calendar,
        write_files=write_file_set,
        clock=SystemClock(),
    )


def make_endpoint_ports() -> EndpointPorts:
    """Join the world to the endpoints of responses."""
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.tables import read_rows
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.workflows.response_endpoints import EndpointPorts

    return EndpointPorts(
        read_table=read_rows,
        read_bytes=read_small_file,
        write_dataset=write_named_dataset,
        write_table=write_table,
        stage_output=stage_output,
        digest_file=digest_file,
        write_document=write_document,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


def make_response_report_writer() -> WriteReport:
    """Return the writer of ``response.html`` and its pictures."""
    from hepatica.adapters.reports.response_report import write_response_report

    return write_response_report


def write_named_dataset(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    formats: Sequence[str],
    run_time: datetime,
) -> tuple[str, ...]:
    """Write rows of a described dataset, for example ``adtte``; return the names of the files."""
    from hepatica.adapters.cdisc.dataset import read_dataset
    from hepatica.adapters.cdisc.dataset_writer import write_dataset

    return write_dataset(rows, read_dataset(name), folder, run_time=run_time, formats=formats)


def make_trial_report_ports() -> TrialReportPorts:
    """Join the world to the report of a trial."""
    from hepatica.adapters.cdisc.courses import read_courses
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.define_xml import write_define
    from hepatica.adapters.cdisc.response_tables import open_response_tables
    from hepatica.adapters.cdisc.tables import read_header, read_rows
    from hepatica.adapters.cdisc.trial_folder import find_tables, keep_good_rows, open_room, read_sums
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.adapters.reports.trial_report import write_trial_report
    from hepatica.workflows.trial_report import TrialReportPorts
    from hepatica.workflows.trial_report_data import DataPorts

    return TrialReportPorts(
        data=DataPorts(
            find_tables=find_tables,
            read_header=read_header,
            read_table=read_rows,
            read_courses=read_courses,
            open_tables=open_response_tables,
            read_sums=read_sums,
            write_table=write_table,
            open_room=open_room,
        ),
        read_bytes=read_small_file,
        keep_good=keep_good_rows,
        write_dataset=write_named_dataset,
        write_define=write_define,
        write_pages=write_trial_report,
        write_table=write_table,
        write_document=write_document,
        digest_file=digest_file,
        stage_output=stage_output,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )
