"""Killed at any moment, the record loses nothing that was acknowledged and keeps nothing half."""

from __future__ import annotations

import random

import pytest
from record_workers import (
    back_up,
    keep_files,
    kill_at_random,
    restore,
    work_with_little_room,
    working,
    write_patients,
)
from records import fill, make_address, make_context, new_home, verify

from hepatica.adapters.store.backup import restore_backup, write_backup
from hepatica.adapters.store.home import UNFINISHED, open_home
from hepatica.core.errors import NoRecordError, OutputExistsError
from hepatica.record.event import Action
from hepatica.workflows.record_ports import ItemFilter

RUNS = 10
SOAK_RUNS = 200


def kill_a_writer(tmp_path, *, seed: int, address: str = "", server=None) -> None:
    folder = tmp_path / "home"
    new_home(folder, address).close()
    with working(write_patients, folder, address) as (process, pipe):
        if server is not None:
            acknowledged = [pipe.recv() for _ in range(1 + seed)]
            server.kill()
            process.kill()
            server.start()
        else:
            acknowledged = kill_at_random(process, pipe, seed=seed)
    check_nothing_lost(folder, address, [answer for answer in acknowledged if answer != "ready"])


def check_nothing_lost(folder, address, acknowledged) -> None:
    home = open_home(folder, database=address)
    try:
        report = verify(home)
        assert report.findings == ()
        assert not list((folder / "files").glob(".part-*"))
        with home.store.reading() as reader:
            pages = {
                kind: reader.list_items(ItemFilter(kind=kind, limit=500))
                for kind in ("patient", "identity", "scan")
            }
            patients = {item.item_id: item for item in pages["patient"].items}
            changed = [e.item_id for e in reader.read_events(kind="patient") if e.action is Action.CHANGE]
        for name, digest in acknowledged:
            assert patients[name].version == 2 and name in changed
            assert home.files.read_bytes(digest).startswith(f"voxels of {name} ".encode())
        # Of one change all items are there, or none.
        assert {item.patient_id for item in pages["identity"].items} == set(patients)
        assert {item.patient_id for item in pages["scan"].items} == set(patients)
        assert len(acknowledged) <= len(patients) <= len(acknowledged) + 1
    finally:
        home.close()


@pytest.mark.requirement("F-crash-writes")
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_writer_killed_at_a_random_moment_loses_no_acknowledged_change(tmp_path, seed):
    kill_a_writer(tmp_path, seed=seed)


@pytest.mark.soak
@pytest.mark.requirement("F-crash-writes")
@pytest.mark.parametrize("seed", range(RUNS, RUNS + SOAK_RUNS))
def test_a_writer_killed_very_often_loses_no_acknowledged_change(tmp_path, seed):
    kill_a_writer(tmp_path, seed=seed)


@pytest.mark.requirement("F-crash-writes")
@pytest.mark.parametrize("seed", [3, 11])
def test_a_postgresql_server_that_ends_at_once_loses_no_acknowledged_change(tmp_path, seed):
    address = make_address("postgresql")
    from postgresql import start_server

    kill_a_writer(tmp_path, seed=seed, address=address, server=start_server())


@pytest.mark.requirement("F-crash-files")
@pytest.mark.parametrize("seed", range(4))
def test_files_that_were_never_finished_are_cleared_and_kept_ones_stay(tmp_path, seed):
    folder = tmp_path / "home"
    new_home(folder, "").close()
    with working(keep_files, folder) as (process, pipe):
        kept = kill_at_random(process, pipe, seed=seed)
    home = open_home(folder)
    assert not list((folder / "files").rglob(".part-*"))
    for digest in kept[1:]:
        home.files.open_path(digest)
    # One that was finished and not yet acknowledged may be there; each is whole.
    assert len([home.files.open_path(name) for name in home.files.list_digests()]) <= len(kept)
    home.close()


