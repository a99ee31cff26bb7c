"""Which watermarks a pull moves: a line that lacks or hides something older must not be gone on from."""

from __future__ import annotations

import pytest

from gateway.pull.increment import Increment, server_clock, upper_bound
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Asked
from gateway.pull.plan import Plan
from gateway.pull.profile import Profile, Slice
from gateway.pull.walk import Inquiry
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import crawling, observation, patient

OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
SLICES = ((("category", "laboratory"),), (("category", "vital-signs"),))


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


def line(type_="Observation", *, said=1, signs=(), stopped="", **about) -> tuple[Inquiry, Asked]:
    inquiry = Inquiry(type_, came=1, pages=1, said=said, signs=signs, stopped=stopped, began=NEW, **about)
    return inquiry, inquiry.asked()


def reached(*lines, kept=None) -> dict[str, str]:
    if kept is None:
        kept = {"Observation": OLD, "MedicationRequest": OLD}
    return Increment(kept=kept).until(lines)


def test_what_came_whole_is_gone_on_from():
    assert reached(line())["Observation"] == NEW


@pytest.mark.parametrize("sign", ["narrowed-scope", "known-to-be-missing"])
def test_what_hides_something_older_stays_where_it_was(sign):
    """Once the grant is wider, what it hid is older than what came."""
    assert reached(line(signs=(sign,)))["Observation"] == OLD


def test_where_patients_could_not_be_had_nothing_moves():
    """What is refused for want of its patient does not come again."""
    assert reached(line(), line("Patient", stopped="unreachable"))["Observation"] == OLD
    assert reached(line(), line("Patient", way="named", said=None, names=("1",)))["Observation"] == OLD


def test_where_medicines_could_not_be_had_their_orders_come_again():
    found = reached(line(), line("MedicationRequest"), line("Medication", way="named", said=None, names=("1",)))
    assert found == {"Observation": NEW, "MedicationRequest": OLD}


def test_patient_by_patient_what_failed_is_asked_for_whole_again():
    """Who was new this time will not be new the next, and their past would be asked for since the old mark only."""
    kept = {"Observation?patients": OLD}
    assert reached(line(way="patients"), kept=kept) == {"Observation?patients": NEW}
    assert reached(line(way="patients", stopped="unreachable"), kept=kept) == {}
    assert reached(line(of_records=True, stopped="unreachable"), kept=kept) == {}


def test_questions_that_leave_out_something_have_watermarks_of_their_own():
    sliced = line(way="slices", slices=SLICES, signs=("in-slices",))
    assert sliced[0].mark != line(way="slices", slices=SLICES[:1], signs=("in-slices",))[0].mark
    assert reached(sliced) == {"Observation": OLD, "MedicationRequest": OLD, sliced[0].mark: NEW}
    by_date = line(filter="date", since=OLD)
    assert reached(by_date, kept={"Observation": OLD}) == {"Observation": OLD, "Observation?date": NEW}


@pytest.mark.parametrize(
    ("is_sliced", "marks", "since"),
    [
        (True, {"sliced": NEW, "Observation": OLD}, NEW),
        (True, {"Observation": OLD}, OLD),
        (False, {"sliced": NEW}, ""),
    ],
)
async def test_a_question_goes_on_from_its_own_watermark_or_from_that_of_the_plain_list(
    socket, is_sliced, marks, since
):
    slices = {"Observation": tuple(Slice(each) for each in SLICES)}
    profile = Profile(slices=slices, because={"slices.Observation": "habit: epic"}) if is_sliced else Profile()
    mark = line(way="slices", slices=SLICES, signs=("in-slices",))[0].mark
    increment = Increment({mark if name == "sliced" else name: instant for name, instant in marks.items()})
    async with crawling(socket) as desk:
        capability = await fetch_capability(desk.connection)
        [inquiry] = Plan.make(capability, profile, increment, types=("Observation",)).inquiries
        assert inquiry.since == since


async def test_a_refusal_that_a_probe_met_does_not_narrow_a_pull(socket):
    """Slices leave out what has no category; the plain question comes first, as long as no habit is known."""
    slices = {"Observation": tuple(Slice(each) for each in SLICES)}
    async with crawling(socket) as desk:
        met = Profile(
            slices=slices, per_patient=("Observation",), because={"slices.Observation": "probe", "per_patient": "probe"}
        )
        _, verdict, asked = await desk.ends(profile=met)
        assert (verdict, asked["Observation"].came) == ("complete", 15)


async def test_what_stands_in_two_records_is_counted_once(socket):
    """One that is missing would hide behind it."""
    seen_by = {"performer": [{"reference": "Practitioner/a"}]}
    rows = [patient(0), patient(1), observation("x", 0, **seen_by), observation("y", 1, **seen_by)]
    async with crawling(socket, *rows, {"resourceType": "Practitioner", "id": "a"}) as desk:
        settings = {
            "way": "patients",
            "profile": Profile(everything="yes"),
            "types": ("Patient", "Observation", "Practitioner"),
        }
        _, _, asked = await desk.ends(**settings)
        assert {each.type: each.came for each in asked.values() if each.type} == {
            "Patient": 2,
            "Observation": 2,
            "Practitioner": 1,
        }


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -1200", "soon"])
def test_a_clock_beyond_the_calendar_ends_no_pull(date):
    assert server_clock({"date": date})[:4] in ("", "9999")
    assert upper_bound({"date": date})
