"""The page of states is what the circulation shows today, failures included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from twin_engine.circulation.report import markdown, page, said, state_lines
from twin_engine.circulation.states import STATES, Reached

PAGE = Path(__file__).resolve().parents[3] / "docs" / "circulation-states.md"


def test_the_page_is_current(reached: Mapping[str, Reached]) -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(f"## States\n\n{page(reached)}")


def test_each_published_number_has_a_line_and_each_failure_is_seen(reached: Mapping[str, Reached]) -> None:
    lines = state_lines(reached)
    assert len(lines) == sum(len(state.published) for state in STATES.values())
    assert all(line.declared for line in lines)
    told = markdown(lines, "state")
    assert told.count("**no**") == sum(len(state.fails) for state in STATES.values()) > 0
    assert told.count("memory |") == sum(line.read == "memory" for line in lines) > 0


@pytest.mark.parametrize(
    ("quantity", "value", "printed"),
    [
        ("wedge-pressure", 8.86, "9"),
        ("heart-rate", -0.2, "0"),
        ("cardiac-index", 2.345, "2.3"),
        ("cardiac-power-index", 0.2149, "0.21"),
        ("systemic-resistance", 1534.9, "1530"),
    ],
)
def test_digits_that_depend_on_the_step_are_not_printed(quantity: str, value: float, printed: str) -> None:
    assert said(quantity, value) == printed
