"""twin model new."""

from __future__ import annotations

from pathlib import Path

from gateway.authoring import Kind, write_model
from gateway.cli.terminal import Options, print_json, say
from gateway.settings import load_settings
from twin_engine import models

__all__ = ["new_"]


def new_(name: str, /, *, kind: Kind = "equation", folder: Path | None = None, options: Options = Options()) -> None:
    """Write a model of your own that works from the start, with its test: one file each.

    It computes something published (creatinine clearance, or C-reactive protein over days), under your name for it;
    change it step by step. Files that are there are never overwritten. docs/models.md explains it.

    Parameters
    ----------
    name
        Lower-case words joined by hyphens.
    kind
        "equation": one formula. "dynamic": states that move minute by minute under a plan, and can be calibrated.
    folder
        Where to write it; by default a new folder of the model's name.
    """
    settings = load_settings(options.home)
    made = write_model(name, kind, folder or Path(name), models(settings.trusted_models))
    steps = [
        f"cd {made.folder}",
        "python -m pytest                   # its test",
        "pip install -e .                   # in the environment of fhirtwin",
    ]
    trust = f'trusted_models = ["{made.distribution}"]'
    if options.json:
        print_json(
            {
                "model": made.name,
                "distribution": made.distribution,
                "written": [str(path) for path in made.written],
                "kept": [str(path) for path in made.kept],
                "entry_point": {"group": "fhirtwin.models", "name": made.name, "value": made.entry},
                "setting": trust,
            }
        )
        return
    for path in made.written:
        say(f"wrote {path}")
    if made.kept:
        say(f"left {made.kept[0]} as it is; it needs")
        say('  [project.entry-points."fhirtwin.models"]')
        say(f'  {made.name} = "{made.entry}"')
    say("Try it:")
    for step in steps:
        say(f"  {step}")
    say(f"Then trust it, in {settings.home / 'twin.toml'} (to import is to run):")
    say(f"  {trust}")
    say("And let it be checked, and seen:")
    say(f"  twin model check {made.name} && twin model card {made.name}")
