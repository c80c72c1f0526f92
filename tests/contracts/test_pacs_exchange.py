"""PACS: a study comes in whole or not at all, a plan goes back where its scan came from, and nowhere else."""

from __future__ import annotations

import logging
import ssl
import subprocess

import pytest
from dicomout_series import make_headers, make_read_files, make_small_context, to_files
from pacs_servers import Shelf, find_port, run_orthanc, serve_dimse, serve_web, write_config
from scan_records import FAMILY, NUMBER, act_as, add, find_scan, open_test_record, write_scan

from hepatica.adapters.dicom.plan_writers import make_plan_writers
from hepatica.bootstrap import make_pacs_directory
from hepatica.core.errors import (
    CancelledError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    PacsError,
)
from hepatica.core.progress import SILENT, Silent
from hepatica.record.people import Role
from hepatica.workflows.exchange_scans import import_from_pacs, prepare_search, send_plan
from hepatica.workflows.import_scan import import_scan
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.scan_ports import StudyQuery

STUDY = "2.25.10"
OBJECTS = ("plan_sr.dcm", "segmentation.dcm", "sheet.dcm")


@pytest.fixture
def record(tmp_path):
    with open_test_record(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf()
    shelf.fill(write_scan(tmp_path / "scan"))
    return shelf


@pytest.fixture(params=["dimse", "dicomweb"])
def archive(request, record, shelf):
    """An archive of ours, known to the record as 'archive'."""
    home = record[0].folder
    if request.param == "dimse":
        port = find_port()
        with serve_dimse(shelf, destination=("127.0.0.1", port)) as called:
            write_config(home, "archive", **dimse(called, port))
            yield request.param
    else:
        with serve_web(shelf) as url:
            write_config(home, "archive", protocol="dicomweb", url=url, timeout_s=5)
            yield request.param


def dimse(called, receiving, **more):
    return {
        "protocol": "dimse",
        "host": "127.0.0.1",
        "port": called,
        "called_ae": "ARCHIVE",
        "receive_port": receiving,
        "timeout_s": 5,
        **more,
    }


def take(record, name="archive", study=STUDY, **more):
    opened, ports = record
    return import_from_pacs(
        opened.context,
        ports,
        make_pacs_directory(opened.folder),
        name=name,
        study_uid=study,
        patient_id="p",
        **more,
    )


def list_scans(record):
    with record[0].context.store.reading() as reader:
        return reader.list_items(ItemFilter(kind="scan")).items


def add_plan(record, scan_id, folder, *, study=STUDY):
    """A plan with the objects that the planner writes, filed in a study."""
    context = record[0].context
    made = make_small_context()
    headers = list(make_headers(made.image.volume.grid, frame="2.25.5"))
    for header in headers:
        header.StudyInstanceUID = study
    folder.mkdir()
    (folder / "sheet.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    files = {}
    for writer in make_plan_writers(make_read_files(to_files(headers))):
        for name in writer.write_plan(made, folder, progress=SILENT):
            files[name] = context.files.keep_file(folder / name)
    files["report.html"] = context.files.keep_bytes(b"<html>")
    with context.store.writing() as writer:
        add(
            context, writer, "plan", "n1", "p", scan_id=scan_id, visit_number=1, status="cleared", files=files
        )


@pytest.mark.requirement("F-pacs-in")
def test_a_study_is_found_by_the_patients_number_and_comes_in_whole(record, archive, caplog):
    opened = record[0]
    caplog.set_level(logging.DEBUG)
    query = prepare_search(opened.context, query=StudyQuery(), patient_id="p")
    (found,) = make_pacs_directory(opened.folder).open("archive").find_studies(query)
    assert (found.study_uid, found.study_date, found.patient_number) == (STUDY, "2026-01-01", NUMBER)
    assert FAMILY not in repr(found) and NUMBER not in repr(query)
    (one,) = take(record).series
    assert (one.outcome, one.image_count, one.state) == ("imported", 6, "accepted")
    assert find_scan(opened.context, one.scan_id).values["source_pacs"] == "archive"
    assert take(record).series[0].outcome == "known"
    assert FAMILY not in caplog.text and NUMBER not in caplog.text, "logs hold no identity"
    with opened.context.store.reading() as reader:
        looked = [event for event in reader.read_events(kind="patient") if event.action == "read"]
    assert [event.reason for event in looked] == ["looked for in a PACS"]


@pytest.mark.requirement("F-pacs-whole")
def test_a_study_of_which_something_is_missing_is_refused_and_nothing_is_imported(record, archive, shelf):
    shelf.withheld = 1
    with pytest.raises(PacsError):
        take(record)
    assert list_scans(record) == ()
    assert not list((record[0].folder / "incoming").iterdir())
    with pytest.raises(PacsError):
        take(record, study="2.25.404")


@pytest.mark.requirement("F-pacs-whole")
def test_a_fetch_can_be_cancelled(record, archive):
    class Stop(Silent):
        def check_cancelled(self):
            raise CancelledError(where="test")

    with pytest.raises(CancelledError):
        take(record, progress=Stop())
    assert list_scans(record) == ()


@pytest.mark.requirement("F-pacs-out")
def test_a_plan_goes_back_as_report_segmentation_and_sheet_and_the_trail_says_so(
    record, archive, shelf, tmp_path
):
    opened, ports = record
    (one,) = take(record).series
    add_plan(record, one.scan_id, tmp_path / "plan")
    shelf.requests.clear()
    directory = make_pacs_directory(opened.folder)
    nurse = act_as(opened.context, Role.COORDINATOR)
    with pytest.raises(ForbiddenError):
        send_plan(nurse, ports, directory, plan_id="n1")
    doctor = act_as(opened.context, Role.INVESTIGATOR)
    report = send_plan(doctor, ports, directory, plan_id="n1")
    assert (report.pacs, report.files) == ("archive", OBJECTS)
    assert sorted(name for name in shelf.requests if name in ("SR", "SEG", "DOC")) == ["DOC", "SEG", "SR"]
    stored = {image.Modality: image for image in shelf.find(STUDY)}
    assert {"CT", "SR", "SEG", "DOC"} == set(stored)
    assert stored["DOC"].MIMETypeOfEncapsulatedDocument == "application/pdf"
    with opened.context.store.reading() as reader:
        last = list(reader.read_events(kind="plan"))[-1]
    assert (str(last.action), last.reason) == ("export", "3 objects sent to PACS 'archive'")


@pytest.mark.requirement("F-pacs-out")
def test_an_archive_that_takes_only_some_objects_is_told_and_no_success_is_noted(
    record, archive, shelf, tmp_path
):
    opened, ports = record
    (one,) = take(record).series
    add_plan(record, one.scan_id, tmp_path / "plan")
    shelf.requests.clear()
    shelf.refuses_after = 1
    with pytest.raises(PacsError, match="1 taken"):
        send_plan(opened.context, ports, make_pacs_directory(opened.folder), plan_id="n1")
    with opened.context.store.reading() as reader:
        assert [str(event.action) for event in reader.read_events(kind="plan")] == ["create"]


@pytest.mark.requirement("F-pacs-origin")
def test_a_plan_is_sent_only_to_where_its_scan_came_from_and_with_objects_of_its_study(record, tmp_path):
    opened, ports = record
    directory = make_pacs_directory(opened.folder)
    (one,) = import_scan(opened.context, ports, patient_id="p", path=write_scan(tmp_path / "files")).series
    add_plan(record, one.scan_id, tmp_path / "plan")
    with pytest.raises(ConflictError, match="from files"):
        send_plan(opened.context, ports, directory, plan_id="n1")


@pytest.mark.requirement("F-pacs-origin")
def test_objects_of_another_study_are_not_sent(record, archive, shelf, tmp_path):
    opened, ports = record
    (one,) = take(record).series
    add_plan(record, one.scan_id, tmp_path / "plan", study="2.25.999")
    held = len(shelf.objects)
    with pytest.raises(ConflictError, match="another study"):
        send_plan(opened.context, ports, make_pacs_directory(opened.folder), plan_id="n1")
    assert len(shelf.objects) == held


@pytest.mark.requirement("F-pacs-research")
def test_from_a_research_record_nothing_is_sent_back(tmp_path, shelf):
    with open_test_record(tmp_path / "research", mode="research") as (record, ports), serve_web(shelf) as url:
        write_config(record.folder, "archive", protocol="dicomweb", url=url)
        (one,) = take((record, ports)).series
        assert one.state == "accepted"
        add_plan((record, ports), one.scan_id, tmp_path / "plan")
        held = len(shelf.requests)
        with pytest.raises(ForbiddenError):
            send_plan(record.context, ports, make_pacs_directory(record.folder), plan_id="n1")
        assert len(shelf.requests) == held, "nobody was asked"


@pytest.mark.requirement("F-pacs-addresses")
def test_only_names_of_the_configuration_are_reached_and_a_redirect_is_not_followed(record, shelf):
    opened = record[0]
    directory = make_pacs_directory(opened.folder)
    for name in ("http://evil.example", "../../etc", "archive"):
        with pytest.raises(NotFoundError) as refused:
            directory.open(name)
        assert name not in str(refused.value)
    elsewhere = Shelf()
    with serve_web(elsewhere) as other, serve_web(shelf, redirect_to=other) as url:
        write_config(opened.folder, "bent", protocol="dicomweb", url=url)
        with pytest.raises(PacsError) as refused:
            directory.open("bent").find_studies(StudyQuery(patient_number=NUMBER))
        assert elsewhere.requests == []
    assert url not in str(refused.value) and NUMBER not in str(refused.value)


@pytest.mark.requirement("F-pacs-addresses")
@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "dicomweb", "url": "http://pacs.example/dicom-web"},
        {"protocol": "dicomweb", "url": "https://user:secret@pacs.example"},
        {"protocol": "dicomweb", "url": "https://pacs.example", "password": "secret"},
        {"protocol": "dimse", "host": "pacs.example", "port": 104},
        {"protocol": "dimse", "host": "pacs.example", "port": 99999, "called_ae": "A"},
        {"protocol": "ftp"},
        {"protocol": "dicomweb", "url": "https://pacs.example", "timeout_s": 0},
    ],
)
def test_an_unsafe_or_wrong_configuration_is_refused_without_showing_it(record, options):
    opened = record[0]
    write_config(opened.folder, "wrong", **options)
    with pytest.raises(InputError) as refused:
        make_pacs_directory(opened.folder).list_names()
    assert "secret" not in str(refused.value) and "pacs.example" not in str(refused.value)


