"""What the pages of reads show: the list, one read with its verdicts, who may read; and a reader's new lesions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, State
from hepatica.entrypoints.web.login_gate import taking_turns
from hepatica.entrypoints.web.models import ItemAnswer, Removal, Strict, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.correct_mark import change_mark, remove_mark
from hepatica.workflows.lock_signed import lock_signed
from hepatica.workflows.read_page import add_new_lesion, list_read_rows, list_readers, read_read_page
from hepatica.workflows.sign_item import Proof

router = APIRouter(prefix="/api", tags=["Reads"])
MOST_ROWS = 200


class ReadHead(BaseModel):
    """A read; ``reader_name`` is empty for blinded readers."""

    item_id: str
    patient_id: str
    version: int
    locked: bool
    reader_name: str
    role: str
    criterion: str
    state: Literal["assigned", "started", "locked"]
    chosen_read_id: str
    choice_reason: str


class ReadScan(BaseModel):
    """A scan of a read; ``acquired_date`` is empty where the person may not see it, ``address`` without images."""

    scan_id: str
    visit_number: int
    acquired_date: str
    modality: str
    phase_hint: str
    image_count: int | None
    address: str


class ReadLesion(BaseModel):
    """A lesion as this read has it; ``role`` is empty until a mark says it."""

    lesion_id: str
    name: str
    location: str
    segment: str
    is_node: bool
    role: str
    marked: bool


class MarkValues(BaseModel):
    """What was measured; the ends are those of the longest diameter, then of the short axis."""

    lesion_id: str
    lesion_role: str | None = None
    longest_diameter_mm: float | None = None
    short_axis_mm: float | None = None
    volume_ml: float | None = None
    state: str | None = None
    ends_lps_mm: list[list[float]] | None = None
    match_basis: str | None = None


class ReadMark(BaseModel):
    """A measurement of a read."""

    measurement_id: str
    version: int
    etag: str
    scan_id: str
    values: MarkValues


class ReadVerdict(BaseModel):
    """The answer at one visit, and why."""

    visit_number: int
    group: str
    overall: str
    target: str
    non_target: str
    new: str
    rule: str
    trail: dict[str, Any]


class ReadVerdicts(BaseModel):
    """What the response engine says of a read by its own marks; ``not_evaluable`` says why it says nothing."""

    criterion: str
    category: str
    verdicts: list[ReadVerdict]
    findings: list[str]
    not_evaluable: str


class PairPart(BaseModel):
    """One of the two reads that are decided between."""

    read: ReadHead
    marks: list[ReadMark]
    verdicts: ReadVerdicts


class Difference(BaseModel):
    """Where two reads differ; values in the order of the reads, empty where one has no mark."""

    scan_id: str
    visit_number: int
    lesion_id: str
    lesion_label: str
    fields: list[str]
    values: list[dict[str, Any]]


class ReadPage(BaseModel):
    """All that the page of one read shows."""

    read: ReadHead
    etag: str
    subject_id: str
    is_own: bool
    is_blinded: bool
    scans: list[ReadScan]
    lesions: list[ReadLesion]
    marks: list[ReadMark]
    verdicts: ReadVerdicts | None
    pair: list[PairPart]
    differences: list[Difference]


class ReadRow(BaseModel):
    """A read in the list."""

    read_id: str
    patient_id: str
    subject_id: str
    role: str
    reader_name: str
    criterion: str
    state: Literal["assigned", "started", "locked"]
    scan_count: int
    is_own: bool


class UndecidedPair(BaseModel):
    """Two locked reads of a patient that nobody was asked to decide between."""

    patient_id: str
    subject_id: str
    criterion: str
    read_ids: list[str]
    scan_ids: list[str]
    responses: list[list[str]]
    responses_differ: bool
    difference_count: int


class ReadRows(BaseModel):
    """A part of the list; ``counts`` by state of all of them."""

    rows: list[ReadRow]
    total: int
    counts: dict[str, int]
    pairs: list[UndecidedPair]
    pair_total: int


class Reader(BaseModel):
    """Who may be given reads."""

    account_id: str
    display_name: str
    role: str
    site_ids: list[str]


class NewLesion(Strict):
    """Where a lesion lies that nobody named before."""

    location: str = Field(min_length=1, max_length=200)
    segment: str = Field(default="", max_length=40)


class MarkChange(Strict):
    """Fields of a measurement to set, null to unset, and why."""

    lesion_id: str | None = Field(default=None, min_length=1, max_length=200)
    lesion_role: str | None = Field(default=None, max_length=40)
    longest_diameter_mm: float | None = None
    short_axis_mm: float | None = None
    volume_ml: float | None = None
    state: str | None = Field(default=None, max_length=40)
    ends_lps_mm: list[list[float]] | None = Field(default=None, max_length=4)
    match_basis: str | None = Field(default=None, max_length=40)
    reason: str = Field(min_length=1, max_length=2000)


class SignedLock(Strict):
    """What the signature means, and the reader's password once more."""

    meaning: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1024)


