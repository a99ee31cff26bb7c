"""A new model of one's own: a working file, its test, and what makes it a distribution that can be trusted."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Literal

from gateway import __version__
from gateway.neighbours import OURS
from security.errors import Misuse

__all__ = ["Kind", "NewModel", "write_model"]

Kind = Literal["equation", "dynamic"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class NewModel:
    """What was written: the files, and those that were there and stayed as they are. `entry` is the entry point."""

    name: str
    distribution: str
    entry: str
    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def write_model(name: str, kind: Kind, folder: Path, known: Iterable[str]) -> NewModel:
    """Write a model that works, with its test, into a folder; a pyproject.toml where there is none.

    What is written computes something published, under the new name: change it step by step, and run the test.

    Parameters
    ----------
    name
        Lower-case words joined by hyphens; the file and the class are named after it.
    known
        Names of models, which are taken.

    Raises
    ------
    Misuse
        Where the name cannot be one, or is taken; where a file is there already; where the folder cannot be written.
    """
    module = _module(name, known)
    told = {
        "name": name,
        "module": module,
        "cls": "".join(word.capitalize() for word in name.split("-")),
        "distribution": f"{name}-model",
        "version": __version__,
    }
    texts = {
        folder / f"{module}.py": f"{kind}.py",
        folder / f"test_{module}.py": f"test_{kind}.py",
        folder / "pyproject.toml": "pyproject.toml",
    }
    kept = tuple(path for path in texts if path.name == "pyproject.toml" and path.exists())
    if taken := [path for path in texts if path not in kept and (path.exists() or path.is_symlink())]:
        raise Misuse(f"{taken[0].name} is there already.", hint="Nothing was written. Choose another name or --folder.")
    if find_spec(module) is not None:
        raise _hides(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in texts.items():
            if path not in kept:
                with path.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(_read(template).substitute(told))
    except OSError as error:
        raise Misuse(
            "The folder of the new model cannot be written.", hint="Choose another --folder.", detail=error
        ) from error
    written = tuple(path for path in texts if path not in kept)
    return NewModel(name, told["distribution"], f"{module}:{told['cls']}", folder, written, kept)


def _module(name: str, known: Iterable[str]) -> str:
    """Return the name of the file of a model, or refuse the name."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise Misuse(
            f"The name of a model is lower-case words joined by hyphens, {_LONGEST} characters at most.",
            hint='Write it like "creatinine-clearance".',
            detail=name,
        )
    if name in set(known):
        raise Misuse("There is a model of that name already.", hint="Choose another.", detail=name)
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in {*sys.stdlib_module_names, *OURS}:
        raise _hides(name)
    return module


def _hides(name: str) -> Misuse:
    return Misuse(
        "A file of that name would hide a module of Python, or of a package that is installed.",
        hint="Choose another name, of two words.",
        detail=name,
    )


def _read(template: str) -> Template:
    return Template(files("gateway").joinpath("model_templates", f"{template}.txt").read_text("utf-8"))
