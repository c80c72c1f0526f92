"""``hepatica trial phase2``: designs with one or two stages, and inference after them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hepatica.entrypoints.cli.quick_command import QuickCommand, QuickGroup

phase2 = typer.Typer(cls=QuickGroup, help="Phase II designs and inference after them.", no_args_is_help=True)

P0 = Annotated[float, typer.Option("--p0", help="Response probability that is not of interest.")]
P1 = Annotated[float, typer.Option("--p1", help="Response probability that is of interest.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Largest type I error.")]
Beta = Annotated[float, typer.Option("--beta", help="Largest type II error.")]
Nmax = Annotated[int, typer.Option("--nmax", min=2, max=1000, help="Most patients searched.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]


@phase2.command(cls=QuickCommand)
def simon(
    p0: P0, p1: P1, alpha: Alpha = 0.05, beta: Beta = 0.2, nmax: Nmax = 150, as_json: Json = False
) -> None:
    """Find Simon's optimal and minimax two-stage designs."""
    from hepatica.trials.phase2.simon import find_simon_designs

    found = find_simon_designs(p0, p1, alpha=alpha, beta=beta, nmax=nmax)
    document = {
        "p0": p0,
        "p1": p1,
        "alpha": alpha,
        "beta": beta,
        "optimal": found.optimal.to_dict(),
        "minimax": found.minimax.to_dict(),
    }
    _show(document, as_json, [f"{name}: {_say(getattr(found, name))}" for name in ("optimal", "minimax")])


@phase2.command(name="single-stage", cls=QuickCommand)
def single_stage(
    p0: P0, p1: P1, alpha: Alpha = 0.05, beta: Beta = 0.2, nmax: Nmax = 1000, as_json: Json = False
) -> None:
    """Find the least exact one-stage design."""
    from hepatica.trials.phase2.single_stage import find_one_stage_design

    found = find_one_stage_design(p0, p1, alpha=alpha, beta=beta, nmax=nmax)
    words = (
        f"of interest above {found.r} of {found.n}; attained alpha {found.alpha:.4f}, power {found.power:.4f}"
    )
    _show(found.to_dict(), as_json, [words])


@phase2.command(cls=QuickCommand)
def admissible(
    p0: P0, p1: P1, alpha: Alpha = 0.05, beta: Beta = 0.2, nmax: Nmax = 150, as_json: Json = False
) -> None:
    """List the two-stage designs between minimax and optimal that are best for some weight of size."""
    from hepatica.trials.phase2.simon import list_admissible_designs

    rows = list_admissible_designs(p0, p1, alpha=alpha, beta=beta, nmax=nmax)
    document = {"designs": [{**row.design.to_dict(), "q_from": row.q_from, "q_to": row.q_to} for row in rows]}
    _show(
        document, as_json, [f"weight {row.q_from:.3f} to {row.q_to:.3f}: {_say(row.design)}" for row in rows]
    )


@phase2.command(cls=QuickCommand)
def inference(
    r1: Annotated[int, typer.Option("--r1")],
    n1: Annotated[int, typer.Option("--n1")],
    n: Annotated[int, typer.Option("--n")],
    x: Annotated[int, typer.Option("--x", help="Responses in all patients treated.")],
    p0: P0,
    stage: Annotated[int | None, typer.Option("--stage", min=1, max=2)] = None,
    conf: Annotated[float, typer.Option("--conf")] = 0.95,
    as_json: Json = False,
) -> None:
    """Estimate, p value and interval after a two-stage trial, in the order of the design."""
    from hepatica.trials.phase2.inference import infer_two_stage

    result = infer_two_stage(x, r1=r1, n1=n1, n=n, p0=p0, stage=stage, conf=conf)
    words = (
        f"stage {result.stage}: unbiased estimate {result.umvue:.3f} (naive {result.naive:.3f}), "
        f"p {result.p_value:.4f}, {100 * conf:g} % interval {result.lower:.3f} to {result.upper:.3f}"
    )
    _show(result.to_dict(), as_json, [words])


