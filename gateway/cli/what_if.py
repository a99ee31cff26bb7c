"""twin what-if."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from gateway.calibration import Calibrated, current, dynamic_model
from gateway.cli.branches import show_comparison
from gateway.cli.orders import read_orders, read_plan_file, read_utility_file, utc
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home, now
from gateway.outlook import keep, start_of
from gateway.settings import load_settings
from gateway.simulation import open_twin
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.clock import said_of_age
from twin_engine.outcome import Utility, measures_of
from twin_engine.plan import Plan
from twin_engine.scenario import Comparison, counterfactual, what_if
from twin_engine.sensitivity import Sensitivity, of_parameters
from twin_engine.series import Series, series_of
from twin_engine.therapy import read_therapy

__all__ = ["what_if_"]


def what_if_(
    twin: str,
    /,
    *,
    plan: tuple[Path, ...] = (),
    give: tuple[str, ...] = (),
    therapy: tuple[str, ...] = (),
    model: str = "glucose",
    minutes: int = 360,
    at: datetime | None = None,
    as_of: datetime | None = None,
    counterfactual: bool = False,
    utility: Path | None = None,
    sensitivity: bool = False,
    options: Options = Options(),
) -> int:
    """Simulate what would happen under one or several plans, beside doing nothing new.

    All branches start from the twin's calibration at one moment and meet the same chance. Where data is missing, it
    says what (exit status 5).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    plan
        A plan in a TOML or JSON file; name it several times to compare several.
    give
        Something to give or to do, like "60 g carbohydrate over 15 min at +30min" or "45 % exercise for 40 min"; all of
        these together are one more plan.
    therapy
        Who decides on insulin: "closed-loop, basal 0.9 [iU]/h, carb_ratio 10 g/[iU], correction 40 mg/dL/[iU]", or
        basal-bolus. Each is one more plan, with what --give says beside it; the insulin on record then does not count.
    model
        The model's name; "twin model list" lists them.
    minutes
        How far to look.
    at
        Start at this time (UTC where no zone is told), at most a day after the last reading; by default at that one.
        Facts later than this time are not used.
    as_of
        Use only what was known at this time.
    counterfactual
        Tell what would have happened from --at on, had the one plan been done; what is on record after it is held, but
        for what the plan replaces.
    utility
        A TOML file that declares what is better: title, declared_by and [weights] of outcomes.
    sensitivity
        Tell also which of this patient's parameters the first outcome of the last plan hangs on.
    """
    if not plan and not give and not therapy:
        raise Misuse("There is no plan.", hint="Name one with --plan FILE, --give or --therapy.")
    if counterfactual and at is None:
        raise Misuse("What would have happened needs a moment from which on.", hint="Name it with --at.")
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = dynamic_model(home, model)
        record = open_twin(home, twin, utc(as_of))
        moment = utc(at)
        is_past = moment is not None and moment <= now()
        found = current(home, record, chosen, at=moment if is_past else None)  # of what is to come no facts are used
        if isinstance(found, Missing):
            return _say_missing(record.id, found, options)
        start = start_of(found, moment)
        notes = said_of_age(found.track.at, moment or found.at, "what-if")
        plans = [read_plan_file(path, chosen, start) for path in plan]
        if give:
            plans.append(read_orders(give, ", ".join(give), chosen, start))
        given = plans[-1].doses if give else ()
        if counterfactual and give and therapy:
            plans.pop()  # what is given is then part of the one plan that is asked about
        plans += [Plan(str(each), start, given, therapy=each) for each in map(read_therapy, therapy)]
        worth = read_utility_file(utility, chosen) if utility else None
        series = series_of(chosen, found.facts) if counterfactual else found.series
        result = _ask(found, plans, series, start, minutes, worth, counterfactual)
        run = keep(home, found, result)
    hangs = _hangs_on(found, series, result) if sensitivity else None
    if options.json:
        told = {"twin": record.id, "run": run, "result": msgspec.to_builtins(result, builtin_types=(datetime,))}
        told["notes"] = notes
        print_json({**told, "sensitivity": msgspec.to_builtins(hangs)} if hangs else told)
        return 0
    show_comparison(result)
    for text in notes:
        say(text)
    if hangs:
        _show_sensitivity(hangs)
    say(f"Kept as run {run[:12]}. To see it again, beside others: twin compare {run[:12]}")
    return 0


def _say_missing(twin: str, found: Missing, options: Options) -> int:
    if options.json:
        print_json({"twin": twin, "run": None, "result": msgspec.to_builtins(found, builtin_types=(datetime,))})
    else:
        show_missing(found)
    return 5


def _ask(
    found: Calibrated,
    plans: list[Plan],
    series: Series,
    start: datetime,
    minutes: int,
    worth: Utility | None,
    back: bool,
) -> Comparison:
    if back:
        if len(plans) != 1:
            raise Misuse("What would have happened is asked for one plan.", hint="Name one --plan, or --give.")
        return counterfactual(
            found.model,
            found.track,
            series,
            plans[0],
            minutes=minutes,
            utility=worth,
            grounds=found.grounds,
            assumptions=found.assumptions,
        )
    return what_if(
        found.model,
        found.track,
        (Plan("nothing new", start), *plans),
        at=start,
        minutes=minutes,
        doses=series.doses,
        utility=worth,
        grounds=found.grounds,
        assumptions=found.assumptions,
    )


def _hangs_on(found: Calibrated, series: Series, result: Comparison) -> Sensitivity:
    last = result.branches[-1].plan
    return of_parameters(
        found.model,
        found.track,
        last,
        measures_of(found.model)[0],
        at=result.at,
        minutes=result.minutes,
        doses=series.doses,
    )


def _show_sensitivity(found: Sensitivity) -> None:
    if not found.indices:
        say(f"{found.title}: it does not vary with this patient's parameters.")
        return
    say(f"{found.title}: what it hangs on (shares of its variance; 95 % interval of the estimate)")
    print_table(
        "",
        ["Parameter", ">Alone", ">With others"],
        (
            (
                index.title,
                f"{index.first:.2f} ({index.first_interval[0]:.2f} to {index.first_interval[1]:.2f})",
                f"{index.total:.2f} ({index.total_interval[0]:.2f} to {index.total_interval[1]:.2f})",
            )
            for index in found.indices
        ),
    )
    say(f"Assumed: {found.assumption}")
