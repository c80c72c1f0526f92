"""What the routes of a trial answer."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StudyBrief(BaseModel):
    """The protocol version in force."""

    study_id: str
    title: str
    protocol_version: str
    valid_from_date: str


class DoseLevelAnswer(BaseModel):
    """A dose level of the protocol."""

    level: int
    concentration_pfu_per_ml: float
    volume_ceiling_ml: float
    ceiling_pfu: float


class PlanAnswer(BaseModel):
    """The escalation design of the protocol version."""

    design: str
    target_fraction: float | None
    cohort_size: int
    delay_days: float
    rules: list[list[str]]
    options: dict[str, str]
    levels: list[DoseLevelAnswer]


class EvidenceAnswer(BaseModel):
    """A number with its source."""

    key: str
    value: float | str | bool | None
    unit: str
    source: str
    status: str
    unverified: bool


class DefinitionAnswer(BaseModel):
    """What is dose-limiting; ``missing`` says why nobody can say."""

    title: str
    window_days: int | None
    criteria: list[str]
    evidence: list[EvidenceAnswer]
    missing: str


class HoldAnswer(BaseModel):
    """No decision for now."""

    why: str
    pending: int
    days: float | None
    earliest_date: str | None


class AdviceAnswer(BaseModel):
    """What the design says, in the words of ``hepatica trial next-dose --json``."""

    recommended_dose: int | None
    continue_: bool = Field(alias="continue")
    dose_admissible: list[bool]
    prob_tox: list[float | None]
    estimate: float | list[float] | None
    hold: HoldAnswer | None
    reason: str
    action: str
    backfill_doses: list[int] = []


class SlotsAnswer(BaseModel):
    """The current cohort."""

    dose: int | None
    size: int
    taken: int
    assigned: int
    free: int
    earliest_date: str | None
    days: int | None
    why: str


class LevelCounts(BaseModel):
    """Patients at a level, of all sites; ``evaluable`` are those whose outcome is known."""

    level: int
    injected: int
    evaluable: int
    dlts: int
    pending: int
    undecided: int
    not_evaluable: int
    waiting: int
    prob_tox: float | None
    admissible: bool


class PatientToxicity(BaseModel):
    """How a patient of one's own sites stands."""

    patient_id: str
    subject_id: str
    site_id: str
    level: int
    state: str
    closes_on: str
    days_left: int
    reason: str


class WaitingPatient(BaseModel):
    """A patient with a level who was not injected yet."""

    patient_id: str
    subject_id: str
    level: int


class DecisionRows(BaseModel):
    """Decisions by counts at the current level."""

    title: str
    columns: dict[str, str]
    rows: list[dict[str, int | None]]
    notes: list[str]


class PopulationAnswer(BaseModel):
    """Patients who escalate together."""

    name: str
    advice: AdviceAnswer
    slots: SlotsAnswer
    levels: list[LevelCounts]
    open: list[PatientToxicity]
    dlts: list[PatientToxicity]
    open_elsewhere: int
    waiting: list[WaitingPatient]
    outcomes: str
    command: str
    table: DecisionRows | None


class UncountedPatient(BaseModel):
    """A patient whom the design does not know of."""

    patient_id: str
    subject_id: str
    reason: str


class StandingAnswer(BaseModel):
    """How the escalation stands: counts of all sites, patients of one's own."""

    today: str
    simulated: bool
    study: StudyBrief | None
    plan: PlanAnswer | None
    plan_missing: str
    definition: DefinitionAnswer
    populations: list[PopulationAnswer]
    uncounted: list[UncountedPatient]
    injected: int
    sites: list[str]
    elsewhere: int


class Interval(BaseModel):
    """A proportion with exact limits, as fractions."""

    estimate: float
    lower: float
    upper: float


class RateAnswer(BaseModel):
    """Best response in lesions of one group."""

    group: str
    title: str
    n: int
    counts: dict[str, int]
    objective: Interval
    confirmed: Interval
    control: Interval


class Bar(BaseModel):
    """Best change of the target sum of one subject."""

    subject: str
    best: str
    change_percent: float


class Waterfall(BaseModel):
    """Bars of one group of lesions, the largest growth first."""

    group: str
    title: str
    bars: list[Bar]
    unmeasured: list[str]


class Median(BaseModel):
    """Median time in months; None is not reached."""

    months: float | None
    lower: float | None
    upper: float | None


class CurveStep(BaseModel):
    """One distinct time of a curve."""

    month: float
    n_risk: int
    n_event: int
    n_censor: int
    survival: float
    lower: float | None
    upper: float | None


class AtRisk(BaseModel):
    """Subjects under observation just before a month."""

    month: float
    n: int


class Curve(BaseModel):
    """A Kaplan-Meier curve; ``group`` is an arm, empty for all."""

    code: str
    title: str
    group: str
    n: int
    events: int
    conf: float
    conf_type: str
    median: Median
    steps: list[CurveStep]
    at_risk: list[AtRisk]


class ReportLine(BaseModel):
    """A line of a table of the report."""

    label: str
    cells: list[str]
    level: int


class ReportTableAnswer(BaseModel):
    """A table as the report prints it."""

    table_id: str
    title: str
    population: str
    denominator: str
    stub: str
    columns: list[str]
    rows: list[ReportLine]
    notes: list[str]
    absent: str


class OutcomesAnswer(BaseModel):
    """Response and survival of the patients at one's own sites."""

    study: str
    simulated: bool
    subjects: int
    treated: int
    sites: list[str]
    facts: list[list[str]]
    unverified: list[str]
    partial: bool
    confidence: float
    absent: dict[str, str]
    rates: list[RateAnswer]
    waterfalls: list[Waterfall]
    curves: list[Curve]
    tables: list[ReportTableAnswer]
    findings: list[dict[str, str | int]]
    made_at: str
