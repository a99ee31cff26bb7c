"""twin identities list, show, join, part and undo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.identities import Opened, Registered, join, open_identity, part, part_patient, undo, waiting
from gateway.settings import load_settings
from gateway.store import Identity
from security.audit import read_event
from security.errors import Misuse

__all__ = ["join_", "list_", "part_", "show_", "undo_"]


def list_(*, decided: bool = False, options: Options = Options()) -> None:
    """List twins that may be one person and wait for you to decide. Nothing is opened, so nobody is named.

    Parameters
    ----------
    decided
        List those that were decided, too.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/identity",)))])
        found = waiting(home, decided=decided)
    if options.json:
        print_json({"identities": [_row(each) for each in found]})
        return
    if not found:
        say("Nobody waits for a decision.")
        return
    print_table(
        f"Twins that may be one person: {len(found)}",
        [">Number", "Twin", "Twin", "Since (UTC)", "State"],
        ((p.number, p.one[:8], p.other[:8], f"{p.since:%Y-%m-%d %H:%M}", p.state) for p in found),
    )
    say("twin identities show NUMBER tells who they are; join NUMBER or part NUMBER decides.")


def show_(number: int, /, *, options: Options = Options()) -> None:
    """Show who two twins are, side by side, and what speaks for and against one person. Reading it is recorded.

    Parameters
    ----------
    number
        The number of the pair, from twin identities list.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        opened = open_identity(home, number)
    if options.json:
        print_json(_opened(opened))
        return
    columns = [f"{each.twin[:8]} {each.source} {each.patient}" for each in opened.registered]
    told = [_told(each.told) for each in opened.registered]
    names = dict.fromkeys(name for each in told for name in each)
    rows = ((name, *("; ".join(each.get(name, ())) for each in told)) for name in names)
    print_table(f"Pair {number}: {opened.identity.state}", ["", *columns], rows)
    if opened.found is not None and opened.found.likeness is not None:
        likeness = opened.found.likeness
        say()
        say(
            f"The odds that they are one person are 2^{likeness.bits:.1f} to 1; "
            "from 2^10 on they are joined without you, where nothing speaks against it."
        )
        print_table(
            "",
            ["Field", "Compares as", ">Bits"],
            ((each.field, each.level, f"{each.bits:+.1f}") for each in likeness.fields),
        )
        if likeness.held:
            say(f"Not joined without you, for: {', '.join(likeness.held)}.")
    elif opened.found is not None:
        say(f"By the rules: {opened.found.verdict}, {opened.found.why}.")


def join_(one: str, other: str = "", /, *, options: Options = Options()) -> None:
    """Say that two twins are one person. What one has becomes the other's, from the bytes that are kept.

    It holds whatever is pulled later, until you undo it.

    Parameters
    ----------
    one
        The number of a pair, from twin identities list; or a twin's id, or the beginning of it.
    other
        The other twin, where no number is told.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        if other:
            pair = join(home, home.store.find_twin(one), home.store.find_twin(other))
        else:
            known = home.store.identity(_number(one))
            pair = join(home, known.one, known.other)
    _say(pair, f"Joined. twin identities undo {pair.number} takes it back.", options)


def part_(which: str, source: str = "", patient: str = "", /, *, options: Options = Options()) -> None:
    """Say that two twins are two people; or that one patient is not who the others of a twin are.

    It holds whatever is pulled later, until you undo it.

    Parameters
    ----------
    which
        The number of a pair, from twin identities list; or, with source and patient, a twin.
    source
        The source of the patient who becomes a twin of their own.
    patient
        The reference to that patient, as "Patient/12".
    """
    with Home.open(load_settings(options.home), create=False) as home:
        if bool(source) != bool(patient):
            raise Misuse("Say source and patient, or neither.", hint="twin identities part TWIN SOURCE Patient/ID")
        if source:
            pair = part_patient(home, home.store.find_twin(which), source, patient)
        else:
            pair = part(home, _number(which))
    _say(pair, f"Two people. twin identities undo {pair.number} takes it back.", options)


def undo_(number: int, /, *, options: Options = Options()) -> None:
    """Take a decision back: both twins have what they would have without it, and the pair waits again.

    Parameters
    ----------
    number
        The number of the pair, from twin identities list --decided.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        pair = undo(home, number)
    if options.json:
        print_json({"undone": number, "identity": _row(pair) if pair else None})
        return
    say("Undone." if pair is None else "Undone; the pair waits for a decision again.")


def _number(told: str) -> int:
    if not told.isdecimal():
        raise Misuse("This is no number of a pair.", hint="See twin identities list; or name two twins.")
    return int(told)


def _say(pair: Identity, text: str, options: Options) -> None:
    if options.json:
        print_json({"identity": _row(pair)})
    else:
        say(text)


def _row(pair: Identity) -> dict[str, object]:
    names = ("number", "one", "other", "state", "since", "decided")
    return {name: getattr(pair, name) for name in names}


def _opened(opened: Opened) -> dict[str, object]:
    likeness = opened.found.likeness if opened.found else None
    return {
        "identity": _row(opened.identity),
        "registered": [_side(each) for each in opened.registered],
        "verdict": opened.found.verdict if opened.found else None,
        "why": opened.found.why if opened.found else None,
        "bits": likeness.bits if likeness else None,
        "held": list(likeness.held) if likeness else [],
        "fields": [
            {"field": each.field, "level": each.level, "bits": each.bits}
            for each in (likeness.fields if likeness else ())
        ],
    }


def _side(each: Registered) -> dict[str, object]:
    told = {name: list(values) for name, values in _told(each.told).items()}
    return {"twin": each.twin, "source": each.source, "patient": each.patient, "told": told}


def _told(patient: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Write what a Patient tells of who it is, as it stands."""
    found = {
        "name": [_words(n, "use", "prefix", "given", "family", "suffix", "text") for n in _list(patient, "name")],
        "born": [str(patient.get("birthDate", ""))],
        "sex": [str(patient.get("gender", ""))],
        "address": [_words(a, "line", "postalCode", "city", "state", "country") for a in _list(patient, "address")],
        "contact": [_words(t, "system", "value") for t in _list(patient, "telecom")],
        "number": [_words(i, "system", "value") for i in _list(patient, "identifier")],
    }
    return {name: tuple(filter(None, values)) for name, values in found.items() if any(values)}


def _list(patient: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    values = patient.get(name)
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _words(told: Mapping[str, Any], *names: str) -> str:
    values: Iterable[Any] = (told.get(name) for name in names)
    flat = (word for value in values for word in (value if isinstance(value, list) else [value]))
    return " ".join(word for word in flat if isinstance(word, str))
