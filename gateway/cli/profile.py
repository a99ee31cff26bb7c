"""twin profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.calibration import dynamic_models
from gateway.cli.orders import utc
from gateway.cli.show import fact_json
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.simulation import answering_models, closed_kinds, models_of, open_twin
from gateway.wording import said_name, said_value
from mappers.facts import Fact
from security.errors import UnknownName
from twin_engine import Profile, TwinModel
from twin_engine.account import Account, Gap, Known, Stream, account_of
from twin_engine.answer import Age
from twin_engine.uncertainty import Uncertainty

__all__ = ["chosen_models", "profile_", "said_age", "said_amount"]

_UNITS = {"1": "", "a": "years", "{score}": ""}
_HOURS, _YEAR = 24.0, 365.25


def profile_(
    twin: str,
    /,
    *,
    model: tuple[str, ...] = (),
    at: datetime | None = None,
    as_of: datetime | None = None,
    options: Options = Options(),
) -> None:
    """Show what is known of one twin: how old, how sure, on which ground; what is missing; what is taken from others.

    Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    model
        Only what this model asks for; say it again for another one. By default all that answer or forecast.
    at
        What was true by this time (UTC where no zone is told); by default now. Ages count to it.
    as_of
        Use only what was known at this time.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        models = chosen_models(home, model)
        record = open_twin(home, twin, utc(as_of))
        profile = Profile(tuple(record.facts), utc(at) or now(), closed_kinds(home, record))
    account = account_of(tuple(models.values()), profile)
    if options.json:
        print_json(
            {
                "twin": record.id,
                "version": record.version,
                "as_of": record.as_of,
                "at": account.at,
                "models": account.models,
                "died": fact_json(account.died) if account.died else None,
                "known": [_known_json(each) for each in account.known],
                "imputed": [_known_json(each) for each in account.imputed],
                "missing": [_gap_json(each) for each in account.missing],
                "sensors": [_plain(each) for each in account.streams],
            }
        )
        return
    known = f" as known at {record.as_of:%Y-%m-%d %H:%M} UTC" if record.as_of else ""
    say(f"Twin {record.id}, version {record.version}{known}; seen from {account.at:%Y-%m-%d %H:%M} UTC")
    _show(account)


def chosen_models(home: Home, names: Sequence[str]) -> Mapping[str, TwinModel]:
    """Return the models of these names; without names, those that answer and those that are fitted to a person.

    Raises `UnknownName` with the names that there are.
    """
    if not names:
        return {**answering_models(home), **dynamic_models(home)}
    known = models_of(home)
    for name in names:
        if name not in known:
            raise UnknownName("model", name, known)
    return {name: known[name] for name in names}


def said_age(age: Age | None) -> str:
    """Write an age as precisely as it is known: "5 h", "31 days", "50 to 52 days", "2.4 years"."""
    if age is None:
        return ""
    scale, unit, digits = 1.0, "days", 0
    if age.most < 2.0:
        scale, unit = _HOURS, "h"
    elif age.least >= 2.0 * _YEAR:
        scale, unit, digits = 1.0 / _YEAR, "years", 1
    least, most = (f"{days * scale:.{digits}f}" for days in (age.least, age.most))
    return f"{least} {unit}" if least == most else f"{least} to {most} {unit}"


def said_amount(said: str, unit: str) -> str:
    """Write a value with its unit."""
    return f"{said} {_UNITS.get(unit, unit)}".strip()


def _show(account: Account) -> None:
    if account.died:
        when = f" ({account.died.when})" if account.died.when else ""
        say(f"The patient is recorded as dead{when}.")
    print_table(
        f"Known: {len(account.known)}",
        ["What", ">Value", "Sd", ">Age", "When", "How", "From", "For"],
        (
            (
                each.title,
                said_amount(each.said, each.unit),
                _sure(each),
                said_age(each.age),
                each.when[:16].replace("T", " "),
                each.how,
                ", ".join(sorted({source for fact in each.facts for source in fact.sources})),
                ", ".join(each.models),
            )
            for each in account.known
        ),
    )
    if account.streams:
        print_table(
            "Told by sensors",
            ["What", ">Last", "Sd", ">Age", ">Readings in the day before", "For"],
            (
                (
                    each.title,
                    f"{each.bound}{each.value:g} {each.unit}",
                    _sd(each.uncertainty),
                    said_age(each.age),
                    each.last_day,
                    each.model,
                )
                for each in account.streams
            ),
        )
    if account.imputed:
        print_table(
            "NOT KNOWN OF THIS PATIENT: what a population has is taken instead",
            ["What", ">Value", "Sd", "Because", "Population", "For"],
            (
                (
                    each.title,
                    f"[imputed] {said_amount(each.said, each.unit)}".replace("[", "\\["),
                    _sure(each),
                    each.instead_of.say if each.instead_of else "",
                    each.uncertainty.parts[0].source if each.uncertainty else "",
                    ", ".join(each.models),
                )
                for each in account.imputed
            ),
        )
    if account.missing:
        print_table(
            f"Missing: {len(account.missing)}",
            ["What", "Why", "What came nearest", "Holds back"],
            ((each.title, each.say, "; ".join(map(_near, each.nearest)), _held_back(each)) for each in account.missing),
        )
    else:
        say("Nothing is missing.")
    for text in dict.fromkeys(each.assumption for each in account.known if each.assumption):
        say(f"Assumed: {text}")
    unsure = [each.title for each in account.known if each.sure == "declared in part"]
    if unsure:
        say(f'"at least": of {", ".join(unsure)} only a part of the uncertainty is declared (--format json has it).')


def _sure(each: Known) -> str:
    if each.uncertainty is None:
        return "unknown" if each.sure == "unknown" else ""
    return _sd(each.uncertainty)


def _sd(uncertainty: Uncertainty) -> str:
    return f"{'at least ' if uncertainty.unknown else ''}{float(f'{uncertainty.sd:.2g}'):g}"


def _near(fact: Fact) -> str:
    when = f" ({fact.when})" if fact.when else ""
    return f"{said_name(fact)} {said_value(fact.value)}{when}"


def _held_back(gap: Gap) -> str:
    """Count the results that cannot be computed, by model."""
    counts = {name: sum(held.startswith(f"{name}: ") for held in gap.holds_back) for name in gap.models}
    return ", ".join(f"{name} ({count})" if count else name for name, count in counts.items())


def _known_json(each: Known) -> dict[str, Any]:
    return {
        **_plain(each),
        "facts": [fact_json(fact) for fact in each.facts],
        "instead_of": _gap_json(each.instead_of) if each.instead_of else None,
    }


def _gap_json(gap: Gap) -> dict[str, Any]:
    return {**_plain(gap), "nearest": [fact_json(fact) for fact in gap.nearest]}


def _plain(each: Known | Gap | Stream) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(each, builtin_types=(datetime,))
    return told
