"""Which test files share a process, and which begin first."""

from __future__ import annotations

from pathlib import Path

from tests.order import LONG, TOGETHER, place, share

ROOT = Path(__file__).resolve().parents[1]


def test_all_that_asks_hapi_shares_one_server():
    asking = [
        file
        for file in ROOT.joinpath("tests").rglob("test_*.py")
        if "from tests.hapi.fixture import HapiServer" in file.read_text("utf-8").splitlines()
    ]
    assert len(asking) > 5
    for file in asking:
        assert share(f"{file.relative_to(ROOT).as_posix()}::test_a[b::c]") == "tests/hapi/"


def test_others_share_with_their_own_file():
    assert share("tests/mappers/test_units.py::test_a") == "tests/mappers/test_units.py"


def test_what_is_long_is_there_and_comes_first():
    for name in (*LONG, *TOGETHER):
        assert ROOT.joinpath(name).exists(), name
    assert place(f"{LONG[1]}test_card.py::test_a") == 1 < place("tests/mappers/test_units.py::test_a")
