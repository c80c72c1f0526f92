"""Several files that appear together or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hepatica.core.errors import OutputError, UsageError


def write_file_set(files: Mapping[Path, bytes]) -> None:
    """Write some files; earlier ones of the same names are replaced, and only when all could be written.

    Parameters
    ----------
    files
        Content by path; the folders have to exist.

    Raises
    ------
    UsageError
        If one path stands for two files.
    OutputError
        If the disk refuses.
    """
    targets = [path.absolute() for path in files]
    if len({os.path.realpath(path) for path in targets}) != len(targets):
        raise UsageError(
            expected="another path for each file", given="one path for two", where="output files"
        )
    staged: list[tuple[Path, Path]] = []
    try:
        for path, data in zip(targets, files.values()):
            if path.is_dir():
                raise IsADirectoryError(21, "a folder of that name", str(path))
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
            staged.append((Path(name), path))
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        for temporary, path in staged:
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            expected="to write the results",
            given=error.strerror or type(error).__name__,
            where="output files",
            action="check the folders and their permissions",
        ) from error
    finally:
        for temporary, _ in staged:
            with suppress(FileNotFoundError):
                temporary.unlink()
