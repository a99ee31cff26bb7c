"""twin model list, twin model show, twin model check."""

from __future__ import annotations

from dataclasses import asdict

from gateway.cli.model_parts import as_json, parts_of
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.evidence import evidence_of
from gateway.settings import load_settings
from security.errors import UnknownName
from twin_engine import TwinModel, models

__all__ = ["check_", "list_", "show_"]


def list_(*, options: Options = Options()) -> None:
    """List the models."""
    known = models(load_settings(options.home).trusted_models)
    if options.json:
        print_json(
            {
                "models": [
                    {"name": m.name, "version": m.version, "title": m.title, "citation": m.citation}
                    for m in known.values()
                ]
            }
        )
        return
    print_table(
        "",
        ["Model", "Version", "What it says", "Source"],
        ((m.name, m.version, m.title, m.citation) for m in known.values()),
    )


def show_(name: str, /, *, options: Options = Options()) -> None:
    """Show what a model needs, gives, assumes and is made of; a card has its evidence.

    Parameters
    ----------
    name
        The model's name.
    """
    model = _model(name, options)
    if options.json:
        print_json(as_json(model))
        return
    say(f"{model.title} ({model.name} {model.version})")
    say(model.citation)
    say(f"For: {model.population}")
    for part in parts_of(model):
        print_table(part.title, part.columns, part.rows)
    for field, text in asdict(model.card).items():
        say(f"{field.replace('_', ' ').capitalize()}: {text}")


def check_(name: str, /, *, options: Options = Options()) -> int:
    """Check that a model keeps the contract; the same checks run on models from outside.

    Of a model that moves in time it also tells what half the step changes, and which states leave their bounds under a
    plan that is all that the model takes.

    Parameters
    ----------
    name
        The model's name.
    """
    model = _model(name, options)
    evidence = evidence_of(model)
    problems = evidence.findings
    if options.json:
        print_json(
            {
                "model": model.name,
                "ok": not problems,
                "problems": [asdict(problem) for problem in problems],
                "steps": [asdict(step) | {"order": step.order} for step in evidence.steps],
                "at_the_limits": evidence.at_the_limits,
            }
        )
    elif problems:
        say(f"{model.name} {model.version} does not keep the contract:")
        for problem in problems:
            say(f"  {problem.rule}: {problem.says} {problem.do}")
    else:
        say(f"{model.name} {model.version} keeps the contract.")
        for step in evidence.steps:
            say(f"  {step}")
        for said in evidence.at_the_limits:
            say(f"  With a plan at its upper bounds: {said}")
    return 1 if problems else 0


def _model(name: str, options: Options) -> TwinModel:
    known = models(load_settings(options.home).trusted_models)
    if name not in known:
        raise UnknownName("model", name, known)
    return known[name]
