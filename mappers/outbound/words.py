"""What is said in words beside the numbers: that nobody measured it, what it stands on, and how wide it is."""

from __future__ import annotations

from mappers.outbound.result import Result, ResultInput, ResultOutput

__all__ = ["INTERVAL", "hypothetical", "listed", "model_name", "nature", "statement", "told"]

INTERVAL = "Middle 95 % of the simulated ensemble"
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


def told(output: ResultOutput) -> str:
    """Tell one output in words."""
    ahead = "" if output.horizon_years is None else f", {output.horizon_years} years"
    ahead = ahead if output.horizon_minutes is None else f", within {said_minutes(output.horizon_minutes)}"
    said = f"{output.title}{ahead}: {output.written:f} {output.unit_written}"
    return f"{said}. {more}" if (more := " ".join(filter(None, (output.rationale, spread(output))))) else said


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
