# ruff: noqa: F401  (fixtures are used by their names)
"""Copies of a record: taken while it is in use, whole or refused, on either database."""

from __future__ import annotations

import io
import json
import random
import stat
import tarfile

import pytest
from record_workers import working, write_patients
from records import (
    DATABASES,
    change,
    create,
    fill,
    list_rules,
    make_address,
    make_context,
    new_home,
    record_address,
    record_home,
    to_patient,
    verify,
)
from sqlalchemy import text

from hepatica.adapters.store.backup import restore_backup, write_backup
from hepatica.adapters.store.home import open_home
from hepatica.core.errors import (
    HepaticaError,
    NoRecordError,
    OutputExistsError,
    SourceFormatError,
    TrailError,
)
from hepatica.core.progress import SILENT
from hepatica.record.event import Action
from hepatica.workflows.verify_record import take_checkpoint

KEY = bytes(range(32))
FLIPS = 60


def list_everything(home) -> dict:
    """Every item with its sealed values, every event, every file."""
    with home.store.reading() as reader:
        events = list(reader.read_events())
        items = {(e.kind, e.item_id): reader.find_item(e.kind, e.item_id) for e in events}
    return {
        "events": events,
        "items": {
            key: (item.version, repr(sorted(item.values.items()))) for key, item in items.items() if item
        },
        "files": {name: home.files.read_bytes(name) for name in home.files.list_digests()},
        "id": (home.record_id, home.mode),
    }


@pytest.mark.requirement("F-backup-live")
def test_a_copy_taken_while_others_write_is_of_one_moment_and_verifies(home, address, tmp_path):
    fill(make_context(home))
    with working(write_patients, tmp_path / "home", address) as (process, pipe):
        for _ in range(6):
            pipe.recv()
        write_backup(home, tmp_path / "copy.tar")
        # The writer went on all the while.
        more = [pipe.recv() for _ in range(3)]
    restored = restore_backup(tmp_path / "copy.tar", tmp_path / "restored")
    report = verify(restored)
    assert report.findings == () and report.events > 10 and more
    with restored.store.reading() as reader:
        created = {e.item_id for e in reader.read_events(kind="scan") if e.action is Action.CREATE}
    assert len(created) >= 5
    restored.close()


@pytest.mark.requirement("F-backup-round-trip")
@pytest.mark.parametrize(("first", "second"), [(a, b) for a in DATABASES for b in DATABASES if a != b])
def test_a_record_goes_from_one_database_to_the_other_and_back_unchanged(tmp_path, first, second):
    home = new_home(tmp_path / "home", make_address(first))
    fill(make_context(home))
    take_checkpoint(make_context(home), key=KEY)
    wanted = list_everything(home)
    write_backup(home, tmp_path / "one.tar")
    there = restore_backup(tmp_path / "one.tar", tmp_path / "there", database=make_address(second))
    assert list_everything(there) == wanted and verify(there, key=KEY).findings == ()
    change(make_context(there), "patient", "p2", 1, cohort="after")
    write_backup(there, tmp_path / "two.tar")
    back = restore_backup(tmp_path / "two.tar", tmp_path / "back", database=make_address(first))
    assert list_everything(back) == list_everything(there) and verify(back, key=KEY).findings == ()
    for opened in (home, there, back):
        opened.close()


@pytest.mark.requirement("F-backup-private")
def test_nobody_but_the_owner_can_read_a_file_of_a_home_or_a_copy(tmp_path):
    home = new_home(tmp_path / "home", "")
    fill(make_context(home))
    write_backup(home, tmp_path / "copy.tar")
    restored = restore_backup(tmp_path / "copy.tar", tmp_path / "restored")
    create(make_context(restored), to_patient("p9"))
    paths = [tmp_path / "copy.tar"]
    for folder in ("home", "restored"):
        paths += [tmp_path / folder, *(tmp_path / folder).rglob("*")]
    names = {path.name for path in paths}
    assert {"record.sqlite", "record.sqlite-wal", "record.sqlite-shm", "seal.key", "home.json"} <= names
    for path in paths:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path.name
    home.close()
    restored.close()


@pytest.mark.requirement("F-backup-private")
def test_a_home_that_others_could_read_is_closed_to_them_when_it_is_opened(tmp_path):
    new_home(tmp_path / "home", "").close()
    (tmp_path / "home" / "record.sqlite").chmod(0o644)
    open_home(tmp_path / "home").close()
    assert stat.S_IMODE((tmp_path / "home" / "record.sqlite").stat().st_mode) == 0o600


@pytest.mark.requirement("F-backup-refusals")
def test_a_copy_goes_only_into_an_empty_home_and_an_empty_database(tmp_path):
    home = new_home(tmp_path / "home", "")
    write_backup(home, tmp_path / "copy.tar")
    with pytest.raises(OutputExistsError):
        write_backup(home, tmp_path / "copy.tar")
    with pytest.raises(OutputExistsError):
        restore_backup(tmp_path / "copy.tar", tmp_path / "home")
    home.close()
    address = make_address("postgresql")
    new_home(tmp_path / "other", address).close()
    with pytest.raises(OutputExistsError):
        restore_backup(tmp_path / "copy.tar", tmp_path / "third", database=address)
    assert not (tmp_path / "third").exists()
    open_home(tmp_path / "other", database=address).close()
    with pytest.raises(NoRecordError):
        open_home(tmp_path / "other")


