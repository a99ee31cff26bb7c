"""The page of operations is what they do today, failures included, and no source or assumption is left unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from twin_engine.circulation.operation_report import EVIDENCE, PATIENTS, Evidence, evidence_lines, page
from twin_engine.circulation.operation_table import GRADES, LEAKS, REPAIR, RISKS, SEGMENT, SOURCES
from twin_engine.circulation.report import Line
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.states import STATES, Reached, reach

PAGE = Path(__file__).resolve().parents[3] / "docs" / "circulation-operations.md"


@pytest.fixture(scope="module")
def lines(reached: Mapping[str, Reached]) -> list[Line]:
    return evidence_lines(reached)


def test_the_page_is_current(lines: list[Line]) -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(f"\n## Evidence\n\n{_before()}{page(lines)}")


def _before() -> str:
    """What stands between the heading and the table."""
    text = PAGE.read_text(encoding="utf-8").split("\n## Evidence\n\n", maxsplit=1)[1]
    return text[: text.index("end='')\"\n\n") + len("end='')\"\n\n")]


def test_each_published_number_has_a_line_and_each_failure_is_declared(lines: list[Line]) -> None:
    assert len(lines) == sum(len(each.published) + len(each.shares) for each in EVIDENCE)
    assert [line.of for line in lines if not line.declared] == []
    assert sum(not line.inside for line in lines) == sum(len(each.fails) for each in EVIDENCE) > 0


def test_every_operation_is_held_to_something_and_each_source_is_used() -> None:
    plans = " ".join(each.plan for each in EVIDENCE)
    for head in ("aortic valve", "mitral repair", "pump", "balloon", "pacing", "revascularisation"):
        assert head in plans, head
    used = {row.source for each in EVIDENCE for row in each.published} | {REPAIR.source, SEGMENT.motion}
    used |= {share.source for each in EVIDENCE for share in each.shares} | {SEGMENT.recovery}
    used |= {leak.source for leak in LEAKS.values()} | {grade.source for grade in GRADES.values()}
    used |= {risk.source for risk in RISKS.values() if risk.source} | {read_table("operations")["valve"]["source"]}
    assert used == set(SOURCES)


def test_who_was_made_for_the_evidence_tells_what_the_table_says_of_them() -> None:
    tells = {name: reach(patient).tells for name, patient in PATIENTS.items()}
    assert not set(PATIENTS) & set(STATES)
    weak, narrow, slow = (tells[name] for name in ("ischaemic-cardiomyopathy", "stenosis-low-ejection", "heart-block"))
    assert weak["ejection-fraction"] == pytest.approx(28.0, abs=1.0)
    assert weak["end-diastolic-volume"] == pytest.approx(185.0, abs=3.0)
    assert narrow["ejection-fraction"] == pytest.approx(28.0, abs=1.0)
    assert narrow["aortic-mean-gradient"] == pytest.approx(40.0, abs=1.0)
    assert slow["heart-rate"] == pytest.approx(40.0, abs=0.5)
    assert slow["cardiac-index"] == pytest.approx(1.84, abs=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fails": ("heart-rate x",)},
        {"patient": "nobody"},
        {"shares": ({"of": "luck", "low": 1, "high": 2, "source": "revived"},)},
    ],
)
def test_a_slip_in_the_table_is_an_error_when_it_is_read(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Evidence.model_validate({"patient": "hfref", "plan": "pump 9000 /min"} | wrong)
