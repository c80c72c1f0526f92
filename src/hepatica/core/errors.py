"""Every way in which Hepatica refuses, as one small tree of exceptions.

A message has four parts: what was expected, what was given, where, and what to do about it. It never
carries a person's name, birth date or patient number. Each leaf has a stable ``code``: the command line
turns it into an exit status, a web layer into a problem document.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class HepaticaError(Exception):
    """Base of all refusals.

    Parameters
    ----------
    expected
        What would have been right.
    given
        What was found instead, with its unit.
    where
        File, series, slice, row or option. Never a person.
    action
        What the user can do.

    Examples
    --------
    >>> error = EmptyLabelError(expected="at least one lesion voxel", given="0 voxels",
    ...                         where="labels.nii.gz, label 4", action="check the label number")
    >>> error.code
    'empty_label'
    >>> print(error)
    expected at least one lesion voxel; given 0 voxels; where: labels.nii.gz, label 4; do: check the label number
    """

    code: ClassVar[str] = "hepatica"

    def __init__(self, *, expected: str, given: str, where: str = "", action: str = "") -> None:
        self.expected = expected
        self.given = given
        self.where = where
        self.action = action
        super().__init__(expected, given, where, action)

    def __str__(self) -> str:
        """Return the four parts on one line."""
        parts = [f"expected {self.expected}", f"given {self.given}"]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.action:
            parts.append(f"do: {self.action}")
        return "; ".join(parts)

    def place(self, where: str) -> None:
        """Say in which input it happened, before what is already known of the place.

        Examples
        --------
        >>> error = EmptyLabelError(expected="at least one lesion voxel", given="0 voxels", where="file 3 of 7")
        >>> error.place("labels[0]")
        >>> error.where
        'labels[0], file 3 of 7'
        """
        self.where = f"{where}, {self.where}" if self.where else where
        self.args = (self.expected, self.given, self.where, self.action)

    def to_dict(self) -> dict[str, str]:
        """Return code and message parts, for JSON output."""
        return {
            "code": self.code,
            "expected": self.expected,
            "given": self.given,
            "where": self.where,
            "action": self.action,
        }


class InputError(HepaticaError, ValueError):
    """A value or file that cannot be used as given."""

    code = "input"


class UsageError(InputError):
    """A command line with wrong or missing options."""

    code = "usage"


class SourceFormatError(InputError):
    """A file that is truncated, of another type than it says, or not readable as what was asked for."""

    code = "source_format"


class NotFoundError(InputError, LookupError):
    """A file, series, protocol or name that does not exist."""

    code = "not_found"


class UnsafeArchiveError(SourceFormatError):
    """An archive that would leave its folder or unpack to an unreasonable size."""

    code = "unsafe_archive"


class TooLargeError(SourceFormatError):
    """A header that announces more data than a scan can hold."""

    code = "too_large"


class SeriesChoiceError(InputError):
    """Several series or acquisitions fit: the user has to choose.

    ``choices`` holds one printable line for each candidate.
    """

    code = "series_choice"

    def __init__(self, *, choices: tuple[str, ...], where: str) -> None:
        self.choices = choices
        super().__init__(
            expected="one image series",
            given=f"{len(choices)} candidates:\n  " + "\n  ".join(choices),
            where=where,
            action="choose one with --series (its number or UID as listed)",
        )


class GeometryError(InputError):
    """Space that does not fit together."""

    code = "geometry"


class MissingGeometryError(GeometryError):
    """Spacing, orientation, position or frame is absent; no default is ever assumed."""

    code = "missing_geometry"


class FrameMismatchError(GeometryError):
    """Two things in different frames of reference were combined without a registration."""

    code = "frame_mismatch"


class SliceGapError(GeometryError):
    """Slices are missing inside a stack."""

    code = "slice_gap"


class DuplicatePositionError(GeometryError):
    """Two slices of one stack lie at the same place."""

    code = "duplicate_position"


class MixedAcquisitionError(GeometryError):
    """One series holds more than one acquisition."""

    code = "mixed_acquisition"


class GantryTiltError(GeometryError):
    """The stack is sheared: its slices are not stacked along their normal."""

    code = "gantry_tilt"


class UnevenSpacingError(GeometryError):
    """Slice spacing varies within one stack."""

    code = "uneven_spacing"


class NotAVolumeError(GeometryError):
    """A 2-D image, or another number of axes, where a volume is needed."""

    code = "not_a_volume"


class NonFiniteError(InputError):
    """NaN or infinity where a measurement is needed."""

    code = "non_finite"


class ModalityError(InputError):
    """An image of another kind than the work needs, for example MR where CT numbers are needed."""

    code = "modality"


class EmptyLabelError(InputError):
    """A label without a voxel."""

    code = "empty_label"


class UnknownLabelError(InputError):
    """A label number or name that no table explains."""

    code = "unknown_label"


class LesionOutsideLiverError(InputError):
    """A lesion that does not touch the liver it should lie in."""

    code = "lesion_outside_liver"


class ProtocolError(InputError):
    """A protocol file that contradicts itself or the visit."""

    code = "protocol"


class NotSetError(InputError):
    """A clinical number that nobody has supplied. Hepatica asks; it never invents one."""

    code = "not_set"


class FactsError(InputError):
    """A patient facts file that does not follow its schema."""

    code = "facts"


class RecordInputError(InputError):
    """An entry of the shared record that lacks a field, a reason, or holds a wrong one."""

    code = "record_input"


class NoRecordError(InputError, LookupError):
    """A folder or database that holds no record, or one of another version."""

    code = "no_record"


class ConflictError(InputError):
    """A change of something that somebody else has changed meanwhile."""

    code = "conflict"


class BusyError(HepaticaError):
    """A record that others keep busy, or whose database cannot be reached just now."""

    code = "busy"


class LockedError(InputError):
    """A change of something that is locked."""

    code = "locked"


class ConsentError(InputError):
    """An act that the patient has not consented to, or has withdrawn from."""

    code = "consent"


class ForbiddenError(HepaticaError, PermissionError):
    """An act that the account has no right to."""

    code = "forbidden"


class AuthenticationError(HepaticaError, PermissionError):
    """A login, session or token that does not hold. Never says which part was wrong."""

    code = "authentication"


class TrailError(HepaticaError):
    """A trail that is not whole, or stored bytes that are not those their digest names."""

    code = "trail"


class PacsError(HepaticaError, OSError):
    """A PACS that does not answer, refuses, or answers with something else. Never names its address."""

    code = "pacs"


class ProviderError(HepaticaError, OSError):
    """An identity provider that does not answer, or answers with something else. Never names its address."""

    code = "provider"


class OutputError(HepaticaError, OSError):
    """A result that could not be written. Nothing half-written is left behind."""

    code = "output"


class OutputExistsError(OutputError):
    """The output folder already holds something that would be overwritten."""

    code = "output_exists"


class ReplayMismatchError(HepaticaError):
    """A replayed run gave other digests than its manifest."""

    code = "replay_mismatch"


class NotConvergedError(HepaticaError, RuntimeError):
    """An iteration ended without reaching its tolerance."""

    code = "not_converged"


class ComputeError(HepaticaError, RuntimeError):
    """Workers that cannot be reached, or ended before their work did."""

    code = "compute"


class CancelledError(HepaticaError):
    """The user stopped a running job."""

    code = "cancelled"

    def __init__(self, *, where: str) -> None:
        super().__init__(
            expected="the run to finish", given="a request to stop", where=where, action="start it again"
        )


@contextmanager
def refuse_unreadable(
    *, expected: str, where: str, action: str = "export or copy the file again"
) -> Iterator[None]:
    """Turn whatever a foreign parser raises inside the block into `SourceFormatError`.

    Parameters
    ----------
    expected
        What the bytes should have been, for example ``a DICOM file``.
    where
        File or series, never a person.
    action
        What the user can do.

    Raises
    ------
    SourceFormatError
        With the kind of failure, but not its text: foreign messages may quote header values.

    Examples
    --------
    >>> with refuse_unreadable(expected="a number", where="line 3"):
    ...     float("x")
    Traceback (most recent call last):
    hepatica.core.errors.SourceFormatError: expected a number; given unreadable content (ValueError); where: line 3...
    """
    try:
        yield
    except (HepaticaError, FileNotFoundError, PermissionError):
        raise
    except Exception as failure:
        raise SourceFormatError(
            expected=expected,
            given=f"unreadable content ({type(failure).__name__})",
            where=where,
            action=action,
        ) from failure