@pytest.fixture(scope="module")
def copy_with_key(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    home = new_home(folder / "home", "")
    fill(make_context(home), patients=2)
    write_backup(home, folder / "copy.tar")
    wanted = list_everything(home)
    home.close()
    return folder / "copy.tar", wanted


def list_contents(path) -> list[tuple[int, int]]:
    """Where in the file the rows and files lie: offset and size."""
    with tarfile.open(path) as tar:
        return [
            (entry.offset_data, entry.size) for entry in tar if entry.size and entry.name != "backup.json"
        ]


@pytest.mark.requirement("F-backup-damage")
def test_any_flipped_bit_in_rows_key_or_files_is_refused_and_nothing_is_left(copy_with_key, tmp_path):
    path, _ = copy_with_key
    chance = random.Random(5)
    contents = list_contents(path)
    for number in range(FLIPS // 2):
        offset, size = contents[number % len(contents)]
        data = bytearray(path.read_bytes())
        data[offset + chance.randrange(size)] ^= 1 << chance.randrange(8)
        damaged = tmp_path / "damaged.tar"
        damaged.write_bytes(data)
        with pytest.raises((TrailError, SourceFormatError)):
            restore_backup(damaged, tmp_path / "restored")
        assert not (tmp_path / "restored").exists()


@pytest.mark.requirement("F-backup-damage")
def test_a_flipped_bit_anywhere_or_a_cut_is_refused_or_changes_nothing(copy_with_key, tmp_path):
    path, wanted = copy_with_key
    chance = random.Random(7)
    for number in range(FLIPS // 2):
        data = bytearray(path.read_bytes())
        if number % 5 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        damaged = tmp_path / "damaged.tar"
        damaged.write_bytes(data)
        folder = tmp_path / f"restored{number}"
        try:
            restored = restore_backup(damaged, folder)
        except HepaticaError as problem:
            assert problem.code in ("trail", "source_format")
            assert not folder.exists()
            continue
        assert list_everything(restored) == wanted and verify(restored).findings == ()
        restored.close()


@pytest.mark.requirement("F-backup-damage")
@pytest.mark.parametrize("database", DATABASES)
def test_a_failed_restore_leaves_home_and_database_as_empty_as_they_were(copy_with_key, tmp_path, database):
    path, wanted = copy_with_key
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        data[tar.getmember("rows/vault.ndjson").offset - 512 + 4] ^= 1  # the header of the last rows
        data[tar.getmember("rows/sealed_item.ndjson").offset_data + 3] ^= 1
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(data)
    address = make_address(database)
    folder = tmp_path / "restored"
    folder.mkdir()
    with pytest.raises((TrailError, SourceFormatError)):
        restore_backup(damaged, folder, database=address)
    assert list(folder.iterdir()) == []
    restored = restore_backup(path, folder, database=address)
    assert list_everything(restored) == wanted
    restored.close()


@pytest.mark.requirement("F-backup-damage")
def test_a_damaged_file_does_not_keep_the_rest_from_being_saved_and_is_named(tmp_path):
    home = new_home(tmp_path / "home", "")
    context = make_context(home)
    fill(context)
    (name,) = home.files.list_digests()
    home.files.open_path(name).write_bytes(b"other bytes")
    summary = write_backup(home, tmp_path / "copy.tar")
    assert (summary.damaged, summary.files) == ((name,), 0)
    restored = restore_backup(tmp_path / "copy.tar", tmp_path / "restored")
    assert list_rules(verify(restored)) == {"audit.file"}
    home.close()
    restored.close()


@pytest.mark.requirement("F-backup-damage")
@pytest.mark.parametrize(
    "change_head",
    [
        {"version": "9999"},
        {"record_id": "another"},
        {"mode": "research"},
        {"rows": {}},
        {"files": 9},
        {"row_digests": {}},
        {"format": "x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_head_that_does_not_fit_its_copy_is_refused(copy_with_key, tmp_path, change_head):
    path, _ = copy_with_key
    damaged = tmp_path / "damaged.tar"
    with tarfile.open(path) as tar, tarfile.open(damaged, "w") as out:
        for entry in tar:
            data = tar.extractfile(entry).read()
            if entry.name == "backup.json":
                data = json.dumps({**json.loads(data), **change_head}).encode()
                entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    with pytest.raises((TrailError, SourceFormatError)):
        restore_backup(damaged, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


@pytest.mark.requirement("F-backup-damage")
@pytest.mark.parametrize("data", [b"", b"not a tar" * 400, bytes(10240)])
def test_what_is_no_copy_is_refused(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(SourceFormatError):
        restore_backup(tmp_path / "x.tar", tmp_path / "restored")
    with pytest.raises(SourceFormatError):
        restore_backup(tmp_path / "absent.tar", tmp_path / "restored")


@pytest.mark.requirement("F-backup-live")
def test_sessions_are_not_in_a_copy(tmp_path):
    home = new_home(tmp_path / "home", "")
    with home.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO session VALUES ('digest-of-a-token', 'u', 'session', '2026', '2026', '2027')")
        )
    write_backup(home, tmp_path / "copy.tar", progress=SILENT)
    assert b"digest-of-a-token" not in (tmp_path / "copy.tar").read_bytes()
    home.close()
