"""Lock a read and sign it as one act: who cannot show who he is locks nothing."""

from __future__ import annotations

from hepatica.record.item import Item
from hepatica.workflows.accounts import prove_identity
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
    """Close a read with its marks and bind the reader's word to it as it is then.

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
    AuthenticationError
        If the password is not his; the read then stays open.
    ForbiddenError, RecordInputError
        As in `hepatica.workflows.reads.lock_read`.
    """
    prove_identity(context, passwords, password=proof.password, ways=proof.ways)
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
