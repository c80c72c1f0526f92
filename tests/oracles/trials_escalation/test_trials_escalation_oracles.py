"""Published boundary tables, worked examples and independent integrals."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy import integrate, optimize, special

from hepatica.trials.escalation import find_design
from hepatica.trials.escalation.boin import derive_boin_boundaries
from hepatica.trials.escalation.crm import derive_skeleton
from hepatica.trials.isotonic import derive_matrix_isotonic
from hepatica.trials.outcomes import Patient, TrialData, parse_outcomes
from hepatica.trials.rules import RuledDesign, StopAtN, StopNAtDose

PRINTED_TO_THREE_DECIMALS = 1e-3  # the table truncates some entries (0.3585 is printed 0.358)
QUADRATURE_TOLERANCE = 1e-7  # adaptive quadrature is asked for 1e-10; trapezoidal sums are near rounding
GRID_TOLERANCE = 2e-4  # probabilities read off a two-dimensional grid with linear cells
FIT_TOLERANCE = 1e-5  # SLSQP stops near 1e-7 in the objective


def advise(design, text):
    advice = design.next_dose(parse_outcomes(text))
    return advice.recommended_dose, advice.continue_


@pytest.mark.requirement("E-boin")
@pytest.mark.parametrize(
    ("target", "escalate", "deescalate"),
    [
        (0.15, 0.118, 0.179),
        (0.20, 0.157, 0.238),
        (0.25, 0.197, 0.298),
        (0.30, 0.236, 0.358),
        (0.35, 0.276, 0.419),
        (0.40, 0.316, 0.479),
    ],
)
def test_boin_boundaries_are_those_printed(target, escalate, deescalate):
    assert derive_boin_boundaries(target) == pytest.approx(
        (escalate, deescalate), abs=PRINTED_TO_THREE_DECIMALS
    )


@pytest.mark.requirement("E-boin")
def test_boin_limits_for_target_030_are_those_printed():
    rows = [row for row in find_design("boin", dose_count=5, target=0.3).table(30).rows if row["n"] % 3 == 0]
    assert [row["escalate_if_le"] for row in rows] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 7]
    assert [row["deescalate_if_ge"] for row in rows] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert [row["eliminate_if_ge"] for row in rows] == [3, 4, 5, 7, 8, 9, 10, 11, 12, 14]


@pytest.mark.requirement("E-boin")
def test_boin_does_not_eliminate_a_dose_with_fewer_than_three_patients():
    rows = find_design("boin", dose_count=5, target=0.3).table(3).rows
    assert [row["eliminate_if_ge"] for row in rows] == [None, None, 3]


BOIN_TRIAL = [
    ("1NNN", 2),
    ("2NNN", 3),
    ("3NTT", 2),
    ("2NTN", 3),
    ("3NNN", 3),
    ("3NNN", 4),
    ("4TTT", 3),
    ("3NTN", 3),
    ("3NNT", 3),
    ("3TNN", 3),
]


@pytest.mark.requirement("E-boin")
def test_boin_follows_the_worked_example_of_thirty_patients():
    design, so_far = find_design("boin", dose_count=5, target=0.3), ""
    for cohort, expected in BOIN_TRIAL:
        so_far = f"{so_far} {cohort}"
        assert advise(design, so_far) == (expected, True)
    assert design.select((3, 6, 18, 3, 0), (0, 1, 5, 3, 0)) == 3


@pytest.mark.requirement("E-boin")
@pytest.mark.parametrize(
    ("text", "expected"),
    [("1N", (2, True)), ("1N 2TN", (1, True)), ("1N 2TN 1TT", (1, True)), ("1N 2TN 1TTT", (None, False))],
)
def test_boin_stops_without_a_dose_when_dose_one_is_eliminated(text, expected):
    assert advise(find_design("boin", dose_count=5, target=0.3), text) == expected


def limits(name, sizes, **options):
    rows = {
        row["n"]: row for row in find_design(name, dose_count=5, target=0.3, **options).table(max(sizes)).rows
    }
    return [
        tuple(rows[n][key] for key in ("escalate_if_le", "deescalate_if_ge", "eliminate_if_ge"))
        for n in sizes
    ]


@pytest.mark.requirement("E-tpi")
def test_tpi_decides_as_its_published_table():
    # three to twelve patients; 4 of 6, 6 of 9 and 7 of 12 exclude the dose, 5 of 9 and 6 of 12 do not
    assert limits("tpi", (3, 6, 9, 12)) == [(0, 2, 3), (0, 3, 4), (1, 5, 6), (2, 6, 7)]


@pytest.mark.requirement("E-mtpi")
def test_mtpi_decides_as_its_published_figure():
    assert limits("mtpi", (3, 6, 9, 12, 30))[:4] == [(0, 2, 3), (1, 4, 4), (1, 5, 5), (2, 6, 7)]
    assert advise(find_design("mtpi", dose_count=5, target=0.3), "1" + "N" * 24 + "T" * 6) == (2, True)
    assert advise(find_design("mtpi", dose_count=5, target=0.3), "1" + "N" * 16 + "T" * 14) == (None, False)


@pytest.mark.requirement("E-mtpi2")
def test_mtpi2_decides_as_its_published_figure():
    assert limits("mtpi2", (3, 6, 9, 10)) == [(0, 2, 3), (1, 3, 4), (2, 4, 5), (2, 4, 6)]


@pytest.mark.requirement("E-keyboard")
def test_keyboard_decides_as_the_table_of_its_package():
    rows = limits("keyboard", (3, 6, 9, 12))
    assert rows == [(0, 2, 3), (1, 3, 4), (2, 4, 5), (2, 5, 7)]
    assert rows == limits("mtpi2", (3, 6, 9, 12))


THREE_PLUS_THREE = [
    ("", 1, True),
    ("1N", 1, True),
    ("1TT", 1, True),
    ("1NNN", 2, True),
    ("1NNT", 1, True),
    ("1NTT", None, False),
    ("1TTT", None, False),
    ("1NNN 2NTT", 1, False),
    ("1NNN 2NNT", 2, True),
    ("1NNN 2NNT 2TT", 2, True),
    ("1NNN 2NNT 2NNN", 3, True),
    ("1NNN 2NNT 2NNT", 1, False),
    ("1NNN 2NNN 3NNN 4NNN 5NNN", 5, False),
    ("1NNN 2NNN 3NNN 4NNN 5NNT", 5, True),
    ("1NNN 2NNN 3NNN 4NNN 5NTT", 4, False),
    ("1NNN 2NNN 3NNN 4NNN 5NNT 5NNN", 5, False),
    ("1NNN 2NNN 3NNN 4NNN 5NNT 5NNT", 4, False),
]


@pytest.mark.requirement("E-3+3")
@pytest.mark.parametrize(("text", "dose", "goes_on"), THREE_PLUS_THREE)
def test_three_plus_three_follows_its_published_rules(text, dose, goes_on):
    assert advise(find_design("3+3", dose_count=5), text) == (dose, goes_on)


@pytest.mark.requirement("E-3+3")
@pytest.mark.parametrize(
    ("text", "dose", "goes_on"),
    [
        ("1NNN 2NTT", 1, True),
        ("1NNN 2NNT 2NNT", 1, True),
        ("1NNN 2NTT 1N", 1, True),
        ("1NNN 2NTT 1NNN", 1, False),
        ("1NNN 2NTT 1NNT", 1, False),
        ("1NNN 2NTT 1NTT", None, False),
        ("1NNT 1NNN 2NTT", 1, False),
        ("1NNN 2NNN 3NNN 4NNN 5NTT", 4, True),
    ],
)
def test_three_plus_three_with_deescalation_fills_the_lower_dose_to_six(text, dose, goes_on):
    assert advise(find_design("3+3", dose_count=5, allow_deescalation=True), text) == (dose, goes_on)


BOIN12_TRIAL = [
    ("1NNN", 2),
    ("2NNB", 3),
    ("3NEE", 3),
    ("3NTN", 4),
    ("4ETE", 4),
    ("4NBE", 4),
    ("4BNN", 5),
    ("5BEN", 5),
    ("5NBT", 4),
]
BOIN12_COHORTS = {
    1: {1: "EBB EEB EEE EET ETB ETT NBB NEB NEE NTB NTT", 2: "NET NNB NNE NNN NNT"},
    2: {1: "BBB EBB ETB ETT NBB NTB NTT TBB TTB TTT", 2: "EEB EEE EET NEB NEE", 3: "NET NNB NNE NNN NNT"},
    5: {4: "BBB EBB ETB ETT NBB NET NNB NNE NNN NNT NTB NTT TBB TTB TTT", 5: "EEB EEE EET NEB NEE"},
}
BOIN12_COHORTS_TIGHT = {
    1: {1: "EEB EEE EET NEB NEE NET NNB", 2: "NNE NNN"},
    2: {1: "BBB EBB EEB EET ETB ETT NBB NEB NET NNB NNT NTB NTT TBB TTB TTT", 2: "EEE NEE", 3: "NNN"},
    5: {4: "BBB EBB EEB EET ETB ETT NBB NEB NET NNB NNE NNN NNT NTB NTT TBB TTB TTT", 5: "EEE NEE"},
}


@pytest.mark.requirement("E-boin12")
def test_boin12_follows_its_published_trial():
    design = find_design("boin12", dose_count=5, phi_t=0.35, phi_e=0.25, u2=40.0, u3=60.0, n_star=6)
    ruled = RuledDesign(design=design, rules=(StopAtN(n=30), StopNAtDose(n=12)))
    assert advise(ruled, "1NNN 2ENT 3ETT 2EEN") == (2, True)
    so_far = ""
    for cohort, expected in BOIN12_TRIAL:
        so_far = f"{so_far} {cohort}"
        assert advise(ruled, so_far) == (expected, True)
    assert advise(ruled, so_far + " 4NEN") == (4, False)


@pytest.mark.requirement("E-boin12")
@pytest.mark.parametrize(
    ("options", "cohorts"),
    [
        ({"phi_t": 0.35, "phi_e": 0.25, "u2": 40.0, "u3": 60.0}, BOIN12_COHORTS),
        ({"phi_t": 0.15, "phi_e": 0.4, "u2": 50.0, "u3": 30.0, "c_t": 0.9, "c_e": 0.8}, BOIN12_COHORTS_TIGHT),
    ],
)
def test_boin12_decides_single_cohorts_as_the_authors_application(options, cohorts):
    design = find_design("boin12", dose_count=5, **options)
    for dose, answers in cohorts.items():
        for expected, outcomes in answers.items():
            for outcome in outcomes.split():
                assert advise(design, f"{dose}{outcome}") == (expected, True), f"{dose}{outcome}"


@pytest.mark.requirement("E-boin12")
@pytest.mark.parametrize("outcome", ["EBB", "ETB", "ETT", "NBB", "NTB"])
def test_boin12_stops_where_the_authors_application_would_stay_at_an_eliminated_dose_one(outcome):
    design = find_design("boin12", dose_count=5, phi_t=0.15, phi_e=0.4, u2=50.0, u3=30.0, c_t=0.9, c_e=0.8)
    assert advise(design, f"1{outcome}") == (None, False)


@pytest.mark.requirement("E-boin-combination")
def test_combination_follows_the_worked_example():
    design = find_design("boin-combination", dose_counts=(3, 4), target=0.25)
    assert advise(design, "1.1NNN") == ((1, 2), True)
    assert advise(design, "1.1NNN 1.2NNT") == ((1, 1), True)


@pytest.mark.requirement("E-boin-combination")
def test_combination_selects_one_pair_and_a_contour():
    one = find_design("boin-combination", dose_counts=(3, 5), target=0.3)
    counts, dlts = (
        [[3, 5, 0, 0, 0], [7, 6, 15, 0, 0], [0, 0, 4, 0, 0]],
        [[0, 1, 0, 0, 0], [1, 1, 4, 0, 0], [0, 0, 2, 0, 0]],
    )
    assert one.select(counts, dlts) == (2, 3)
    contour = find_design("boin-combination", dose_counts=(3, 4), target=0.3)
    counts, dlts = [[6, 9, 24, 0], [6, 24, 9, 0], [12, 18, 0, 0]], [[0, 1, 5, 0], [1, 5, 4, 0], [1, 5, 0, 0]]
    assert contour.select_contour(counts, dlts) == (3, 2, 2)


@pytest.mark.requirement("E-boin-combination")
def test_matrix_isotonic_fit_solves_the_quadratic_programme():
    rng = np.random.default_rng(6)
    values, weights = rng.random((3, 4)), rng.integers(1, 9, (3, 4)).astype(float)
    below = [
        {"type": "ineq", "fun": lambda z, a=a, b=b: z[b] - z[a]}
        for i in range(3)
        for j in range(4)
        for a, b in ([(4 * i + j, 4 * i + j + 1)] if j < 3 else [])
        + ([(4 * i + j, 4 * i + j + 4)] if i < 2 else [])
    ]
    other = optimize.minimize(
        lambda z: float((weights.ravel() * (z - values.ravel()) ** 2).sum()),
        np.sort(values.ravel()),
        constraints=below,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    fit = np.array(derive_matrix_isotonic(values.tolist(), weights=weights.tolist()))
    assert np.abs(fit.ravel() - other.x).max() < FIT_TOLERANCE


def integrate_crm(skeleton, levels, dlts, weights, *, sd, intercept=None):
    """Posterior mean of b as dfcrm defines it, by adaptive quadrature."""

    def curve(p, b):
        if intercept is None:
            return p ** exp(b)
        return float(special.expit(intercept + exp(b) * (log(p / (1 - p)) - intercept)))

    def kernel(b, power):
        value = exp(-0.5 * (b / sd) ** 2) * b**power
        for level, dlt, weight in zip(levels, dlts, weights):
            p = curve(skeleton[level - 1], b)
            value *= p if dlt else 1 - weight * p
        return value

    parts = [
        [integrate.quad(kernel, a, a + 1.0, args=(k,), epsabs=1e-18, epsrel=1e-11)[0] for a in range(-12, 12)]
        for k in (0, 1)
    ]
    return sum(parts[1]) / sum(parts[0])


def to_levels(text):
    patients = parse_outcomes(text).patients
    return [p.dose for p in patients], [p.dlt for p in patients], [1.0] * len(patients)


@pytest.mark.requirement("E-crm")
@pytest.mark.parametrize(
    ("skeleton", "target", "text", "sd", "intercept", "dose"),
    [
        ((0.1, 0.2, 0.4, 0.55), 0.2, "2NNT 2NNN 3NTT 2NNT", sqrt(0.75), None, 1),
        (
            (0.1, 0.2, 0.33, 0.45, 0.6, 0.7, 0.8),
            0.33,
            "1NNN 2NNN 3NTT 2NNN 3TNN 3TNT 2NNN",
            sqrt(1.34),
            4.0,
            3,
        ),
        ((0.05, 0.1, 0.25, 0.4, 0.6), 0.25, "1NNN 2NTT", sqrt(1.34), None, 1),
        ((0.05, 0.1, 0.25, 0.4, 0.6), 0.25, "1TTT", sqrt(1.34), None, 1),
        ((0.05, 0.1, 0.25, 0.4, 0.6), 0.25, "1NNN 2NNN 3NNN", sqrt(1.34), 3.0, 4),
    ],
)
def test_crm_estimate_equals_the_integral_that_defines_it(skeleton, target, text, sd, intercept, dose):
    options = {} if intercept is None else {"model": "logistic", "intercept": intercept}
    design = find_design("crm", skeleton=skeleton, target=target, prior_sd=sd, **options)
    advice = design.next_dose(parse_outcomes(text))
    expected = integrate_crm(skeleton, *to_levels(text), sd=sd, intercept=intercept)
    assert abs(advice.estimate - expected) < QUADRATURE_TOLERANCE
    assert advice.recommended_dose == dose


@pytest.mark.requirement("E-tite-crm")
@pytest.mark.parametrize("intercept", [None, 3.0])
def test_tite_crm_equals_the_weighted_integral(intercept):
    skeleton, level = (0.05, 0.10, 0.20, 0.35, 0.50, 0.70), (3, 3, 3, 4, 4, 3, 2, 2, 2, 3)
    dlts, follow_up = (0, 0, 1, 0, 1, 0, 0, 0, 0, 0), (178, 181, 168, 181, 24, 181, 179, 102, 42, 3)
    patients = tuple(
        Patient(dose=d, dlt=bool(x), follow_up_fraction=min(1.0, u / 180))
        for d, x, u in zip(level, dlts, follow_up)
    )
    options = {} if intercept is None else {"model": "logistic", "intercept": intercept}
    design = find_design("tite-crm", skeleton=skeleton, target=0.2, prior_sd=sqrt(1.34), **options)
    weights = [1.0 if x else min(1.0, u / 180) for x, u in zip(dlts, follow_up)]
    expected = integrate_crm(skeleton, level, dlts, weights, sd=sqrt(1.34), intercept=intercept)
    advice = design.next_dose(TrialData(patients=patients))
    assert abs(advice.estimate - expected) < QUADRATURE_TOLERANCE
    distances = [abs(p - 0.2) for p in advice.prob_tox]
    assert advice.recommended_dose == distances.index(min(distances)) + 1


@pytest.mark.requirement("E-tite-crm")
def test_adaptive_weights_follow_the_dlt_times_seen():
    # DLTs at 24 and 168 of 180 days: weights rise by a third between them, as dfcrm defines the scheme
    patients = tuple(
        Patient(dose=1, dlt=x, follow_up_fraction=u / 180)
        for x, u in ((True, 24), (True, 168), (False, 12), (False, 96), (False, 174))
    )
    design = find_design("tite-crm", skeleton=(0.2, 0.4), target=0.2, weighting="adaptive")
    expected = (
        1.0,
        1.0,
        (12 / 24) / 3,
        (1 + (96 - 24) / (168 - 24)) / 3,
        (2 + (174 - 168) / (180 - 168)) / 3,
    )
    assert design.weights(TrialData(patients=patients)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.requirement("E-crm")
@pytest.mark.parametrize("model", ["empiric", "logistic"])
def test_maximum_likelihood_crm_is_the_maximum(model):
    design = find_design("crm", skeleton=(0.1, 0.2, 0.4), target=0.2, model=model, method="mle")
    data = parse_outcomes("1NNN 2NNT 3NTT")
    top = design.log_likelihood(data, design.estimate(data))
    found = optimize.minimize_scalar(
        lambda b: -design.log_likelihood(data, b), bounds=(-10, 10), method="bounded"
    )
    assert top >= -found.fun - 1e-12
    assert abs(design.estimate(data) - found.x) < 1e-4


@pytest.mark.requirement("E-crm")
@pytest.mark.parametrize("model", ["empiric", "logistic"])
def test_skeleton_has_the_indifference_intervals_asked_for(model):
    skeleton = derive_skeleton(halfwidth=0.06, target=0.25, prior_mtd=3, dose_count=6, model=model)
    design = find_design("crm", skeleton=skeleton, target=0.25, model=model)
    assert abs(skeleton[2] - 0.25) < 1e-12
    for k in range(5):
        edge = optimize.brentq(
            lambda b, k=k: design.prob_at(b)[k] + design.prob_at(b)[k + 1] - 0.5, -3, 3, xtol=1e-14
        )
        low, high = design.prob_at(edge)[k], design.prob_at(edge)[k + 1]
        # at the b that makes two neighbours equally far from the target they sit at target -+ half width
        assert (low, high) == pytest.approx((0.19, 0.31), abs=1e-9)


@pytest.mark.requirement("E-blrm")
def test_blrm_equals_adaptive_quadrature():
    design = find_design("blrm", dose_count=3, dose_amounts=(1.0, 2.5, 5.0), reference_amount=2.5)
    n, x, z = (3, 3, 0), (0, 1, 0), [log(a / 2.5) for a in (1.0, 2.5, 5.0)]

    def density(alpha, beta):
        value = -0.5 * (((alpha + log(3)) / 2) ** 2 + beta**2)
        for count, dlts, zd in zip(n, x, z):
            logit = alpha + exp(beta) * zd
            value += -dlts * np.logaddexp(0, -logit) - (count - dlts) * np.logaddexp(0, logit)
        return exp(value)

    def over(limit, dose):
        cut = log(limit / (1 - limit))
        return integrate.dblquad(
            density, -5, 4, lambda b: cut - exp(b) * z[dose], lambda b: 9.0 + 0 * b, epsabs=1e-9
        )[0]

    total = integrate.dblquad(density, -5, 4, -14, 9, epsabs=1e-9)[0]
    chances = design.prob_tox_exceeds(parse_outcomes("1NNN 2NNT"), 0.33)
    for dose in (0, 1):
        assert abs(chances[dose] - over(0.33, dose) / total) < GRID_TOLERANCE