@phase2.command(cls=QuickCommand)
def predictive(
    x: Annotated[int, typer.Option("--x", help="Responses so far.")],
    n: Annotated[int, typer.Option("--n", help="Patients so far.")],
    n_max: Annotated[int, typer.Option("--n-max", help="Patients at the end.")],
    p0: P0,
    theta: Annotated[float, typer.Option("--theta", help="Posterior certainty that is success.")],
    prior: Annotated[str, typer.Option("--prior", help="Beta prior a,b.")] = "1,1",
    as_json: Json = False,
) -> None:
    """Predictive probability that the trial will succeed."""
    from hepatica.core.errors import InputError
    from hepatica.entrypoints.cli.trial_options import read_numbers
    from hepatica.trials.phase2.predictive import (
        PredictiveSetting,
        find_success_limit,
        measure_predictive_probability,
    )

    shape = read_numbers(prior, where="--prior")
    if len(shape) != 2:
        raise InputError(expected="two numbers a,b", given=f"'{prior}'", where="--prior")
    setting = PredictiveSetting(n_max=n_max, p0=p0, theta=theta, prior=(shape[0], shape[1]))
    chance = measure_predictive_probability(x, n, setting=setting)
    limit = find_success_limit(setting)
    document = {"predictive_probability": chance, "success_from": limit if limit <= n_max else None}
    _show(
        document,
        as_json,
        [f"predictive probability of success {chance:.4f}; success from {limit} of {n_max}"],
    )


@phase2.command(cls=QuickCommand)
def bop2(
    p0: P0,
    p1: P1,
    looks: Annotated[
        str | None,
        typer.Option("--looks", help="Patients at each look, the last is the total: 10,20,40."),
    ] = None,
    alpha: Alpha = 0.05,
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="binary, efficacy-toxicity, co-primary or nested.")
    ] = "binary",
    q0: Annotated[
        float | None,
        typer.Option(
            "--q0", help="Second endpoint, not of interest: toxicity, second response, or CR and PR together."
        ),
    ] = None,
    q1: Annotated[float | None, typer.Option("--q1", help="Second endpoint, of interest.")] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Find the smallest total that reaches power 1 - beta.")
    ] = False,
    beta: Beta = 0.2,
    first: Annotated[int, typer.Option("--first", min=1, help="Search: patients at the first look.")] = 10,
    every: Annotated[int, typer.Option("--every", min=1, help="Search: patients between looks.")] = 10,
    nmax: Annotated[int, typer.Option("--nmax", min=2, help="Search: most patients.")] = 80,
    as_json: Json = False,
) -> None:
    """Find the BOP2 stopping limits with the largest power under a type I limit, for one endpoint or a pair."""
    from functools import partial

    from hepatica.core.errors import InputError
    from hepatica.entrypoints.cli.trial_options import read_counts
    from hepatica.trials.phase2.bop2 import find_bop2_design, find_bop2_size, search_size

    if (looks is None) != search:
        raise InputError(
            expected="--looks or --search",
            given="both" if search else "neither",
            where="options",
            action="give one",
        )
    sizes: dict[str, Any] = {"beta": beta, "first": first, "every": every, "nmax": nmax}
    totals = read_counts(looks, where="--looks") if looks else ()
    found: Any
    if endpoint == "binary":
        found = (
            find_bop2_size(p0, p1, alpha=alpha, **sizes)
            if search
            else find_bop2_design(p0, p1, alpha=alpha, looks=totals)
        )
    else:
        from hepatica.trials.phase2.bop2_pair import find_bop2_pair

        null, alternative = _read_pair(p0, p1, q0, q1)
        kind = _read_kind(endpoint)
        find = partial(find_bop2_pair, null, alternative, kind=kind, alpha=alpha)
        found = search_size(lambda at: find(looks=at), **sizes) if search else find(looks=totals)
    document = {"endpoint": endpoint, **found.to_dict()}
    if search:
        document["n"] = found.looks[-1]
    _show(document, as_json, list(_describe_bop2(document)))


