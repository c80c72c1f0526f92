"""Colours of all pictures, one meaning each.

The three hues are from the Okabe-Ito set, told apart by people with any common colour blindness, and
differ in luminance too: needle lightest, non-injected lesions middle, injected lesions darkest. Nothing
relies on them alone: in print the needle is a cased line with ticks, an injected lesion a thick solid
outline, a non-injected or new lesion a dashed one, other structures dotted, and each bears its name.
"""

from __future__ import annotations

from typing import Final

NEEDLE: Final = "#F0E442"
INJECTED: Final = "#D55E00"
NON_INJECTED: Final = "#56B4E9"
LIVER: Final = "#F5F5F5"
OTHER: Final = "#C8C8C8"
CASING: Final = "#000000"
INK: Final = "#101418"
LIVER_SURFACE: Final = "#B5715F"
BONE_SURFACE: Final = "#E9E2D0"
BODY_SURFACE: Final = "#8FA3B0"
OTHER_SURFACE: Final = "#7F9A8C"
VESSEL_SURFACE: Final = "#4F6FA8"
SPREAD: Final = "#CC79A7"
"""Where the agent is predicted to go: the fourth Okabe-Ito hue; outlined besides, for prints in grey."""
NEW_LESION: Final = "#009E73"
"""Bluish green of the same set; only where new lesions are shown beside the others over time."""
