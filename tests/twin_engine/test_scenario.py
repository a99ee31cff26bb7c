"""What-ifs: several ways from one moment, paired member for member, ranked by what somebody declared to be better."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
import numpy as np
import pytest

from security.errors import Misuse
from tests.twin_engine.washout import LEVEL, Washout
from twin_engine import Array
from twin_engine.follow import follow, follow_each
from twin_engine.outcome import GRI, Measure, Utility, ends, measures_of, read_utility, usual_utility
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, inputs_under
from twin_engine.scenario import Comparison, counterfactual, what_if
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import Track, begin

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(hours=6)
WEIGHT = {"body-weight": 70.0}
MODEL = Washout()
GLUCOSE = MinimalGlucose()
TRUE = np.log([0.25, 0.6])
MEMBERS = 60
HIGH = Utility("A high level", "these tests", {"mean": 1.0})
# A person who has had one dose, at 1 h, and gets another, at 8 h.
DOSES = (Dose(START + timedelta(hours=1), "dose", 300.0), Dose(START + timedelta(hours=8), "dose", 200.0))


def after(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def plan(title: str, *doses: Dose, replaces: tuple[str, ...] = ()) -> Plan:
    return Plan(title, NOW, doses, replaces)


def lived(hours: float) -> Series:
    """What was measured of a person of known parameters, every five minutes, with an error."""
    state = MODEL.join(np.zeros((1, 1)), TRUE[None])
    laid = inputs_under(MODEL, Plan("", START), DOSES, START, round(hours * 60))
    level = MODEL.trace(state, laid, 5)[1][:, 0, 0]
    error = np.random.default_rng(5).normal(0.0, 0.3, len(level))
    readings = (
        Reading(START + timedelta(minutes=5 * (i + 1)), LEVEL, max(float(v), 0.0), 0.5)
        for i, v in enumerate(level + error)
    )
    return Series(tuple(readings), tuple(d for d in DOSES if d.when <= START + timedelta(hours=hours)))


@cache
def track() -> Track:
    """The person's twin at six hours."""
    return begin(MODEL, WEIGHT, lived(6.0), members=MEMBERS, seed=11)


@cache
def two_doses() -> Comparison:
    small, large = (plan(f"{amount:g} mg", Dose(after(1), "dose", amount)) for amount in (100.0, 110.0))
    return what_if(MODEL, track(), (small, large), at=NOW, minutes=360, utility=HIGH)


def members_of(one: Plan, minutes: int = 360) -> Array:
    laid = inputs_under(MODEL, one, track().running, NOW, minutes, resting=track().resting)
    return follow(MODEL, track().ensemble, laid, NOW, 5, track().seed)[:, :, 0]


