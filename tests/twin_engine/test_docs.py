"""The example in the documentation runs as it stands there, and all models are in its table."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.authoring import write_model
from twin_engine import models
from twin_engine.check import RULES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def test_the_example_of_a_model_in_one_file_runs():
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    exec(compile("\n".join(blocks), DOCUMENT.name, "exec"), {"__name__": "example"})  # noqa: S102 - our own document


def test_the_example_is_what_twin_model_new_writes(tmp_path: Path):
    text = DOCUMENT.read_text(encoding="utf-8")
    made = write_model("creatinine-clearance", "equation", tmp_path / "new", ())
    [model, _] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert (made.folder / "creatinine_clearance.py").read_text("utf-8") == model
    [offered] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert offered in (made.folder / "pyproject.toml").read_text("utf-8")
    assert f'trusted_models = ["{made.distribution}"]' in text


def test_every_rule_of_the_contract_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name, rule in RULES.items() if f"| `{name}` | {rule.keeps} |" not in text] == []


def test_every_model_and_every_range_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, model in models().items():
        assert f"`{name}`" in text
        for need in model.needs:
            if need.kind == "measurement" and not (name == "prevent" and need.name == "creatinine"):
                assert f"| {need.bounds[0]:g}–{need.bounds[1]:g}" in text, need.name
