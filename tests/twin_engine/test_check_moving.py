"""The contract of a model that moves in time: each rule catches the model that breaks it, and no other rule does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from security.errors import Diverged, Misuse
from twin_engine import Array, check_model
from twin_engine.check import RULES
from twin_engine.checks.motion import leaves
from twin_engine.checks.time_step import Halving, halve_steps
from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Card, Need, Parameter, Prior, Yield
from twin_engine.runge_kutta import march

LEVEL = "drug-level"
NEED = Need("body-weight", "Body weight", "kg", "measurement", (20.0, 200.0), "Policy.")
YIELD = Yield(LEVEL, "Level", "observation", "mg/L", ("body-weight",), 2, "By hand.")
AMOUNT = State("amount", "Drug in the body", "mg", (0.0, 1e5))
WEIGHT = State("weight", "Body weight", "kg", (20.0, 200.0))
RATE = Parameter("washout-rate", "/h", 0.3, (0.01, 5.0), "By hand.", Prior("log", 0.3, 0.5, 0.005))
DOSE = PlanInput("dose", "Dose", "mg", "dose", (0.0, 5000.0), "Policy.")
PUMP = PlanInput("pump", "Pump", "mg/h", "rate", (0.0, 500.0), "Policy.")
CHANNEL = Channel(LEVEL, "Level", "mg/L", 0.5, (0.0, 1000.0), 50.0, "By hand.")
LITRES = 0.5  # a kilogram


@dataclass(frozen=True)
class Fade(DynamicModel):
    """A drug that is given and washed out. Assumes one compartment."""

    name = "fade"
    version = "1"
    title = "Level of a drug"
    citation = "By hand."
    population = "Anybody."
    needs = (NEED,)
    yields = (YIELD,)
    card = Card("Tests.", "By hand.", "Not assessed.", "Not assessed.", "Not for patients.")
    states: ClassVar[tuple[State, ...]] = (AMOUNT, WEIGHT)
    parameters = (RATE,)
    plan: ClassVar[tuple[PlanInput, ...]] = (DOSE, PUMP)
    channels: ClassVar[tuple[Channel, ...]] = (CHANNEL,)

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        amount = inputs.get("pump", 0.0) / parameters[:, 0]
        return np.stack([amount, np.full(len(parameters), inputs["body-weight"])], axis=1)

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        rate = self.parameters_of(state)[:, 0] / 60.0

        def slopes(x: Array, row: Array) -> Array:
            return np.stack([row[0] + row[1] / 60.0 - rate * x[0], 0.0 * x[1]])

        after, seen = march(slopes, state[:, :2], plan, every, self.substeps, self.measure)
        return self.join(after, state[:, 2:]), seen

    def measure(self, state: Array) -> Array:
        return np.asarray(state[:, :1] / (LITRES * state[:, 1:2]))

    def observe(self, state: Array) -> Array:
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        moved = state.copy()
        moved[:, 0] = value * LITRES * moved[:, 1]
        return moved


class Chance(Fade):
    """Assumes that chance needs no seed."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return after, seen + np.random.default_rng().random()


class Writing(Fade):
    """Assumes that the state is its own."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        found = super().trace(state, plan, every)
        state[:, 0] = 0.0
        return found


class Crowd(Fade):
    """Assumes that all wash out as fast as they do on average."""

    def parameters_of(self, state: Array) -> Array:
        return np.full((len(state), 1), super().parameters_of(state).mean())


class Forgetful(Fade):
    """Assumes that a call begins with an hour without washing out."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        after[:, 0] += 0.1
        seen[-1] = self.measure(after)
        return after, seen


class Drifting(Fade):
    """Assumes that a trace may move the parameters."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return np.concatenate(
            [after[:, :2], after[:, 2:] + 0.0 * after[:, 2:] + 1e-30 * len(plan) + 1e-12], axis=1
        ), seen


class Boundless(Fade):
    """Assumes that parameters need no bounds."""

    def natural(self, scaled: Array) -> Array:
        return np.exp(4.0 * scaled)


class Late(Fade):
    """Assumes that what is observed may be what was."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return after, 0.9 * seen


class Stuck(Fade):
    """Assumes that no reading moves it."""

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        return state.copy()


class Held(Fade):
    """Assumes that a reading may be written into what was handed in."""

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        state[:, 0] = value * LITRES * state[:, 1]
        return state


class Coarse(Fade):
    """Assumes that Euler's steps of a minute follow a drug that is gone within one."""

    states = (replace(AMOUNT, bounds=(-1e5, 1e5)), WEIGHT)
    extra, pace = 0.0, 1.9

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        now, seen = state.copy(), []
        for minute, row in enumerate(plan):
            for _ in range(self.substeps):
                now[:, 0] += (row[0] + row[1] / 60.0 - self.pace * now[:, 0]) / self.substeps + self.extra
            if (minute + 1) % every == 0:
                seen.append(self.measure(now))
        return now, np.stack(seen)


