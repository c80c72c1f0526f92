"""What the user asked for, in a form that a manifest can hold and a replay can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.core.errors import InputError, SourceFormatError
from hepatica.lesions.enhancement import TumourType
from hepatica.planning.path.placement_presets import FREEHAND
from hepatica.workflows.spread_request import SpreadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelInput:
    """One label source.

    Parameters
    ----------
    path
        Label map, DICOM SEG, RTSTRUCT, or folder/zip of mask series.
    names
        CSV file, or the name of a built-in table; empty where the source names its segments itself.
    drawn
        Whether a person drew it over what the other sources say: it replaces what it redraws.
    at_lps_mm
        A point of the lesion that its lesion takes the place of; None for a new one.
    """

    path: Path
    names: str = ""
    drawn: bool = False
    at_lps_mm: tuple[float, float, float] | None = None

    @property
    def drawing(self) -> dict[str, Any] | None:
        """What a manifest holds of a drawing; None for a label that was given."""
        if not self.drawn:
            return None
        return {"at_lps_mm": None if self.at_lps_mm is None else list(self.at_lps_mm)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One planning job.

    Parameters
    ----------
    image
        Planning CT: folder, zip or file.
    labels
        Label sources, united.
    protocol
        Name of a packaged protocol or path of a TOML file.
    visit
        Visit number from 1.
    series
        Number or UID of the series to use where several are found.
    resample
        Allow explicit repair of tilted, gapped or unevenly spaced stacks.
    arterial, arterial_series
        Second phase, for the viable part.
    priors
        Folders of earlier plans.
    facts
        JSON file with patient facts.
    absent
        Structure groups declared absent or out of reach.
    tumour_type
        Enhancement pattern of the tumour; empty where unknown.
    needle
        Name of a needle; empty for the first that fits.
    needles
        TOML file with the needles of a site, in place of the packaged ones.
    position
        Patient Position stated by a person where the scan has none; empty where not stated.
    placement
        Name of a packaged model of placement error.
    seed
        Seed of the needles drawn around each puncture, at least 0; the same for every puncture.
    spread
        What is asked of a simulation of the spread; None for none.
    rate_ml_per_min
        Rate of injection at which deposit patterns are ranked, where no spread is asked for; None takes the
        protocol's.
    """

    image: Path
    labels: tuple[LabelInput, ...]
    protocol: str
    visit: int
    series: str | None = None
    resample: bool = False
    arterial: Path | None = None
    arterial_series: str | None = None
    priors: tuple[Path, ...] = ()
    facts: Path | None = None
    absent: tuple[str, ...] = ()
    tumour_type: str = ""
    needle: str = ""
    position: str = ""
    placement: str = FREEHAND
    seed: int = 1
    spread: SpreadRequest | None = None
    rate_ml_per_min: float | None = None
    needles: Path | None = None

    @property
    def rate_request(self) -> SpreadRequest:
        """What the spread, or a ranking without one, is told of the rate."""
        return self.spread or SpreadRequest(seed=self.seed, rate_ml_per_min=self.rate_ml_per_min)

    @property
    def tumour(self) -> TumourType | None:
        """The tumour type, None where unknown.

        Raises
        ------
        InputError
            If there is no such type.
        """
        if not self.tumour_type:
            return None
        try:
            return TumourType(self.tumour_type.strip().lower().replace("-", "_"))
        except ValueError:
            raise InputError(
                expected=f"one of {', '.join(TumourType)}",
                given=f"'{self.tumour_type}'",
                where="--tumour-type",
            ) from None

    @property
    def sources(self) -> dict[str, str]:
        """Path by role, absolute, as a replay needs it."""
        found = {"ct": str(self.image.absolute())}
        for number, label in enumerate(self.labels):
            found[f"labels[{number}]"] = str(label.path.absolute())
            if label.names:
                found[f"names[{number}]"] = _to_source(label.names)
        if self.arterial is not None:
            found["arterial"] = str(self.arterial.absolute())
        for number, prior in enumerate(self.priors):
            found[f"prior[{number}]"] = str(prior.absolute())
        if self.facts is not None:
            found["patient"] = str(self.facts.absolute())
        if self.needles is not None:
            found["needles"] = str(self.needles.absolute())
        found["protocol"] = _to_source(self.protocol)
        return found

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but paths."""
        return {
            "visit": self.visit,
            "series": self.series,
            "resample": self.resample,
            "arterial_series": self.arterial_series,
            "absent": sorted(self.absent),
            "tumour_type": self.tumour_type,
            "needle": self.needle,
            "position": self.position,
            "placement": self.placement,
            "seed": self.seed,
            **({} if self.spread is None else {"spread": self.spread.parameters}),
            **({} if self.rate_ml_per_min is None else {"rate_ml_per_min": self.rate_ml_per_min}),
            **({"drawings": drawings} if (drawings := self._list_drawings()) else {}),
        }

    def _list_drawings(self) -> dict[str, Any]:
        return {
            f"labels[{number}]": label.drawing
            for number, label in enumerate(self.labels)
            if label.drawing is not None
        }

    @classmethod
    def from_manifest(cls, document: Mapping[str, Any], *, where: str) -> PlanRequest:
        """Rebuild the request of an earlier run from its manifest.

        Raises
        ------
        SourceFormatError
            If the document is not a manifest of a plan.
        """
        try:
            sources, parameters = document["sources"], document["parameters"]
            _require_texts(sources, parameters)
            return cls(
                image=Path(sources["ct"]),
                labels=tuple(
                    _to_label(sources, parameters.get("drawings", {}), f"[{n}]")
                    for n in range(_count(sources, "labels"))
                ),
                protocol=sources["protocol"],
                visit=int(parameters["visit"]),
                series=parameters["series"],
                resample=bool(parameters["resample"]),
                arterial=Path(sources["arterial"]) if "arterial" in sources else None,
                arterial_series=parameters["arterial_series"],
                priors=tuple(Path(sources[f"prior[{n}]"]) for n in range(_count(sources, "prior"))),
                facts=Path(sources["patient"]) if "patient" in sources else None,
                absent=tuple(parameters["absent"]),
                tumour_type=parameters["tumour_type"],
                needle=parameters["needle"],
                needles=Path(sources["needles"]) if "needles" in sources else None,
                # Manifests of earlier versions have none of these.
                position=parameters.get("position", ""),
                placement=parameters.get("placement", FREEHAND),
                seed=int(parameters.get("seed", 1)),
                spread=SpreadRequest.from_parameters(parameters["spread"])
                if "spread" in parameters
                else None,
                rate_ml_per_min=float(parameters["rate_ml_per_min"])
                if "rate_ml_per_min" in parameters
                else None,
            )
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SourceFormatError(
                expected="the manifest of a plan",
                given=f"a document that is none ({type(error).__name__})",
                where=where,
                action="give the folder that 'hepatica plan' wrote",
            ) from error


def _to_label(sources: Mapping[str, str], drawings: Mapping[str, Any], which: str) -> LabelInput:
    drawing = drawings.get(f"labels{which}")
    at = None if drawing is None else drawing["at_lps_mm"]
    return LabelInput(
        path=Path(sources[f"labels{which}"]),
        names=sources.get(f"names{which}", ""),
        drawn=drawing is not None,
        at_lps_mm=None if at is None else (float(at[0]), float(at[1]), float(at[2])),
    )


def _count(sources: Mapping[str, str], role: str) -> int:
    return sum(1 for name in sources if name.startswith(f"{role}["))


def _to_source(name: str) -> str:
    """Make a path absolute; leave the name of something built in as it is."""
    path = Path(name)
    return str(path.absolute()) if path.suffix or path.is_file() else name


def _require_texts(sources: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Raise TypeError where an edited manifest holds another type than `PlanRequest` wrote."""
    optional = [parameters[key] for key in ("series", "arterial_series") if parameters[key] is not None]
    texts = [parameters["tumour_type"], parameters["needle"], *parameters["absent"], *optional]
    texts += [parameters.get("placement", ""), parameters.get("position", "")]
    if isinstance(parameters["absent"], str) or not all(
        isinstance(text, str) for text in (*sources.values(), *texts)
    ):
        raise TypeError("text expected")


NO_NAMES = "-"
"""Names option of a source that names its segments itself."""


def pair_labels(paths: Sequence[Path], names: Sequence[str]) -> tuple[LabelInput, ...]:
    """Pair label sources with names tables in the order given.

    Fewer tables than sources are given to the first sources; ``-`` skips one.

    Raises
    ------
    InputError
        If there are more tables than sources.

    Examples
    --------
    >>> pair_labels([Path("a.dcm"), Path("b.nii.gz")], ["-", "names.csv"])[1].names
    'names.csv'
    """
    if len(names) > len(paths):
        raise InputError(
            expected=f"at most {len(paths)} names tables, one for each --labels",
            given=str(len(names)),
            where="--names",
            action="give --names in the order of --labels, '-' for a source that names itself",
        )
    padded = [*names, *[""] * (len(paths) - len(names))]
    return tuple(
        LabelInput(path=path, names="" if name == NO_NAMES else name)
        for path, name in zip(paths, padded, strict=True)
    )
