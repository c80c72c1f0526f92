"""Check a whole record: its trail, its values, its files, its signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import NoRecordError, NotFoundError, SourceFormatError, TrailError
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.record.catalogue import read_kinds
from hepatica.record.chain import SHOWN, check_seals, check_trail, check_values, sign_checkpoint
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.kind import Kind
from hepatica.record.people import require_right
from hepatica.record.signature import SignatureState, assess_signature
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordReader, SealedRecord

HEAD_FORMAT: Final = "hepatica-trail-head-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReport:
    """What checking a record found.

    Parameters
    ----------
    events, items, files, signatures
        How many were looked at.
    head_hash
        Hash of the last event, to be kept by somebody else.
    broken_signatures
        Signatures that no longer hold because what they signed has changed since. That is no damage: the
        trail shows who changed it.
    findings
        Damage, and as warnings what cannot be judged; empty where there is neither.
    """

    events: int
    items: int
    files: int
    signatures: int
    head_hash: str
    broken_signatures: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_damaged(self) -> bool:
        """Whether anything is not as the trail yields it."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def is_judged(self) -> bool:
        """Whether nothing was left unjudged for want of the checkpoint key."""
        return all(finding.severity is Severity.ERROR for finding in self.findings)


def verify_record(
    context: RecordContext,
    sealed: SealedRecord,
    *,
    key: bytes | None,
    heads: Mapping[int, str] = MappingProxyType({}),
    progress: Progress = SILENT,
) -> RecordReport:
    """Read everything and compare it with the trail.

    Parameters
    ----------
    context
        Who asks.
    sealed
        The same record with sealed values as seals.
    key
        Checkpoint key; None leaves checkpoints unjudged, which is a finding where there are any.
    heads
        Hash by number of heads exported earlier with `export_head`, see `to_exported_head`.
    progress
        Told how far it is; may cancel.

    Raises
    ------
    ForbiddenError
        Without the right ``audit.verify``.
    """
    require_right(context.actor, "audit.verify")
    with context.store.reading() as reader:
        total = reader.count_events()
        progress.stage("Reading the trail")
        trail = check_trail(
            reader.read_lines(),
            checkpoints=reader.read_checkpoints(),
            heads=heads,
            key=key,
            total=total,
            progress=progress,
        )
        progress.stage("Comparing values")
        items = _Counted(sealed, reader, progress)
        findings = [*trail.findings, *check_values(trail.state, items), *items.findings]
        findings += check_seals(trail.state, sealed.list_sealed_changes(reader))
        digests = sorted({digest for kind in read_kinds().values() for digest in _list_digests(reader, kind)})
        signatures, broken = _check_signatures(reader)
    progress.stage("Checking files")
    for number, digest in enumerate(digests):
        findings += _check_file(context, digest)
        progress.advance((number + 1) / len(digests))
        progress.check_cancelled()
    return RecordReport(
        events=trail.events,
        items=items.count,
        files=len(digests),
        signatures=signatures,
        head_hash=trail.head_hash,
        broken_signatures=broken,
        findings=tuple(findings),
    )


class _Counted:
    """Every current item, counted, and checked for what is kept beside its values."""

    def __init__(self, sealed: SealedRecord, reader: RecordReader, progress: Progress) -> None:
        self._sealed, self._reader, self._progress = sealed, reader, progress
        self.count = 0
        self.findings: list[Finding] = []

    def __iter__(self) -> Iterator[Item]:
        for kind in read_kinds():
            self._progress.check_cancelled()
            for item, findable in self._sealed.list_sealed_current(self._reader, kind):
                self.count += 1
                if not findable and len(self.findings) < SHOWN:
                    message = f"{item.kind} '{item.item_id}' is not found by its own texts."
                    self.findings.append(
                        Finding(rule="audit.search", severity=Severity.ERROR, message=message)
                    )
                yield item


def export_head(context: RecordContext, *, record_id: str) -> dict[str, JsonValue]:
    """Return the head of the trail as a document that somebody else may keep.

    Parameters
    ----------
    context
        Who asks; needs the right ``audit.verify``.
    record_id
        Of the record, so that heads of two are not mixed up.

    Raises
    ------
    NotFoundError
        If nothing has happened yet.
    """
    require_right(context.actor, "audit.verify")
    with context.store.reading() as reader:
        number = reader.count_events()
        events = tuple(reader.read_events(after=number - 1, limit=1)) if number else ()
    if not events:
        raise NotFoundError(expected="a trail with an event", given="none", where="audit head")
    return {
        "format": HEAD_FORMAT,
        "record_id": record_id,
        "number": events[-1].number,
        "hash": events[-1].hash,
        "time_utc": context.now_utc().isoformat(timespec="seconds"),
    }


def to_exported_head(document: object, *, record_id: str) -> dict[int, str]:
    """Return number and hash of an exported head.

    Parameters
    ----------
    document
        What `export_head` gave.
    record_id
        The record it should be of.

    Raises
    ------
    SourceFormatError
        If it is no such document.
    NoRecordError
        If it is the head of another record.
    """
    match document:
        case {"format": word, "record_id": str(named), "number": int(number), "hash": str(head)} if (
            word == HEAD_FORMAT
        ):
            if named != record_id:
                raise NoRecordError(
                    expected="the head of this record", given="that of another", where="--head"
                )
            return {number: head}
    raise SourceFormatError(
        expected="a file that 'hepatica audit head' wrote", given="another document", where="--head"
    )


def take_checkpoint(context: RecordContext, *, key: bytes) -> str:
    """Sign the head of the trail and keep the signature; returns the head's hash.

    Parameters
    ----------
    context
        Who asks.
    key
        Checkpoint key.
    """
    require_right(context.actor, "audit.verify")
    with context.store.writing() as writer:
        number = writer.count_events()
        if number == 0 or any(point.number == number for point in writer.read_checkpoints()):
            return ""
        (head,) = writer.read_events(after=number - 1, limit=1)
        writer.append_checkpoint(sign_checkpoint(head.number, head.hash, time_utc=context.now_utc(), key=key))
    return head.hash


def _list_items(reader: RecordReader, kind: str) -> Iterator[Item]:
    after = ""
    while True:
        page = reader.list_items(ItemFilter(kind=kind, after=after, limit=500))
        yield from page.items
        if not page.next:
            return
        after = page.next


def _list_digests(reader: RecordReader, kind: Kind) -> Iterator[str]:
    """Return every digest of stored bytes that items of a kind name: fields ``content_digest`` and ``files``."""
    names = {rule.name for rule in kind.fields} & {"content_digest", "files"}
    if not names:
        return
    for item in _list_items(reader, kind.name):
        for name in sorted(names & set(item.values)):
            yield from _to_digests(item.values[name])


def _to_digests(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (digest for digest in value.values() if isinstance(digest, str))


def _check_signatures(reader: RecordReader) -> tuple[int, tuple[str, ...]]:
    count, broken = 0, []
    for mark in _list_items(reader, "signature"):
        count += 1
        signed = reader.find_item(str(mark.values["signed_kind"]), str(mark.values["signed_item_id"]))
        if assess_signature(mark, signed) is not SignatureState.VALID:
            broken.append(mark.item_id)
    return count, tuple(broken)


def _check_file(context: RecordContext, digest: str) -> list[Finding]:
    try:
        context.files.open_path(digest)
    except (NotFoundError, TrailError) as problem:
        return [
            Finding(
                rule="audit.file",
                severity=Severity.ERROR,
                message=f"Stored bytes {digest[:12]}: {problem.given}.",
            )
        ]
    return []
