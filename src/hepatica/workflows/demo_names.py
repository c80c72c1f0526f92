"""Names of what the demonstration's record holds; apart, so that asking for them loads no planner."""

from __future__ import annotations

from typing import Final

PATIENT: Final = "demo-case"
SITE: Final = "north"
SUBJECT: Final = "HCC_015"
PLAN: Final = "demo-plan"