@pytest.mark.requirement("F-pacs-refusals")
@pytest.mark.parametrize("protocol", ["dimse", "dicomweb"])
def test_an_archive_that_is_silent_or_away_is_a_coded_refusal_that_names_no_address(record, protocol):
    opened = record[0]
    port = find_port()
    if protocol == "dimse":
        write_config(opened.folder, "away", **dimse(port, 0, timeout_s=1))
    else:
        write_config(opened.folder, "away", protocol="dicomweb", url=f"http://127.0.0.1:{port}", timeout_s=1)
    with pytest.raises(PacsError) as refused:
        make_pacs_directory(opened.folder).open("away").find_studies(StudyQuery(patient_number=NUMBER))
    assert refused.value.code == "pacs" and str(port) not in str(refused.value)
    assert NUMBER not in str(refused.value)


@pytest.mark.requirement("F-pacs-refusals")
@pytest.mark.parametrize("number", ["*", "QX*", "QX?7110815", "a\\b", "x" * 65])
def test_a_search_for_everybody_is_refused(record, number):
    write_config(record[0].folder, "away", protocol="dicomweb", url="http://127.0.0.1:9")
    pacs = make_pacs_directory(record[0].folder).open("away")
    with pytest.raises(InputError):
        pacs.find_studies(StudyQuery(patient_number=number))
    with pytest.raises(InputError):
        pacs.find_studies(StudyQuery())
    with pytest.raises(InputError):
        pacs.find_studies(StudyQuery(study_uid="1.2/../3"))


