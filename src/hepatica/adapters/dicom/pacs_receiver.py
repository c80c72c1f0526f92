"""Take what a PACS sends after a C-MOVE: for the time of one fetch, of one study, from one caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.dicom.pacs_config import OBJECTS_MAX, PacsSettings
from hepatica.core.errors import PacsError

LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation: newer than the library's own list."""
_SUCCESS: Final = 0x0000
_NOT_ASKED_FOR: Final = 0xA900
_NO_ROOM: Final = 0xA700


@contextmanager
def receiving(settings: PacsSettings, *, study_uid: str, folder: Path) -> Iterator[set[str]]:
    """Listen while the block runs; yields the SOP Instance UIDs of what has come.

    Parameters
    ----------
    settings
        Of the PACS; its title must be the caller's, and this side's own the called one.
    study_uid
        The only study that is taken.
    folder
        Where files are written.

    Raises
    ------
    PacsError
        If the port cannot be used.
    """
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt

    came: set[str] = set()
    # An archive may send over several associations at once.
    turn = threading.Lock()

    def take(event: Any) -> int:
        request = event.request
        header = event.dataset
        if str(header.get("StudyInstanceUID", "")) != study_uid or len(came) >= OBJECTS_MAX:
            return _NOT_ASKED_FOR
        with turn:
            try:
                (folder / f"{len(came):06d}.dcm").write_bytes(event.encoded_dataset())
            except OSError:
                return _NO_ROOM
            came.add(str(request.AffectedSOPInstanceUID))
        return _SUCCESS

    entity = AE(ae_title=settings.calling_ae)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = settings.timeout_s
    entity.require_called_aet = True
    entity.require_calling_aet = [settings.called_ae]
    for abstract in _list_classes():
        entity.add_supported_context(abstract, ALL_TRANSFER_SYNTAXES)
    try:
        server = entity.start_server(
            (settings.receive_address, settings.receive_port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, take)],
            ssl_context=settings.make_tls(serves=True),
        )
    except OSError as problem:
        raise PacsError(
            expected="a free receive_port",
            given=type(problem).__name__,
            where=f"PACS '{settings.name}', fetch",
            action="choose another receive_port, also in the PACS",
        ) from None
    try:
        yield came
    finally:
        if server is not None:
            server.shutdown()


def _list_classes() -> list[str]:
    from pynetdicom import AllStoragePresentationContexts

    known = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    return [*known, LABEL_MAP]
