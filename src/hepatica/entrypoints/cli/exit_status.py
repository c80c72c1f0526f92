"""Exit status by error code, so that scripts can tell refusals apart."""

from __future__ import annotations

from typing import Final

from hepatica.core.errors import HepaticaError

USAGE: Final = 2
"""Wrong options; the same number the option parser uses."""
INTERNAL: Final = 70
"""A fault of the program itself."""
CANCELLED: Final = 130
"""Stopped by the user (128 + SIGINT)."""

EXIT_STATUS: Final[dict[str, int]] = {
    "hepatica": INTERNAL,
    "usage": USAGE,
    "input": 10,
    "source_format": 11,
    "not_found": 12,
    "unsafe_archive": 13,
    "too_large": 14,
    "series_choice": 15,
    "geometry": 20,
    "missing_geometry": 21,
    "frame_mismatch": 22,
    "slice_gap": 23,
    "duplicate_position": 24,
    "mixed_acquisition": 25,
    "gantry_tilt": 26,
    "uneven_spacing": 27,
    "not_a_volume": 28,
    "non_finite": 29,
    "modality": 30,
    "empty_label": 31,
    "unknown_label": 32,
    "lesion_outside_liver": 33,
    "protocol": 40,
    "not_set": 41,
    "facts": 42,
    "record_input": 43,
    "no_record": 44,
    "conflict": 45,
    "locked": 46,
    "busy": 47,
    "consent": 48,
    "output": 50,
    "output_exists": 51,
    "replay_mismatch": 60,
    "not_converged": 61,
    "trail": 62,
    "authentication": 63,
    "forbidden": 64,
    "compute": 65,
    "pacs": 66,
    "provider": 67,
    "cancelled": CANCELLED,
}
"""Every code of `hepatica.core.errors` has a status; a test holds the two together."""


def to_exit_status(error: HepaticaError) -> int:
    """Return the exit status of an error."""
    return EXIT_STATUS[error.code]
