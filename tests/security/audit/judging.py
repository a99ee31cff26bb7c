"""A judge of proofs, checkpoints, cosignatures and bundles, made of the Go modules that logs of this kind are run with.

Those are golang.org/x/mod/sumdb/{note,tlog} and github.com/transparency-dev/{merkle,formats}; the questions are ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["Judge", "make_judge"]

Judge = Callable[[list[dict[str, object]]], list[bool]]


def make_judge(folder: Path) -> Judge:
    """Build it in a folder; skips where there is no Go, or its modules are not to be had."""
    if shutil.which("go") is None:
        pytest.skip("Go is not on this machine")
    program = folder / "judge"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=Path(__file__).with_name("go"),
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"the Go modules are not to be had: {built.stderr.strip().splitlines()[-1]}")

    def ask(questions: list[dict[str, object]]) -> list[bool]:
        asked = json.dumps(questions)
        answered: list[bool] = json.loads(
            subprocess.run([program], input=asked, capture_output=True, text=True, check=True).stdout
        )
        return answered

    return ask
