"""The card tells what was fitted, what holds and what failed, as the tables have it."""

from __future__ import annotations

from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.states import STATES


def test_the_card_names_each_drug_on_its_side_and_counts_what_fails():
    told = Circulation.card.validation
    inside, outside = told.split("Disease and age")[0].split("outside in one at least")
    for drug in drugs().values():
        assert (drug.name in inside.replace(",", " ").split() or f"{drug.name};" in inside.split()) is drug.validated
        assert (drug.name in outside.replace(",", " ").replace(".", " ").split()) is not drug.validated
    blind = [state for state in STATES.values() if not state.fitted]
    count, failed = sum(len(each.published) for each in blind), sum(len(each.fails) for each in blind)
    assert failed > 0
    assert f"{count - failed} of {count} of states that were not" in told
    assert "No patient was followed" in told