class TestBranches:
    def test_all_begin_where_the_patient_is(self):
        one, other = two_doses().branches
        assert one.courses[0].minutes[0] == 0.0
        assert one.courses[0].median[0] == other.courses[0].median[0]
        assert one.courses[0].median[0] == pytest.approx(float(np.median(track().ensemble[:, 0])), abs=1e-3)

    def test_until_plans_differ_nothing_differs(self):
        [difference] = two_doses().branches[1].differences
        assert set(difference.low[:13]) == set(difference.high[:13]) == {0.0}
        assert difference.low[14] > 0.0

    def test_a_plan_against_itself_makes_no_difference_at_all(self):
        one = plan("one", Dose(after(1), "dose", 100.0))
        found = what_if(MODEL, track(), (one, msgspec.structs.replace(one, title="two")), at=NOW, minutes=360)
        assert set(found.branches[1].differences[0].high) == {0.0}

    def test_pairing_makes_a_difference_much_surer_than_it_would_be_between_strangers(self):
        point = 30
        [difference] = two_doses().branches[1].differences
        paired = difference.high[point] - difference.low[point]
        one, other = (members_of(branch.plan)[point] for branch in two_doses().branches)
        strangers = other - np.roll(one, 1)  # another member: other parameters, other noise
        low, high = np.quantile(strangers, (0.05, 0.95))
        assert paired < 0.2 * (high - low)
        assert difference.low[point] > 0.0 > low

    def test_the_difference_is_what_the_members_say(self):
        [difference] = two_doses().branches[1].differences
        one, other = (members_of(branch.plan) for branch in two_doses().branches)
        assert difference.median == pytest.approx(np.median(other - one, axis=1), abs=1e-3)
        assert difference.high == pytest.approx(np.quantile(other - one, 0.95, axis=1), abs=1e-3)

    def test_an_hour_is_the_beginning_of_a_day(self):
        one = plan("one", Dose(after(0.2), "dose", 100.0))
        assert np.array_equal(members_of(one, 55), members_of(one, 1440)[:12])

    def test_the_same_question_has_the_same_answer_to_the_bit(self):
        again = what_if(MODEL, track(), [b.plan for b in two_doses().branches], at=NOW, minutes=360, utility=HIGH)
        assert msgspec.json.encode(again) == msgspec.json.encode(two_doses())
        assert msgspec.json.decode(msgspec.json.encode(again), type=Comparison) == again

    def test_what_is_on_record_and_later_holds_in_each_branch_unless_it_is_replaced(self):
        plans = (plan("as it is"), plan("without", replaces=("dose",)))
        found = what_if(MODEL, track(), plans, at=NOW, minutes=240, doses=DOSES)
        assert found.branches[0].courses[0].median[30] > found.branches[0].courses[0].median[23] + 2.0
        assert max(found.branches[1].courses[0].median[24:]) < found.branches[1].courses[0].median[0]

    def test_a_look_from_later_than_the_last_reading_is_less_sure(self):
        def width(hours: float) -> float:
            at = after(hours)
            found = what_if(MODEL, track(), (Plan("nothing", at),), at=at, minutes=60)
            course = found.branches[0].courses[0]
            return (course.high[0] - course.low[0]) / course.median[0]

        assert width(4.0) > 1.5 * width(0.0)

    def test_a_past_version_of_the_twin_branches_as_it_was_known_then(self):
        then = begin(MODEL, WEIGHT, lived(3.0), members=MEMBERS, seed=11)
        at = START + timedelta(hours=3)
        found = what_if(MODEL, then, (Plan("nothing", at),), at=at, minutes=60)
        assert found.at == at
        with pytest.raises(Misuse):  # what is known now would be told to those who did not know it
            what_if(MODEL, track(), (Plan("nothing", at),), at=at, minutes=60)

    def test_a_way_is_the_same_alone_and_among_others(self):
        laid = [
            inputs_under(MODEL, plan("", Dose(after(1), "dose", amount)), track().running, NOW, 100)
            for amount in (0.0, 100.0, 300.0)
        ]
        together = list(follow_each(MODEL, track().ensemble, laid, NOW, 5, 3))
        assert all(
            np.array_equal(way, follow(MODEL, track().ensemble, each, NOW, 5, 3))
            for way, each in zip(together, laid, strict=True)
        )
        assert not np.array_equal(together[0], together[2])


class TestRanking:
    def test_plans_are_ranked_by_the_declared_utility(self):
        assert two_doses().ranking == ("110 mg", "100 mg")
        low = Utility("A low level", "these tests", {"mean": -1.0})
        found = what_if(MODEL, track(), [b.plan for b in two_doses().branches], at=NOW, minutes=360, utility=low)
        assert found.ranking == ("100 mg", "110 mg")
        assert found.utility == low

    def test_how_sure_the_first_place_is_is_a_share_of_the_members(self):
        one, other = two_doses().branches
        assert (one.best, other.best) == (0.0, 1.0)
        plans = [*(branch.plan for branch in two_doses().branches), plan("nothing")]
        near = Utility("Least near 2 mg/L", "these tests", {"greatest": -1.0, "least": 3.0})
        found = what_if(MODEL, track(), plans, at=NOW, minutes=360, utility=near)
        assert sum(branch.best or 0.0 for branch in found.branches) == pytest.approx(1.0)

    def test_equal_plans_share_the_first_place(self):
        found = what_if(MODEL, track(), (plan("a"), plan("b")), at=NOW, minutes=60, utility=HIGH)
        assert [branch.best for branch in found.branches] == [0.5, 0.5]

    def test_where_nobody_says_what_is_better_nothing_is_ranked(self):
        assert usual_utility(MODEL) is None
        found = what_if(MODEL, track(), (plan("a"), plan("b")), at=NOW, minutes=60)
        assert found.ranking == ()
        assert found.branches[0].worth is found.branches[0].best is None

    def test_a_utility_says_who_declared_it_and_weighs_what_is_measured(self):
        text = 'title = "t"\ndeclared_by = "Dr A."\n[weights]\nin-range = 1.0\nhypoglycaemia = -50\n'
        told = read_utility(text, measures_of(GLUCOSE))
        assert told.weights == {"in-range": 1.0, "hypoglycaemia": -50.0}
        for broken in (
            text.replace("Dr A.", " "),
            text.replace("in-range", "mood"),
            text.replace("-50", "nan"),
            text.replace("declared_by", "by"),
            text.partition("[weights]")[0],
            "[weights",
        ):
            with pytest.raises(Misuse):
                read_utility(broken, measures_of(GLUCOSE))


