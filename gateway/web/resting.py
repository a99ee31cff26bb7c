"""The parts of a page that rest on an ensemble at rest: made behind the page, and what a form asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool

from gateway.calibration import Calibrated, current, dynamic_model
from gateway.home import Home
from gateway.simulation import open_twin
from gateway.store import TwinRecord
from gateway.web.behind import Behind
from gateway.web.heart import Heart, build_heart
from gateway.web.kept import find_kept
from gateway.web.medicated import Medicate, build_medicate, run_medicines
from gateway.web.operated import Operate, Pictures, build_operate, draw_again, run_operations
from gateway.web.section import Lacking, attempt, lacking
from gateway.web.trial import Trial, build_trial, run_trial
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.circulation.model import Circulation
from twin_engine.dynamic import DynamicModel

__all__ = ["Rest", "Rests"]

_RUN_DIGITS = 24
_KINDS = ("operations", "medication-comparison")


@dataclass(frozen=True)
class Rest:
    """One model at rest: what it says, `None` while that is being made; and what can be tried on it, if anything.

    While something newer is `awaited`, `heart` is what was said before. `picture` is that of the operations that are
    shown: `None` while it is being drawn, "" where it was not asked for. `trial` is of the minutes to come, and there
    once the model is calibrated.
    """

    model: str
    title: str
    heart: Heart | Lacking | None
    awaited: bool
    operate: Operate | None
    picture: str | Lacking | None
    medicate: Medicate | None
    trial: Trial | Lacking | None


class Rests:
    """Makes these parts for the pages of one home, one at a time."""

    def __init__(self, home: Home, behind: Behind) -> None:
        self._home, self._behind = home, behind
        self._pictures = Pictures()

    async def build(self, record: TwinRecord, model: DynamicModel, asked: str, said: Mapping[str, str]) -> Rest:
        """Arrange what a model says of an opened twin; `asked` is the start of a run to show, `said` what was typed.

        A fault that concerns the whole page is raised.
        """
        make = partial(attempt, model.title, partial(build_heart, self._home, record, model))
        rest = await self._behind.ask(record.id, (record.id, model.name), record.version, make)
        heart = rest.made
        typed = said if said.get("model") == model.name else {}
        found = heart.found if isinstance(heart, Heart) else None
        if not isinstance(model, Circulation):
            trial = await self._trial(found, asked, typed)
            return Rest(model.name, model.title, heart, rest.awaited, None, "", None, trial)
        find = partial(find_kept, self._home, record.id, model.name)
        meant = [await run_in_threadpool(find, kind, asked) if asked else None for kind in _KINDS]
        done, compared = [one or await run_in_threadpool(find, kind) for one, kind in zip(meant, _KINDS, strict=True)]
        return Rest(
            model=model.name,
            title=model.title,
            heart=heart,
            awaited=rest.awaited,
            operate=build_operate(done, typed, found.grounds if found else None),
            picture=await self._picture(record, model, done.id, asked=meant[0] is not None) if done else "",
            medicate=await run_in_threadpool(build_medicate, self._home, record, compared, typed, found),
            trial=await self._trial(found, "" if any(meant) else asked, typed),
        )

    async def _trial(self, found: Calibrated | None, asked: str, typed: Mapping[str, str]) -> Trial | Lacking | None:
        if found is None:
            return None
        return await run_in_threadpool(attempt, "Try", partial(build_trial, self._home, found, asked, typed))

    async def _picture(self, record: TwinRecord, model: DynamicModel, run: str, *, asked: bool) -> str | Lacking | None:
        """Return the picture of operations; one that is not here any more is drawn again where it is asked for."""
        drawn = self._pictures.find(run)
        if drawn or not asked:
            return drawn
        draw = partial(draw_again, self._home, record, model, run, self._pictures)
        key = (record.id, model.name, run)
        return (await self._behind.ask(record.id, key, record.version, partial(attempt, "Picture", draw))).made

    async def operate(self, twin: str, said: Mapping[str, str]) -> str:
        """Do what a form asks for when its turn has come; returns where on the twin's page it is shown.

        Raises `Misuse` where a plan cannot be read, or the twin lacks what the model needs.
        """
        return await self._behind.do(partial(self._operate, twin, said))

    async def attempt(self, twin: str, said: Mapping[str, str]) -> str:
        """Do the same for a treatment over the time to come; a model that follows readings is quick, and waits not."""
        act = partial(self._attempt, twin, said)
        model = dynamic_model(self._home, said.get("model", ""))
        return await (run_in_threadpool(act) if model.follows else self._behind.do(act))

    async def medicate(self, twin: str, said: Mapping[str, str]) -> str:
        """Compare medicines as `operate` does operations."""
        return await self._behind.do(partial(self._medicate, twin, said))

    def _operate(self, twin: str, said: Mapping[str, str]) -> str:
        found, _ = self._found(twin, said)
        run = run_operations(self._home, found, said, self._pictures)
        return f"?run={run[:_RUN_DIGITS]}#operated-{found.model.name}"

    def _medicate(self, twin: str, said: Mapping[str, str]) -> str:
        found, record = self._found(twin, said)
        run = run_medicines(self._home, record, found, said)
        return f"?run={run[:_RUN_DIGITS]}#medicated-{found.model.name}"

    def _attempt(self, twin: str, said: Mapping[str, str]) -> str:
        found, _ = self._found(twin, said)
        return f"?run={run_trial(self._home, found, said)[:_RUN_DIGITS]}#try-{found.model.name}"

    def _found(self, twin: str, said: Mapping[str, str]) -> tuple[Calibrated, TwinRecord]:
        record = open_twin(self._home, twin)
        found = current(self._home, record, dynamic_model(self._home, said.get("model", "")))
        if isinstance(found, Missing):
            raise Misuse(" ".join(found.say), hint=lacking(found).hint)
        return found, record
