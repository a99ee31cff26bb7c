"""States of a circulation, as data: what differs from health, and the published numbers that it must reach.

`tables/states.toml` holds them. A chronic state is lived with: at rest in it the reflexes do nothing. An acute one
happens to someone who lived in another state: parameters change, blood flows in or out, and the reflexes answer until
nothing moves. A state that misses a published number says so in the table (`fails`), and a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import field_validator, model_validator

from security.errors import Diverged, Misuse, UnknownName
from twin_engine.circulation.body import ADULT, INDEX, PARAMETERS, scaled
from twin_engine.circulation.heart import STEP, at_rest, run, told
from twin_engine.circulation.published import Published, Row, Source, quantities
from twin_engine.circulation.rows import read_table
from twin_engine.model import Array

__all__ = ["SOURCES", "STATES", "Change", "Reached", "State", "answered", "changed", "reach"]

_SETTLING, _WINDOW = 600.0, 20.0  # s: until the reflexes have answered; and over which beats are averaged
_PARTS, _PART = 20, 0.5  # a change happens in so many parts, of so many seconds
_SURFACE = 1.9  # m2, of the reference adult
_BODY: Final = (0.5, 3.0)  # m2
_BOTH: Final = {"Ees": ("Ees_lv", "Ees_rv"), "G_hr": ("G_hr_s", "G_hr_v")}
_ANY_SIGN: Final = frozenset({"Pth", "RAP_set", "Q_ext"})
_MAY_BE_NOTHING: Final = frozenset(
    {each.symbol for each in PARAMETERS if each.value == 0.0 or each.symbol.startswith("G_")} | {"reflex", "dPth"}
)


class Change(Row):
    """One parameter that differs: by value, by a factor, or by an amount; and why."""

    symbol: str
    value: float | None = None
    factor: float | None = None
    add: float | None = None
    why: str

    @field_validator("symbol")
    @classmethod
    def _known(cls, symbol: str) -> str:
        if symbol not in INDEX and symbol not in _BOTH:
            raise ValueError(f"no parameter is called {symbol}")
        return symbol

    @model_validator(mode="after")
    def _one(self) -> Change:
        if sum(each is not None for each in (self.value, self.factor, self.add)) != 1:
            raise ValueError(f"{self.symbol} changes by a value, a factor or an amount: one of them")
        return self

    def of(self, value: float) -> float:
        """Return the changed value."""
        if self.value is not None:
            return self.value
        return value * self.factor if self.factor is not None else value + (self.add or 0.0)


class State(Row):
    """A named state: what it starts from, what differs, what is published of it, and what of that it misses.

    `inflow` is fluid that stays, mL, within `minutes`; less than none is blood lost. `fitted` says whether anything was
    chosen so that the published numbers are reached: where it was, agreement is no evidence.
    """

    name: str
    title: str
    before: str | None = None
    acute: bool = False
    fitted: bool = True
    surface: float | None = None
    inflow: float = 0.0
    minutes: float = 20.0
    changes: tuple[Change, ...] = ()
    published: tuple[Published, ...]
    fails: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> State:
        if self.acute and (self.before is None or any(each.symbol == "TBV" for each in self.changes)):
            raise ValueError(f"{self.name}: who was it before? Blood is lost or given as inflow")
        names = [each.name for each in self.published]
        if len(set(names)) < len(names) or not set(self.fails) <= set(names):
            raise ValueError(f"{self.name}: a published number is told twice, or fails and is not told")
        return self


@dataclass(frozen=True, slots=True)
class Reached:
    """A circulation in a state: its states and parameters (one row each), and what it and the one before tell."""

    state: Array
    parameters: Array
    surface: float
    tells: Mapping[str, float]
    before: Mapping[str, float] | None

    def shows(self, row: Published) -> float:
        """Return what this circulation shows of a published number, in the unit of the number."""
        now = self.tells[row.quantity]
        if row.by == "value":
            return now
        if self.before is None:
            raise Misuse(
                f"{row.name} is a change, and no state is told before it.", hint="Name it in the table: before."
            )
        was = self.before[row.quantity]
        return now - was if row.by == "change" else 100.0 * (now / was - 1.0)


def changed(parameters: Array, changes: Iterable[Change]) -> Array:
    """Return parameters (parameters,) with changes made, in their order.

    Raises
    ------
    Misuse
        A parameter would be no number, negative, or nothing where it cannot be.
    """
    out = parameters.copy()
    for change in changes:
        for symbol in _BOTH.get(change.symbol, (change.symbol,)):
            value = change.of(float(out[INDEX[symbol]]))
            positive = value > 0.0 or (value == 0.0 and symbol in _MAY_BE_NOTHING)
            if not np.isfinite(value) or not (positive or symbol in _ANY_SIGN):
                raise Misuse(
                    f"{symbol} cannot be changed to that: no circulation has it.",
                    hint="Parameters are finite and positive; see twin_engine/circulation/body.py.",
                    detail=value,
                )
            out[INDEX[symbol]] = value
    return out


def answered(
    before: Reached, parameters: Array, *, inflow: float = 0.0, minutes: float = 20.0, step: float = STEP
) -> tuple[Array, Array]:
    """Change someone's parameters to these, let fluid in, mL, and wait until the reflexes have answered.

    `parameters` is (members, parameters), each a course of its own; returns their states and what their beats tell.
    """
    now = np.tile(before.state, (len(parameters), 1))
    for share in np.linspace(0.0, 1.0, _PARTS + 1)[1:]:  # a pericardium that fills within a step bursts the heart
        run(now, before.parameters + share * (parameters - before.parameters), _PART, step=step)
    poured = parameters.copy()
    poured[:, INDEX["Q_ext"]] = inflow / (60.0 * minutes)
    run(now, poured, 60.0 * minutes, step=step)
    run(now, parameters, _SETTLING, step=step)
    return now, told(run(now, parameters, _WINDOW, window=_WINDOW, step=step))


def reach(name: str | State, *, step: float = STEP) -> Reached:
    """Bring a circulation into a state of the table, or into one that is told, and return it with what it tells.

    Raises
    ------
    UnknownName
        No state in the table has this name.
    Misuse
        A body or a parameter that cannot be.
    Diverged
        The circulation has no beats, or no finite numbers: nobody lives in this state.
    """
    if isinstance(name, str) and name not in STATES:
        raise UnknownName("state of a circulation", name, STATES)
    state = STATES[name] if isinstance(name, str) else name
    before = None if state.before is None else reach(state.before, step=step)
    surface = state.surface or (_SURFACE if before is None else before.surface)
    if not _BODY[0] <= surface <= _BODY[1]:
        raise Misuse(f"A body surface lies between {_BODY[0]:g} and {_BODY[1]:g} m2.", detail=surface)
    start = scaled(ADULT[None], surface)[0] if before is None else before.parameters[0]
    parameters = changed(start, state.changes)[None]
    if before is None or not state.acute:
        now, parameters, beats = at_rest(parameters, step=step)
    else:
        now, beats = answered(before, parameters, inflow=state.inflow, minutes=state.minutes, step=step)
        parameters[:, INDEX["TBV"]] += state.inflow
    if not (np.isfinite(beats).all() and np.isfinite(now).all()):
        raise Diverged(f"No circulation lives in the state {state.name}.", hint="Look at what changes in it.")
    tells = quantities(beats[0], surface)
    return Reached(now, parameters, surface, tells, None if before is None else before.tells)


def _read() -> tuple[Mapping[str, Source], Mapping[str, State]]:
    table = read_table("states")
    sources = {name: Source(**row) for name, row in table["source"].items()}
    states: dict[str, State] = {}
    for row in table["state"]:
        state = State(**row)
        unknown = {each.source for each in state.published} - set(sources)
        if unknown or state.name in states or not (state.before is None or state.before in states):
            raise ValueError(f"{state.name}: unknown sources {sorted(unknown)}, told twice, or before its own `before`")
        states[state.name] = state
    return sources, states


SOURCES, STATES = _read()
