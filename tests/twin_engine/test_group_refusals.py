"""What a plan of a group may not be; and what a change is, minute by minute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from security.errors import Misuse
from tests.twin_engine.bedside import NARROW, Bedside
from tests.twin_engine.test_groups import ACTIVE, MODEL, NOW, after, only
from twin_engine.passage import running_at
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, check_plan, inputs_over, inputs_under
from twin_engine.plan_text import read_plan
from twin_engine.series import Dose

GLUCOSE = MinimalGlucose()


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "said", "hint"),
        [
            (only("procedure", input="amputation"), 'does not answer to "amputation"', "procedure: aortic-valve-"),
            (only("ventilation", amount=60, unit="%"), "does not say what", "ventilation: fio2 (%), peep (cm[H2O])"),
            (only("fluid", input="drink", amount=1, unit="L"), "is a meal to the model bedside, not a", "[[meal]]"),
            (only("meal", input="furosemide"), "is a dose to the model bedside, not a meal", "[[give]]"),
            (only("exercise", input="fio2"), "is ventilation to the model bedside, not exercise", "[[ventilation]]"),
            (only("exercise", amount=50, unit="W"), "does not say when it ends", "how many minutes"),
            (only("exercise", amount=50, unit="%", minutes=30), "none that can be converted", 'unit = "W"'),
            (only("ventilation", input="fio2", amount=15, unit="%"), "holds from 21 to 100 %", "Policy"),
            (only("ventilation", input="peep", amount=5, unit="mL"), "none that can be converted", 'unit = "cm[H2O]"'),
            (only("procedure", input="pacing", amount=200, unit="/min"), "holds from 0 to 140 /min", "Policy"),
            (
                only("procedure", input="aortic-valve-replacement", amount=1.8, unit="cm2", minutes=90),
                "at an instant and stays",
                "minutes out",
            ),
            ('[[operation]]\ninput = "pacing"', "parts that nobody knows", "procedure, exercise, fluid, ventilation"),
            ('meal = "soup"', "parts that nobody knows", "give, meal"),
        ],
    )
    def test_what_cannot_be_is_refused_in_a_sentence(self, text: str, said: str, hint: str):
        with pytest.raises(Misuse) as refused:
            read_plan(text, MODEL, NOW)
        assert said in refused.value.message
        assert hint in refused.value.hint

    @pytest.mark.parametrize("model", [GLUCOSE, ACTIVE], ids=lambda model: model.name)
    @pytest.mark.parametrize("group", ["procedure", "fluid", "ventilation"])
    def test_a_model_that_lacks_a_group_says_what_it_answers_to(self, model: MinimalGlucose, group: str):
        with pytest.raises(Misuse) as refused:
            read_plan(only(group, input="fio2", amount=60, unit="%"), model, NOW)
        name = group if group == "ventilation" else f"a {group}"
        assert refused.value.message == f"The model {model.name} does not answer to {name}."
        assert "It takes meal: carbohydrate (g); dose: insulin-bolus ([iU]), " in refused.value.hint

    def test_exercise_is_refused_by_the_model_that_has_none_and_taken_by_the_other(self):
        text = only("exercise", amount=50, unit="%", at="+1h", minutes=45)
        with pytest.raises(Misuse, match="glucose does not answer to exercise"):
            read_plan(text, GLUCOSE, NOW)
        assert read_plan(text, ACTIVE, NOW).doses == (Dose(after(60), "exercise", 50.0, 45.0),)
        with pytest.raises(Misuse, match="holds from 0 to 60 %"):
            read_plan(text.replace("50", "80"), ACTIVE, NOW)

    def test_nothing_is_changed_twice_in_a_minute(self):
        twice = tuple(Dose(after(60 + s / 60), "aortic-valve-replacement", 1.5 + s / 100) for s in (0, 30))
        with pytest.raises(Misuse, match="twice in one minute"):
            check_plan(MODEL, Plan("two valves", NOW, twice))
        check_plan(MODEL, Plan("another", NOW, (twice[0], Dose(after(61), "aortic-valve-replacement", 2.0))))

    def test_exercise_may_be_stopped_without_an_end(self):
        check_plan(MODEL, Plan("rest", NOW, (Dose(NOW, "effort", 0.0),)))


class TestChange:
    VALVE = "aortic-valve-replacement"

    def test_of_two_in_a_minute_that_of_the_plan_counts(self):
        recorded, plan = [Dose(after(5), self.VALVE, 2.0)], Plan("", NOW, (Dose(after(5.5), self.VALVE, 1.4),))
        assert inputs_under(MODEL, plan, recorded, NOW, 10)[:, 2].tolist() == [0.0] * 5 + [1.4] + [0.0] * 4

    def test_what_is_felt_in_the_minute_that_begins_is_not_done_yet(self):
        class Late(Bedside):
            """Assumes that a valve is felt after eight minutes."""

            plan = tuple(replace(each, delay=8.0 if each.kind == "change" else 0.0) for each in Bedside.plan)

        done = [Dose(after(m), self.VALVE, 1.8) for m in (-9, -8)]
        assert running_at(Late(), done, NOW) == (done[1],)
        assert inputs_over(Late(), done, NOW, 3)[:, 2].tolist() == [1.8, 0.0, 0.0]

    def test_no_change_is_taken_and_one_outside_the_bounds_is_not(self):
        state, plan = MODEL.start({"body-weight": 70.0}, 1, np.random.default_rng(1)), inputs_over(MODEL, (), NOW, 5)
        assert MODEL.trace(state, plan, 5)[0][0, 2] == NARROW
        plan[3, 2] = 0.5
        with pytest.raises(Misuse, match="holds from 1 to 3 cm2"):
            MODEL.trace(state, plan, 5)
