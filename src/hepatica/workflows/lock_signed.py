"""Lock a read and sign it as one act: who cannot show who he is locks nothing."""

from __future__ import annotations

from hepatica.core.errors import AuthenticationError, ForbiddenError
from hepatica.record.item import Item
from hepatica.workflows.accounts import prove_identity
from hepatica.workflows.change_item import require_item
from hepatica.workflows.reads import lock_read
from hepatica.workflows.record_ports import Passwords, RecordContext
from hepatica.workflows.sign_item import Proof, sign_item


def lock_signed(
    context: RecordContext,
    passwords: Passwords,
    *,
    read_id: str,
    expected_version: int,
    meaning: str,
    proof: Proof,
) -> Item:
    """Close a read with its marks and bind the reader's word to it as it is then; one that is locked is signed only.

    Parameters
    ----------
    context
        The reader himself.
    passwords
        Verifies his password.
    read_id, expected_version
        The read as he saw it.
    meaning
        What the signature says.
    proof
        His password, typed once more.

    Raises
    ------
    ForbiddenError
        If the password is not his, or the read is another's; the read then stays open. His session goes on: a
        password that was mistyped is not its end.
    RecordInputError
        As in `hepatica.workflows.reads.lock_read`.
    """
    try:
        prove_identity(context, passwords, password=proof.password, ways=proof.ways)
    except AuthenticationError as problem:
        raise ForbiddenError(
            expected="your own password",
            given="another",
            where="password",
            action="type it again; nothing was locked",
        ) from problem
    with context.store.reading() as reader:
        locked = require_item(reader, kind="read", item_id=read_id)
    if locked.values["reader_id"] != context.actor.account_id:
        raise ForbiddenError(expected="your own read", given="another's", where="read")
    if not locked.locked:
        locked = lock_read(context, read_id=read_id, expected_version=expected_version)
    sign_item(
        context,
        passwords,
        kind="read",
        item_id=read_id,
        expected_version=locked.version,
        meaning=meaning,
        proof=proof,
    )
    return locked
