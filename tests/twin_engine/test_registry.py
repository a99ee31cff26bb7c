"""Which models there are, and whose are imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from security.errors import Misuse, UnknownName
from twin_engine import TwinModel, check_model, model, models

OUTSIDE = '''
"""Models of somebody else."""
from twin_engine.physiology.renal import Kidney

class Theirs(Kidney):
    """A copy. Assumes what the original assumes."""
    name = "their-kidney"

class Same(Kidney):
    """A copy under the same name. Assumes what the original assumes."""

nothing = 1
'''


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an installed distribution that offers one model; what it offers can be changed."""
    (tmp_path / "their_models.py").write_text(OUTSIDE)
    info = tmp_path / "Their_Models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Their_Models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fhirtwin.models]\ntheirs = their_models:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_models", raising=False)
    return info


def test_our_models_are_found_by_being_in_their_folders():
    ours = {"dalla-man", "glucose", "glucose-exercise", "hovorka", "kidney", "prevent", "ultradian", "uva-padova"}
    ours |= {"circulation"}
    assert set(models()) == ours
    assert all(isinstance(one, TwinModel) for one in models().values())


@pytest.mark.parametrize("name", models())
def test_every_model_keeps_the_contract(name: str):
    assert check_model(model(name)) == ()


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName) as caught:
        model("kidny")
    assert caught.value.hint == "Did you mean kidney?"


def test_the_models_of_a_distribution_are_imported_only_where_it_is_trusted(distribution: Path):
    assert "their-kidney" not in models()
    assert "their-kidney" not in models(trusted=("somebody-else",))
    assert "their_models" not in sys.modules
    assert model("their-kidney", trusted=("their-models",)).name == "their-kidney"


@pytest.mark.parametrize("offered", ["Same", "nothing"])
def test_a_name_that_is_taken_or_no_model_is_refused(distribution: Path, offered: str):
    (distribution / "entry_points.txt").write_text(f"[fhirtwin.models]\ntheirs = their_models:{offered}\n")
    with pytest.raises(Misuse):
        models(trusted=("their-models",))


def test_the_mapping_cannot_be_written_to():
    with pytest.raises(TypeError):
        models()["mine"] = model("kidney")  # type: ignore[index]  # that it cannot is the point
