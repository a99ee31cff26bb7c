"""twin model list, twin model show, twin model check."""

from __future__ import annotations

from dataclasses import asdict

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.settings import load_settings
from security.errors import UnknownName
from twin_engine import TwinModel, check_model, models

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
    """Show what a model needs, gives and assumes, and its evidence.

    Parameters
    ----------
    name
        The model's name.
    """
    model = _model(name, options)
    if options.json:
        print_json(
            {
                "name": model.name,
                "version": model.version,
                "needs": [asdict(n) for n in model.needs],
                "card": asdict(model.card),
                "settings": model.settings,
            }
        )
        return
    say(f"{model.title} ({model.name} {model.version})")
    say(model.citation)
    say(f"For: {model.population}")
    print_table(
        "Needs",
        ["Name", "What", "Unit", ">From", ">To", "Not older than"],
        (
            (
                n.name,
                n.title,
                n.unit,
                f"{n.bounds[0]:g}",
                f"{n.bounds[1]:g}",
                f"{n.max_age_days} days ({n.age_why})" if n.max_age_days else "",
            )
            for n in model.needs
        ),
    )
    print_table(
        "Gives", ["Name", "What", "Unit", "Reference"], ((y.name, y.title, y.unit, y.reference) for y in model.yields)
    )
    for field, text in asdict(model.card).items():
        say(f"{field.replace('_', ' ').capitalize()}: {text}")
    if settings := model.settings:
        say("Settings: " + ", ".join(f"{k} = {v}" for k, v in settings.items()))


def check_(name: str, /, *, options: Options = Options()) -> int:
    """Check that a model keeps the contract; the same checks run on models from outside.

    Parameters
    ----------
    name
        The model's name.
    """
    model = _model(name, options)
    problems = check_model(model)
    if options.json:
        print_json({"model": model.name, "ok": not problems, "problems": problems})
    elif problems:
        say(f"{model.name} {model.version} does not keep the contract:")
        for problem in problems:
            say(f"  {problem}")
    else:
        say(f"{model.name} {model.version} keeps the contract.")
    return 1 if problems else 0


def _model(name: str, options: Options) -> TwinModel:
    known = models(load_settings(options.home).trusted_models)
    if name not in known:
        raise UnknownName("model", name, known)
    return known[name]
