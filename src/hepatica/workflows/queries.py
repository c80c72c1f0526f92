"""Queries: asked about a field, answered by the site, closed by who asked."""

from __future__ import annotations

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.catalogue import find_kind
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.record_ports import RecordContext, RecordWriter


def open_query(
    context: RecordContext,
    writer: RecordWriter,
    *,
    about_kind: str,
    about_item_id: str,
    question: str,
    about_field: str = "",
) -> Item:
    """Ask about an item, or one of its fields.

    Parameters
    ----------
    context, writer
        Who asks, with the right ``query.open`` and that to read the item; the change in the making.
    about_kind, about_item_id, about_field
        What it is about.
    question
        The question.

    Raises
    ------
    RecordInputError
        If the kind has no such field, its value is sealed, or the item belongs to no patient.
    """
    kind = find_kind(about_kind)
    require_right(context.actor, kind.read_right)
    item = require_item(writer, kind=about_kind, item_id=about_item_id)
    require_right(context.actor, kind.read_right, site_id=item.site_id)
    rule = kind.find_field(about_field) if about_field else None
    if about_field and (rule is None or rule.sealed):
        raise RecordInputError(
            expected=f"a field of {about_kind} that is not sealed", given="another", where="about_field"
        )
    if not item.patient_id:
        raise RecordInputError(expected="an item of a patient", given="another", where="about_kind")
    if not question.strip():
        raise RecordInputError(expected="a question", given="none", where="question")
    return create_item(
        context,
        writer,
        item=Item(
            kind="query",
            item_id=make_secret()[:16],
            site_id=item.site_id,
            patient_id=item.patient_id,
            version=1,
            values={
                "about_kind": about_kind,
                "about_item_id": about_item_id,
                "about_field": about_field or None,
                "question": question.strip(),
                "state": "open",
            },
        ),
        right="query.open",
    )


def answer_query(
    context: RecordContext, writer: RecordWriter, *, query_id: str, expected_version: int, answer: str
) -> Item:
    """Answer an open query.

    Parameters
    ----------
    context, writer
        Who answers, with the right ``query.answer``; the change in the making.
    query_id, expected_version
        The query as it was seen.
    answer
        The answer.
    """
    if not answer.strip():
        raise RecordInputError(expected="an answer", given="none", where="answer")
    _require_state(writer, query_id, "open")
    return change_item(
        context,
        writer,
        kind="query",
        item_id=query_id,
        values={"answer": answer.strip(), "state": "answered"},
        expected_version=expected_version,
        right="query.answer",
    )


def close_query(
    context: RecordContext, writer: RecordWriter, *, query_id: str, expected_version: int, reason: str = ""
) -> Item:
    """Close a query: an answered one, or an open one with the reason why no answer is needed.

    Parameters
    ----------
    context, writer
        Who closes, with the right ``query.close``; the change in the making.
    query_id, expected_version
        The query as it was seen.
    reason
        Needed where there is no answer.
    """
    state = _require_state(writer, query_id, "open", "answered")
    if state == "open" and not reason.strip():
        raise RecordInputError(
            expected="an answer, or the reason why none is needed", given="neither", where="query"
        )
    return change_item(
        context,
        writer,
        kind="query",
        item_id=query_id,
        values={"state": "closed"},
        expected_version=expected_version,
        reason=reason,
        right="query.close",
    )


def reopen_query(
    context: RecordContext, writer: RecordWriter, *, query_id: str, expected_version: int, reason: str
) -> Item:
    """Ask again: the answer does not do. It stays in the trail.

    Parameters
    ----------
    context, writer
        Who asks again, with the right ``query.open``; the change in the making.
    query_id, expected_version
        The query as it was seen.
    reason
        What is missing.
    """
    _require_state(writer, query_id, "answered", "closed")
    if not reason.strip():
        raise RecordInputError(expected="what is missing", given="nothing", where="reason")
    return change_item(
        context,
        writer,
        kind="query",
        item_id=query_id,
        values={"answer": None, "state": "open"},
        expected_version=expected_version,
        reason=reason,
        right="query.open",
    )


def _require_state(writer: RecordWriter, query_id: str, *states: str) -> str:
    state = str(require_item(writer, kind="query", item_id=query_id).values["state"])
    if state not in states:
        raise ConflictError(
            expected=f"a query that is {' or '.join(states)}", given=f"one that is {state}", where="query"
        )
    return state