class TestRefusals:
    @pytest.mark.parametrize("minutes", [0, -5, 7 * 1440 + 5])
    def test_a_span_that_cannot_be_is_refused(self, minutes):
        with pytest.raises(Misuse):
            what_if(MODEL, track(), (plan("a"),), at=NOW, minutes=minutes)

    @pytest.mark.parametrize("titles", [(), ("a", "a")])
    def test_plans_that_cannot_be_told_apart_are_refused(self, titles):
        with pytest.raises(Misuse):
            what_if(MODEL, track(), [plan(title) for title in titles], at=NOW, minutes=60)

    def test_a_plan_outside_the_model_is_refused_in_any_place(self):
        with pytest.raises(Misuse):
            what_if(MODEL, track(), (plan("a"), plan("b", Dose(after(1), "exercise", 1.0))), at=NOW, minutes=60)
        with pytest.raises(Misuse):
            what_if(MODEL, track(), (plan("a"), Plan("early", after(-1))), at=NOW, minutes=60)
        with pytest.raises(Misuse):
            what_if(MODEL, track(), (plan("a"), Plan("late", after(1))), at=NOW, minutes=60)


class TestWhatWouldHaveHappened:
    def test_it_holds_the_rest_of_the_past_and_shows_what_was_measured_apart(self):
        series = lived(10.0)
        instead = plan("half the dose", Dose(after(2), "dose", 100.0), replaces=("dose",))
        found = counterfactual(MODEL, track(), series, instead, minutes=240)
        factual, other = found.branches
        assert found.kind == "counterfactual"
        assert factual.courses[0].median[26] - other.courses[0].median[26] == pytest.approx(100 / 42.0, rel=0.25)
        assert [r.value for r in found.measured] == [r.value for r in series.readings if NOW < r.when <= after(4)]

    def test_it_says_how_near_the_simulated_past_came_to_the_real_one(self):
        series = lived(10.0)
        [met] = counterfactual(MODEL, track(), series, plan("none", replaces=("dose",)), minutes=240).met
        assert met.count == 48
        assert met.rmse < 0.6
        assert met.inside > 0.8
        ignorant = Series(series.readings, series.doses[:1])  # the second dose was not logged
        [worse] = counterfactual(MODEL, track(), ignorant, plan("none", replaces=("dose",)), minutes=240).met
        assert worse.rmse > 3 * met.rmse

    def test_hindsight_comes_nearer_to_what_would_have_happened(self):
        """To lives that can be lived twice: the same person and the same chance, with another dose."""
        instead = plan("half the dose", Dose(after(2), "dose", 100.0), replaces=("dose",))
        plain, learnt, inside = [], [], []
        for life in range(12):
            # A person whom the twin hardly knows: one of those whom it thinks possible, and a chance of their own.
            state = track().ensemble[[5 * life]].copy()
            real, other = (
                follow(MODEL, state, inputs_under(MODEL, each, DOSES, NOW, 360), NOW, 5, seed=1000 + life)[:, 0, 0]
                for each in (plan("as it was"), instead)
            )
            error = np.random.default_rng(life).normal(0.0, 0.3, len(real))
            readings = [
                Reading(NOW + timedelta(minutes=5 * i), LEVEL, float(v), 0.3)
                for i, v in enumerate(real + error)
                if i % 3 == 2
            ]
            found = counterfactual(MODEL, track(), Series(tuple(readings), DOSES), instead, minutes=360)
            [told] = found.hindsight
            plain.append(np.subtract(found.branches[1].courses[0].median, other))
            learnt.append(np.subtract(told.counterfactual.median, other))
            inside.append((np.array(told.counterfactual.low) <= other) & (other <= np.array(told.counterfactual.high)))
        assert np.std(learnt) < 0.6 * np.std(plain)
        assert np.mean(inside) > 0.8

    def test_in_hindsight_two_courses_are_one_until_the_plans_part(self):
        instead = plan("half the dose", Dose(after(2), "dose", 100.0), replaces=("dose",))
        [told] = counterfactual(MODEL, track(), lived(10.0), instead, minutes=240).hindsight
        assert told.factual.median[:25] == told.counterfactual.median[:25]
        assert max(map(abs, (*told.difference.low[:25], *told.difference.high[:25]))) == 0.0
        assert told.difference.high[26] < 0.0

    def test_without_readings_there_is_no_hindsight(self):
        found = counterfactual(MODEL, track(), Series((), DOSES), plan("none", replaces=("dose",)), minutes=60)
        assert found.hindsight == found.met == found.measured == ()


