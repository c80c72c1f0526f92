"""A PACS over DICOMweb: QIDO-RS to look, WADO-RS to fetch, STOW-RS to send."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.dicom.headers import quiet_pydicom
from hepatica.adapters.dicom.pacs_config import (
    OBJECTS_MAX,
    STUDIES_MAX,
    PacsSettings,
    check_query,
    speaking,
    to_date_range,
)
from hepatica.adapters.dicom.pacs_values import read_study, require_whole, sort_studies
from hepatica.core.errors import PacsError
from hepatica.core.progress import Progress
from hepatica.workflows.scan_ports import FoundStudy, StudyQuery

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

FETCH_MAX_S: Final = 3600.0
"""Longest fetch of one study: an archive that sends a byte now and then would hold a worker for ever."""
_AS_STORED: Final = (("application/dicom", "*"),)
_FIELDS: Final = (
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)


class WebPacs:
    """An archive that speaks DICOMweb.

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
        filters = {
            "PatientID": query.patient_number,
            "StudyInstanceUID": query.study_uid,
            "ModalitiesInStudy": query.modality,
            "StudyDate": to_date_range(query),
        }
        with speaking(self.name, doing="search"), self._open() as client, quiet_pydicom():
            rows = client.search_for_studies(
                search_filters={name: value for name, value in filters.items() if value},
                fields=list(_FIELDS),
                limit=STUDIES_MAX,
            )
            return sort_studies((read_study(_to_dataset(row)) for row in rows), query)

    def fetch_study(self, study_uid: str, *, folder: Path, progress: Progress) -> int:
        """Write every object of a study into a folder; returns how many.

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
            If the PACS sends fewer objects than it lists, or others.
        """
        check_query(StudyQuery(study_uid=study_uid))
        until = time.monotonic() + FETCH_MAX_S
        came: set[str] = set()
        with speaking(self.name, doing="fetch"), self._open() as client, quiet_pydicom():
            listed = self._list_objects(client, study_uid)
            progress.stage(f"fetching {len(listed)} objects")
            for dataset in client.iter_study(study_uid, media_types=_AS_STORED):
                progress.check_cancelled()
                if str(dataset.StudyInstanceUID) != study_uid or time.monotonic() > until:
                    break
                came.add(str(dataset.SOPInstanceUID))
                dataset.save_as(folder / f"{len(came):06d}.dcm", enforce_file_format=True)
                progress.advance(min(len(came) / len(listed), 1.0))
            require_whole(came, listed, name=self.name)
        return len(came)

    def send(self, objects: Sequence[bytes], *, progress: Progress) -> int:
        """Store objects, one request each; returns how many were taken.

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

        with speaking(self.name, doing="send"), self._open() as client, quiet_pydicom():
            for number, data in enumerate(objects):
                progress.check_cancelled()
                answer = client.store_instances([pydicom.dcmread(io.BytesIO(data))])
                if answer.get("FailedSOPSequence"):
                    raise PacsError(
                        expected=f"{len(objects)} objects stored",
                        given=f"{number} taken, then a refusal",
                        where=f"PACS '{self.name}', send",
                        action="ask its administrator, then send again",
                    )
                progress.advance((number + 1) / len(objects))
        return len(objects)

    def _list_objects(self, client: DICOMwebClient, study_uid: str) -> frozenset[str]:
        listed: set[str] = set()
        while len(listed) <= OBJECTS_MAX:
            rows = client.search_for_instances(study_uid, limit=1000, offset=len(listed))
            new = {str(_to_dataset(row).SOPInstanceUID) for row in rows} - listed
            if not new:
                return frozenset(listed)
            listed |= new
        raise PacsError(
            expected=f"at most {OBJECTS_MAX} objects", given="more", where=f"PACS '{self.name}', fetch"
        )

    def _open(self) -> _Client:
        return _Client(self._settings)


class _Client:
    """A client that goes where the configuration says and nowhere else: no redirect, no proxy of the environment."""

    def __init__(self, settings: PacsSettings) -> None:
        self._settings = settings

    def __enter__(self) -> Any:
        import requests
        from dicomweb_client import DICOMwebClient

        class Direct(requests.Session):
            def request(self, *args: Any, **more: Any) -> Any:
                more["allow_redirects"] = False
                answer = super().request(*args, **more)
                if answer.is_redirect:
                    raise requests.TooManyRedirects(response=answer)
                return answer

        settings = self._settings
        self._session = Direct()
        self._session.trust_env = False
        if settings.ca_file is not None:
            self._session.verify = str(settings.ca_file)
        if settings.certificate_file is not None:
            key = settings.key_file
            self._session.cert = (
                (str(settings.certificate_file), str(key)) if key else str(settings.certificate_file)
            )
        if settings.user:
            self._session.auth = (settings.user, settings.password)
        client = DICOMwebClient(settings.url, session=self._session, timeout=settings.timeout_s)
        client.set_http_retry_params(retry=False)
        return client

    def __exit__(self, *exception: object) -> None:
        self._session.close()


def _to_dataset(row: Any) -> Any:
    from pydicom.dataset import Dataset

    return Dataset.from_json(row)
