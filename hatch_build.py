"""Builds what is there in C, too, where a compiler is: `pip install` does it, and so does `python hatch_build.py`.

Without a compiler all works, and reading many resources takes longer (docs/benchmarks.md).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object

SOURCE = Path("mappers/forms/_tracks.c")


class CustomBuildHook(BuildHookInterface):
    """Adds the compiled module to a wheel, which is then one for this machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the wheel is put together."""
        if self.target_name == "wheel" and (made := build(Path(self.root))) is not None:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"].append(made.as_posix())


def build(root: Path) -> Path | None:
    """Compile for the Python that runs this; returns the file, `None` where that cannot be done here."""
    made = SOURCE.with_suffix("").with_name(f"{SOURCE.stem}{sysconfig.get_config_var('EXT_SUFFIX')}")
    new = made.with_name(f"{made.name}.new{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    options = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra", f"-I{sysconfig.get_paths()['include']}"]
    if sys.platform == "darwin":
        options += ["-undefined", "dynamic_lookup"]
    try:
        command = [*compiler, *options, str(SOURCE), "-o", str(new)]
        done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603 - what stands above
    except OSError:
        return None
    if done.returncode:
        (root / new).unlink(missing_ok=True)
        return None
    (root / new).replace(root / made)
    return made


if __name__ == "__main__":
    found = build(Path(__file__).parent)
    print(found or "no C compiler, or no headers of Python: the way in Python is used")  # noqa: T201
