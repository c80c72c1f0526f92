"""Whether an event is due to the agent and whether it is due to the procedure: two questions, two answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError


class Relation(StrEnum):
    """How an event is related to one possible cause, in the site's judgement."""

    UNRELATED = "unrelated"
    UNLIKELY = "unlikely"
    POSSIBLE = "possible"
    PROBABLE = "probable"
    DEFINITE = "definite"
    RELATED = "related"
    """Where the form asks yes or no."""
    UNKNOWN = "unknown"


_WORDS: Final[Mapping[str, Relation]] = {
    "": Relation.UNKNOWN,
    "u": Relation.UNKNOWN,
    "n": Relation.UNRELATED,
    "no": Relation.UNRELATED,
    "none": Relation.UNRELATED,
    "not related": Relation.UNRELATED,
    "unlikely related": Relation.UNLIKELY,
    "possibly related": Relation.POSSIBLE,
    "probably related": Relation.PROBABLE,
    "definitely related": Relation.DEFINITE,
    "y": Relation.RELATED,
    "yes": Relation.RELATED,
    **{str(relation): relation for relation in Relation},
}


def read_relation(text: str) -> Relation:
    """Return the relation a form's word stands for.

    Raises
    ------
    InputError
        If the word is none of those known.

    Examples
    --------
    >>> read_relation("POSSIBLY RELATED")
    <Relation.POSSIBLE: 'possible'>
    """
    found = _WORDS.get(" ".join(text.casefold().replace("_", " ").split()))
    if found is None:
        raise InputError(
            expected=f"one of {', '.join(Relation)}, or yes and no", given="another word", where="relation"
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Both answers for one event.

    Parameters
    ----------
    agent, procedure
        Relation to the injected agent, and to the procedure that brought it in.
    """

    agent: Relation = Relation.UNKNOWN
    procedure: Relation = Relation.UNKNOWN

    def name_causes(self, related: Collection[Relation]) -> str:
        """Return ``agent``, ``procedure``, ``both``, ``neither``, or ``unknown`` where an answer that matters lacks.

        Parameters
        ----------
        related
            Relations that count; a plain *related* always does.

        Examples
        --------
        >>> yes = (Relation.PROBABLE, Relation.DEFINITE)
        >>> Attribution(agent=Relation.PROBABLE, procedure=Relation.UNLIKELY).name_causes(yes)
        'agent'
        """
        agent, procedure = counts(self.agent, related), counts(self.procedure, related)
        if agent and procedure:
            return "both"
        if agent:
            return "agent"
        if procedure:
            return "procedure"
        return "unknown" if agent is None or procedure is None else "neither"


def counts(relation: Relation, related: Collection[Relation]) -> bool | None:
    """Whether a relation counts as related; None where it is not known."""
    if relation is Relation.UNKNOWN:
        return None
    return relation is Relation.RELATED or relation in related