def _read_kind(endpoint: str) -> Any:
    from hepatica.core.errors import NotFoundError
    from hepatica.trials.phase2.bop2_pair import PairKind

    try:
        return PairKind(endpoint)
    except ValueError:
        raise NotFoundError(
            expected=f"binary, {', '.join(PairKind)}", given=f"'{endpoint}'", where="--endpoint"
        ) from None


def _read_pair(p0: float, p1: float, q0: float | None, q1: float | None) -> tuple[Any, Any]:
    from hepatica.core.errors import InputError

    if q0 is None or q1 is None:
        raise InputError(expected="--q0 and --q1 for a pair of endpoints", given="not both", where="options")
    return (p0, q0), (p1, q1)


def _describe_bop2(document: dict[str, Any]) -> Any:
    yield (
        f"lambda {document['lambda']:.2f}, gamma {document['gamma']:.2f}: alpha {document['alpha']:.4f}, "
        f"power {document['power']:.4f}"
    )
    words = {
        "stop_if_le": "stop with {} responses or fewer",
        "first_fails_if_le": "first endpoint fails with {} or fewer",
        "second_fails_if_le": "second endpoint fails with {} or fewer",
        "second_fails_if_ge": "toxicity fails with {} or more",
    }
    for row in document["boundaries"]:
        parts = [text.format(row[key]) for key, text in words.items() if row.get(key) is not None]
        yield f"  at {row['n']}: " + ("; ".join(parts) or "never stop")
    if "stop_when" in document:
        yield f"stop when {document['stop_when']}"


@phase2.command(cls=QuickCommand)
def basket(
    x: Annotated[str, typer.Option("--x", help="Responses by basket: 2,3,3,0,1.")],
    n: Annotated[str, typer.Option("--n", help="Patients by basket.")],
    p0: P0,
    method: Annotated[
        str, typer.Option("--method", help="independent, fujikawa, hierarchical or exnex.")
    ] = "independent",
    truth: Annotated[
        str | None, typer.Option("--truth", help="True rates, for how often each is called.")
    ] = None,
    cutoff: Annotated[
        float, typer.Option("--cutoff", help="Posterior probability that calls a basket.")
    ] = 0.95,
    trials: Annotated[int, typer.Option("--trials", min=1)] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Probability that each basket responds better than p0, alone or borrowing strength."""
    from hepatica.entrypoints.cli.trial_options import read_counts, read_numbers
    from hepatica.trials.phase2.basket import assess_baskets, simulate_baskets

    counts = read_counts(n, where="--n")
    chances = assess_baskets(read_counts(x, where="--x"), counts, p0=p0, method=method)
    document: dict[str, Any] = {"method": method, "p0": p0, "prob_above_p0": list(chances)}
    document["notes"] = [] if method == "independent" else ["borrowing uses weak default priors (unverified)"]
    lines = ["P(rate > p0): " + ", ".join(f"{chance:.3f}" for chance in chances), *document["notes"]]
    if truth is not None:
        rates = read_numbers(truth, where="--truth")
        called = simulate_baskets(
            counts, rates, p0=p0, method=method, cutoff=cutoff, trials=trials, seed=seed
        )
        document["called"] = list(called)
        lines.append("called of interest: " + ", ".join(f"{share:.3f}" for share in called))
    _show(document, as_json, lines)


def _say(design: Any) -> str:
    return (
        f"stop after {design.n1} with {design.r1} or fewer; of interest above {design.r} of {design.n}; "
        f"expected size {design.en:.1f}, early stop {design.pet:.2f}, alpha {design.alpha:.4f}, "
        f"power {design.power:.4f}"
    )


def _show(document: dict[str, Any], as_json: bool, lines: list[str]) -> None:
    from hepatica.entrypoints.cli.screen import print_json

    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(lines))
