"""Import: each series once, compared with its patient, all of it or nothing; moved and judged with a reason."""

from __future__ import annotations

import shutil
import zipfile

import pytest
from scan_records import HEADER, act_as, add, find_scan, open_test_record, parse, read_images, write_scan

from hepatica.bootstrap import read_image
from hepatica.core.errors import (
    CancelledError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RecordInputError,
    SourceFormatError,
    UnsafeArchiveError,
)
from hepatica.core.progress import Silent
from hepatica.record.people import Role
from hepatica.record.scan_identity import HeaderIdentity, compare_identity
from hepatica.workflows.import_scan import import_scan
from hepatica.workflows.judge_scan import (
    accept_scan,
    move_scan,
    read_scan_identity,
    read_vault,
    reject_scan,
    require_accepted,
)
from hepatica.workflows.read_items import read_history, read_item
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.verify_record import verify_record


@pytest.fixture
def record(tmp_path):
    with open_test_record(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def research(tmp_path):
    with open_test_record(tmp_path / "home", mode="research") as opened:
        yield opened


def take(record, path, patient="p", **more):
    opened, ports = record
    return import_scan(opened.context, ports, patient_id=patient, path=path, **more).series


def list_scans(record):
    with record[0].context.store.reading() as reader:
        return reader.list_items(ItemFilter(kind="scan")).items


class StopsAfter(Silent):
    """Cancels at the n-th look."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def check_cancelled(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise CancelledError(where="test")


@pytest.mark.requirement("F-import-series")
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_every_series_is_taken_with_its_bytes_and_facts(record, tmp_path, packed):
    source = write_scan(tmp_path / "scan" / "a", description="arterial")
    write_scan(
        tmp_path / "scan" / "b", series_uid="2.25.12", modality="MR", sop_class="1.2.840.10008.5.1.4.1.1.4"
    )
    (tmp_path / "scan" / "letter.txt").write_text("not a scan")
    path = tmp_path / "scan"
    if packed:
        path = tmp_path / "scan.zip"
        shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path / "scan")
    opened, ports = record
    report = import_scan(opened.context, ports, patient_id="p", path=path)
    assert [(one.outcome, one.modality, one.image_count, one.state) for one in report.series] == [
        ("imported", "CT", 6, "accepted"),
        ("imported", "MR", 6, "accepted"),
    ]
    assert report.other_files == 1
    scan = find_scan(opened.context, report.series[0].scan_id)
    assert scan.values["series_uid"] == "2.25.11" and scan.values["study_uid"] == "2.25.10"
    assert scan.values["acquired_date"] == "2026-01-01" and scan.values["phase_hint"].startswith("arterial")
    assert sorted(read_images(opened.context, scan)) == sorted(file.read_bytes() for file in source.iterdir())
    kept = read_image(opened.context.files.open_path(scan.values["content_digest"]))
    assert (kept.volume.values == read_image(source).volume.values).all()


@pytest.mark.requirement("F-import-once")
def test_the_same_series_again_is_recognised_whatever_its_files_are_called(record, tmp_path):
    (first,) = take(record, write_scan(tmp_path / "scan"))
    again = write_scan(tmp_path / "again", names="X{:02d}.dcm", shuffle=3)
    for name, file in enumerate(sorted((tmp_path / "scan").iterdir())):
        shutil.copy(file, again / f"copy{name}")
    shutil.rmtree(again)
    shutil.copytree(tmp_path / "scan", again)
    for file in list(again.iterdir()):
        shutil.copy(file, again / f"copy of {file.name}")
    (second,) = take(record, again)
    assert (second.outcome, second.scan_id) == ("known", first.scan_id)
    assert len(list_scans(record)) == 1 and list_scans(record)[0].version == 1


@pytest.mark.requirement("F-import-once")
def test_images_that_arrive_later_complete_the_series_and_others_under_its_uid_change_nothing(
    record, tmp_path
):
    source = write_scan(tmp_path / "scan")
    part = tmp_path / "part"
    shutil.copytree(source, part)
    for file in sorted(part.iterdir())[:2]:
        file.unlink()
    (first,) = take(record, part)
    (whole,) = take(record, source)
    assert (whole.outcome, whole.scan_id, whole.image_count) == ("extended", first.scan_id, 6)
    assert take(record, part)[0].outcome == "known"
    other = write_scan(tmp_path / "other", extra={"ImageComments": "another"})
    assert take(record, other)[0].outcome == "differs"
    assert find_scan(record[0].context, first.scan_id).version == 2


@pytest.mark.requirement("F-import-identity")
@pytest.mark.parametrize(
    ("header", "differing"),
    [
        ({"PatientName": "Okapi^Zebedee"}, ("name",)),
        ({"PatientBirthDate": "19310204"}, ("birth date",)),
        ({"PatientSex": "F"}, ("sex",)),
        ({"PatientName": "", "PatientBirthDate": ""}, ("nothing to compare",)),
    ],
)
def test_a_scan_of_somebody_else_waits_and_says_which_attribute_differs_but_no_value(
    record, tmp_path, header, differing
):
    (one,) = take(record, write_scan(tmp_path / "scan", extra=header))
    assert (one.state, one.differing) == ("identity_differs", differing)
    context = record[0].context
    scan = find_scan(context, one.scan_id)
    with pytest.raises(ConflictError):
        require_accepted(scan)
    with context.store.reading() as reader:
        trail = repr([event for event in reader.read_events(kind="scan")])
    assert not any(word in trail + repr(one) + repr(scan) for word in ("Okapi", "Quagga", "1931"))


@pytest.mark.requirement("F-import-identity")
def test_a_waiting_scan_is_accepted_by_a_person_with_the_right_and_a_reason(record, tmp_path):
    (one,) = take(record, write_scan(tmp_path / "scan", extra={"PatientName": "Okapi"}))
    context = record[0].context
    nurse = act_as(context, Role.COORDINATOR)
    with pytest.raises(ForbiddenError):
        accept_scan(act_as(context, Role.MONITOR), scan_id=one.scan_id, expected_version=1, reason="x")
    with pytest.raises(NotFoundError):
        accept_scan(
            act_as(context, Role.COORDINATOR, sites=["s2"]),
            scan_id=one.scan_id,
            expected_version=1,
            reason="x",
        )
    with pytest.raises(RecordInputError):
        accept_scan(nurse, scan_id=one.scan_id, expected_version=1, reason=" ")
    people = read_scan_identity(nurse, scan_id=one.scan_id)
    assert people[0]["family_name"] == "Okapi"
    accepted = accept_scan(nurse, scan_id=one.scan_id, expected_version=1, reason="name before marriage")
    assert accepted.values["state"] == "accepted"
    require_accepted(accepted)
    with pytest.raises(ConflictError):
        accept_scan(nurse, scan_id=one.scan_id, expected_version=2, reason="again")
    with context.store.reading() as reader:
        actions = [str(event.action) for event in reader.read_events(kind="scan", item_id=one.scan_id)]
    assert actions == ["create", "read", "change"]


@pytest.mark.requirement("F-import-identity")
def test_images_of_two_persons_under_one_series_wait(record, tmp_path):
    source = write_scan(tmp_path / "scan")
    file = sorted(source.iterdir())[0]
    image = parse(file.read_bytes())
    image.PatientName = "Okapi^Ida"
    image.save_as(file)
    (one,) = take(record, source)
    assert one.state == "identity_differs" and "several persons in one series" in one.differing


@pytest.mark.requirement("F-import-identity")
@pytest.mark.parametrize(
    ("family", "given", "same"),
    [
        ("MÜLLER", "Anna", True),
        ("Mueller", "ANNA MARIA", True),
        ("Muller", "Anna-Maria", True),
        ("Müller ", "", True),
        ("Möller", "Anna", False),
        ("Müller", "Hanna", False),
        ("Müllers", "Anna", False),
    ],
)
def test_spelling_of_a_name_is_forgiven_and_another_name_is_not(family, given, same):
    header = HeaderIdentity(family_name=family, given_name=given)
    patient = {"family_name": "Müller", "given_name": "Anna"}
    assert (compare_identity(header, patient) == ()) is same


@pytest.mark.requirement("F-import-move")
def test_a_scan_of_the_wrong_patient_is_moved_with_a_reason_and_compared_anew(record, tmp_path):
    context, ports = record[0].context, record[1]
    (one,) = take(record, write_scan(tmp_path / "scan"), patient="q")
    assert one.differing == ("birth date", "name", "sex")
    move = {"scan_id": one.scan_id, "patient_id": "p", "expected_version": 1}
    with pytest.raises(ForbiddenError):
        move_scan(act_as(context, Role.INVESTIGATOR), ports, **move, reason="wrong patient")
    nurse = act_as(context, Role.COORDINATOR)
    with pytest.raises(RecordInputError):
        move_scan(nurse, ports, **move, reason="")
    with pytest.raises(ConflictError):
        move_scan(nurse, ports, **{**move, "expected_version": 2}, reason="late")
    moved = move_scan(nurse, ports, **move, reason="filed under the wrong patient")
    assert (moved.item_id, moved.version) == (one.scan_id, 3), "one scan, one history"
    assert (moved.patient_id, moved.values["state"]) == ("p", "accepted")
    assert "differing" not in moved.values
    assert read_item(nurse, kind="scan", item_id=one.scan_id).patient_id == "p"
    told = [
        (e.version, str(e.action), e.patient_id)
        for e in read_history(nurse, kind="scan", item_id=one.scan_id)
    ]
    assert told[:3] == [(1, "create", "q"), (2, "remove", "q"), (3, "create", "p")]
    assert len(list_scans(record)) == 1
    with context.store.reading() as reader:
        reasons = {(e.patient_id, str(e.action), e.reason) for e in reader.read_events(kind="scan")}
    assert {
        ("q", "remove", "filed under the wrong patient"),
        ("p", "create", "filed under the wrong patient"),
    } <= reasons
    assert read_scan_identity(nurse, scan_id=one.scan_id)[0]["family_name"] == "Quaggaperson"
    assert verify_record(context, record[0].sealed, key=None).findings == ()


@pytest.mark.requirement("F-import-move")
def test_a_scan_that_plans_were_made_on_is_not_moved_from_under_them(record, tmp_path):
    context, ports = record[0].context, record[1]
    (one,) = take(record, write_scan(tmp_path / "scan"), patient="q")
    with context.store.writing() as writer:
        add(
            context,
            writer,
            "plan",
            "n1",
            "q",
            scan_id=one.scan_id,
            visit_number=1,
            status="cleared",
            files={"a": "0" * 64},
        )
    with pytest.raises(ConflictError):
        move_scan(context, ports, scan_id=one.scan_id, patient_id="p", expected_version=1, reason="x")


@pytest.mark.requirement("F-import-move")
def test_in_research_mode_a_moved_scan_carries_the_other_patients_pseudonym_and_dates(research, tmp_path):
    from datetime import date

    context, ports = research[0].context, research[1]
    source = write_scan(tmp_path / "scan")
    (one,) = take(research, source, patient="q")
    before = parse(read_images(context, find_scan(context, one.scan_id))[0])
    moved = move_scan(context, ports, scan_id=one.scan_id, patient_id="p", expected_version=1, reason="x")
    after = parse(read_images(context, moved)[0])
    assert (before.PatientID, after.PatientID) == ("S-q", "S-p")
    days = ports.pseudonyms.to_offset_days("p")
    assert (date.fromisoformat(after.StudyDate) - date(2026, 1, 1)).days == days
    assert moved.values["acquired_date"] == date.fromisoformat(after.StudyDate).isoformat()
    assert after.SeriesInstanceUID == before.SeriesInstanceUID
    assert read_vault(context, scan_id=moved.item_id, purpose="date_offset") == str(days)
    assert take(research, source)[0].outcome == "known", "the same bytes as if imported there at once"


@pytest.mark.requirement("F-import-move")
def test_a_series_of_another_patient_is_not_taken_twice_until_it_was_rejected_there(record, tmp_path):
    source = write_scan(tmp_path / "scan")
    (one,) = take(record, source, patient="q")
    (other,) = take(record, source)
    assert (other.outcome, other.scan_id, other.state) == ("elsewhere", "", "")
    assert len(list_scans(record)) == 1
    reject_scan(record[0].context, scan_id=one.scan_id, expected_version=1, reason="another person")
    assert take(record, source)[0].outcome == "imported"


@pytest.mark.requirement("F-import-whole")
@pytest.mark.parametrize("looks", [3, 9])
def test_a_cancelled_import_has_taken_whole_series_only_and_goes_on_when_it_is_repeated(
    record, tmp_path, looks
):
    write_scan(tmp_path / "scan" / "a")
    write_scan(tmp_path / "scan" / "b", series_uid="2.25.12")
    with pytest.raises(CancelledError):
        take(record, tmp_path / "scan", progress=StopsAfter(looks))
    assert len(list_scans(record)) == (0 if looks == 3 else 1)
    context = record[0].context
    for scan in list_scans(record):
        assert len(read_images(context, scan)) == 6
    assert not list((record[0].folder / "incoming").iterdir()), "nothing half is left"
    outcomes = [one.outcome for one in take(record, tmp_path / "scan")]
    assert outcomes == (["imported", "imported"] if looks == 3 else ["known", "imported"])
    assert verify_record(context, record[0].sealed, key=None).findings == ()


@pytest.mark.requirement("F-import-whole")
def test_the_bytes_are_on_the_disk_before_a_row_names_them(record, tmp_path, monkeypatch):
    opened, ports = record
    source = write_scan(tmp_path / "scan")

    def fail(*_arguments, **_more):
        raise OSError("the disk is full")

    monkeypatch.setattr(opened.context.files, "keep_file", fail)
    with pytest.raises(OSError, match="full"):
        import_scan(opened.context, ports, patient_id="p", path=source)
    assert list_scans(record) == ()


@pytest.mark.requirement("F-import-refusals")
def test_damaged_files_bombs_and_paths_without_a_scan_are_refused_and_nothing_is_taken(record, tmp_path):
    source = write_scan(tmp_path / "scan")
    file = sorted(source.iterdir())[0]
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(SourceFormatError, match="1 that cannot be read"):
        take(record, source)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "letter.txt").write_text("x")
    with pytest.raises(SourceFormatError):
        take(record, tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../outside.dcm", b"x" * 200)
    with pytest.raises(UnsafeArchiveError):
        take(record, tmp_path / "evil.zip")
    assert list_scans(record) == ()


@pytest.mark.requirement("F-import-rights")
def test_who_may_not_write_scans_or_is_of_another_site_imports_nothing(record, tmp_path):
    opened, ports = record
    source = write_scan(tmp_path / "scan")
    for actor in (
        act_as(opened.context, Role.READER_1),
        act_as(opened.context, Role.COORDINATOR, sites=["s2"]),
    ):
        with pytest.raises(ForbiddenError):
            import_scan(actor, ports, patient_id="p", path=source)
    nurse = act_as(opened.context, Role.COORDINATOR)
    assert import_scan(nurse, ports, patient_id="p", path=source).series[0].outcome == "imported"


@pytest.mark.requirement("F-research-vault")
def test_the_vault_gives_true_names_uids_and_dates_to_its_right_alone_and_notes_the_look(research, tmp_path):
    import json

    (one,) = take(research, write_scan(tmp_path / "scan"))
    context = research[0].context
    for role in (Role.INVESTIGATOR, Role.MONITOR, Role.STATISTICIAN, Role.COORDINATOR):
        with pytest.raises(ForbiddenError):
            read_vault(act_as(context, role), scan_id=one.scan_id, purpose="series")
    with pytest.raises((ForbiddenError, NotFoundError)):
        read_vault(act_as(context, Role.DATA_MANAGER, sites=["s2"]), scan_id=one.scan_id, purpose="series")
    truth = json.loads(read_vault(act_as(context, Role.DATA_MANAGER), scan_id=one.scan_id, purpose="series"))
    assert truth["PatientName"] == [HEADER["PatientName"]] and truth["StudyDate"] == ["20260101"]
    assert truth["SeriesInstanceUID"] == ["2.25.11"]
    with context.store.reading() as reader:
        assert reader.vault.find("uid", one.series_uid).original == "2.25.11"
        last = list(reader.read_events(kind="scan", item_id=one.scan_id))[-1]
    assert (str(last.action), last.reason) == ("read", "vault: series")


@pytest.mark.requirement("F-research-burnt-in")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"extra": {"BurnedInAnnotation": "YES"}}, "the header says so"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7"}, "screen capture or ultrasound"),
        ({"modality": "US"}, "a kind of image that often carries text"),
    ],
)
def test_suspected_burnt_in_text_holds_the_scan_until_a_person_has_looked(
    research, tmp_path, changes, reason
):
    (one,) = take(research, write_scan(tmp_path / "scan", **changes))
    assert one.state == "suspected_burnt_in" and reason in one.suspicions
    context = research[0].context
    accepted = accept_scan(context, scan_id=one.scan_id, expected_version=1, reason="looked at all images")
    assert accepted.values["state"] == "accepted"


@pytest.mark.requirement("F-research-burnt-in")
def test_a_scan_that_waits_for_two_reasons_is_accepted_by_two_decisions(research, tmp_path):
    extra = {"BurnedInAnnotation": "YES", "PatientName": "Okapi"}
    (one,) = take(research, write_scan(tmp_path / "scan", extra=extra))
    assert one.state == "identity_differs"
    context = research[0].context
    first = accept_scan(context, scan_id=one.scan_id, expected_version=1, reason="name before marriage")
    assert first.values["state"] == "suspected_burnt_in"
    second = accept_scan(context, scan_id=one.scan_id, expected_version=2, reason="no text in the images")
    assert second.values["state"] == "accepted"
