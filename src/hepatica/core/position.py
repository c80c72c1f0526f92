"""Which way is down: gravity from DICOM Patient Position."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray


class PatientPosition(StrEnum):
    """Patient Position (0018,5100), the eight axial values of DICOM C.7.3.1.1.2."""

    HFS = "HFS"
    """Head first, supine."""
    HFP = "HFP"
    """Head first, prone."""
    HFDR = "HFDR"
    """Head first, right side down."""
    HFDL = "HFDL"
    """Head first, left side down."""
    FFS = "FFS"
    """Feet first, supine."""
    FFP = "FFP"
    """Feet first, prone."""
    FFDR = "FFDR"
    """Feet first, right side down."""
    FFDL = "FFDL"
    """Feet first, left side down."""


_DOWN: Final = {
    "S": (0.0, 1.0, 0.0),  # supine: the back (posterior, +y) is down
    "P": (0.0, -1.0, 0.0),
    "DR": (-1.0, 0.0, 0.0),  # right side down; LPS x grows to the patient's left
    "DL": (1.0, 0.0, 0.0),
}


def derive_gravity_lps(position: PatientPosition | str | None) -> FloatArray | NotEvaluable:
    """Return the (3,) unit vector of gravity in LPS.

    LPS belongs to the patient, so head or feet first makes no difference; the side that lies on the table does.

    Parameters
    ----------
    position
        One of `PatientPosition`, as text or member; anything else is not evaluable.

    Examples
    --------
    >>> derive_gravity_lps("FFS").tolist()
    [0.0, 1.0, 0.0]
    >>> derive_gravity_lps("")
    NotEvaluable(reason='Patient Position (0018,5100) is unknown')
    """
    try:
        known = PatientPosition(str(position or "").strip().upper())
    except ValueError:
        return NotEvaluable(reason="Patient Position (0018,5100) is unknown")
    return np.array(_DOWN[known.value[2:]])
