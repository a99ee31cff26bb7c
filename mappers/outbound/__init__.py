"""Results go out as FHIR: labelled as simulated, with their model, their inputs and their limits, and written once."""

from __future__ import annotations

from mappers.outbound.attention import Form, choose_form
from mappers.outbound.document import Paper
from mappers.outbound.gate import check
from mappers.outbound.ladder import StepDown, rungs, steps
from mappers.outbound.names import device_uuid, result_uuid
from mappers.outbound.render import render, to_json
from mappers.outbound.result import Attention, Result, ResultInput, ResultOutput
from mappers.outbound.words import summary

__all__ = [
    "Attention",
    "Form",
    "Paper",
    "Result",
    "ResultInput",
    "ResultOutput",
    "StepDown",
    "check",
    "choose_form",
    "device_uuid",
    "render",
    "result_uuid",
    "rungs",
    "steps",
    "summary",
    "to_json",
]
