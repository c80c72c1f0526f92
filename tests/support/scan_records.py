"""A record with two patients, and scans that name one of them, for tests of import and exchange."""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
from scan_files import make_affine, make_values, write_dicom

from hepatica.bootstrap import make_record, make_scan_ports
from hepatica.record.item import Item
from hepatica.record.people import Actor, Role
from hepatica.workflows.change_item import create_item

FAMILY, GIVEN, NUMBER, BORN = "Quaggaperson", "Zebedee", "QX47110815", "19310203"
HEADER = {
    "PatientName": f"{FAMILY}^{GIVEN}",
    "PatientID": NUMBER,
    "PatientBirthDate": BORN,
    "PatientSex": "M",
}
IDENTITY = {
    "family_name": FAMILY,
    "given_name": GIVEN,
    "hospital_number": NUMBER,
    "birth_date": "1931-02-03",
    "sex_code": "M",
}
OTHER = {"family_name": "Okapi", "given_name": "Ida", "birth_date": "1950-06-07", "sex_code": "F"}
SHAPE = (40, 36, 6)


@contextmanager
def open_test_record(folder: Path, *, mode: str = "clinical"):
    """A record with patient p (the scan's) and q (another), both of site s1: the record and its ports."""
    with make_record(folder, mode=mode) as record:
        with record.context.store.writing() as writer:
            for name, identity in (("p", IDENTITY), ("q", OTHER)):
                add(record.context, writer, "patient", name, name, subject_id=f"S-{name}", status="screening")
                add(record.context, writer, "identity", f"i{name}", name, **identity)
        yield record, make_scan_ports(folder, mode=mode)


def add(context, writer, kind, item_id, patient_id, **values):
    item = Item(kind=kind, item_id=item_id, patient_id=patient_id, site_id="s1", version=1, values=values)
    return create_item(context, writer, item=item)


def act_as(context, *roles: Role, sites=("s1",)):
    """The same record in the hands of a person."""
    return replace(context, actor=Actor(account_id="u1", roles=frozenset(roles), site_ids=frozenset(sites)))


def write_scan(folder: Path, *, header=HEADER, shape=SHAPE, **changes) -> Path:
    """A CT series that names the patient."""
    extra = {**header, **changes.pop("extra", {})}
    return write_dicom(folder, make_values(shape), make_affine(), extra=extra, **changes)


def find_scan(context, scan_id):
    with context.store.reading() as reader:
        return reader.find_item("scan", scan_id)


def read_images(context, scan) -> list[bytes]:
    """Every stored file of a scan."""
    path = context.files.open_path(scan.values["content_digest"])
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def parse(data: bytes):
    return pydicom.dcmread(io.BytesIO(data))
