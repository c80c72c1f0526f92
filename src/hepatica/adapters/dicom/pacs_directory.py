"""Archives by name."""

from __future__ import annotations

from pathlib import Path

from hepatica.adapters.dicom.pacs_config import find_settings, read_settings
from hepatica.workflows.scan_ports import Pacs


class ConfiguredPacs:
    """The archives that the configuration in a record's folder names.

    Parameters
    ----------
    home
        The record's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    def list_names(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(read_settings(self._home))

    def open(self, name: str) -> Pacs:
        """Return one by name.

        Raises
        ------
        NotFoundError
            If the configuration does not name it.
        """
        settings = find_settings(self._home, name)
        if settings.protocol == "dicomweb":
            from hepatica.adapters.dicom.pacs_web import WebPacs

            return WebPacs(settings)
        from hepatica.adapters.dicom.pacs_dimse import DimsePacs

        return DimsePacs(settings)
