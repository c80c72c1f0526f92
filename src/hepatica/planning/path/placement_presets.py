"""Placement models: shipped presets, and one fitted to the tip errors a site has logged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from hepatica.core.errors import InputError, NonFiniteError, NotFoundError
from hepatica.core.evidence import Evidence, EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.placement_values import PlacementModel

SITE_FITTED: Final = "site-fitted"
FREEHAND: Final = "freehand"
SITE_COLUMNS: Final = ("in_plane_mm", "out_of_plane_mm", "depth_mm")
"""Columns of a table of logged tip errors, signed: across the needle in the axial plane, along the body axis,
along the needle (positive: too deep)."""
_IN_PLANE: Final = "_in_plane_mean"
_OUT_OF_PLANE: Final = "_out_of_plane_mean"


def read_placement_table() -> EvidenceTable:
    """Return the shipped placement errors; a site replaces entries with ``table.replace(...)``."""
    return read_evidence_table("hepatica.planning.tables", "placement.toml")


def list_placement_presets(table: EvidenceTable | None = None) -> tuple[str, ...]:
    """Return the names of the presets in a table: whoever has a mean in plane and out of plane is one.

    Examples
    --------
    >>> list_placement_presets()
    ('freehand', 'stereotactic')
    """
    entries = (table or read_placement_table()).entries
    names = (key.removesuffix(_IN_PLANE) for key in entries if key.endswith(_IN_PLANE))
    return tuple(name for name in names if name + _OUT_OF_PLANE in entries)


def make_placement_model(name: str = FREEHAND, *, table: EvidenceTable | None = None) -> PlacementModel:
    """Return a preset.

    Parameters
    ----------
    name
        One of `list_placement_presets`.
    table
        Placement errors; the shipped table if None.

    Raises
    ------
    NotFoundError
        If there is no such preset.

    Examples
    --------
    >>> model = make_placement_model("freehand")
    >>> round(model.in_plane.number, 2), round(model.out_of_plane.number, 2)
    (4.95, 8.06)
    """
    table = table or read_placement_table()
    presets = list_placement_presets(table)
    if name not in presets:
        raise NotFoundError(
            expected=f"one of {', '.join(presets)}", given=f"'{name}'", where="placement errors"
        )
    return PlacementModel(
        name=name,
        entry=table["entry"],
        in_plane=_to_tip_sigma(table[name + _IN_PLANE], key="in_plane"),
        out_of_plane=_to_tip_sigma(table[name + _OUT_OF_PLANE], key="out_of_plane"),
        depth=table["depth"],
        motion_left_right=table["motion_left_right"],
        motion_craniocaudal=table["motion_craniocaudal"],
        motion_anterior_posterior=table["motion_anterior_posterior"],
        label=table["label"],
        redirection=_to_redirection(table),
    )


def _to_redirection(table: EvidenceTable) -> Evidence | None:
    """Return the angular error of a redirected needle, None where a site's own table has none."""
    if "redirection_mean" not in table.entries:
        return None
    mean = table["redirection_mean"]
    return Evidence(
        key="redirection",
        value=derive_sigma_mm(mean.number),
        unit="deg",
        source=f"{mean.number:g} degrees / 1.253 (mean of the Rayleigh distribution); {mean.source}",
        version=mean.version,
        status=EvidenceStatus.UNVERIFIED if mean.unverified else EvidenceStatus.DERIVED,
        note=mean.note,
    )


def derive_sigma_mm(mean_lateral_mm: float) -> float:
    """Return the sigma of each axis of a plane from the mean length of the error in that plane.

    Two independent normal errors of sigma s have a length that follows the Rayleigh distribution,
    ``p(r) = r / s^2 exp(-r^2 / (2 s^2))``. Its mean is the integral of ``r p(r)``, which by parts is the
    integral of ``exp(-r^2 / (2 s^2))`` over r > 0: ``s sqrt(pi / 2)``, about 1.253 s.

    Examples
    --------
    >>> round(derive_sigma_mm(1.2533141), 6)
    1.0
    """
    return mean_lateral_mm / math.sqrt(0.5 * math.pi)