@pytest.mark.requirement("F-pacs-receive")
def test_what_was_not_asked_for_is_not_taken_after_a_move(record, shelf):
    shelf.foreign = True
    port = find_port()
    with serve_dimse(shelf, destination=("127.0.0.1", port)) as called:
        write_config(record[0].folder, "archive", **dimse(called, port))
        with pytest.raises(PacsError):
            take(record)
    assert list_scans(record) == ()


@pytest.mark.requirement("F-pacs-tls")
@pytest.mark.tool("openssl", "openssl")
def test_dimse_over_tls_trusts_the_configured_authority_only(record, shelf, tmp_path):
    home = record[0].folder
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    for name in ("pacs", "other"):
        subprocess.run(
            [*command.split(), "-keyout", f"{home}/{name}.key", "-out", f"{home}/{name}.pem"],
            check=True,
            capture_output=True,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "pacs.pem", home / "pacs.key")
    with serve_dimse(shelf, destination=("127.0.0.1", 1), ssl_context=context) as called:
        write_config(home, "known", **dimse(called, 0, tls=True, ca_file="pacs.pem"))
        write_config(home, "unknown", **dimse(called, 0, tls=True, ca_file="other.pem", timeout_s=2))
        directory = make_pacs_directory(home)
        (found,) = directory.open("known").find_studies(StudyQuery(patient_number=NUMBER))
        assert found.study_uid == STUDY
        with pytest.raises(PacsError):
            directory.open("unknown").find_studies(StudyQuery(patient_number=NUMBER))


