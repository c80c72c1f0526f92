"""Small archives of our own, so that exchange is tested where Orthanc is not installed, and Orthanc where it is."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pydicom

ORTHANC_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_LIMIT_S = 30.0


def find_port() -> int:
    """A port that is free now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def write_config(home: Path, name: str, **options) -> None:
    """Add an archive to a record's configuration."""
    lines = [f"[pacs.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in options.items()), ""]
    with (home / "pacs.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")


@dataclass
class Shelf:
    """What an archive of ours holds, and how it misbehaves."""

    objects: dict[str, pydicom.Dataset] = field(default_factory=dict)
    withheld: int = 0
    """Objects that it lists but does not send."""
    foreign: bool = False
    """Whether it sends objects of another study."""
    refuses_after: int = 1_000_000
    requests: list[str] = field(default_factory=list)

    def fill(self, folder: Path) -> None:
        for file in sorted(folder.iterdir()):
            image = pydicom.dcmread(file)
            self.objects[image.SOPInstanceUID] = image

    def find(self, study_uid: str) -> list[pydicom.Dataset]:
        return [image for image in self.objects.values() if image.StudyInstanceUID == study_uid]


@contextmanager
def serve_dimse(shelf: Shelf, *, destination: tuple[str, int], ssl_context=None):
    """An archive over DIMSE on a free port; knows one destination, HEPATICA."""
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context, evt

    def on_find(event):
        asked = event.identifier
        if asked.QueryRetrieveLevel != "STUDY":
            keyword = {"SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[asked.QueryRetrieveLevel]
            for uid in {str(image[keyword].value) for image in shelf.find(asked.StudyInstanceUID)}:
                answer = pydicom.Dataset()
                answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
                setattr(answer, keyword, uid)
                yield 0xFF00, answer
            yield 0x0000, None
            return
        studies = {image.StudyInstanceUID: image for image in shelf.objects.values()}
        for uid, image in studies.items():
            wrong = (asked.get("PatientID") and asked.PatientID != image.PatientID) or (
                asked.get("StudyInstanceUID") and asked.StudyInstanceUID != uid
            )
            if wrong:
                continue
            answer = pydicom.Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", uid
            answer.PatientID, answer.PatientName = image.PatientID, image.PatientName
            answer.StudyDate, answer.ModalitiesInStudy = image.StudyDate, image.Modality
            answer.NumberOfStudyRelatedInstances = len(shelf.find(uid))
            yield 0xFF00, answer
        yield 0x0000, None

    def on_move(event):
        shelf.requests.append(event.move_destination)
        images = shelf.find(event.identifier.StudyInstanceUID)
        yield (*destination, {"contexts": [build_context(i.SOPClassUID) for i in images[:1]]})
        yield len(images)
        for image in images[shelf.withheld :]:
            if shelf.foreign:
                image = pydicom.dcmread(io.BytesIO(to_bytes(image)))
                image.StudyInstanceUID = "2.25.666"
            yield 0xFF00, image
        yield 0x0000, None

    def on_store(event):
        if len(shelf.requests) >= shelf.refuses_after:
            return 0xA700
        image = event.dataset
        image.file_meta = event.file_meta
        shelf.requests.append(str(image.Modality))
        shelf.objects[image.SOPInstanceUID] = image
        return 0x0000

    entity = AE(ae_title="ARCHIVE")
    entity.require_called_aet = True
    entity.require_calling_aet = ["HEPATICA"]
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.2")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move), (evt.EVT_C_STORE, on_store)]
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=ssl_context
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def to_bytes(image: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def serve_web(shelf: Shelf, *, redirect_to: str = ""):
    """An archive over DICOMweb on a free port: searches, whole studies, storing."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

        def do_GET(self):
            shelf.requests.append(self.path)
            if redirect_to:
                self.send_response(302)
                self.send_header("location", redirect_to)
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            parts = path.strip("/").split("/")
            if parts[-1] == "instances":
                skip = int(query.rpartition("offset=")[2].split("&")[0]) if "offset=" in query else 0
                rows = [_to_row(i, "SOPInstanceUID") for i in shelf.find(parts[-2])[skip:]]
                self.answer("application/dicom+json", json.dumps(rows).encode())
            elif len(parts) == 2 and parts[0] == "studies":
                self.send_study(parts[1])
            else:
                studies = {image.StudyInstanceUID: image for image in shelf.objects.values()}
                rows = [
                    _to_row(i, "StudyInstanceUID", "PatientID", "PatientName", "StudyDate")
                    for i in studies.values()
                ]
                self.answer("application/dicom+json", json.dumps(rows).encode())

        def send_study(self, uid):
            body = b""
            for image in shelf.find(uid)[shelf.withheld :]:
                body += b"--mark\r\nContent-Type: application/dicom\r\n\r\n" + to_bytes(image) + b"\r\n"
            self.answer('multipart/related; type="application/dicom"; boundary=mark', body + b"--mark--\r\n")

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length) if length else self.read_chunks()
            answer = pydicom.Dataset()
            if len(shelf.requests) >= shelf.refuses_after:
                failed = pydicom.Dataset()
                failed.FailureReason = 0xA700
                answer.FailedSOPSequence = [failed]
            for part in body.split(b"\r\n--")[1:-1]:
                image = pydicom.dcmread(io.BytesIO(part.partition(b"\r\n\r\n")[2]))
                shelf.objects[image.SOPInstanceUID] = image
                shelf.requests.append(str(image.Modality))
            self.answer("application/dicom+json", json.dumps(answer.to_json_dict()).encode())

        def read_chunks(self):
            body = b""
            while size := int(self.rfile.readline().strip(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def answer(self, kind, body):
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _to_row(image, *keywords):
    row = pydicom.Dataset()
    for keyword in keywords:
        row[keyword] = image[keyword]
    return row.to_json_dict()


@contextmanager
def run_orthanc(folder: Path, *, receive_port: int):
    """Orthanc with a configuration of its own on free ports of this machine; ended by its process number."""
    ports = {"HttpPort": find_port(), "DicomPort": find_port()}
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(ORTHANC_PLUGIN)],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": True,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "UnknownSopClassAccepted": True,
        "DicomModalities": {"hepatica": ["HEPATICA", "127.0.0.1", receive_port]},
        **ports,
    }
    folder.mkdir(parents=True)
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(["Orthanc", str(path)], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{ports['HttpPort']}/system", child)
        yield ports["HttpPort"], ports["DicomPort"]
    finally:
        child.terminate()
        child.wait(timeout=START_LIMIT_S)


def _wait_for(address: str, child: subprocess.Popen) -> None:
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until and child.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            threading.Event().wait(0.1)
    raise AssertionError("Orthanc did not start")
