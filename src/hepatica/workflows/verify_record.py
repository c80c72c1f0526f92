"""Check a whole record: its trail, its values, its files, its signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hepatica.core.errors import NotFoundError, TrailError
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.record.catalogue import read_kinds
from hepatica.record.chain import check_trail, check_values, sign_checkpoint
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.kind import Kind
from hepatica.record.people import require_right
from hepatica.record.signature import SignatureState, assess_signature
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordReader, SealedRecord


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
        Damage; empty where there is none.
    """

    events: int
    items: int
    files: int
    signatures: int
    head_hash: str
    broken_signatures: tuple[str, ...]
    findings: tuple[Finding, ...]


def verify_record(
    context: RecordContext, sealed: SealedRecord, *, key: bytes | None, progress: Progress = SILENT
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
            reader.read_events(),
            checkpoints=reader.read_checkpoints(),
            key=key,
            total=total,
            progress=progress,
        )
        progress.stage("Comparing values")
        current = [
            (item.kind, item.item_id, item.version, item.values)
            for kind in read_kinds()
            for item in sealed.list_sealed_current(reader, kind)
        ]
        findings = [*trail.findings, *check_values(trail.state, current)]
        digests = sorted({digest for kind in read_kinds().values() for digest in _list_digests(reader, kind)})
        signatures, broken = _check_signatures(reader)
    progress.stage("Checking files")
    for number, digest in enumerate(digests):
        findings += _check_file(context, digest)
        progress.advance((number + 1) / len(digests))
        progress.check_cancelled()
    return RecordReport(
        events=trail.events,
        items=len(current),
        files=len(digests),
        signatures=signatures,
        head_hash=trail.head_hash,
        broken_signatures=broken,
        findings=tuple(findings),
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