class Restless(Coarse):
    """Assumes that each step adds the same, however short it is."""

    extra = 30.0


class Slow(Coarse):
    """Assumes that Euler's steps of a minute follow a drug that is gone in hours: they do."""

    pace = 0.01


class Lost(Fade):
    """Assumes that a large dose is no number."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        lost = np.where(plan[:, 0].max() > 1000.0, np.nan, 0.0)
        return after + lost, seen + lost


class Strict(Fade):
    """Assumes that its own bounds are too wide."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        if plan[:, 0].max() > 1000.0:
            raise Misuse("That is too much.")
        return super().trace(state, plan, every)


class Breaking(Fade):
    """Assumes that it may stop at a large dose: that is allowed."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        if plan[:, 0].max() > 1000.0:
            raise Diverged("No number is left.")
        return super().trace(state, plan, every)


class Refusing(Fade):
    """Assumes that no plan is light enough."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        if plan[:, 0].any():
            raise Misuse("No dose is taken.")
        return super().trace(state, plan, every)


class Flat(Fade):
    """Assumes that channels need no axis."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return after, seen[:, :, 0]


class Narrow(Fade):
    """Assumes that parameters need no columns."""

    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        return super().start(inputs, members, rng)[:, :2]

    def step(self, state: Array, plan: Mapping[str, float], days: float, rng: np.random.Generator) -> Array:
        return state


class Fixed(Fade):
    """Assumes one step a minute for good."""

    substeps: ClassVar[int] = 1  # type: ignore[misc]  # that it is no setting any more is the point

    __dataclass_fields__: ClassVar = {}


def changed(**attributes: object) -> DynamicModel:
    made: DynamicModel = type("Changed", (Fade,), {"__doc__": Fade.__doc__, **attributes})()
    return made


def test_a_sound_model_has_nothing_wrong():
    assert check_model(Fade()) == ()
    assert check_model(Breaking()) == ()


@pytest.mark.parametrize(
    ("rule", "attributes", "said"),
    [
        ("identity", {"states": ()}, "no states"),
        ("identity", {"channels": ()}, "no channels"),
        ("names", {"states": (AMOUNT, replace(WEIGHT, name="amount"))}, "used twice"),
        ("names", {"states": (replace(AMOUNT, name="washout-rate"), WEIGHT)}, "used twice"),
        ("names", {"plan": (DOSE, replace(PUMP, name="dose"))}, "used twice"),
        ("names", {"channels": (replace(CHANNEL, of=(LEVEL,)),)}, "used twice"),
        ("units", {"states": (replace(AMOUNT, unit="milligram"), WEIGHT)}, "unit of amount"),
        ("units", {"plan": (replace(DOSE, unit="tablet"), PUMP)}, "unit of dose"),
        ("units", {"channels": (replace(CHANNEL, unit="mg/litre"),)}, "unit of drug-level"),
        ("states", {"states": (replace(AMOUNT, bounds=(5.0, 0.0)), WEIGHT)}, "no bounds"),
        ("states", {"states": (replace(AMOUNT, noise=-1.0), WEIGHT)}, "a noise that cannot be"),
        ("plan", {"plan": (replace(DOSE, bounds=(0.0, float("inf"))), PUMP)}, "nothing would be refused"),
        ("plan", {"plan": (replace(DOSE, why=""), PUMP)}, "why it is bounded"),
        ("plan", {"plan": (DOSE, replace(PUMP, resting=501.0))}, "is at rest"),
        ("plan", {"plan": (DOSE, replace(PUMP, delay=-1.0))}, "below zero"),
        ("plan", {"plan": (replace(DOSE, bounds=(-1.0, 5.0)), PUMP)}, "may be below zero"),
        ("plan", {"plan": (DOSE, replace(PUMP, group="meal"))}, "of the group meal, which is of kind dose."),
        ("plan", {"plan": (replace(DOSE, group="exercise"), PUMP)}, "of the group exercise, which is of kind rate."),
        ("plan", {"plan": (replace(DOSE, group="procedure"), PUMP)}, "which is of kind change or rate."),
        ("plan", {"plan": (replace(DOSE, kind="change", group="procedure"), PUMP)}, "cannot be told from none"),
        ("citations", {"plan": (DOSE, replace(PUMP, delay=8.0))}, "no citation"),
        ("channels", {"channels": (replace(CHANNEL, sd=0.0),)}, "no error above zero"),
        ("channels", {"channels": (replace(CHANNEL, beyond=(1e6, 2e6)),)}, "lies inside"),
        ("channels", {"channels": (replace(CHANNEL, name="level"),)}, "stands for no yield"),
        ("citations", {"channels": (replace(CHANNEL, citation=""),)}, "no citation"),
        ("clock", {"every_minutes": 90}, "spacing of forecasts"),
        ("priors", {"parameters": (replace(RATE, prior=Prior("log", 0.3, 0.0)),)}, "no width"),
        ("state-bounds", {"states": (replace(AMOUNT, bounds=(1.0, 1e5)), WEIGHT)}, "At rest, with"),
        ("state-bounds", {"states": (replace(AMOUNT, bounds=(0.0, 200.0)), WEIGHT)}, "Under a light plan"),
    ],
)  # fmt: skip
def test_what_is_wrongly_declared_is_found_by_its_rule_alone(rule: str, attributes: dict[str, object], said: str):
    found = check_model(changed(**attributes))
    assert {finding.rule for finding in found} == {rule}, found
    assert any(said in finding.says for finding in found), found


@pytest.mark.parametrize(
    ("rule", "broken", "said"),
    [
        ("seed", Chance, "trace() gives other numbers"),
        ("untouched", Writing, "has changed"),
        ("untouched", Held, "anchor() has changed"),
        ("members", Crowd, "alone than in company"),
        ("split", Forgetful, "cut at minute 120"),
        ("parameter-bounds", Drifting, "moves the parameters"),
        ("parameter-bounds", Boundless, "outside their bounds"),
        ("measure", Late, "not what measure() tells"),
        ("anchor", Stuck, "does not bring"),
        ("time-step", Coarse, "with half the step it changes by at most"),
        ("time-step", Restless, "with a quarter by a further"),
        ("finite", Lost, "without a word"),
        ("finite", Refusing, "A light plan is not followed: No dose is taken."),
        ("plan-refusal", Strict, "refuses a plan at the model's own bounds"),
        ("shape", Flat, "not the state's shape"),
        ("shape", Narrow, "not (members, states + fitted)"),
        ("clock", Fixed, "is no setting"),
    ],
)
def test_what_moves_wrongly_is_found_by_its_rule_alone(rule: str, broken: type[DynamicModel], said: str):
    found = check_model(broken())
    assert {finding.rule for finding in found} == {rule}, found
    assert any(said in finding.says for finding in found), found


def test_a_member_s_way_is_seen_through_a_block_of_more_than_a_kernel_s_width():
    """The 33rd member lies alone in the second block of 32: a kernel that fills blocks up wrongly is found there."""

    class Blocks(Fade):
        """Assumes that there are 32 members."""

        def parameters_of(self, state: Array) -> Array:
            found = super().parameters_of(state)
            found[32:] = found[31] if len(found) > 32 else found[32:]
            return found

    assert [finding.rule for finding in check_model(Blocks())] == ["members"]


def test_halving_the_step_tells_the_order_of_the_method():
    [euler] = halve_steps(Slow())
    [runge_kutta] = halve_steps(Fade())
    assert euler.order == pytest.approx(1.0, abs=0.1)
    assert runge_kutta.half < 1e-6 * runge_kutta.sd
    assert euler.fine
    assert runge_kutta.fine
    assert str(euler).startswith("drug-level, light plan: with half the step it changes by at most 0.")
    assert "order 1.0" in str(euler)


def test_a_step_is_short_enough_or_not_by_what_it_changes_of_the_error():
    def halving(half: float, quarter: float) -> Halving:
        return Halving("glucose", "mg/dL", 10.0, 1, "light", half, quarter)

    assert halving(4.9, 2.5).fine
    assert not halving(5.1, 2.5).fine
    assert not halving(4.9, 4.8).fine
    assert halving(0.09, 0.09).fine
    assert halving(0.0, 0.0).order is None
    assert str(halving(0.0, 0.0)) == "glucose, light plan: with half the step nothing changes."


def test_what_a_full_plan_does_to_the_states_is_told():
    assert leaves(Fade()) == ()
    assert leaves(Breaking()) == ("No number is left.",)
    [said] = leaves(changed(states=(replace(AMOUNT, bounds=(0.0, 2000.0)), WEIGHT)))
    assert said.startswith("At minute 35: amount is ")
    assert said.endswith(" mg, outside 0 to 2000.")


def test_every_rule_has_a_model_here_or_there_that_breaks_it():
    text = "".join((Path(__file__).parent / name).read_text("utf-8") for name in ("test_check.py", Path(__file__).name))
    assert [rule for rule in RULES if f'("{rule}", ' not in text] == []
