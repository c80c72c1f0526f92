"""An output folder that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepatica.core.errors import OutputError, OutputExistsError

MARK = "manifest.json"
"""File that names all others a run wrote; only a folder that holds just these is ever replaced."""


@contextmanager
def stage_output(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a private folder beside ``target``; on success it becomes ``target`` by one rename.

    Parameters
    ----------
    target
        Folder to make. It may exist if it is empty, or, with ``overwrite``, if it holds an earlier result.
    overwrite
        Replace an earlier result. A folder with any file that its manifest does not name is never touched.

    Raises
    ------
    OutputExistsError
        If the folder holds something that may not be replaced.
    OutputError
        If the disk refuses.
    """
    target = target.absolute()
    _refuse_occupied(target, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise _to_output_error(error, target) from error
    try:
        yield stage
        _publish(stage, target, overwrite=overwrite)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise _to_output_error(error, target) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refuse_occupied(target: Path, *, overwrite: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputExistsError(
            expected="a folder name that is free",
            given="a file or link",
            where=str(target),
            action="choose another --out",
        )
    if not target.is_dir() or not any(target.iterdir()):
        return
    foreign = _find_foreign(target)
    if overwrite and not foreign:
        return
    raise OutputExistsError(
        expected="a new or empty output folder",
        given=f"a folder with {len(foreign)} file(s) that no run wrote"
        if foreign
        else "a folder with an earlier result",
        where=str(target),
        action="choose another --out" if foreign else "choose another --out, or --overwrite",
    )


def _find_foreign(folder: Path) -> list[str]:
    """Return the files that no run wrote there: all of them, unless a manifest of a run names them."""
    try:
        document = json.loads((folder / MARK).read_bytes())
    except (OSError, ValueError):
        document = None
    outputs = document.get("outputs") if isinstance(document, dict) else None
    known = {MARK, *outputs} if isinstance(outputs, dict) else set()
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name not in known)


def _publish(stage: Path, target: Path, *, overwrite: bool) -> None:
    for file in sorted(p for p in stage.rglob("*") if p.is_file()):
        _sync(file)
    _refuse_occupied(target, overwrite=overwrite)
    stage.chmod(0o755 & ~_umask())
    if not target.exists():
        stage.rename(target)
    else:
        # A rename onto a full folder is refused by the system: step the old one aside first.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
        target.rename(aside / "old")
        try:
            stage.rename(target)
        except OSError:
            (aside / "old").rename(target)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _to_output_error(error: OSError, target: Path) -> OutputError:
    return OutputError(
        expected="to write the result",
        given=error.strerror or type(error).__name__,
        where=str(target),
        action="check the disk and the permissions of the folder above",
    )
