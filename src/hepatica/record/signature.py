"""Find out whether a signature still holds."""

from __future__ import annotations

from enum import StrEnum

from hepatica.record.item import Item


class SignatureState(StrEnum):
    """How a signature stands to what it signed."""

    VALID = "valid"
    BROKEN = "broken"
    """The item is another one now."""
    REMOVED = "removed"
    """The item is no longer there."""


def assess_signature(signature: Item, signed: Item | None) -> SignatureState:
    """Return whether a signature still holds.

    Parameters
    ----------
    signature
        Item of kind ``signature``.
    signed
        The item it names, as it is now; None if it was removed.

    Examples
    --------
    >>> plan = Item(kind="plan", item_id="p1", version=3, values={"status": "cleared"})
    >>> mark = Item(kind="signature", item_id="s1", version=1, values={"signed_digest": plan.digest})
    >>> assess_signature(mark, plan).value, assess_signature(mark, plan.with_values({"status": "x"})).value
    ('valid', 'broken')
    """
    if signed is None:
        return SignatureState.REMOVED
    if signature.values["signed_digest"] == signed.digest:
        return SignatureState.VALID
    return SignatureState.BROKEN
