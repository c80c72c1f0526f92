"""The words of response assessment: roles, states, codes."""

from __future__ import annotations

from enum import StrEnum


class LesionRole(StrEnum):
    """What a lesion counts as; the values are those of CDISC list TUIDRS (C123650)."""

    TARGET = "TARGET"
    NON_TARGET = "NON-TARGET"
    NEW = "NEW"
    NEW_TARGET = "NEW TARGET"
    NEW_NON_TARGET = "NEW NON-TARGET"

    @property
    def is_new(self) -> bool:
        """Whether the lesion was not there at baseline."""
        return self in (LesionRole.NEW, LesionRole.NEW_TARGET, LesionRole.NEW_NON_TARGET)


class LesionState(StrEnum):
    """What a reader says of a lesion that is not, or not only, measured."""

    ABSENT = "ABSENT"
    """Gone; a node that is normal."""
    PRESENT = "PRESENT"
    """There, without unequivocal progression."""
    EQUIVOCAL = "EQUIVOCAL"
    """Perhaps progressing, perhaps new. Never progression by itself."""
    GROWN = "INCREASED"
    """Larger than before, not unequivocally progressing."""
    UNEQUIVOCAL = "UNEQUIVOCAL"
    """Unequivocal progression; for a new lesion, unequivocally there."""
    NOT_EVALUABLE = "NE"
    """Looked at and not assessable."""


class Response(StrEnum):
    """Response codes of RECIST 1.1 (CDISC list ONCRSR, C96785), for components and overall."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    NON_CR_NON_PD = "NON-CR/NON-PD"
    PD = "PD"
    NE = "NE"
    NONE = ""
    """No such disease at baseline; never an answer for 'not evaluable'."""


class ImmuneResponse(StrEnum):
    """Response codes of iRECIST (CDISC list ONCRSR, C96785), for components and overall."""

    ICR = "iCR"
    IPR = "iPR"
    ISD = "iSD"
    NON_ICR_NON_IUPD = "NON-iCR/NON-iUPD"
    IUPD = "iUPD"
    ICPD = "iCPD"
    NE = "NE"
    NONE = ""
    """No such disease at baseline."""


TO_IMMUNE = {
    Response.CR: ImmuneResponse.ICR,
    Response.PR: ImmuneResponse.IPR,
    Response.SD: ImmuneResponse.ISD,
    Response.NON_CR_NON_PD: ImmuneResponse.NON_ICR_NON_IUPD,
    Response.PD: ImmuneResponse.IUPD,
    Response.NE: ImmuneResponse.NE,
    Response.NONE: ImmuneResponse.NONE,
}
"""The same category with the prefix i; what meets RECIST progression is unconfirmed there."""


class NewLesion(StrEnum):
    """Whether there is a new lesion at a visit."""

    YES = "Y"
    NO = "N"
    EQUIVOCAL = "EQUIVOCAL"
    """Perhaps: treatment goes on, the next scan decides. Not progression."""
    NOT_EVALUABLE = "NE"
    """Not judged, for example because a region was not imaged."""


class Growth(StrEnum):
    """Growth of non-target disease since the assessment before."""

    NONE = "none"
    ANY = "any"
    """Larger, whether or not unequivocally."""
    UNEQUIVOCAL = "unequivocal"
