"""A simulated trial as SDTM rows, for tests and benchmarks. Nothing in it was seen in any patient.

Every number here is invented to give plausible tables; none is a claim about an agent. STUDYID says *simulated*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import exp
from typing import Any, Final

from hepatica.followup.criteria.recist11 import derive_recist
from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.followup.records import Course, Reading, TrackedLesion, Visit
from hepatica.followup.words import LesionRole

STUDY: Final = "SIMULATED-HEP-01"
FIRST_DAY: Final = date(2021, 1, 4)
SCAN_WEEKS: Final = (6, 12, 24, 36, 48, 60, 72, 84, 96)
INJECTION_EVERY_DAYS: Final = 21
MOST_INJECTIONS: Final = 8
STUDY_DAYS: Final = 731
TREATED_BEYOND: Final = 0.5
CONFIRMED_AFTER_DAYS: Final = (25, 60)
"""Share of patients scanned once more after progression, and when: some too early to confirm, some late."""
TUMOURS: Final = (
    ("Hepatocellular carcinoma", 0.30, 0.30),
    ("Colorectal cancer", 0.24, 0.08),
    ("Melanoma", 0.16, 0.42),
    ("Breast cancer", 0.14, 0.16),
    ("Gastroesophageal cancer", 0.10, 0.10),
    ("Neuroendocrine tumour", 0.06, 0.12),
)
"""Name, share of the patients, chance that a tumour shrinks."""
ARMS: Final = (
    ("L1", "Agent 1e6 PFU/mL, 4 mL", 1e6, 0.10),
    ("L2", "Agent 1e7 PFU/mL, 4 mL", 1e7, 0.20),
    ("L3", "Agent 1e7 PFU/mL, 8 mL", 1e7, 0.30),
    ("L4", "Agent 1e8 PFU/mL, 8 mL", 1e8, 0.40),
)
"""Code, name, concentration, share of the patients."""
EVENTS: Final = (
    ("Pyrexia", "General disorders and administration site conditions", 1.3, (0.55, 0.38, 0.07), "agent"),
    ("Chills", "General disorders and administration site conditions", 0.7, (0.7, 0.28, 0.02), "agent"),
    ("Fatigue", "General disorders and administration site conditions", 0.8, (0.6, 0.34, 0.06), "agent"),
    ("Influenza like illness", "General disorders and administration site conditions", 0.4, (0.6, 0.4), "agent"),
    ("Nausea", "Gastrointestinal disorders", 0.6, (0.65, 0.32, 0.03), "agent"),
    ("Abdominal pain", "Gastrointestinal disorders", 0.7, (0.45, 0.42, 0.13), "procedure"),
    ("Vomiting", "Gastrointestinal disorders", 0.3, (0.6, 0.36, 0.04), "agent"),
    ("Ascites", "Gastrointestinal disorders", 0.1, (0.2, 0.5, 0.3), "neither"),
    ("Procedural pain", "Injury, poisoning and procedural complications", 0.6, (0.5, 0.42, 0.08), "procedure"),
    ("Aspartate aminotransferase increased", "Investigations", 0.35, (0.5, 0.28, 0.19, 0.03), "agent"),
    ("Blood bilirubin increased", "Investigations", 0.15, (0.4, 0.35, 0.22, 0.03), "neither"),
    ("Headache", "Nervous system disorders", 0.3, (0.7, 0.27, 0.03), "neither"),
    ("Back pain", "Musculoskeletal and connective tissue disorders", 0.3, (0.6, 0.33, 0.07), "neither"),
    ("Anaemia", "Blood and lymphatic system disorders", 0.3, (0.4, 0.35, 0.25), "neither"),
    ("Haemorrhage of the liver", "Hepatobiliary disorders", 0.03, (0.1, 0.3, 0.4, 0.15, 0.05), "procedure"),
)  # fmt: skip
"""Term, class, mean number in a patient, chances of grades from 1, usual cause."""

Row = dict[str, str]


@dataclass(slots=True)
class _Lesion:
    name: str
    role: LesionRole
    site: str
    node: bool
    injected: bool
    size: float
    shrinking_fraction: float
    kill_per_day: float
    growth_per_day: float

    def measure(self, day: int) -> float:
        """Diameter in mm: one part shrinks, the rest grows."""
        down = self.shrinking_fraction * exp(-self.kill_per_day * day)
        return self.size * (down + (1 - self.shrinking_fraction) * exp(self.growth_per_day * day))


@dataclass(slots=True)
class _Patient:
    subject: str
    start: date
    arm: tuple[str, str, float, float]
    tumour: str
    lesions: list[_Lesion]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    end_day: int = STUDY_DAYS
    dead: bool = False
    reason: str = "COMPLETED"

    def day(self, number: int) -> str:
        """Date of a day after the start, as ISO 8601."""
        return (self.start + timedelta(days=number)).isoformat()

    def add(self, domain: str, **cells: Any) -> None:
        """Add a row with its sequence number."""
        rows = self.rows.setdefault(domain, [])
        head = {"STUDYID": STUDY, "DOMAIN": domain, "USUBJID": self.subject}
        if domain != "DM":
            head[f"{domain}SEQ"] = str(len(rows) + 1)
        rows.append({**head, **{key: str(value) for key, value in cells.items()}})


def simulate_trial(rng: Any, *, subjects: int = 306) -> dict[str, list[Row]]:
    """Simulate a trial.

    Parameters
    ----------
    rng
        Random source of numpy.
    subjects
        Patients enrolled; three more in a hundred fail screening.

    Returns
    -------
    datasets
        Rows of DM, SUPPDM, EX, AE, SUPPAE, LB, DS, CM, TU, TR and RS, all text.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(simulate_trial(np.random.default_rng(1), subjects=4))[:4]
    ['AE', 'CM', 'DM', 'DS']
    """
    datasets: dict[str, list[Row]] = {
        name: [] for name in ("DM", "SUPPDM", "EX", "AE", "SUPPAE", "LB", "DS", "CM", "TU", "TR", "RS")
    }
    for number in range(1, subjects + 1):
        patient = _enrol(rng, number, subjects)
        _follow(rng, patient)
        for name, rows in patient.rows.items():
            datasets[name] += rows
    for number in range(1, round(0.03 * subjects) + 1):
        datasets["DM"].append(_fail_screening(rng, subjects + number))
    return datasets


def _choose(rng: Any, weights: Any) -> int:
    total = sum(weights)
    return int(rng.choice(len(weights), p=[weight / total for weight in weights]))


def _enrol(rng: Any, number: int, subjects: int) -> _Patient:
    tumour, _, chance = TUMOURS[_choose(rng, [item[1] for item in TUMOURS])]
    arm = ARMS[_choose(rng, [item[3] for item in ARMS])]
    start = FIRST_DAY + timedelta(days=int(number * 700 / max(subjects, 1) + rng.integers(0, 14)))
    site = int(rng.integers(1, 13))
    responds = rng.random() < chance
    lesions = list(_make_lesions(rng, responds=responds))
    return _Patient(
        subject=f"{STUDY}-{site:02d}-{number:04d}",
        start=start,
        arm=arm,
        tumour=tumour,
        lesions=lesions,
    )


def _make_lesions(rng: Any, *, responds: bool) -> Iterator[_Lesion]:
    injected = int(rng.integers(1, 4))
    others = int(rng.choice([0, 1, 2], p=[0.4, 0.4, 0.2]))
    outside = int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))
    growth = float(rng.gamma(2.0, 0.0016))
    plan = [("LIVER", True)] * injected + [("LIVER", False)] * others
    plan += [(str(rng.choice(["LUNG", "LYMPH NODE", "PERITONEUM"])), False) for _ in range(outside)]
    targets = non_targets = 0
    for site, is_injected in plan:
        node = site == "LYMPH NODE"
        target = targets < 5 and (is_injected or rng.random() < 0.75)
        targets, non_targets = targets + target, non_targets + (not target)
        effect = (0.85 if is_injected else 0.45) if responds else (0.18 if is_injected else 0.05)
        yield _Lesion(
            name=f"T{targets:02d}" if target else f"NT{non_targets:02d}",
            role=LesionRole.TARGET if target else LesionRole.NON_TARGET,
            site=site,
            node=node,
            injected=is_injected,
            size=float(rng.uniform(16, 30) if node else rng.gamma(4.0, 8.0) + 12),
            shrinking_fraction=float(min(1.0, effect * rng.uniform(0.5, 1.35))),
            kill_per_day=float(rng.uniform(0.008, 0.03)),
            growth_per_day=growth * float(rng.uniform(0.5, 1.3)),
        )


def _follow(rng: Any, patient: _Patient) -> None:
    _list_lesions(patient)
    progression = _scan(rng, patient)
    survival = int(rng.exponential(520)) + 30
    if progression is not None:
        survival = max(survival, progression + int(rng.exponential(160)) + 5)
    dropout = int(rng.exponential(2600))
    patient.dead = survival < min(STUDY_DAYS, dropout)
    patient.end_day = min(survival, STUDY_DAYS, max(dropout, 40))
    if patient.end_day < STUDY_DAYS:
        patient.reason = "DEATH" if patient.dead else "LOST TO FOLLOW-UP"
    _trim(patient)
    last = _inject(rng, patient, until=min(progression or STUDY_DAYS, patient.end_day))
    _suffer(rng, patient, last=last)
    _test_blood(rng, patient, last=last)
    if progression is not None and progression + 30 < patient.end_day and rng.random() < 0.5:
        patient.add(
            "CM", CMTRT="SYSTEMIC THERAPY", CMCAT="SUBSEQUENT ANTI-CANCER THERAPY",
            CMSTDTC=patient.day(progression + int(rng.integers(7, 30))),
        )  # fmt: skip
    _close(rng, patient, last=last)


def _list_lesions(patient: _Patient) -> None:
    for lesion in patient.lesions:
        patient.add(
            "TU", TULNKID=lesion.name, TUTESTCD="TUMIDENT", TUTEST="Tumor Identification",
            TUORRES=str(lesion.role), TUSTRESC=str(lesion.role), TULOC=lesion.site, TUEVAL="INVESTIGATOR",
            VISITNUM=1, VISIT="SCREENING", TUDTC=patient.day(-7), TUDY=-7,
        )  # fmt: skip


@dataclass(slots=True)
class _Scans:
    """The visits of one patient while they are made."""

    tracked: list[TrackedLesion]
    new_chance: float
    made: list[Visit] = field(default_factory=list)
    new: str = ""


def _scan(rng: Any, patient: _Patient) -> int | None:
    """Write TR and RS until progression, for half of the patients with one more scan after it; return its day."""
    visits = [(1.0, "SCREENING", -7)]
    visits += [
        (2.0 + i, f"WEEK {week}", 7 * week + int(rng.integers(-3, 4))) for i, week in enumerate(SCAN_WEEKS)
    ]
    scans = _Scans(
        tracked=[
            TrackedLesion(lesion_id=x.name, role=x.role, site=x.site, is_node=x.node) for x in patient.lesions
        ],
        new_chance=0.05 + 12 * patient.lesions[0].growth_per_day,
    )
    for number, name, day in visits:
        if _visit(rng, patient, scans, number=number, name=name, day=day) == "PD":
            if rng.random() < TREATED_BEYOND:
                later = day + int(rng.integers(*CONFIRMED_AFTER_DAYS))
                _visit(rng, patient, scans, number=number + 0.1, name="UNSCHEDULED", day=later)
            return day
    return None


def _visit(rng: Any, patient: _Patient, scans: _Scans, *, number: float, name: str, day: int) -> str:
    """Write one visit; return its overall response, empty at baseline."""
    readings = {
        lesion.name: _read(rng, patient, lesion, number=number, name=name, day=day)
        for lesion in patient.lesions
    }
    if number > 1 and not scans.new and rng.random() < scans.new_chance:
        scans.new = "NEW01"
        site = "LIVER" if rng.random() < 0.5 else "LUNG"
        scans.tracked.append(TrackedLesion(lesion_id=scans.new, role=LesionRole.NEW, site=site))
        patient.add(
            "TU", TULNKID=scans.new, TUTESTCD="TUMIDENT", TUTEST="Tumor Identification", TUORRES="NEW",
            TUSTRESC="NEW", TULOC=site, TUEVAL="INVESTIGATOR", VISITNUM=f"{number:g}", VISIT=name,
            TUDTC=patient.day(day), TUDY=derive_study_day(_at(patient, day), reference=patient.start),
        )  # fmt: skip
    if scans.new:
        patient.add("TR", **_say(patient, scans.new, "TUMSTATE", "PRESENT", number, name, day))
    scans.made.append(
        Visit(
            number=number,
            name=name,
            date=PartialDate.from_text(patient.day(day)),
            readings=readings,
            new_lesions=frozenset({scans.new} if scans.new else ()),
        )
    )
    if number == 1:
        return ""
    course = Course(lesions=tuple(scans.tracked), baseline=scans.made[0], follow_ups=tuple(scans.made[1:]))
    answer = derive_recist(course)[-1]
    codes = {
        "TRGRESP": str(answer.target.response) if answer.target else "",
        "OVRLRESP": str(answer.overall),
    }
    for test, code in codes.items():
        if code:
            patient.add(
                "RS", RSTESTCD=test, RSTEST="Overall Response" if test[0] == "O" else "Target Response",
                RSCAT="RECIST 1.1", RSORRES=code, RSSTRESC=code, RSEVAL="INVESTIGATOR",
                VISITNUM=f"{number:g}", VISIT=name, RSDTC=patient.day(day),
                RSDY=derive_study_day(_at(patient, day), reference=patient.start),
            )  # fmt: skip
    return codes["OVRLRESP"]


def _at(patient: _Patient, day: int) -> date:
    return patient.start + timedelta(days=day)


def _read(rng: Any, patient: _Patient, lesion: _Lesion, *, number: float, name: str, day: int) -> Reading:
    from hepatica.followup.words import LesionState

    if lesion.role is LesionRole.NON_TARGET:
        patient.add("TR", **_say(patient, lesion.name, "TUMSTATE", "PRESENT", number, name, day))
        return Reading(state=LesionState.PRESENT)
    if number > 1 and rng.random() < 0.01:
        cells = _say(patient, lesion.name, "LDIAM", "", number, name, day)
        patient.add("TR", **{**cells, "TRSTAT": "NOT DONE", "TRREASND": "SCAN NOT EVALUABLE"})
        return Reading()
    size = round(max(0.0, lesion.measure(max(day, 0)) + float(rng.normal(0, 1.0))), 1)
    size = 0.0 if size < 2.5 and not lesion.node else max(size, 5.0)
    test = "LPERP" if lesion.node else "LDIAM"
    patient.add("TR", **_say(patient, lesion.name, test, f"{size:g}", number, name, day))
    return Reading(size=size)


def _say(
    patient: _Patient, lesion: str, test: str, text: str, number: float, name: str, day: int
) -> dict[str, Any]:
    names = {"LDIAM": "Longest Diameter", "LPERP": "Longest Perpendicular", "TUMSTATE": "Tumor State"}
    sized = test != "TUMSTATE"
    return {
        "TRLNKID": lesion, "TRTESTCD": test, "TRTEST": names[test], "TRORRES": text,
        "TRORRESU": "mm" if sized and text else "", "TRSTRESC": text, "TRSTRESN": text if sized else "",
        "TRSTRESU": "mm" if sized and text else "", "TRSTAT": "", "TRREASND": "", "TREVAL": "INVESTIGATOR",
        "VISITNUM": f"{number:g}", "VISIT": name, "TRDTC": patient.day(day),
        "TRDY": derive_study_day(_at(patient, day), reference=patient.start),
    }  # fmt: skip


def _trim(patient: _Patient) -> None:
    """Leave out what would have come after the end."""
    last = patient.day(patient.end_day)
    for domain in ("TU", "TR", "RS"):
        rows = patient.rows.get(domain, [])
        patient.rows[domain] = [row for row in rows if row[f"{domain}DTC"] <= last]


def _inject(rng: Any, patient: _Patient, *, until: int) -> int:
    """Write EX; return the day of the last dose."""
    last = 0
    concentration = patient.arm[2]
    ceiling = 8.0 if "8 mL" in patient.arm[1] else 4.0
    for round_ in range(MOST_INJECTIONS):
        day = round_ * INJECTION_EVERY_DAYS + (int(rng.integers(-2, 3)) if round_ else 0)
        if day > until or (round_ and rng.random() < 0.06):
            break
        left = ceiling
        for lesion in sorted((x for x in patient.lesions if x.injected), key=lambda x: -x.size):
            size = lesion.measure(day)
            volume = min(
                left, next(v for edge, v in ((15, 0.5), (25, 1.0), (50, 2.0), (1e9, 4.0)) if size < edge)
            )
            left -= volume
            if volume > 0:
                first = concentration if round_ else min(concentration, 1e6)
                patient.add(
                    "EX", EXLNKID=lesion.name, EXTRT="SIMULATED AGENT", EXDOSE=f"{volume * first:.0f}",
                    EXDOSU="PFU", EXVAMT=f"{volume:g}", EXVAMTU="mL", EXROUTE="INTRATUMORAL", EXLOC="LIVER",
                    EXSTDTC=patient.day(day), EXENDTC=patient.day(day),
                    EXSTDY=day + 1, EXENDY=day + 1,
                )  # fmt: skip
        last = day
    return last


def _suffer(rng: Any, patient: _Patient, *, last: int) -> None:
    """Write AE and its supplement."""
    drawn = []
    for term, system, mean, grades, cause in EVENTS:
        for _ in range(int(rng.poisson(mean))):
            day = int(rng.integers(-10, min(last + 60, patient.end_day - 1) + 1))
            drawn.append((day, term, system, 1 + _choose(rng, grades), cause))
    for day, term, system, grade, cause in sorted(drawn):
        end = day + int(rng.integers(1, 20))
        cells = {
            "AETERM": term, "AEDECOD": term, "AEBODSYS": system, "AETOXGR": grade,
            "AESER": "Y" if grade >= 4 or (grade == 3 and rng.random() < 0.4) else "N",
            "AEREL": "POSSIBLY RELATED" if cause == "agent" and rng.random() < 0.8 else "NOT RELATED",
            "AESTDTC": patient.day(day), "AEENDTC": patient.day(end) if end <= patient.end_day else "",
            "AESTDY": derive_study_day(_at(patient, day), reference=patient.start),
        }  # fmt: skip
        patient.add("AE", **cells)
        number = patient.rows["AE"][-1]["AESEQ"]
        answers = {"AERELPRC": "RELATED" if cause == "procedure" and rng.random() < 0.8 else "NOT RELATED"}
        answers["AEDLT"] = "Y" if grade >= 3 and 0 <= day < 21 and cause != "neither" else "N"
        for name, value in answers.items():
            patient.rows.setdefault("SUPPAE", []).append(
                {
                    "STUDYID": STUDY,
                    "RDOMAIN": "AE",
                    "USUBJID": patient.subject,
                    "IDVAR": "AESEQ",
                    "IDVARVAL": number,
                    "QNAM": name,
                    "QVAL": value,
                }
            )


def _test_blood(rng: Any, patient: _Patient, *, last: int) -> None:
    for day in range(-3, min(last + 22, patient.end_day), INJECTION_EVERY_DAYS):
        for code, unit, middle in (("ALT", "U/L", 38), ("AST", "U/L", 40), ("BILI", "umol/L", 12)):
            value = round(float(middle * rng.lognormal(0, 0.4)), 1)
            patient.add(
                "LB", LBTESTCD=code, LBORRES=value, LBORRESU=unit, LBSTRESN=value, LBSTRESU=unit,
                LBDTC=patient.day(day), LBDY=derive_study_day(_at(patient, day), reference=patient.start),
            )  # fmt: skip


def _close(rng: Any, patient: _Patient, *, last: int) -> None:
    """Write DM, its supplement and DS."""
    end = patient.day(patient.end_day)
    patient.add(
        "DM", SUBJID=patient.subject[-4:], SITEID=patient.subject[-7:-5], RFSTDTC=patient.day(0),
        RFENDTC=end, RFXSTDTC=patient.day(0), RFXENDTC=patient.day(last), DTHDTC=end if patient.dead else "",
        DTHFL="Y" if patient.dead else "", AGE=int(min(88, max(24, rng.normal(63, 10)))), AGEU="YEARS",
        SEX="M" if rng.random() < 0.58 else "F",
        RACE=str(rng.choice(["WHITE", "ASIAN", "BLACK OR AFRICAN AMERICAN", "NOT REPORTED"],
        p=[0.7, 0.17, 0.08, 0.05])),
        ETHNIC="NOT HISPANIC OR LATINO", ARMCD=patient.arm[0], ARM=patient.arm[1], ACTARMCD=patient.arm[0],
        ACTARM=patient.arm[1], COUNTRY=str(rng.choice(["SWE", "DEU", "USA", "FRA"])),
    )  # fmt: skip
    patient.rows["SUPPDM"] = [
        {
            "STUDYID": STUDY,
            "RDOMAIN": "DM",
            "USUBJID": patient.subject,
            "IDVAR": "",
            "IDVARVAL": "",
            "QNAM": "TUMTYPE",
            "QVAL": patient.tumour,
        }
    ]
    patient.add(
        "DS", DSTERM=patient.reason, DSDECOD=patient.reason, DSCAT="DISPOSITION EVENT", DSSTDTC=end,
        DSSTDY=patient.end_day + 1,
    )  # fmt: skip


def _fail_screening(rng: Any, number: int) -> Row:
    return {
        "STUDYID": STUDY, "DOMAIN": "DM", "USUBJID": f"{STUDY}-{int(rng.integers(1, 13)):02d}-{number:04d}",
        "SUBJID": f"{number:04d}", "SITEID": "01", "AGE": "60", "AGEU": "YEARS", "SEX": "F", "RACE": "WHITE",
        "ARMCD": "SCRNFAIL", "ARM": "SCREEN FAILURE", "ACTARMCD": "SCRNFAIL", "ACTARM": "SCREEN FAILURE",
        "COUNTRY": "SWE",
    }  # fmt: skip
