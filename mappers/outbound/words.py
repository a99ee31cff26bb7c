"""What is said in words beside the numbers: that nobody measured it, what it stands on, and how wide it is."""

from __future__ import annotations

from collections.abc import Collection

from mappers.outbound.result import Result, ResultInput, ResultOutput
from mappers.outbound.times import instant

__all__ = [
    "INTERVAL",
    "PERIOD",
    "SIMULATED_RISK",
    "coded",
    "hypothetical",
    "listed",
    "model_name",
    "nature",
    "origin",
    "review",
    "revision",
    "risk_said",
    "statement",
    "summary",
    "titled",
    "told",
    "traced",
]

INTERVAL = "Middle 95 % of the simulated ensemble"
PERIOD = "Period that the risk looks at"
SIMULATED_RISK = "Simulated risk"
_SHARE = "The percentage is the share of the simulated ensemble that comes to it."


def model_name(result: Result) -> str:
    """Name the model with its version."""
    return f"{result.model} {result.version}"


def nature(result: Result) -> str:
    """Say in words what nobody may take it for: a measurement, something that was done, or an order."""
    simulated = f"Simulated by {model_name(result)}, not measured."
    if not result.hypothesis:
        return simulated
    tried = f"Hypothetical: what the model expects if this were done: {result.hypothesis.rstrip('.')}."
    return f"{simulated} {tried} It was tried on the model, not on the patient, and is not an order."


def statement(result: Result, output: ResultOutput | None = None) -> str:
    """Say in words that a person can read what this is, what it assumed, and where it stops holding.

    With an output, also what that one stands on and how wide the ensemble was.
    """
    own = [] if output is None else [_SHARE if result.hypothesis else "", output.rationale, spread(output)]
    parts = [nature(result), *own, *result.assumptions, result.limits, result.citation]
    return " ".join(part for part in parts if part)


def spread(output: ResultOutput) -> str:
    """Tell the interval of an output as a sentence; "" where it has none."""
    if output.interval is None:
        return ""
    low, high = output.interval
    return f"{INTERVAL}: {low:f} to {high:f} {output.unit_written}."


def titled(output: ResultOutput) -> str:
    """Name an output and how far ahead it looks."""
    ahead = "" if output.horizon_years is None else f", {output.horizon_years} years"
    ahead = ahead if output.horizon_minutes is None else f", within {said_minutes(output.horizon_minutes)}"
    return f"{output.title}{ahead}"


def told(output: ResultOutput) -> str:
    """Tell one output in words."""
    said = f"{titled(output)}: {output.written:f} {output.unit_written}"
    return f"{said}. {more}" if (more := " ".join(filter(None, (output.rationale, spread(output))))) else said


def coded(output: ResultOutput) -> str:
    """Tell the code of what an output is, or is the risk of; "" where it has none."""
    code = output.outcome if output.kind == "risk" else output.code
    return "" if code is None else f"({code.system} {code.code})"


def risk_said(output: ResultOutput) -> str:
    """Say of an Observation that it is of a risk, of what, and how far ahead."""
    ahead = "" if output.horizon_years is not None or output.horizon_minutes is not None else ", for the rest of life"
    return f"A simulated risk and no finding: {' '.join(filter(None, (titled(output), coded(output))))}{ahead}."


def review(result: Result) -> str:
    """Say that a person judges it before anything is done."""
    order = "This is not an order and not advice. " if result.hypothesis else ""
    return f"{order}A clinician reviews this before anything is done about it."


def origin(result: Result, sender: str) -> str:
    """Say what a Provenance would: from which versions of what, by which model, and who wrote it."""
    said = f"Made by {model_name(result)} and written by {sender}."
    return f"From: {'; '.join(map(traced, result.inputs))}. {said}" if result.inputs else said


def revision(older: Collection[str]) -> str:
    """Say of which older results it takes the place."""
    return f"It takes the place of: {', '.join(older)}."


def said_minutes(minutes: int) -> str:
    """Say a horizon in hours where it has whole ones."""
    whole, rest = divmod(minutes, 60)
    return f"{minutes} minutes" if rest or whole < 2 else f"{whole} hours"


def listed(used: tuple[ResultInput, ...]) -> str:
    """Tell inputs in words."""
    return "; ".join(map(str, used))


def hypothetical(result: Result, title: str) -> str:
    """Put the hypothesis before a title, so that the title never stands alone."""
    return f"Hypothetical ({result.hypothesis.rstrip('.')}): {title}" if result.hypothesis else title


def traced(used: ResultInput) -> str:
    """Tell an input with the resource version that says it."""
    bare = f"{used.title} {used.value} {used.unit}".strip()
    return f"{bare} ({', '.join(part for part in (used.when, used.source, used.reference) if part)})"


def summary(result: Result) -> str:
    """Sum a result up in plain sentences for a person who has to agree to it, or reads it as a document.

    What it is, each number with its interval, the time that it speaks of, the inputs with their versions, what was
    assumed, and where the model stops holding.
    """
    begins = "Taken to begin at" if result.hypothesis else "It speaks of"
    parts = [
        f"{hypothetical(result, result.title)}.",
        nature(result),
        *(f"{told(output).removesuffix('.')}." for output in result.outputs),
        f"{begins} {result.valid_at}; the run was made at {instant(result.made_at)}.",
        f"From: {'; '.join(map(traced, result.inputs))}." if result.inputs else "",
        *(f"{each.removesuffix('.')}." for each in result.assumptions),
        f"Limits: {result.limits}" if result.limits else "",
        result.citation,
    ]
    return " ".join(part for part in parts if part)
