"""Do a request once, however often it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hepatica.core.errors import ConflictError, ForbiddenError
from hepatica.core.provenance import digest_json
from hepatica.record.event import JsonValue
from hepatica.workflows.record_ports import RecordContext, RecordWriter

Answer = dict[str, JsonValue]


def do_once(
    context: RecordContext,
    *,
    key: str,
    request: Mapping[str, JsonValue],
    act: Callable[[RecordWriter], Answer],
) -> Answer:
    """Act in one change of the record; a request that comes again with its key is answered as before.

    Parameters
    ----------
    context
        Who acts.
    key
        The request's key, from whoever sends it; empty to act each time.
    request
        What was asked, to tell a repetition from another request under the same key.
    act
        Does it, and returns the answer.

    Raises
    ------
    ConflictError
        If another request had this key.
    ForbiddenError
        If the answer is about a site that the person has left since.
    """
    asked = digest_json(request)
    with context.store.writing() as writer:
        if key:
            before = writer.find_answer(account_id=context.actor.account_id, key=key)
            if before is not None:
                if before.get("asked") != asked:
                    raise ConflictError(
                        expected="a key of its own for each request",
                        given="the key of another request",
                        where="Idempotency-Key",
                    )
                answer = before["answer"]
                assert isinstance(answer, dict), "only answers are kept"
                _require_site(context, answer)
                return answer
        answer = act(writer)
        if key:
            writer.keep_answer(
                account_id=context.actor.account_id, key=key, answer={"asked": asked, "answer": answer}
            )
        return answer


def _require_site(context: RecordContext, answer: Answer) -> None:
    """Refuse to repeat what was answered about a site that is no longer the person's."""
    site_id, actor = answer.get("site_id"), context.actor
    if site_id and not actor.is_system and site_id not in actor.site_ids:
        raise ForbiddenError(
            expected="a site of the account", given="one that it has left", where="Idempotency-Key"
        )
