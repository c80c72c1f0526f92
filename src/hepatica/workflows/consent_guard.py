"""Keep out of the record what a patient has withdrawn from."""

from __future__ import annotations

from hepatica.core.errors import ConsentError
from hepatica.record.consent import ConsentState, assess_consent, find_protocol_version, read_consent_rules
from hepatica.record.item import Item
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordReader


def read_consent_state(reader: RecordReader, *, patient_id: str) -> ConsentState:
    """Return how a patient's consent stands.

    Parameters
    ----------
    reader
        View of the record.
    patient_id
        Whose.
    """
    return assess_consent(
        reader.list_items(ItemFilter(kind="consent", patient_id=patient_id, limit=PAGE_MAX)).items
    )


def read_protocol_version(reader: RecordReader, *, on: str) -> Item | None:
    """Return the protocol version in force on a day, or None where none is entered.

    Parameters
    ----------
    reader
        View of the record.
    on
        ISO date.
    """
    studies = reader.list_items(ItemFilter(kind="study", limit=PAGE_MAX)).items
    return find_protocol_version(studies, on=on)


def require_consented(reader: RecordReader, item: Item) -> None:
    """Refuse an item that serves what the patient has withdrawn from.

    Parameters
    ----------
    reader
        View of the record.
    item
        What shall be added.

    Raises
    ------
    ConsentError
        If a withdrawal stops it.
    """
    if not item.patient_id or not read_consent_rules().concern(item.kind):
        return
    stop = read_consent_state(reader, patient_id=item.patient_id).find_stop(item.kind, item.values)
    if stop is not None:
        raise ConsentError(
            expected=f"a patient who has not withdrawn from {stop[0].value.replace('_', ' ')}",
            given=f"one who withdrew on {stop[1]}",
            where=item.kind,
            action="what happened before the withdrawal is entered with its date",
        )
