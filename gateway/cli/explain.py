"""twin explain."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.cli.show import fact_json
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.explain import Copy, Explanation, FactAccount, explain
from gateway.home import Home
from gateway.settings import load_settings
from gateway.wording import said_name, said_value
from mappers.facts import Coding, Quantity, Refusal
from mappers.versions.steps import WHY

__all__ = ["explain_"]

_MOST = 40  # lines of raw
_encoder = msgspec.json.Encoder(decimal_format="number")


def explain_(fact: str, /, *, options: Options = Options()) -> None:
    """Explain one fact, or one refusal: what the source sent, and what each step made of it.

    The raw is mapped again for it, and only the elements are shown without which the fact would be another one. It is
    patient data, and reading it is recorded.

    Parameters
    ----------
    fact
        The handle of a fact or a refusal, as twin show and twin refusals print it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = explain(home, fact)
    if options.json:
        print_json(_json(found))
        return
    say(f"{found.handle}: {found.source} {found.resource} {found.path}".rstrip())
    held = f"twin {found.twin[:8]}" if found.twin else "no twin"
    version = f", version {found.version}" if found.version else ""
    say(f"  in {held}; FHIR {found.fhir_version or 'of unknown version'}{version}{_at(found.place)}")
    for account in found.facts:
        _show_fact(account, found)
    for refusal, meaning in found.refusals:
        _show_refusal(refusal, meaning)
    _show_versions(found)
    _show_raw(found)


def _at(place: str) -> str:
    return f"; {place}" if place else ""


def _show_fact(account: FactAccount, found: Explanation) -> None:
    fact, told = account.fact, account.told
    when = f" on {told.when.text}" if told.when else ""
    say()
    say(f"Fact     {told.kind}: {said_name(told)} {said_value(told.value)}{when} ({told.status or 'no status'})")
    step = account.code
    say(f"Code     told: {'; '.join(map(_coded, step.told))}{f', in words: {step.text}' if step.text else ''}")
    say(f"         read as {_coded(step.code)}: {step.equivalence}")
    if step.row:
        say(f"         by the row {step.row} ({step.cite})")
    say(f"         {f'called {step.name} by {step.table}' if step.table else 'no table has a name of ours for it'}")
    if unit := account.unit:
        say(f"Unit     {_unit(unit.told, unit.value, unit.factor, unit.offset, unit.rule)}")
        if unit.within:
            say(f"         {unit.within}")
    if time := account.time:
        say(f"Time     {time.told} in {', '.join(time.elements) or 'the raw'}, known to the {time.precision}")
        say(f"         is {time.earliest} to {time.latest}{f'; ends {time.until}' if time.until else ''}")
    for flag, meaning in account.flags.items():
        say(f"Flag     {flag}: {meaning}")
    for copy in account.also:
        say(f"Also     {_where(copy)}")
    for copy in account.may_be:
        say(f"Maybe    {_where(copy)}: nothing proves that it is the same")
    if account.overruled:
        by = f" That is {_where(account.overruled_by)}." if account.overruled_by else ""
        say(f"Not used {account.overruled}{by}")
    elif fact.origin != told.origin:
        say(f"Used     as told by {fact.origin.source} {fact.origin.resource}: {said_value(fact.value)}")
    again = "gives the same now" if account.holds else "gives something else now: run twin codes replay"
    say(f"Mapping  made by {told.mapping}; the raw, mapped again by {found.mapping}, {again}")


def _show_refusal(refusal: Refusal, meaning: str) -> None:
    say()
    say(f"Refused  {refusal.reason}: {meaning}")
    if refusal.said:
        say(f"         it said: {refusal.said}")
    for coding in refusal.codes:
        say(f"         code: {_coded(coding)}")


def _show_versions(found: Explanation) -> None:
    if not found.version_steps:
        say()
        say(f"Version  read as it is in {found.fhir_version or 'its version'}: nothing of this was moved.")
        return
    print_table(
        f"Version: from {found.fhir_version} to R4",
        ["Element", "What became of it", "Where", "Why"],
        ((step.path, step.what, step.to, WHY.get(step.why, step.why)) for step in found.version_steps),
    )


def _show_raw(found: Explanation) -> None:
    if not found.raw:
        return
    say()
    say("Raw      the elements that it rests on, as they came:")
    lines = msgspec.json.format(_encoder.encode(found.raw), indent=2).decode().splitlines()
    for line in lines[:_MOST]:
        say(f"  {line}")
    if len(lines) > _MOST:
        say(f"  … {len(lines) - _MOST} lines more: --format json has all")


def _coded(coding: Coding) -> str:
    return f"{coding}{f' ({coding.display})' if coding.display else ''}"


def _unit(told: Quantity, value: Quantity, factor: str, offset: str, rule: str) -> str:
    if rule == "as told":
        spelling = "" if told.unit == value.unit else f", which is written {told.unit}"
        return f"{said_value(value)}, as told{spelling}"
    how = f"x {factor}{f' + {offset}' if offset not in ('', '0') else ''}" if factor else "by its table"
    kept = "only the decimal point moved" if rule == "decimal point" else "one digit more than told, at least three"
    return f"{said_value(told)} {how} = {said_value(value)} ({kept})"


def _where(copy: Copy) -> str:
    return f"{copy.handle}, {copy.source} {copy.resource} {copy.path}".rstrip()


def _json(found: Explanation) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: getattr(found, name)
        for name in ("handle", "twin", "source", "resource", "path", "place", "fhir_version", "version", "mapping")
    }
    told["raw"] = found.raw
    told["version_steps"] = [msgspec.to_builtins(step) for step in found.version_steps]
    told["facts"] = [_fact_json(each) for each in found.facts]
    told["refusals"] = [
        {"reason": r.reason, "means": means, "said": r.said, "codes": [str(code) for code in r.codes]}
        for r, means in found.refusals
    ]
    return told


def _fact_json(each: FactAccount) -> dict[str, Any]:
    steps = {name: getattr(each, name) for name in ("code", "unit", "time", "flags", "also", "may_be")}
    return {
        "fact": fact_json(each.told),
        "used": None if each.overruled else fact_json(each.fact),
        **steps,
        "not_used": each.overruled or None,
        "by": each.overruled_by,
        "holds": each.holds,
    }
