"""Words by which a report finds what the standard leaves to the sponsor, as data."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from hepatica.core.errors import ProtocolError
from hepatica.core.evidence import Evidence, read_resource
from hepatica.core.provenance import digest_bytes
from hepatica.followup.safety.attribution import Relation

PACKAGE: Final = "hepatica.trials.tables"
FILE: Final = "report_words.toml"
SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWords:
    """Names of variables and values.

    Parameters
    ----------
    variables
        Candidates by role, best first.
    values
        Words by meaning, in capitals.
    emergent_days, confidence
        Days after the last dose on which an event still counts as emergent; level of all intervals.
    digest
        SHA-256 of the file.
    """

    variables: Mapping[str, tuple[str, ...]]
    values: Mapping[str, tuple[str, ...]]
    emergent_days: Evidence
    confidence: Evidence
    digest: str

    def find_variable(self, role: str, columns: Collection[str]) -> str:
        """Return the first candidate that a dataset has; empty for none."""
        return next((name for name in self.variables[role] if name in columns), "")

    def means(self, meaning: str, text: str) -> bool:
        """Whether a value is one of the words of a meaning."""
        return text.strip().upper() in self.values[meaning]

    def holds(self, meaning: str, text: str) -> bool:
        """Whether a value has one of the words of a meaning in it."""
        return any(word in text.upper() for word in self.values[meaning])

    def is_hepatic(self, site: str, *, is_node: bool = False) -> bool:
        """Whether a lesion lies in the liver; a lymph node never does, whatever it is named after.

        Examples
        --------
        >>> words = read_words()
        >>> words.is_hepatic("LIVER, SEGMENT VII"), words.is_hepatic("HEPATIC LYMPH NODE")
        (True, False)
        """
        return not is_node and self.holds("liver", site) and not self.holds("lymph_node", site)

    @property
    def related(self) -> tuple[Relation, ...]:
        """Relations that count as related."""
        return tuple(Relation(word.lower()) for word in self.values["related"])

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of numbers nobody has checked."""
        return tuple(
            f"report words [{item.key}]" for item in (self.emergent_days, self.confidence) if item.unverified
        )


def read_words(data: bytes | None = None) -> ReportWords:
    """Return the packaged words, or those of a trial's own file.

    Raises
    ------
    ProtocolError
        If a section is missing or of another kind.
    """
    raw = read_resource(PACKAGE, FILE) if data is None else data
    try:
        document = tomllib.loads(raw.decode("utf-8"))
        numbers = {
            key: Evidence.from_mapping(key, entry, where=FILE) for key, entry in document["numbers"].items()
        }
        return ReportWords(
            variables={key: tuple(names) for key, names in document["variables"].items()},
            values={
                key: tuple(str(word).upper() for word in words) for key, words in document["values"].items()
            },
            emergent_days=numbers["emergent_days_after_last_dose"],
            confidence=numbers["confidence"],
            digest=digest_bytes(raw),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError(
            expected="words of a report in TOML: [variables], [values], [numbers]",
            given=type(error).__name__,
            where="report words",
            action="compare with the packaged file",
        ) from error


def is_simulated(study: str) -> bool:
    """Whether a study says of itself that it is simulated."""
    return SIMULATED in study.lower()
