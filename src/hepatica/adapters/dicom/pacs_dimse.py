"""A PACS over DIMSE: C-FIND to look, C-MOVE to this side to fetch, C-STORE to send."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.dicom.headers import quiet_pydicom
from hepatica.adapters.dicom.pacs_config import (
    OBJECTS_MAX,
    STUDIES_MAX,
    PacsSettings,
    check_query,
    speaking,
    to_date_range,
)
from hepatica.adapters.dicom.pacs_receiver import receiving
from hepatica.adapters.dicom.pacs_values import read_study, require_whole, sort_studies
from hepatica.core.errors import PacsError
from hepatica.core.progress import Progress
from hepatica.workflows.scan_ports import FoundStudy, StudyQuery

STUDY_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
_PENDING: Final = (0xFF00, 0xFF01)
_ASKED: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)


class DimsePacs:
    """An archive that speaks DIMSE.

    Parameters
    ----------
    settings
        From the server's configuration.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self.name = settings.name
        self._settings = settings

    def find_studies(self, query: StudyQuery) -> tuple[FoundStudy, ...]:
        """Return the studies that fit, newest first.

        Parameters
        ----------
        query
            By number or study.
        """
        check_query(query)
        asked = _to_request(_ASKED, level="STUDY")
        asked.PatientID, asked.StudyInstanceUID = query.patient_number, query.study_uid
        asked.ModalitiesInStudy, asked.StudyDate = query.modality, to_date_range(query)
        with speaking(self.name, doing="search"), quiet_pydicom():
            answers = self._find(asked, most=STUDIES_MAX)
            return sort_studies((read_study(answer) for answer in answers), query)

    def fetch_study(self, study_uid: str, *, folder: Path, progress: Progress) -> int:
        """Have every object of a study sent to this side; returns how many.

        Parameters
        ----------
        study_uid
            The study.
        folder
            Empty folder.
        progress
            Told about each object; may cancel.

        Raises
        ------
        PacsError
            If the PACS sends fewer objects than it says, or reports a failure.
        """
        check_query(StudyQuery(study_uid=study_uid))
        asked = _to_request(("StudyInstanceUID",), level="STUDY")
        asked.StudyInstanceUID = study_uid
        settings = self._settings
        with speaking(self.name, doing="fetch"), quiet_pydicom():
            listed = self._list_objects(study_uid)
        progress.stage(f"fetching {len(listed)} objects")
        with (
            speaking(self.name, doing="fetch"),
            quiet_pydicom(),
            receiving(settings, study_uid=study_uid, folder=folder) as came,
            self._associated([(STUDY_MOVE, None)]) as association,
        ):
            answers = association.send_c_move(asked, settings.calling_ae, STUDY_MOVE)
            done, failed = 0, 0
            for status, _ in answers:
                progress.check_cancelled()
                code = self._read_status(status, doing="fetch")
                done = int(status.get("NumberOfCompletedSuboperations", done) or 0)
                failed = int(status.get("NumberOfFailedSuboperations", failed) or 0)
                rest = int(status.get("NumberOfRemainingSuboperations", 0) or 0)
                progress.advance(done / max(done + failed + rest, 1))
                if code not in _PENDING and (code != 0x0000 or failed):
                    self._refuse("fetch", f"status {code:04X}, {done} sent and {failed} failed")
            require_whole(set(came), listed, name=self.name)
        return len(came)

    def send(self, objects: Sequence[bytes], *, progress: Progress) -> int:
        """Store objects; returns how many were taken.

        Parameters
        ----------
        objects
            DICOM files.
        progress
            Told about each.

        Raises
        ------
        PacsError
            If one is not taken; says how many were. Sent again, those are stored once.
        """
        import pydicom

        with speaking(self.name, doing="send"), quiet_pydicom():
            datasets = [pydicom.dcmread(io.BytesIO(data)) for data in objects]
            wanted = sorted(
                {(str(one.SOPClassUID), str(one.file_meta.TransferSyntaxUID)) for one in datasets}
            )
            with self._associated(wanted) as association:
                for number, dataset in enumerate(datasets):
                    progress.check_cancelled()
                    code = self._read_status(association.send_c_store(dataset), doing="send")
                    if code != 0x0000 and code >> 12 != 0xB:
                        self._refuse("send", f"{number} taken, then status {code:04X}")
                    progress.advance((number + 1) / len(datasets))
        return len(objects)

    def _list_objects(self, study_uid: str) -> frozenset[str]:
        """Return what the PACS says it holds of a study: what it then sends is compared with it."""
        asked = _to_request(("SeriesInstanceUID",), level="SERIES")
        asked.StudyInstanceUID = study_uid
        listed: set[str] = set()
        for series in self._find(asked, most=OBJECTS_MAX):
            one = _to_request(("SOPInstanceUID",), level="IMAGE")
            one.StudyInstanceUID, one.SeriesInstanceUID = study_uid, series.SeriesInstanceUID
            listed |= {str(image.SOPInstanceUID) for image in self._find(one, most=OBJECTS_MAX)}
        return frozenset(listed)

    def _find(self, asked: Any, *, most: int) -> list[Any]:
        found = []
        with self._associated([(STUDY_FIND, None)]) as association:
            for status, answer in association.send_c_find(asked, STUDY_FIND):
                code = self._read_status(status, doing="search")
                if code in _PENDING:
                    found.append(answer)
                    if len(found) >= most:
                        break
                elif code != 0x0000:
                    self._refuse("search", f"status {code:04X}")
        return found

    @contextmanager
    def _associated(self, contexts: Sequence[tuple[str, str | None]]) -> Iterator[Any]:
        from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES

        settings = self._settings
        entity = AE(ae_title=settings.calling_ae)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = settings.timeout_s
        entity.connection_timeout = settings.timeout_s
        for abstract, syntax in contexts:
            entity.add_requested_context(abstract, [syntax] if syntax else DEFAULT_TRANSFER_SYNTAXES)
        tls = settings.make_tls()
        association = entity.associate(
            settings.host,
            settings.port,
            ae_title=settings.called_ae,
            tls_args=(tls, settings.host) if tls else None,
        )
        try:
            if not association.is_established:
                self._refuse("association", "none, or a refused one")
            if len(association.accepted_contexts) < len(contexts):
                missing = len(contexts) - len(association.accepted_contexts)
                self._refuse("association", f"{missing} kind(s) of object that it does not take")
            yield association
            association.release()
        finally:
            if association.is_established:
                association.abort()

    def _read_status(self, status: Any, *, doing: str) -> int:
        if "Status" not in status:
            self._refuse(doing, "silence")
        return int(status.Status)

    def _refuse(self, doing: str, given: str) -> None:
        raise PacsError(
            expected="an answer of the PACS",
            given=given,
            where=f"PACS '{self.name}', {doing}",
            action="see whether it is reachable and knows this server",
        )


def _to_request(keywords: Sequence[str], *, level: str) -> Any:
    from pydicom.dataset import Dataset

    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(asked, keyword, "")
    return asked
