"""Sign, and lock, what the record holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.blinding import OWN_MARKS
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.provider_login import PASSWORDS, WaysIn
from hepatica.record.sign_in import make_secret
from hepatica.record.signature import SignatureState, assess_signature
from hepatica.workflows.accounts import prove_identity
from hepatica.workflows.change_item import create_item, require_item, set_lock
from hepatica.workflows.enter_by_provider import spend_proof
from hepatica.workflows.record_ports import ItemFilter, Passwords, RecordContext


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Proof:
    """What shows that a signer is there in person.

    Parameters
    ----------
    password
        Typed once more.
    fresh_login
        Secret of a fresh login at the identity provider; it goes before a password.
    ways
        How people of this server may log in.
    """

    password: str = ""
    fresh_login: str = ""
    ways: WaysIn = PASSWORDS


def sign_item(
    context: RecordContext,
    passwords: Passwords,
    *,
    kind: str,
    item_id: str,
    expected_version: int,
    meaning: str,
    proof: Proof,
) -> Item:
    """Bind a person's word to an item as it is now.

    Parameters
    ----------
    context
        Who signs; needs the right ``signature.write``.
    passwords
        Verifies a password.
    kind, item_id, expected_version
        The item as the signer saw it.
    meaning
        What the signature says, for example "read and found correct".
    proof
        That the signer is there: his password typed once more, or a fresh login at the identity provider.

    Raises
    ------
    AuthenticationError, ForbiddenError, ConflictError
        If the proof is not his; without the right; if the item is another by now.
    RecordInputError
        If a blinded reader signs what is not his own mark.
    """
    require_right(context.actor, "signature.write")
    if _tells_too_much(context, kind):
        raise RecordInputError(
            expected="a read or a measurement", given=f"a {kind}", where="signature", action="sign your read"
        )
    if not proof.fresh_login:
        prove_identity(context, passwords, password=proof.password, ways=proof.ways)
    with context.store.writing() as writer:
        if proof.fresh_login:
            spend_proof(context, writer, secret=proof.fresh_login)
        item = require_item(writer, kind=kind, item_id=item_id)
        if item.version != expected_version:
            raise ConflictError(
                expected=f"version {item.version}, the present one",
                given=f"a signature of version {expected_version}",
                where=f"{kind} {item_id}",
                action="look at what changed before you sign",
            )
        return create_item(
            # The moment of signing is the trail's, not one of the patient's life.
            context.deriving(),
            writer,
            item=Item(
                kind="signature",
                item_id=make_secret()[:16],
                site_id=item.site_id,
                patient_id=item.patient_id,
                version=1,
                values={
                    "signed_kind": kind,
                    "signed_item_id": item_id,
                    "signed_version": item.version,
                    "signed_digest": item.digest,
                    "meaning": meaning,
                    "signer_id": context.actor.account_id,
                    "proof": "oidc" if proof.fresh_login else "password",
                    "time_utc": context.now_utc().isoformat(),
                },
            ),
        )


def list_signatures(
    context: RecordContext, *, kind: str, item_id: str
) -> tuple[tuple[Item, SignatureState], ...]:
    """Return an item's signatures, each with whether it still holds.

    Parameters
    ----------
    context
        Who asks; needs the right ``signature.read``.
    kind, item_id
        The item.
    """
    require_right(context.actor, "signature.read")
    if _tells_too_much(context, kind):
        return ()
    with context.store.reading() as reader:
        item = reader.find_item(kind, item_id)
        marks = reader.list_items(
            ItemFilter(
                kind="signature",
                patient_id=item.patient_id if item else "",
                where={"signed_kind": kind, "signed_item_id": item_id},
                limit=500,
            )
        ).items
        return tuple((mark, assess_signature(mark, item)) for mark in marks)


def _tells_too_much(context: RecordContext, kind: str) -> bool:
    """Return whether a signature would tell a blinded reader of fields that he cannot see, by being broken."""
    return context.actor.is_blinded and kind not in OWN_MARKS


def lock_item(
    context: RecordContext, *, kind: str, item_id: str, expected_version: int, locked: bool, reason: str
) -> Item:
    """Lock or unlock an item.

    Parameters
    ----------
    context
        Who does it; needs the right ``item.lock`` or ``item.unlock``.
    kind, item_id, expected_version
        The item as it was seen.
    locked
        What it shall be.
    reason
        Why; needed to unlock.
    """
    with context.store.writing() as writer:
        seen = replace(require_item(writer, kind=kind, item_id=item_id), version=expected_version)
        return set_lock(context, writer, item=seen, locked=locked, reason=reason)
