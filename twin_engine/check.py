"""What each model has to keep; outside packages run the same checks on theirs."""

from __future__ import annotations

from collections.abc import Iterator

from twin_engine.checks.example import example_profile
from twin_engine.checks.motion import check_motion
from twin_engine.checks.moving_words import check_moving_words
from twin_engine.checks.numbers import check_numbers, check_refusals
from twin_engine.checks.rule import RULES, Broken, Finding, findings
from twin_engine.checks.words import check_words
from twin_engine.dynamic import DynamicModel
from twin_engine.model import TwinModel

__all__ = ["RULES", "Finding", "check_model", "example_profile"]


def check_model(model: TwinModel) -> tuple[Finding, ...]:
    """Return what is wrong with a model, each with its rule and what to do; nothing where it keeps the contract.

    `RULES` has the rules, docs/models.md explains them. Numbers mean nothing while the words are wrong, a course
    nothing while the numbers are, and a refusal nothing while any of them is: the first stage that finds something is
    the last. A fault of ours becomes a finding; any other exception of the model's code comes through.
    """
    for stage in _stages(model):
        if found := findings(model, stage):
            return found
    return ()


def _stages(model: TwinModel) -> Iterator[Broken]:
    yield check_words(model)
    if isinstance(model, DynamicModel):
        yield check_moving_words(model)
    yield check_numbers(model)
    if isinstance(model, DynamicModel):
        yield check_motion(model)
    yield check_refusals(model)
