"""What is there in C, too, is built where a compiler is, and is not missed where none is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mappers.forms.tracks import ARE_BUILT

ROOT = Path(__file__).parents[1]


def built(to: Path, compiler: str) -> str:
    """Build in a copy; returns what that says."""
    (to / "mappers/forms").mkdir(parents=True)
    for file in ("hatch_build.py", "mappers/forms/_tracks.c"):
        shutil.copy(ROOT / file, to / file)
    command = [sys.executable, str(to / "hatch_build.py")]
    done = subprocess.run(
        command, cwd=to, env={**os.environ, "CC": compiler}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
def test_it_is_built_and_can_be_imported(tmp_path: Path):
    made = tmp_path / built(tmp_path, "cc")
    assert made.stat().st_size > 10_000
    code = f"import sys; sys.path.insert(0, {str(made.parent)!r}); import _tracks; print(_tracks.Tracks().find(b''))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "None\n"


@pytest.mark.skipif(shutil.which("cc") is None or not os.environ.get("CI"), reason="make builds it where cc is")
def test_where_a_compiler_is_the_tests_of_what_is_there_in_c_are_not_left_out():
    assert ARE_BUILT


def test_without_a_compiler_nothing_is_built_and_nothing_fails(tmp_path: Path):
    assert "no C compiler" in built(tmp_path, "/nowhere/cc")
    assert list((tmp_path / "mappers/forms").iterdir()) == [tmp_path / "mappers/forms/_tracks.c"]
