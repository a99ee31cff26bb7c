"""Who decides on insulin in a simulation: a person with a pump, or an algorithm. Never for dosing a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from security.errors import Misuse

__all__ = ["BasalBolus", "Controller", "HybridPid", "Order", "PidMemory", "Seen", "insulin_on_board"]

_HOUR = 60.0

Memory = TypeVar("Memory")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen at a decision.

    Minutes from the start; what the sensor shows (mg/dL); carbohydrate (g) that was announced since the last decision;
    and the minutes up to the next decision.
    """

    minute: int
    mg_dl: float
    grams: float
    interval: int


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of the pump up to the next decision: a basal rate in [iU]/h, a bolus in [iU], and why."""

    basal: float
    bolus: float = 0.0
    why: str = ""


class Controller(Protocol[Memory]):
    """What a simulation needs of a controller. What it remembers is handed to it and back, so that it holds nothing."""

    def begin(self) -> Memory:
        """Return what is remembered before the first decision."""
        ...

    def decide(self, memory: Memory, seen: Seen) -> tuple[Order, Memory]:
        """Decide, and return what is to be remembered."""
        ...


@dataclass(frozen=True, slots=True)
class BasalBolus:
    """A person who counts carbohydrate: a fixed basal rate, and a bolus with each meal.

    The bolus is carbohydrate over `carb_ratio` (g/[iU]); where glucose is above `correct_above` mg/dL, also what brings
    it to `target` by `correction` (mg/dL per [iU]). This is the controller that simglucose calls basal-bolus.
    """

    basal: float
    carb_ratio: float
    correction: float
    target: float = 140.0
    correct_above: float = 150.0

    def __post_init__(self) -> None:
        _refuse(self.basal, self.carb_ratio, self.correction)

    def begin(self) -> None:
        """Remember nothing."""
        return

    def decide(self, memory: None, seen: Seen) -> tuple[Order, None]:
        """Bolus where a meal was announced."""
        if seen.grams <= 0.0:
            return Order(self.basal, why="basal"), None
        over = (seen.mg_dl - self.target) / self.correction if seen.mg_dl > self.correct_above else 0.0
        return Order(self.basal, max(0.0, seen.grams / self.carb_ratio + over), "meal"), None


@dataclass(frozen=True, slots=True)
class PidMemory:
    """What the closed loop remembers: the last readings (minute, mg/dL), the integral (mg/dL x min), and what it gave.

    `given` holds (minute, [iU] over basal) as far back as insulin acts; below basal it is negative. `suspended` tells
    since which minute insulin is off, or is none.
    """

    recent: tuple[tuple[int, float], ...] = ()
    integral: float = 0.0
    given: tuple[tuple[int, float], ...] = ()
    suspended: int | None = None


@dataclass(frozen=True, slots=True)
class HybridPid:
    """A hybrid closed loop: meals are announced and get a bolus; between them a PID rule moves the basal rate.

    The rate is basal + gain (error + integral / ti + td slope), error in mg/dL over `target`, with a proportional gain
    that gives one unit for each `correction` mg/dL within `gain_hours`. Three brakes: insulin that still acts above
    basal is at most what the basal rate gives in `on_board_hours` (a meal's bolus is given whole, and the loop then
    adds nothing); the rate is at most `basal_most` times basal; and insulin stops where glucose is below
    `suspend_below`, or will be below `suspend_ahead` in half an hour at its present slope, until it is above and does
    not fall, or for two hours.

    Sources: Steil GM, et al. Feasibility of automating insulin delivery for the treatment of type 1 diabetes. Diabetes
    2006;55:3344-3350 (the rule); Weinzimer SA, et al. Diabetes Care 2008;31:934-939 (announced meals); Buckingham BA,
    et al. Diabetes Care 2010;33:1013-1017 (predictive suspension). The numbers are policy, not those of a product.
    """

    basal: float
    carb_ratio: float
    correction: float
    target: float = 130.0
    gain_hours: float = 4.0
    integral_minutes: float = 900.0
    derivative_minutes: float = 30.0
    on_board_hours: float = 1.5
    acting_hours: float = 4.0
    basal_most: float = 4.0
    suspend_below: float = 70.0
    suspend_ahead: float = 80.0
    suspend_minutes: int = 120

    def __post_init__(self) -> None:
        _refuse(self.basal, self.carb_ratio, self.correction)
        if self.on_board_hours < 0.0 or self.basal_most < 1.0:
            raise Misuse("A closed loop may have insulin on board of 0 or more, and may give its basal rate.")

    def begin(self) -> PidMemory:
        """Remember nothing yet."""
        return PidMemory()

    def decide(self, memory: PidMemory, seen: Seen) -> tuple[Order, PidMemory]:
        """Decide on the rate up to the next reading."""
        recent = (*(r for r in memory.recent if seen.minute - r[0] <= 15), (seen.minute, seen.mg_dl))
        slope = _slope(recent)
        given = tuple(g for g in memory.given if seen.minute - g[0] < self.acting_hours * _HOUR)
        on_board = insulin_on_board(given, seen.minute, self.acting_hours)
        bolus = seen.grams / self.carb_ratio
        error = seen.mg_dl - self.target
        suspended = self._suspended(memory.suspended, seen, slope)
        if suspended is not None and seen.minute - suspended < self.suspend_minutes:
            rate, why, integral = 0.0, "suspended", memory.integral
        else:
            gain = 1.0 / (self.correction * self.gain_hours)  # [iU]/h for each mg/dL
            # Only up to what the basal rate itself amounts to, so that a long high leaves no debt of insulin.
            bound = self.basal / gain * self.integral_minutes
            integral = min(max(memory.integral + error * seen.interval, -bound), bound)
            asked = gain * (error + integral / self.integral_minutes + self.derivative_minutes * slope)
            room = max(0.0, self.on_board_hours * self.basal - max(0.0, on_board + bolus)) * _HOUR / seen.interval
            extra = min(asked, room, (self.basal_most - 1.0) * self.basal)
            rate, why = max(0.0, self.basal + extra), "limited" if extra < asked else "pid"
        over = bolus + (rate - self.basal) * seen.interval / _HOUR
        memory = PidMemory(recent, integral, (*given, (seen.minute, over)), suspended)
        return Order(rate, bolus, f"meal, {why}" if bolus > 0.0 else why), memory

    def _suspended(self, since: int | None, seen: Seen, slope: float) -> int | None:
        """Tell since when insulin is off or should be; it stays so until glucose is above and does not fall."""
        low = seen.mg_dl < self.suspend_below or seen.mg_dl + 30.0 * slope < self.suspend_ahead
        if low:
            return seen.minute if since is None else since
        return since if since is not None and slope < 0.0 and seen.mg_dl < self.suspend_ahead else None


def insulin_on_board(given: tuple[tuple[int, float], ...], minute: int, hours: float = 4.0) -> float:
    """Return the insulin that still acts, [iU], of amounts (minute, [iU]), each fading evenly over so many hours."""
    span = hours * _HOUR
    return sum(units * max(0.0, 1.0 - (minute - at) / span) for at, units in given)


def _slope(recent: tuple[tuple[int, float], ...]) -> float:
    """Fit a line to the last readings and return its slope, mg/dL a minute; 0 where there is one reading."""
    count = len(recent)
    middle = sum(at for at, _ in recent) / count
    spread = sum((at - middle) ** 2 for at, _ in recent)
    return sum((at - middle) * value for at, value in recent) / spread if spread else 0.0


def _refuse(*settings: float) -> None:
    if not all(0.0 < each < float("inf") for each in settings):
        raise Misuse("Basal rate, carbohydrate ratio and correction factor are above zero.")
