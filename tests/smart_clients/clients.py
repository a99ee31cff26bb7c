"""The SMART clients of others, installed once: npm packages at the versions of the lock file, and Debian's Chromium."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "smart-clients"


def installed() -> Path:
    """Return the folder that has `node_modules`; skips where it cannot be made, which fails in CI."""
    ran = subprocess.run(["sh", str(HERE / "install.sh")], capture_output=True, text=True, check=False)
    if ran.returncode:
        return _without(ran.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    mark, wanted = CACHE / "installed", hashlib.sha256(lock).hexdigest()
    with (CACHE / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not mark.is_file() or mark.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, CACHE / name)
            words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = subprocess.run(words, cwd=CACHE, capture_output=True, text=True, check=False)
            if ran.returncode:
                return _without(ran.stderr)
            mark.write_text(wanted)
        for name in ("drive.mjs", "kit.mjs"):  # Node looks for packages beside the file
            shutil.copy(HERE / name, CACHE / name)
    return CACHE


def run(script: str, **told: Any) -> Any:
    """Run one of the scripts, and return what it tells."""
    words = ["node", script, json.dumps({"chromium": shutil.which("chromium"), **told})]
    ran = subprocess.run(words, cwd=CACHE, capture_output=True, text=True, timeout=180, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.strip().splitlines()[-1])


def _without(why: str) -> Path:
    message = f"the clients of others cannot be installed: {why[-500:]}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
