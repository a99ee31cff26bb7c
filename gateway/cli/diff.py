"""twin diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from textwrap import wrap
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.orders import utc
from gateway.cli.profile import chosen_models, said_amount
from gateway.cli.show import fact_json
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.moves import Difference, difference
from gateway.pull.page import RETRACTIONS
from gateway.settings import load_settings
from gateway.versions import FactChange, Point, open_past, read_points
from gateway.wording import said_name, said_value
from mappers.facts import Fact
from mappers.ledger import REASONS
from security.errors import Misuse
from twin_engine.movement import Change, Movement, Moves
from twin_engine.refitting import Refitting, Spread
from twin_engine.run import Input

__all__ = ["diff_", "shown_shares"]

_WIDTH = 110
_MANY = 12  # facts of one name that are counted and not listed
_WHYS = {**REASONS, **RETRACTIONS}
_CAUSES = {"facts": "other facts", "time": "time passed", "model": "the model changed"}


def diff_(
    twin: str,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    model: tuple[str, ...] = (),
    at: datetime | None = None,
    limit: int = 60,
    options: Options = Options(),
) -> None:
    """Say what changed between two versions of one twin, and why the results of the models moved.

    A version is looked at from when it came, a time from itself. Reading the twin is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    from_
        A version ("twin versions" lists them) or a time (UTC where no zone is told); by default before the last pull.
    to
        The same; by default what is known now.
    model
        Only this model; say it again for another one. A model that moves in time is calibrated to both when named.
    at
        Look from this time on both sides, so that nothing moves because time passes.
    limit
        How many facts to list at most, newest last; 0 lists all.
    """
    if limit < 0:
        raise Misuse("A list is not shorter than nothing.", hint="Say --limit 0 for all of it.")
    moment = utc(at)
    with Home.open(load_settings(options.home), create=False) as home:
        models = chosen_models(home, model)
        past = open_past(home, twin)
        before, after = read_points(home, past, from_, to)
        if before.version > after.version:  # else what came in between would be told as retracted
            raise Misuse("The first point is the later one.", hint="Exchange --from and --to.")
        if moment:
            before, after = (msgspec.structs.replace(point, at=moment) for point in (before, after))
        found = difference(home, past, before, after, models, calibrate=bool(model))
    if options.json:
        print_json({"twin": past.twin, **_json(found)})
        return
    say(f"Twin {past.twin}")
    for word, point in (("from", found.before), ("to", found.after)):
        say(f"  {word:>4} {_said_point(point)}")
    _show_facts(found.facts, limit)
    for moves in found.moves:
        _show_moves(past.twin[:8], moves)
    for refitted in found.refitted:
        _show_refitting(refitted)
    for name in found.untold:
        say(f"{name}: moves in time; say --model {name} to see how its fitted parameters changed.")


def shown_shares(movement: Movement, scale: int) -> list[int]:
    """Round the shares to whole units of 1/scale so that they add up to the shown movement.

    What is left over by rounding goes to the shares that rounding changed most.
    """
    assert movement.before is not None  # noqa: S101 - only what was computed on both sides has shares
    assert movement.after is not None  # noqa: S101 - for mypy
    exact = [Fraction(share.amount) * scale for share in movement.shares]
    whole = [round(amount) for amount in exact]
    left = round(movement.after * scale) - round(movement.before * scale) - sum(whole)
    step = 1 if left > 0 else -1
    order = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i]) * step)
    for place in range(abs(left)):
        whole[order[place % len(order)]] += step
    return whole


def _said_point(point: Point) -> str:
    known = f"known until {point.as_of:%Y-%m-%d %H:%M:%S} UTC" if point.as_of else "known now"
    return f"version {point.version}, {known}, seen from {point.at:%Y-%m-%d %H:%M} UTC"


def _show_facts(changes: Sequence[FactChange], limit: int) -> None:
    counts = Counter(change.what for change in changes)
    told = ", ".join(f"{counts[what]} {what}" for what in ("came", "corrected", "retracted"))
    if not changes:
        say("No fact changed.")
        return
    names = Counter((change.what, change.fact.kind, said_name(change.fact)) for change in changes)
    many = {key: count for key, count in names.items() if count > _MANY}
    single = [_fact_row(c) for c in changes if (c.what, c.fact.kind, said_name(c.fact)) not in many]
    rows: list[tuple[str, ...]]
    rows = [(what, "", kind, f"{count} x {name}", "", "", "") for (what, kind, name), count in many.items()]
    rows += single[-limit:] if limit else single
    some = f"; the newest {limit} of {len(single)}" if 0 < limit < len(single) else ""
    print_table(f"Facts: {told}{some}", ["", "When", "Kind", "What", ">Before", ">After", "From"], rows)
    for reason in sorted({reason for change in changes for reason in change.because}):
        _wrapped(f"Retracted, {reason}: {_WHYS[reason]}")


def _fact_row(change: FactChange) -> tuple[str, ...]:
    fact, one, other = change.fact, change.before, change.after
    both = one is not None and other is not None
    old, new = (_said_fact(each, than if both else None) for each, than in ((one, other), (other, one)))
    return change.what, _short(fact.when.text if fact.when else ""), fact.kind, said_name(fact), old, new, _from(fact)


def _said_fact(fact: Fact | None, than: Fact | None) -> str:
    """Tell what a fact says, with what else differs from its other form."""
    if fact is None:
        return ""
    told = [said_value(fact.value) or fact.status]
    if than is not None:
        told += [said_name(fact)] if said_name(fact) != said_name(than) else []
        told += [_short(str(fact.when or "no time"))] if fact.when != than.when else []
        told += [f"until {_short(str(fact.until or 'now'))}"] if fact.until != than.until else []
        told += [fact.status] if fact.status != than.status and fact.status not in told else []
    return ", ".join(told)


def _from(fact: Fact) -> str:
    return f"{fact.origin.source} {fact.origin.type}"


def _show_moves(twin: str, moves: Moves) -> None:
    say()
    say(f"{moves.title} ({moves.model} {moves.version}); simulated, not measured")
    if (moves.version_before, moves.settings_before) != (moves.version, moves.settings):
        told = ", ".join(f"{name} {value}" for name, value in moves.settings_before.items())
        say(f"  Before: as kept then, by version {moves.version_before}" + (f" with {told}" if told else ""))
    if moves.changes:
        print_table(
            "Inputs that changed",
            ["Input", ">Before", ">After", "Because"],
            ((c.title, _said_input(c.before), _said_input(c.after), _because(c)) for c in moves.changes),
        )
    moved = [each for each in moves.results if each.method != "unmoved" and not (each.before is each.after is None)]
    for each in moved:
        for line in _lines(each):
            _wrapped(line)
    for word, absent in (
        ("before", [e for e in moved if e.before is None]),
        ("after", [e for e in moved if e.after is None]),
    ):
        for reason in dict.fromkeys(each.say for each in absent):
            _wrapped(f"Not computed {word}, {', '.join(each.name for each in absent if each.say == reason)}: {reason}")
    if unmoved := [each.name for each in moves.results if each.method == "unmoved"]:
        _wrapped(f"Unmoved: {', '.join(unmoved)}")
    if neither := [each.name for each in moves.results if each.before is each.after is None]:
        hint = f"twin profile {twin} --model {moves.model} says what is missing"
        _wrapped(f"Computed neither before nor after: {', '.join(neither)} ({hint}).")


def _said_input(each: Input | None) -> str:
    if each is None:
        return "not known"
    sources = ", ".join(sorted({fact.origin.source for fact in each.facts})) or each.basis
    return f"{said_amount(each.said, each.unit)} ({', '.join(part for part in (_short(each.when), sources) if part)})"


def _because(change: Change) -> str:
    if change.cause == "facts" and not any(each and each.facts for each in (change.before, change.after)):
        return "what proves the list"
    return _CAUSES[change.cause] + ("" if change.moved else "; the value is the same")


def _lines(movement: Movement) -> Iterator[str]:
    """Tell one result: before, after, and what each changed input explains, to one digit more than is usually shown."""
    risk = movement.kind == "risk"
    decimals = max(movement.decimals - 2 if risk else movement.decimals, 0) + 1
    scale, unit = 10**decimals * (100 if risk else 1), "%" if risk else said_amount("", movement.unit)

    def told(amount: float | None) -> str:
        return "not computed" if amount is None else f"{round(amount * scale) / 10**decimals:.{decimals}f}"

    head = f"{movement.title}: {told(movement.before)} -> {told(movement.after)} {unit}"
    if movement.before is None or movement.after is None or not movement.method:
        yield head
        if movement.before is not None and movement.after is not None:
            yield f"    {movement.say}"
        return
    difference_ = round(movement.after * scale) - round(movement.before * scale)
    yield f"{head} ({difference_ / 10**decimals:+.{decimals}f})"
    shown = sorted(zip(shown_shares(movement, scale), movement.shares, strict=True), key=lambda each: -abs(each[0]))
    for whole, share in shown:
        yield f"    {whole / 10**decimals:+8.{decimals}f}  {share.title} ({_CAUSES[share.cause]})"
    if movement.method == "one at a time":
        yield "    Swapped one at a time, in the order of the inputs: another order would share it out otherwise."


def _show_refitting(each: Refitting) -> None:
    say()
    say(f"{each.title} ({each.model} {each.version}); simulated, not measured")
    for word, fit in (("before", each.before), ("after", each.after)):
        last = f", the last at {fit.last:%Y-%m-%d %H:%M} UTC" if fit.last else ""
        say(f"  {word}: {fit.readings} readings and {fit.doses} doses{last}. {fit.say}".rstrip())
    old, new = ({s.name: s for s in fit.parameters} for fit in (each.before, each.after))
    if old or new:
        names = {**old, **new}
        print_table(
            "Fitted parameters: median (middle 90 %)",
            ["Parameter", "Unit", ">Before", ">After"],
            ((s.title, s.unit, _said_spread(old.get(name)), _said_spread(new.get(name))) for name, s in names.items()),
        )


def _said_spread(spread: Spread | None) -> str:
    return f"{spread.median:.3g} ({spread.low:.3g} to {spread.high:.3g})" if spread else "none"


def _wrapped(text: str) -> None:
    """Say a line, broken where it is too long to be read; what follows is indented."""
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    for line in wrap(text, _WIDTH, subsequent_indent=indent, drop_whitespace=True) or [""]:
        say(line)


def _short(text: str) -> str:
    return text[:16].replace("T", " ")


def _json(found: Difference) -> dict[str, Any]:
    told: dict[str, Any] = {
        "from": _plain(found.before),
        "to": _plain(found.after),
        "facts": [
            {
                "what": change.what,
                "before": fact_json(change.before) if change.before else None,
                "after": fact_json(change.after) if change.after else None,
                "because": change.because,
            }
            for change in found.facts
        ],
        "models": [_plain(moves) for moves in found.moves],
        "fitted": [_plain(each) for each in found.refitted],
        "not_calibrated": found.untold,
    }
    return told


def _plain(each: msgspec.Struct) -> Any:
    return msgspec.to_builtins(each, builtin_types=(datetime,))
