"""The closed list of unit suffixes, and the only conversion constants."""

from __future__ import annotations

from typing import Final

UNIT_SUFFIXES: Final = (
    "mm", "mm2", "mm3", "cm", "cm2", "cm3", "ml", "s", "min", "h", "days", "years", "deg", "hu", "mg", "mg_per_ml",
    "mg_per_dl", "g_per_l", "g_per_dl", "umol_per_l", "1e9_per_l", "iu_per_ml", "pfu", "pfu_per_ml", "vp", "gy",
    "vp_per_ml", "kpa", "mmhg", "ml_per_min", "ml_per_cm3", "mm2_per_s", "fraction", "percent", "lps_mm",
    "ijk", "u_per_l", "mib", "bytes", "kg", "celsius", "gauge", "ratio",
    "m2_per_pa_s", "per_pa_s", "mm2_per_kpa_s", "per_kpa_s", "mm3_per_s", "per_s", "per_day", "pa_s", "ms",
)  # fmt: skip
"""Every suffix a public physical number may carry (after an underscore)."""

ML_PER_MM3: Final = 1e-3
MM_PER_CM: Final = 10.0
UMOL_PER_L_PER_MG_PER_DL_BILIRUBIN: Final = 17.104
"""Molar mass of bilirubin 584.66 g/mol: 1 mg/dL = 10 / 584.66 mmol/L."""
G_PER_L_PER_G_PER_DL: Final = 10.0