@router.get("/reading", response_model=ReadRows, openapi_extra=needs("read.read"))
def rows(
    context: Context,
    mine: Annotated[bool, Query()] = False,  # noqa: FBT002
    state: Annotated[Literal["assigned", "started", "locked", ""], Query()] = "",
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
) -> Any:
    """Return reads, those to do first; for who assigns, also the pairs that wait for a decision."""
    return list_read_rows(context, mine=mine, state=state, after=after, limit=limit)


@router.get("/reading/readers", response_model=list[Reader], openapi_extra=needs("read.assign"))
def readers(context: Context) -> Any:
    """Return who may be given reads at one's sites."""
    return list_readers(context)


@router.get(
    "/read/{read_id}/page",
    response_model=ReadPage,
    openapi_extra=needs("read.read", "patient.read", "lesion.read", "measurement.read"),
)
def page(read_id: str, context: Context, response: Response) -> Any:
    """Return a read with scans, lesions, marks and the verdicts that follow from these marks alone."""
    answer = read_read_page(context, read_id)
    response.headers["etag"] = answer["etag"]
    return answer


@router.post(
    "/read/{read_id}/lesion",
    response_model=ItemAnswer,
    status_code=201,
    openapi_extra=needs("read.write", "lesion.write"),
)
def new_lesion(read_id: str, body: NewLesion, context: Context, response: Response) -> Any:
    """Name a lesion that the reader found and nobody named before."""
    item = add_new_lesion(context, read_id=read_id, location=body.location, segment=body.segment)
    response.headers["etag"] = item.etag
    return to_answer(item)


@router.patch(
    "/read/{read_id}/measurement/{measurement_id}",
    response_model=ItemAnswer,
    openapi_extra=needs("read.write", "measurement.write"),
)
def correct(
    read_id: str,
    measurement_id: str,
    body: MarkChange,
    context: Context,
    version: ExpectedVersion,
    response: Response,
) -> Any:
    """Correct a measurement of one's own open read."""
    item = change_mark(
        context,
        read_id=read_id,
        measurement_id=measurement_id,
        expected_version=version,
        values=body.model_dump(exclude_unset=True, exclude={"reason"}),
        reason=body.reason,
    )
    response.headers["etag"] = item.etag
    return to_answer(item)


@router.post(
    "/read/{read_id}/measurement/{measurement_id}/removal",
    status_code=204,
    openapi_extra=needs("read.write", "measurement.write"),
)
def take_back(
    read_id: str, measurement_id: str, body: Removal, context: Context, version: ExpectedVersion
) -> None:
    """Take a measurement of one's own open read back."""
    remove_mark(
        context, read_id=read_id, measurement_id=measurement_id, expected_version=version, reason=body.reason
    )


@router.post(
    "/read/{read_id}/signed-lock",
    response_model=ItemAnswer,
    openapi_extra=needs("read.write", "signature.write"),
)
def lock_with_signature(
    read_id: str,
    body: SignedLock,
    context: Context,
    state: State,
    version: ExpectedVersion,
    response: Response,
) -> Any:
    """Close a read with its marks and sign it; a wrong password leaves it open."""
    with taking_turns():
        item = lock_signed(
            context,
            state.passwords,
            read_id=read_id,
            expected_version=version,
            meaning=body.meaning,
            proof=Proof(password=body.password, ways=state.services.ways),
        )
    response.headers["etag"] = item.etag
    return to_answer(item)
