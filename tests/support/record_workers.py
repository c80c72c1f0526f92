"""Processes that work on a record until somebody kills them, and tell over a pipe what was acknowledged."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import sys
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

from records import change, create, make_context, to_identity, to_patient

from hepatica.adapters.store.backup import restore_backup, write_backup
from hepatica.adapters.store.home import open_home
from hepatica.core.errors import HepaticaError
from hepatica.record.item import Item
from hepatica.workflows.change_item import create_item

FILE_BYTES = 200_000
"""Large enough that a kill meets a file in the making."""


@contextmanager
def working(target, *arguments):
    """Run a function of this module in a process of its own; yields the process and the pipe from it."""
    context = _find_starter()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(theirs, *map(str, arguments)), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


@cache
def _find_starter():
    """Return what starts processes that have everything loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["record_workers"])
    # The server that they are copied from finds modules by the environment alone.
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        forkserver.ensure_running()
    return context


def kill_at_random(process, pipe, *, seed: int, most: int = 25) -> list:
    """Read a random number of acknowledgements, kill a random moment later; returns all that arrived."""
    chance = random.Random(seed)
    wanted = chance.randrange(most)
    got = [pipe.recv() for _ in range(wanted + 1)]
    # Waiting for what may come, not for time to pass: the moment of the kill is within the next writes.
    if pipe.poll(chance.random() * 0.004):
        got.append(pipe.recv())
    process.kill()
    process.join()
    while True:
        try:
            if not pipe.poll(0):
                return got
            got.append(pipe.recv())
        except EOFError:
            return got


def write_patients(pipe, folder: str, address: str) -> None:
    """Each acknowledged change is a patient, his identity and a scan with its file: all three, or none."""
    home = open_home(Path(folder), database=address)
    context = make_context(home)
    pipe.send("ready")
    for number in range(10_000):
        name = f"w{number}"
        digest = context.files.keep_bytes(f"voxels of {name} ".encode() * 2000)
        values = {"series_uid": "2.25.1", "modality": "CT", "content_digest": digest, "state": "accepted"}
        scan = Item(kind="scan", item_id=f"c-{name}", site_id="s1", patient_id=name, version=1, values=values)
        with context.store.writing() as writer:
            for item in (to_patient(name), to_identity(name), scan):
                create_item(context, writer, item=item)
        change(context, "patient", name, 1, cohort=f"C{number}")
        pipe.send((name, digest))


def write_changes(pipe, folder: str, address: str, name: str, count: str) -> None:
    """Changes of one patient, one after the other; ends by itself."""
    home = open_home(Path(folder), database=address)
    context = make_context(home)
    create(context, to_patient(name))
    for version in range(1, int(count)):
        change(context, "patient", name, version, cohort=f"{version}")
    home.close()
    pipe.send("done")


def keep_files(pipe, folder: str) -> None:
    """Keep one file after the other."""
    home = open_home(Path(folder))
    pipe.send("ready")
    for number in range(10_000):
        pipe.send(home.files.keep_bytes(f"{number:08d}".encode() * (FILE_BYTES // 8)))


def back_up(pipe, folder: str, out: str) -> None:
    """Copy a record once."""
    home = open_home(Path(folder))
    pipe.send("ready")
    write_backup(home, Path(out))
    pipe.send("done")


def restore(pipe, source: str, folder: str) -> None:
    """Put a copy back once."""
    pipe.send("ready")
    restore_backup(Path(source), Path(folder)).close()
    pipe.send("done")


def work_with_little_room(pipe, folder: str, out: str, source: str, other: str) -> None:
    """Try everything that writes where no file may grow beyond a limit; tells the codes of the refusals."""
    home = open_home(Path(folder))
    context = make_context(home)
    kept = context.files.keep_bytes(b"small")
    size = max(path.stat().st_size for path in Path(folder).glob("record.sqlite*"))
    limit = size + 150_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    codes = {}

    def attempt(name: str, act) -> None:
        try:
            act()
        except HepaticaError as problem:
            codes[name] = problem.code

    attempt("file", lambda: context.files.keep_bytes(bytes(limit + 1)))
    attempt("backup", lambda: write_backup(home, Path(out)))
    attempt("restore", lambda: restore_backup(Path(source), Path(other)).close())
    acknowledged = 0
    for number in range(200):
        before = dict(codes)
        attempt("row", lambda number=number: create(context, to_patient(f"q{number}", cohort="x" * 9000)))
        if codes != before:
            break
        acknowledged += 1
    pipe.send((codes, kept, acknowledged))
