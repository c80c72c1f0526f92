"""Consent to a protocol version, and its withdrawal."""

from __future__ import annotations

from datetime import date

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.catalogue import find_kind
from hepatica.record.consent import ConsentState, Purpose, read_consent_rules
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.consent_guard import read_consent_state
from hepatica.workflows.record_ports import RecordContext, RecordWriter


def sign_consent(
    context: RecordContext,
    writer: RecordWriter,
    *,
    patient_id: str,
    study_id: str,
    form_version: str,
    signed_date: str,
) -> Item:
    """Record that a patient signed.

    Parameters
    ----------
    context, writer
        Who records it, and the change in the making.
    patient_id
        Who signed.
    study_id
        The protocol version consented to.
    form_version
        Version of the form.
    signed_date
        ISO date, not in the future.

    Raises
    ------
    RecordInputError
        If the day is not a whole date or lies in the future.
    NotFoundError
        If there is no such patient or protocol version.
    """
    patient = require_item(writer, kind="patient", item_id=patient_id)
    require_right(context.actor, "consent.write", site_id=patient.site_id)
    require_item(writer, kind="study", item_id=study_id)
    signed_date = context.to_record_date(signed_date, patient_id=patient_id, where="signed_date")
    _require_past(context, signed_date, patient_id=patient_id, where="signed_date")
    values: dict[str, JsonValue] = {
        "study_id": study_id,
        "form_version": form_version,
        "signed_date": signed_date,
    }
    return create_item(
        context.deriving(),
        writer,
        item=Item(
            kind="consent",
            item_id=make_secret()[:16],
            site_id=patient.site_id,
            patient_id=patient_id,
            version=1,
            values=values,
        ),
    )


def withdraw_consent(
    context: RecordContext,
    writer: RecordWriter,
    *,
    consent_id: str,
    expected_version: int,
    withdrawn_date: str,
    scope: str,
    reason: str,
) -> Item:
    """Record a withdrawal. From then on nothing that its scope names can be added to the record.

    Parameters
    ----------
    context, writer
        Who records it, and the change in the making.
    consent_id, expected_version
        The consent as it was seen.
    withdrawn_date
        ISO date, from the day of signing to today.
    scope
        ``treatment``, ``treatment_and_follow_up`` or ``treatment_follow_up_and_data``.
    reason
        In the patient's words, or that none was given.

    Raises
    ------
    ConflictError
        If it was withdrawn before with the same or a wider scope.
    RecordInputError
        If the day or the scope cannot be.
    """
    consent = require_item(writer, kind="consent", item_id=consent_id)
    patient_id = consent.patient_id
    withdrawn_date = context.to_record_date(withdrawn_date, patient_id=patient_id, where="withdrawn_date")
    _require_past(context, withdrawn_date, patient_id=patient_id, where="withdrawn_date")
    if withdrawn_date < str(consent.values["signed_date"]):
        raise RecordInputError(
            expected="a day on or after the signature", given="an earlier one", where="withdrawn_date"
        )
    scopes = read_consent_rules().scopes
    if scope not in scopes:
        raise RecordInputError(
            expected=f"one of {', '.join(scopes)}", given="another word", where="withdrawal_scope"
        )
    before = scopes.get(str(consent.values.get("withdrawal_scope", "")), ())
    if set(scopes[scope]) <= set(before):
        raise ConflictError(
            expected="a withdrawal that is new or reaches further",
            given="one that was recorded before",
            where="consent",
        )
    changed = change_item(
        context.deriving(),
        writer,
        kind="consent",
        item_id=consent_id,
        values={"withdrawn_date": withdrawn_date, "withdrawal_scope": scope},
        expected_version=expected_version,
        reason=reason,
    )
    _note_status(context, writer, consent=changed, stopped=scopes[scope])
    return changed


def read_patient_consent(context: RecordContext, *, patient_id: str) -> ConsentState:
    """Return how a patient's consent stands.

    Parameters
    ----------
    context
        Who asks; needs the right ``consent.read`` at the patient's site.
    patient_id
        Whose.
    """
    with context.store.reading() as reader:
        patient = reader.find_item("patient", patient_id)
        require_right(context.actor, "consent.read", site_id=patient.site_id if patient else "")
        return read_consent_state(reader, patient_id=patient_id)


def describe_stops() -> dict[str, list[str]]:
    """Return what each scope of a withdrawal stops: labels of the kinds that can no longer be added.

    Examples
    --------
    >>> describe_stops()["treatment"]
    ['Plan', 'Procedure']
    """
    rules = read_consent_rules()
    return {
        scope: [find_kind(kind).label for purpose in purposes for kind in rules.kinds[purpose]]
        for scope, purposes in rules.scopes.items()
    }


def _note_status(
    context: RecordContext, writer: RecordWriter, *, consent: Item, stopped: tuple[Purpose, ...]
) -> None:
    """Set the patient's status: withdrawn, or followed up without treatment."""
    patient = require_item(writer, kind="patient", item_id=consent.patient_id)
    status = "withdrawn" if Purpose.FOLLOW_UP in stopped else "follow_up"
    if patient.locked or patient.values["status"] in (status, "withdrawn", "completed"):
        return
    change_item(
        context,
        writer,
        kind="patient",
        item_id=patient.item_id,
        values={"status": status},
        expected_version=patient.version,
        reason="consent withdrawn",
        right="consent.write",
    )


def _require_past(context: RecordContext, day: str, *, patient_id: str, where: str) -> None:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        found = None
    # The clock is in UTC; a site east of it may already have the next day.
    if found is None or len(day) != 10 or (found - context.patient_now(patient_id).date()).days > 1:
        raise RecordInputError(
            expected="a whole date that is not in the future", given="another", where=where
        )