@pytest.mark.requirement("F-crash-files")
def test_a_file_in_the_making_is_not_cleared_by_another_process_that_opens_the_record(tmp_path):
    home = new_home(tmp_path / "home", "")
    seen = []

    def slowly():
        yield b"first half "
        other = open_home(tmp_path / "home")
        other.close()
        seen.append(len(list((tmp_path / "home" / "files").glob(".part-*"))))
        yield b"second half"

    class Slow:
        blocks = slowly()

        def read(self, size: int) -> bytes:
            return next(self.blocks, b"")

    digest = home.files.keep_stream(Slow())
    assert seen == [1] and home.files.read_bytes(digest) == b"first half second half"
    home.close()


def kill_once_there(process, glob, name: str, *, seed: int) -> None:
    """Kill a process a random moment after a file appears."""
    while process.is_alive() and not list(glob(name)):
        pass
    for _ in range(random.Random(seed).randrange(30_000)):
        pass
    process.kill()
    process.join()


def make_filled(tmp_path):
    home = new_home(tmp_path / "home", "")
    fill(make_context(home), patients=12)
    for number in range(40):
        home.files.keep_bytes(f"{number}".encode() * 20_000)
    return home


@pytest.mark.requirement("F-crash-backup")
def test_a_killed_backup_leaves_no_copy_or_a_whole_one_and_the_next_one_clears_its_rest(tmp_path):
    home = make_filled(tmp_path)
    copies = tmp_path / "copies"
    copies.mkdir()
    left_behind = 0
    for seed in range(4):
        out = copies / f"{seed}.tar"
        with working(back_up, tmp_path / "home", out) as (process, pipe):
            kill_once_there(process, copies.glob, ".part-*", seed=seed)
        left_behind += len(list(copies.glob(".part-*")))
        if out.exists():
            restored = restore_backup(out, tmp_path / f"restored{seed}")
            assert verify(restored).findings == ()
            restored.close()
    assert left_behind and verify(home).findings == ()
    write_backup(home, copies / "last.tar")
    assert not [path.name for path in copies.iterdir() if path.suffix != ".tar"]
    home.close()


@pytest.mark.requirement("F-crash-backup")
def test_a_killed_restore_leaves_a_home_that_says_it_is_unfinished(tmp_path):
    home = make_filled(tmp_path)
    write_backup(home, tmp_path / "copy.tar")
    home.close()
    unfinished = 0
    for seed in range(6):
        folder = tmp_path / f"restored{seed}"
        with working(restore, tmp_path / "copy.tar", folder) as (process, pipe):
            kill_once_there(process, tmp_path.glob, f"{folder.name}/{UNFINISHED}", seed=seed)
        if not folder.exists() or not any(folder.iterdir()):
            continue
        if not (folder / UNFINISHED).exists():
            opened = open_home(folder)
            assert verify(opened).findings == ()
            opened.close()
            continue
        unfinished += 1
        with pytest.raises(NoRecordError, match="never finished"):
            open_home(folder)
        with pytest.raises(OutputExistsError, match="never finished"):
            restore_backup(tmp_path / "copy.tar", folder)
    assert unfinished


@pytest.mark.requirement("F-crash-full-disk")
def test_without_room_every_write_is_refused_with_a_code_and_nothing_is_lost(tmp_path):
    folder, out, copy, other = (tmp_path / name for name in ("home", "out.tar", "copy.tar", "other"))
    home = make_filled(tmp_path)
    for number in range(40):
        home.files.keep_bytes(f"more {number}".encode() * 4000)
    write_backup(home, copy)
    events = verify(home).events
    home.close()
    with working(work_with_little_room, folder, out, copy, other) as (process, pipe):
        codes, kept, acknowledged = pipe.recv()
    assert codes == dict.fromkeys(("file", "backup", "row"), "output") | (
        {"restore": "output"} if "restore" in codes else {}
    )
    assert not out.exists() and not list(tmp_path.glob(".part-*"))
    assert not other.exists() or "restore" not in codes
    home = open_home(folder)
    report = verify(home)
    assert report.findings == () and report.events == events + acknowledged and acknowledged > 0
    assert home.files.read_bytes(kept) == b"small"
    home.close()
