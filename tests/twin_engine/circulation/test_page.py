"""The example of the page runs as it stands there, and the pages it names are there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_example_runs(capsys):
    text = (DOCS / "circulation.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, "circulation.md", "exec"), {"__name__": "example"})  # noqa: S102 - our own document
    healthy, stenosis, leak = map(int, re.findall(r"\d+", capsys.readouterr().out))
    assert max(healthy, leak) < 10
    assert stenosis >= 40


def test_every_room_is_named():
    text = (DOCS / "circulation.md").read_text(encoding="utf-8")
    for room in ("body", "kernel", "heart", "fitting", "drugs", "studies", "states", "prostheses", "course", "model"):
        assert f"`{room}.py`" in text