@pytest.mark.requirement("F-pacs-orthanc")
@pytest.mark.tool("Orthanc", "orthanc orthanc-dicomweb")
def test_orthanc_gives_a_study_and_takes_a_plan_over_both_protocols(record, tmp_path):
    opened, ports = record
    source = write_scan(tmp_path / "scan")
    receiving = find_port()
    with run_orthanc(tmp_path / "orthanc", receive_port=receiving) as (http, dicom):
        url = f"http://127.0.0.1:{http}/dicom-web"
        write_config(opened.folder, "web", protocol="dicomweb", url=url, timeout_s=20)
        write_config(opened.folder, "dimse", **dimse(dicom, receiving, called_ae="ORTHANC", timeout_s=20))
        directory = make_pacs_directory(opened.folder)
        sent = directory.open("dimse").send([file.read_bytes() for file in source.iterdir()], progress=SILENT)
        assert sent == 6
        query = prepare_search(opened.context, query=StudyQuery(modality="CT"), patient_id="p")
        for name in ("web", "dimse"):
            (found,) = directory.open(name).find_studies(query)
            assert (found.study_uid, found.image_count, found.modalities) == (STUDY, 6, ("CT",))
        (one,) = take(record, name="dimse").series
        assert (one.outcome, one.image_count) == ("imported", 6)
        assert take(record, name="web").series[0].outcome == "known", "the same bytes over both protocols"
        add_plan(record, one.scan_id, tmp_path / "plan")
        assert send_plan(opened.context, ports, directory, plan_id="n1").files == OBJECTS
        objects = [opened.context.files.read_bytes(digest) for digest in _list_objects(opened.context)]
        assert directory.open("web").send(objects, progress=SILENT) == 3, "again over STOW: stored once"
        for name in ("web", "dimse"):
            # This archive keeps a study apart for each patient number, and the plan's stand-ins carry another.
            found = directory.open(name).find_studies(StudyQuery(study_uid=STUDY))
            assert sum(study.image_count for study in found) == 9
            assert {word for study in found for word in study.modalities} == {"CT", "SR", "SEG", "DOC"}


def _list_objects(context):
    with context.store.reading() as reader:
        files = reader.find_item("plan", "n1").values["files"]
    return [files[name] for name in OBJECTS]