class TestOutcomes:
    VALUES = np.array([[60.0, 100.0], [65.0, 50.0], [69.0, 100.0], [70.0, 190.0], [180.0, 100.0], [251.0, 100.0]])

    def ask(self, name: str) -> list[float]:
        measure = next(each for each in measures_of(GLUCOSE) if each.name == name)
        return [float(answer) for answer in measure.of(self.VALUES, 5)]

    def test_shares_of_time_add_up(self):
        shares = [self.ask(n) for n in ("very-low", "low", "in-range", "high", "very-high")]
        assert np.sum(shares, axis=0) == pytest.approx([100.0, 100.0])
        assert self.ask("in-range") == pytest.approx([100 / 6, 400 / 6])

    def test_an_episode_lasts(self):
        assert self.ask("hypoglycaemia") == [1.0, 0.0]  # 15 minutes below 70; one value alone is none
        long_ = Measure("long", "", "interstitial-glucose", "episode", high=70.0, minutes=240.0)
        assert list(long_.of(self.VALUES, 5)) == [0.0, 0.0]

    def test_extremes_and_mean(self):
        assert self.ask("least") == [60.0, 50.0]
        assert self.ask("greatest") == [251.0, 190.0]
        assert self.ask("mean")[1] == pytest.approx(640 / 6)

    @pytest.mark.parametrize("members", [1, 2, 19, 20, 21, 200])
    def test_the_middle_90_percent_is_that_of_numpy(self, members: int):
        values = np.random.default_rng(members).normal(100.0, 20.0, members)
        assert ends(values) == pytest.approx(tuple(np.quantile(values, (0.05, 0.95))), rel=1e-13)

    def test_the_glycemia_risk_index_is_that_of_its_paper(self):
        # Klonoff 2023: 3.0 very low + 2.4 low + 1.6 very high + 0.8 high, in percent of the time
        answers = {n: np.array([v]) for n, v in (("very-low", 2.0), ("low", 5.0), ("high", 20.0), ("very-high", 8.0))}
        assert GRI.of(answers) == pytest.approx([-(3.0 * 2 + 2.4 * 5 + 1.6 * 8 + 0.8 * 20)])

    def test_glucose_is_ranked_by_it_unless_another_is_declared(self):
        assert usual_utility(GLUCOSE) is GRI


def test_of_a_patient_who_is_hardly_known_a_careful_bolus_ranks_before_none_and_before_many_units():
    readings = tuple(
        Reading(START + timedelta(minutes=5 * i), "interstitial-glucose", 130.0 + i % 3, 8.0) for i in range(13)
    )
    basal = Dose(START - timedelta(hours=1), "insulin-basal", 0.8)
    known = begin(GLUCOSE, WEIGHT, Series(readings, (basal,)), members=MEMBERS, seed=3)
    meal = Dose(known.at + timedelta(minutes=30), "carbohydrate", 80.0, 15.0)
    plans = [Plan("no insulin", known.at, (meal,))]
    plans += [Plan(f"{u:g} U", known.at, (meal, Dose(meal.when, "insulin-bolus", u))) for u in (2.0, 40.0)]
    found = what_if(GLUCOSE, known, plans, at=known.at, minutes=360)
    told = {branch.plan.title: {o.name: o.value for o in branch.outcomes} for branch in found.branches}
    assert found.ranking[0] == "2 U"
    assert told["2 U"]["greatest"] < told["no insulin"]["greatest"] - 20
    assert told["40 U"]["hypoglycaemia"] > 0.9 > told["2 U"]["hypoglycaemia"]
    for branch in found.branches:
        assert branch.worth is not None
        assert branch.worth.value == pytest.approx(
            -3.0 * told[branch.plan.title]["very-low"]
            - 2.4 * told[branch.plan.title]["low"]
            - 0.8 * told[branch.plan.title]["high"]
            - 1.6 * told[branch.plan.title]["very-high"],
            abs=1e-3,
        )
