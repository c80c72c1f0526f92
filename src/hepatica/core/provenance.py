"""What a run used and made: digests, manifest, and UIDs that follow from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

UID_ROOT = "2.25."
"""Root for UIDs made from a UUID-sized integer (ITU-T X.667; DICOM PS3.5 annex B.2)."""


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_json(document: Any) -> str:
    """Return the SHA-256 of a JSON document in canonical form."""
    return digest_bytes(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    )


def derive_uid(*parts: str) -> str:
    """Derive a DICOM UID from text: the same parts always give the same UID.

    Examples
    --------
    >>> derive_uid("a", "b") == derive_uid("a", "b") != derive_uid("ab")
    True
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    # Version 5 and variant bits make the integer a well-formed UUID.
    number = (number & ~(0xF << 76)) | (5 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return f"{UID_ROOT}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything needed to repeat a run and to see whether it gave the same.

    Parameters
    ----------
    command
        Workflow name, for example ``plan``.
    run_time
        Timezone-aware start of the run; replaying takes it from here.
    code_version
        Hepatica version.
    inputs
        SHA-256 by role (``ct``, ``labels[0]``, ...).
    sources
        Path by role as the user gave it, so that a replay can find the input.
    parameters
        Every resolved parameter.
    tables
        Digest by evidence or protocol table.
    libraries
        Version by library that influences numbers.
    seed
        Seed entropy; None where nothing random happens.
    outputs
        SHA-256 by file name.
    """

    command: str
    run_time: datetime
    code_version: str
    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    parameters: Mapping[str, Any]
    tables: Mapping[str, str]
    libraries: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Text that every UID of the run derives from: inputs, parameters and run time, not paths."""
        return digest_json(
            {
                "command": self.command,
                "inputs": dict(self.inputs),
                "parameters": dict(self.parameters),
                "run_time": self.run_time.isoformat(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready document."""
        return {
            "command": self.command,
            "run_time": self.run_time.isoformat(),
            "code_version": self.code_version,
            "run_id": self.run_id,
            "inputs": dict(sorted(self.inputs.items())),
            "sources": dict(sorted(self.sources.items())),
            "parameters": dict(self.parameters),
            "tables": dict(sorted(self.tables.items())),
            "libraries": dict(sorted(self.libraries.items())),
            "seed": self.seed,
            "outputs": dict(sorted(self.outputs.items())),
        }