def _to_tip_sigma(mean: Evidence, *, key: str) -> Evidence:
    return Evidence(
        key=key,
        value=derive_sigma_mm(mean.number),
        unit="mm",
        source=f"{mean.number:g} mm / 1.253 (mean of the Rayleigh distribution); {mean.source}",
        version=mean.version,
        status=EvidenceStatus.UNVERIFIED if mean.unverified else EvidenceStatus.DERIVED,
        note=mean.note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaFit:
    """A sigma fitted to logged errors.

    Parameters
    ----------
    sigma_mm
        Maximum-likelihood estimate for errors of mean zero: the root of the mean square.
    low_mm, high_mm
        Confidence limits from the chi-squared distribution.
    mean_mm, mean_error_mm
        Mean of the errors, which the model takes to be zero, and its standard error.
    rows
        Number of errors.
    """

    sigma_mm: float
    low_mm: float
    high_mm: float
    mean_mm: float
    mean_error_mm: float
    rows: int


def fit_sigma(errors_mm: ArrayLike, *, confidence_fraction: float) -> SigmaFit:
    """Fit the sigma of zero-mean normal errors by maximum likelihood.

    The likelihood is largest at the root of the mean square; ``rows * sigma_fit^2 / sigma^2`` is chi-squared
    with ``rows`` degrees of freedom, which gives the limits. A bias makes the sigma larger, never smaller.

    Parameters
    ----------
    errors_mm
        (n,) signed errors, n at least 2.
    confidence_fraction
        Confidence of the limits, between 0 and 1.
    """
    from scipy.stats import chi2

    errors = np.asarray(errors_mm, dtype=np.float64)
    rows = len(errors)
    square = float(errors @ errors)
    tail = 0.5 * (1.0 - confidence_fraction)
    return SigmaFit(
        sigma_mm=math.sqrt(square / rows),
        low_mm=math.sqrt(square / float(chi2.ppf(1.0 - tail, rows))),
        high_mm=math.sqrt(square / float(chi2.ppf(tail, rows))),
        mean_mm=float(errors.mean()),
        mean_error_mm=float(errors.std(ddof=1)) / math.sqrt(rows),
        rows=rows,
    )


def fit_placement_model(
    columns: Mapping[str, ArrayLike | Sequence[float]],
    *,
    table: EvidenceTable | None = None,
    name: str = SITE_FITTED,
    source: str = "logged tip errors of the site",
) -> PlacementModel:
    """Fit a placement model to a site's logged tip errors.

    Entry and label sigmas stay as shipped. Motion is set to zero: errors logged in patients hold it.

    Parameters
    ----------
    columns
        (n,) signed errors in mm for each of `SITE_COLUMNS`; other columns are ignored.
    table
        Placement errors; the shipped table if None.
    name, source
        Name of the model; where the errors come from.

    Raises
    ------
    InputError
        If a column is missing, columns differ in length, or there are too few rows.
    NonFiniteError
        If an error is not a finite number.
    """
    table = table or read_placement_table()
    errors = _require_columns(columns, rows_min=int(table["site_rows_min"].number))
    confidence = table["site_confidence"].number
    fits = {key: fit_sigma(errors[key], confidence_fraction=confidence) for key in SITE_COLUMNS}
    motion = {
        key: Evidence(
            key=key,
            value=0.0,
            unit="mm",
            source="contained in the logged tip errors",
            status=EvidenceStatus.DERIVED,
        )
        for key in ("motion_left_right", "motion_craniocaudal", "motion_anterior_posterior")
    }
    return PlacementModel(
        name=name,
        entry=table["entry"],
        in_plane=_to_fitted(fits["in_plane_mm"], "in_plane", confidence=confidence, source=source),
        out_of_plane=_to_fitted(
            fits["out_of_plane_mm"], "out_of_plane", confidence=confidence, source=source
        ),
        depth=_to_fitted(fits["depth_mm"], "depth", confidence=confidence, source=source),
        **motion,
        label=table["label"],
        redirection=_to_redirection(table),
        findings=_list_biases(fits, confidence_fraction=confidence),
    )


def _require_columns(
    columns: Mapping[str, ArrayLike | Sequence[float]], *, rows_min: int
) -> dict[str, FloatArray]:
    missing = [key for key in SITE_COLUMNS if key not in columns]
    if missing:
        raise InputError(
            expected=f"columns {', '.join(SITE_COLUMNS)}",
            given=f"no column '{missing[0]}'",
            where="logged tip errors",
        )
    errors = {key: np.asarray(columns[key], dtype=np.float64).ravel() for key in SITE_COLUMNS}
    counts = {len(values) for values in errors.values()}
    if len(counts) > 1:
        raise InputError(
            expected="columns of one length",
            given=f"{', '.join(f'{key}: {len(values)}' for key, values in errors.items())}",
            where="logged tip errors",
        )
    rows = counts.pop()
    if rows < rows_min:
        raise InputError(
            expected=f"at least {rows_min} logged punctures",
            given=f"{rows}",
            where="logged tip errors",
            action="use a preset until enough punctures are logged",
        )
    for key, values in errors.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise NonFiniteError(
                expected="a finite error in mm",
                given=f"{values[bad[0]]}",
                where=f"logged tip errors, column {key}, row {bad[0] + 1}",
            )
    return errors


def _to_fitted(fit: SigmaFit, key: str, *, confidence: float, source: str) -> Evidence:
    return Evidence(
        key=key,
        value=fit.sigma_mm,
        unit="mm",
        source=f"{source}: maximum likelihood from {fit.rows} punctures",
        status=EvidenceStatus.DERIVED,
        note=f"{confidence:.0%} limits {fit.low_mm:.2f} to {fit.high_mm:.2f} mm; mean error {fit.mean_mm:+.2f} mm",
    )


def _list_biases(fits: Mapping[str, SigmaFit], *, confidence_fraction: float) -> tuple[Finding, ...]:
    from scipy.stats import t as student

    findings = []
    for key, fit in fits.items():
        limit = float(student.ppf(0.5 * (1.0 + confidence_fraction), fit.rows - 1)) * fit.mean_error_mm
        if abs(fit.mean_mm) > limit:
            findings.append(
                Finding(
                    rule="placement.bias",
                    severity=Severity.WARNING,
                    message="The logged tip errors are biased; the model takes them to scatter about zero and "
                    "its sigma holds the bias. Correct the cause.",
                    measured=fit.mean_mm,
                    limit=limit,
                    unit="mm",
                    source=f"mean of {fit.rows} logged errors, Student's t",
                    status=EvidenceStatus.DERIVED,
                    subject=key,
                )
            )
    return tuple(findings)
