"""The standing of a subscription, without a network: what is new, what is missing, what is to be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.stream.subscriptions.actions import (
    AskStatus,
    CatchUp,
    Failed,
    Fetch,
    Fetched,
    Gone,
    Poll,
    Polled,
    Renew,
    Renewed,
    Said,
)
from gateway.stream.subscriptions.decisions import due, settle
from gateway.stream.subscriptions.gaps import below, has, minus, missing, plus, top, whole
from gateway.stream.subscriptions.hearing import hear
from gateway.stream.subscriptions.notification import Event, Notification, Part
from gateway.stream.subscriptions.standing import COUNTS, Rules, Standing, load_standing

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RULES = Rules(heartbeat=60, slack=15, grace=2, again=30)
LATER = START + timedelta(seconds=10)


def stamp(number: int) -> str:
    return (START + timedelta(milliseconds=number)).isoformat()


def event(number: int | None, thing: int | None = None, **changes) -> Event:
    """Make the event that `thing` (else `number`) is about, told under `number`."""
    of = number if thing is None else thing
    told = {"when": stamp(of or 0), "focus": f"Observation/o{of}", **changes}
    return Event(number, **told)


def full(number: int, focus: str, version: int) -> Event:
    raw = b'{"resourceType":"Observation","meta":{"versionId":"%d"}}' % version
    return Event(number, stamp(number), focus, (), (Part(f"http://e/fhir/{focus}", raw),))


def told(*events: Event, count: int | None = -1, kind: str = "event-notification", status: str = "active", **changes):
    known = max((e.number or 0 for e in events), default=0) if count == -1 else count
    return Notification(kind, "http://e/fhir/Subscription/s1", status, known, events=events, **changes)


def listening(*numbers: int, **changes) -> Standing:
    """Make a standing that took these events."""
    standing = Standing("s1", "active", heard=START, since=START)
    for number in numbers:
        standing = hear(standing, told(event(number)), START).standing
    owed_nothing = msgspec.structs.replace(standing, fetch=())
    return msgspec.structs.replace(owed_nothing.balanced(START), **changes)


def numbers(heard) -> list[int | None]:
    return [e.number for e in heard.fresh]


def test_seven_after_five_asks_for_six():
    standing = listening(1, 2, 3, 4, 5)
    heard = hear(standing, told(event(7)), LATER)
    assert numbers(heard) == [7]
    assert due(heard.standing, LATER, RULES) == (Fetch(heard.standing.fetch),), "six may still be on its way"
    assert due(heard.standing, LATER + timedelta(seconds=2), RULES)[1:] == (CatchUp(6, 6),)
    asked = settle(heard.standing, CatchUp(6, 6), Failed("unreachable"), LATER, RULES)
    assert asked.standing.counts["gap"] == 1


def test_six_that_comes_late_is_taken_and_closes_the_gap():
    standing = hear(listening(1, 2, 3, 4, 5), told(event(7)), LATER).standing
    heard = hear(standing, told(event(6), count=7), LATER)
    assert numbers(heard) == [6]
    assert heard.standing.gaps == ()
    assert heard.standing.counts["out-of-order"] == 1


def test_a_duplicate_is_dropped():
    heard = hear(listening(1, 2), told(event(2)), LATER)
    assert heard.fresh == ()
    assert heard.standing.counts == {"duplicate": 1}


def test_a_heartbeat_that_counts_more_reveals_a_gap():
    standing = hear(listening(1, 2), told(count=4, kind="heartbeat"), LATER).standing
    assert standing.gaps == ((3, 4),)
    assert due(standing, LATER + timedelta(seconds=3), RULES) == (CatchUp(3, 4),)


def test_what_events_brings_closes_the_gap():
    standing = hear(listening(1), told(event(4)), LATER).standing
    answer = Said(told(event(2), event(3), count=4, kind="query-event"))
    heard = settle(standing, CatchUp(2, 3), answer, LATER, RULES)
    assert numbers(heard) == [2, 3]
    assert heard.standing.gaps == ()


def test_a_part_of_what_is_missing_is_asked_for_again_and_nothing_at_all_is_searched():
    standing = hear(listening(1), told(event(5)), LATER).standing
    some = settle(standing, CatchUp(2, 4), Said(told(event(4), count=5, kind="query-event")), LATER, RULES).standing
    assert some.gaps == ((2, 3),)
    assert not some.search
    none = settle(some, CatchUp(2, 3), Said(told(count=5, kind="query-event")), LATER, RULES).standing
    assert none.counts["events-not-kept"] == 1
    [poll] = [action for action in due(none, LATER, RULES) if isinstance(action, Poll)]
    assert poll == Poll(START + timedelta(milliseconds=1) - timedelta(minutes=5), 5, none.search)
    done = settle(none, poll, Polled(LATER), LATER, RULES).standing
    assert done.gaps == ()
    assert not done.search


def test_an_ehr_without_events_is_searched():
    standing = hear(listening(1), told(event(3)), LATER).standing
    found = settle(standing, CatchUp(2, 2), Failed("refused", is_final=True), LATER, RULES).standing
    assert not found.has_events
    fetch, status = due(found, LATER, RULES)
    assert isinstance(fetch, Fetch)
    assert status == AskStatus(3, 1, is_silent=False), "a search covers only what the EHR counts"
    sure = settle(found, status, Said(told(count=3, kind="query-status")), LATER, RULES).standing
    assert [type(action) for action in due(sure, LATER, RULES)] == [Fetch, Poll]
    unsure = settle(found, status, Failed("refused", is_final=True), LATER, RULES).standing
    assert [type(action) for action in due(unsure, LATER, RULES)] == [Fetch, Poll]


def test_a_failure_is_put_off_for_longer_each_time():
    standing = hear(listening(1), told(event(3)), START).standing
    pauses = []
    for _ in range(3):
        standing = settle(standing, CatchUp(2, 2), Failed("unreachable"), LATER, RULES).standing
        pauses.append((standing.waits["events"].until - LATER).total_seconds())
    assert pauses == [30, 60, 120]
    assert [type(action) for action in due(standing, LATER, RULES)] == [Fetch]
    assert CatchUp(2, 2) in due(standing, LATER + timedelta(seconds=120), RULES)


def test_a_number_that_is_wrong_loses_and_doubles_nothing():
    """The sixth event comes as the ninth; then the real ninth comes."""
    one = [full(number, f"Observation/o{number}", 1) for number in range(10)]
    heard = hear(listening(1, 2, 3, 4, 5), told(msgspec.structs.replace(one[6], number=9)), LATER)
    assert numbers(heard) == [9]
    standing = settle(heard.standing, CatchUp(6, 8), Said(told(one[6], count=6, kind="query-event")), LATER, RULES)
    assert standing.fresh == (), "it is the same event under its right number"
    assert standing.standing.counts["renumbered"] == 1
    assert standing.standing.gaps == ((7, 9),), "whoever has the number nine has not come"
    doubted = settle(standing.standing, CatchUp(7, 9), Said(told(count=6, kind="query-event")), LATER, RULES).standing
    [status] = [action for action in due(doubted, LATER, RULES) if isinstance(action, AskStatus)]
    sure = settle(doubted, status, Said(told(count=6, kind="query-status")), LATER, RULES).standing
    assert (sure.told, sure.gaps) == (6, ())
    for number in (7, 8, 9):
        heard = hear(sure, told(one[number]), LATER)
        assert numbers(heard) == [number]
        sure = heard.standing
    assert sure.gaps == ()


def test_another_event_under_a_taken_number_is_kept_and_status_asked():
    heard = hear(listening(1, 2, 3), told(event(2, thing=40), count=3), LATER)
    assert numbers(heard) == [2]
    assert isinstance(due(heard.standing, LATER, RULES)[-1], AskStatus)


def test_an_ehr_that_counts_from_the_start_again_is_noticed_and_searched():
    standing = hear(listening(*range(1, 9)), told(count=1, kind="heartbeat"), LATER).standing
    [status] = due(standing, LATER, RULES)
    assert status == AskStatus(8, 8, is_silent=False)
    found = settle(standing, status, Said(told(count=1, kind="query-status")), LATER, RULES).standing
    assert (found.taken, found.told, found.counts["count-went-back"]) == (((1, 1),), 1, 1)
    assert isinstance(due(found, LATER, RULES)[-1], Poll)
    assert numbers(hear(found, told(event(2, thing=99)), LATER)) == [2]


def test_a_late_notification_is_no_sign_of_a_restart():
    standing = hear(listening(1, 2, 3), told(event(3), count=3), LATER).standing
    assert not hear(standing, told(event(1), count=1), LATER).standing.in_doubt


def test_an_older_version_that_comes_late_is_history():
    standing = hear(listening(), told(full(2, "Observation/o", 2)), LATER).standing
    heard = hear(standing, told(full(1, "Observation/o", 1), count=2), LATER)
    assert (heard.fresh, [e.number for e in heard.overtaken]) == ((), [1])


def test_two_versions_of_one_instant_are_two():
    one, two = full(1, "Observation/o", 1), full(2, "Observation/o", 2)
    two = msgspec.structs.replace(two, when=one.when)
    standing = hear(listening(), told(one), LATER).standing
    heard = hear(standing, told(two), LATER)
    assert numbers(heard) == [2]
    assert heard.standing.gaps == ((1, 2),), "they might be one under two numbers, so $events is asked"
    sure = settle(heard.standing, CatchUp(1, 2), Said(told(one, two, count=2, kind="query-event")), LATER, RULES)
    assert (sure.fresh, sure.standing.gaps) == ((), ())


def test_two_events_of_one_notification_share_what_came_and_bring_it_once():
    one, two = full(1, "Observation/o", 1), full(2, "Observation/o", 2)
    both = (*one.parts, *two.parts)
    events = [msgspec.structs.replace(each, parts=both) for each in (one, two)]
    heard = hear(listening(), told(*events), LATER)
    assert numbers(heard) == [1, 2]
    assert (heard.current, heard.past) == (both, ())


def test_id_only_is_fetched_and_owed_until_it_is():
    standing = hear(listening(), told(event(1), event(2)), LATER).standing
    [fetch] = due(standing, LATER, RULES)
    assert [owed.reference for owed in fetch.owed] == ["Observation/o1", "Observation/o2"]
    half = settle(standing, fetch, Fetched((fetch.owed[0].serial,)), LATER, RULES).standing
    assert [owed.reference for owed in half.fetch] == ["Observation/o2"]
    assert due(half, LATER, RULES) == ()
    assert due(half, LATER + timedelta(seconds=30), RULES) == (Fetch(half.fetch),)
    done = settle(half, Fetch(half.fetch), Fetched(absent=(half.fetch[0].serial,)), LATER, RULES).standing
    assert (done.fetch, done.counts["not-there"]) == ((), 1)


def test_a_change_during_a_fetch_is_fetched_again():
    standing = hear(listening(), told(event(1)), LATER).standing
    [fetch] = due(standing, LATER, RULES)
    changed = hear(standing, told(Event(2, stamp(2), "Observation/o1")), LATER).standing
    left = settle(changed, fetch, Fetched((fetch.owed[0].serial,)), LATER, RULES).standing
    assert [owed.reference for owed in left.fetch] == ["Observation/o1"]


def test_an_empty_notification_is_a_search_and_one_that_comes_during_it_another():
    standing = hear(listening(), told(event(1, focus="")), LATER).standing
    [poll] = due(standing, LATER, RULES)
    assert poll == Poll(START - timedelta(minutes=5), 1, standing.search)
    during = hear(standing, told(event(2, focus="")), LATER).standing
    after = settle(during, poll, Polled(), LATER, RULES).standing
    assert [type(action) for action in due(after, LATER, RULES)] == [Poll]


def test_the_start_of_the_next_search_moves_only_where_nothing_is_owed():
    standing = hear(listening(), told(event(1)), LATER).standing
    assert standing.since == START
    [fetch] = due(standing, LATER, RULES)
    standing = settle(standing, fetch, Fetched((fetch.owed[0].serial,)), LATER, RULES).standing
    assert standing.since == START + timedelta(milliseconds=1)


def test_silence_asks_for_the_status_once_a_heartbeat():
    standing = listening(1)
    quiet = START + timedelta(seconds=75)
    assert due(standing, quiet - timedelta(seconds=1), RULES) == ()
    [status] = due(standing, quiet, RULES)
    assert status == AskStatus(1, 1, is_silent=True)
    asked = settle(standing, status, Said(told(count=1, kind="query-status")), quiet, RULES).standing
    assert due(asked, quiet + timedelta(seconds=74), RULES) == ()
    assert len(due(asked, quiet + timedelta(seconds=75), RULES)) == 1


def test_silence_while_there_were_events_asks_for_the_subscription_again():
    quiet = START + timedelta(seconds=75)
    standing = listening(1)
    [status] = due(standing, quiet, RULES)
    found = settle(standing, status, Said(told(count=3, kind="query-status")), quiet, RULES).standing
    assert due(found, quiet + timedelta(seconds=3), RULES) == (Renew(anew=False), CatchUp(2, 3))


def test_a_status_that_is_not_answered_falls_back_to_searching_at_each_turn():
    now, standing = START + timedelta(seconds=75), listening(1)
    for _ in range(3):
        [status] = due(standing, now, RULES)
        standing = settle(standing, status, Failed("unreachable"), now, RULES).standing
        [poll] = due(standing, now, RULES)
        standing = settle(standing, poll, Polled(now), now, RULES).standing
        assert due(standing, now, RULES) == ()
        now = max(wait.until for wait in standing.waits.values())
    assert standing.counts["no-status"] == 3
    assert standing.since == START + timedelta(seconds=165), "each search begins where the last one saw to"


def test_a_status_without_a_count_proves_nothing_so_it_is_searched():
    quiet = START + timedelta(seconds=75)
    [status] = due(listening(1), quiet, RULES)
    found = settle(listening(1), status, Said(told(count=None, kind="query-status")), quiet, RULES).standing
    assert isinstance(due(found, quiet, RULES)[-1], Poll)


def test_an_error_is_answered_by_asking_again_under_the_same_id_and_catching_up():
    standing = hear(listening(1, 2), told(count=2, kind="heartbeat", status="error"), LATER).standing
    assert due(standing, LATER, RULES) == (Renew(anew=False),)
    standing = settle(standing, Renew(anew=False), Renewed("s1"), LATER, RULES).standing
    assert (standing.status, standing.subscription) == ("requested", "s1")
    [status] = due(standing, LATER, RULES)
    standing = settle(standing, status, Said(told(count=4, kind="query-status", status="requested")), LATER, RULES)
    assert due(standing.standing, LATER + timedelta(seconds=3), RULES) == (CatchUp(3, 4),)


@pytest.mark.parametrize("outcome", [Gone(), Said(told(count=2, kind="query-status", status="off"))])
def test_one_that_ended_is_asked_for_anew_and_the_time_between_searched(outcome):
    quiet, standing = START + timedelta(seconds=75), listening(1, 2)
    [status] = due(standing, quiet, RULES)
    standing = settle(standing, status, outcome, quiet, RULES).standing
    assert due(standing, quiet, RULES)[0] == Renew(anew=True)
    standing = settle(standing, Renew(anew=True), Renewed("s2"), quiet, RULES).standing
    assert (standing.subscription, standing.taken, standing.told) == ("s2", (), 0)
    assert isinstance(due(standing, quiet, RULES)[-1], Poll)


def test_a_renewal_that_is_refused_is_asked_for_anew():
    standing = settle(listening(1, status="error"), Renew(anew=False), Failed("refused", True), LATER, RULES).standing
    assert due(standing, LATER + timedelta(seconds=30), RULES)[0] == Renew(anew=True)


def test_a_handshake_before_the_answer_to_the_create_loses_nothing():
    """The EHR may shake hands, and tell, before it answered the create that names the subscription."""
    standing = Standing(since=START)
    assert due(standing, START, RULES) == (Renew(anew=True),)
    shaken = hear(standing, told(count=0, kind="handshake", status="requested"), START).standing
    assert (shaken.status, shaken.subscription) == ("active", "s1")
    heard = hear(shaken, told(event(1)), START).standing
    settled = settle(heard, Renew(anew=True), Renewed("s1"), START, RULES).standing
    assert (settled.taken, settled.status) == (((1, 1),), "active")


def test_a_gap_as_wide_as_no_ehr_has_events_is_doubted_before_it_is_searched():
    standing = hear(listening(1), told(event(10**12, thing=2)), LATER).standing
    [fetch, status] = due(standing, LATER, RULES)
    assert isinstance(fetch, Fetch)
    sure = settle(standing, status, Said(told(count=2, kind="query-status")), LATER, RULES).standing
    assert (sure.told, sure.gaps) == (2, ((2, 2),))


def test_what_a_search_covered_is_dropped_when_it_comes_late_and_what_is_newer_is_not():
    standing = hear(listening(1), told(count=5, kind="heartbeat"), LATER).standing.searching("no-events")
    [poll] = [action for action in due(standing, LATER, RULES) if isinstance(action, Poll)]
    standing = settle(standing, poll, Polled(START + timedelta(milliseconds=4)), LATER, RULES).standing
    assert hear(standing, told(event(4), count=5), LATER).fresh == ()
    assert numbers(hear(standing, told(event(5)), LATER)) == [5]


def test_a_number_beyond_the_count_of_its_own_notification_is_not_believed():
    standing = hear(listening(1, 2), told(event(6, thing=3), count=3), LATER).standing
    assert (standing.told, standing.gaps, standing.counts) == (3, ((3, 3),), {"misnumbered": 1})
    assert [owed.reference for owed in standing.fetch] == ["Observation/o3"], "the event is kept all the same"
    heard = hear(standing, told(event(3), count=3), LATER)
    assert heard.standing.gaps == ()


def test_bytes_that_came_under_a_wrong_number_are_not_taken_again_under_the_right_one():
    wrong = msgspec.structs.replace(full(2, "Observation/o", 2), number=5)
    standing = hear(listening(), told(wrong, count=2), LATER).standing
    heard = hear(standing, told(full(2, "Observation/o", 2), count=2), LATER)
    assert (heard.fresh, heard.overtaken, heard.standing.gaps) == ((), (), ((1, 1),))


def test_an_older_version_under_a_wrong_number_is_history_by_its_instant():
    standing = hear(listening(), told(full(2, "Observation/o", 2)), LATER).standing
    wrong = msgspec.structs.replace(full(1, "Observation/o", 1), number=9)
    heard = hear(standing, told(wrong, count=2), LATER)
    assert (heard.fresh, len(heard.overtaken)) == ((), 1)


def test_an_event_that_is_older_than_the_last_search_does_not_take_a_number_behind_it():
    """Else it would hide that another event, which has that number, never came."""
    standing = hear(listening(1), told(count=4, kind="heartbeat"), LATER).standing.searching("no-events")
    standing = settle(
        standing, Poll(START, 4, standing.search), Polled(START + timedelta(milliseconds=4)), LATER, RULES
    )
    heard = hear(standing.standing, told(event(5, thing=3), event(6), count=6), LATER)
    assert numbers(heard) == [5, 6]
    assert heard.standing.gaps == ((5, 5),)


@pytest.mark.parametrize(
    ("more", "reason"), [((), "count-went-back"), ((event(4, thing=2),), "misnumbered")], ids=["whole", "with a hole"]
)
def test_a_search_for_numbers_that_were_not_there_yet_is_made_again(more, reason):
    """Made while `$status` was not answered, so that nobody could know."""
    standing = hear(listening(1), told(event(9, thing=2)), LATER).standing.searching("no-events")
    found = settle(standing, Poll(START, 9, standing.search), Polled(START), LATER, RULES).standing
    found = hear(found, told(*more, count=9), LATER).standing
    status = AskStatus(found.told, whole(found.taken), is_silent=True)
    sure = settle(found, status, Said(told(count=5, kind="query-status")), LATER, RULES).standing
    assert (sure.told, sure.searched, sure.counts[reason]) == (5, 5, 1)
    assert [action.through for action in due(sure, LATER, RULES) if isinstance(action, Poll)] == [5]


def test_what_happens_after_a_search_that_claimed_its_number_is_kept_and_searched_for():
    standing = hear(listening(1), told(event(9, thing=2)), LATER).standing.searching("no-events")
    found = settle(standing, Poll(START, 9, standing.search), Polled(START), LATER, RULES).standing
    heard = hear(found, told(event(4), count=4), LATER)
    assert numbers(heard) == [4]
    assert heard.standing.counts["misnumbered"] == 1
    assert heard.standing.search


def test_a_duplicate_of_an_event_under_two_numbers_takes_neither_again():
    standing = hear(listening(1), told(event(2)), LATER).standing
    standing = hear(standing, told(event(3, thing=2)), LATER).standing
    assert standing.gaps == ((2, 3),)
    for number in (2, 3):
        standing = hear(standing, told(event(number, thing=2), count=3), LATER).standing
    assert standing.gaps == ((2, 3),)


def test_events_without_number_or_instant_are_kept():
    bare = Event(None, "", "Observation/o1")
    heard = hear(listening(), told(bare, bare, count=2, reasons=("no-event-number",)), LATER)
    assert len(heard.fresh) == 2
    assert heard.standing.gaps == ((1, 2),)


def test_a_standing_survives_being_written_down():
    standing = hear(listening(1, 2), told(event(4, focus=""), event(6)), LATER).standing
    standing = standing.failed("events", LATER, RULES)
    assert load_standing(msgspec.json.encode(standing)) == standing


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=30), st.integers(1, 70))
def test_ranges_are_sets(spans, last):
    ranges, members = (), set()
    for first, length in spans:
        ranges = plus(ranges, first, first + length)
        members |= set(range(first, first + length + 1))
    assert {n for low, high in ranges for n in range(low, high + 1)} == members
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ranges))
    assert all(has(ranges, n) == (n in members) for n in range(75))
    lacking = {n for low, high in missing(ranges, last) for n in range(low, high + 1)}
    assert lacking == set(range(1, last + 1)) - members
    assert {n for low, high in below(ranges, last) for n in range(low, high + 1)} == {n for n in members if n <= last}
    assert {n for low, high in minus(ranges, last) for n in range(low, high + 1)} == members - {last}
    assert top(ranges) == max(members, default=0)
    assert whole(ranges) == next(n for n in range(75) if n + 1 not in members)


def test_two_changes_of_one_second_are_both_fetched():
    """An EHR that tells whole seconds: the first may have been fetched before the second happened."""
    one = event(1)
    standing = hear(listening(), told(one), LATER).standing
    [fetch] = due(standing, LATER, RULES)
    standing = settle(standing, fetch, Fetched((fetch.owed[0].serial,)), LATER, RULES).standing
    assert len(hear(standing, told(msgspec.structs.replace(one, number=2)), LATER).standing.fetch) == 1


class Model:
    """An EHR of numbers only: `$events` keeps the newest, it and `$status` may be there, a search tells all so far."""

    def __init__(self, events: int, make, keeps: int, has_status: bool, has_events: bool) -> None:
        self.events, self.make, self.keeps, self.has_status = events, make, keeps, has_status
        self.has_events = has_events
        self.searched: set[int] = set()

    def answer(self, action):
        match action:
            case CatchUp() if not self.has_events:
                return Failed("refused", is_final=True)
            case CatchUp(first, last):
                kept = range(max(1, self.events - self.keeps + 1), self.events + 1)
                found = [self.make(n) for n in kept if first <= n <= last]
                return Said(told(*found, count=self.events, kind="query-event"))
            case AskStatus():
                known = Said(told(count=self.events, kind="query-status"))
                return known if self.has_status else Failed("refused", is_final=True)
            case Poll():
                self.searched |= set(range(1, self.events + 1))
                return Polled(START + timedelta(milliseconds=self.events))
            case Fetch(owed):
                return Fetched(tuple(each.serial for each in owed))
            case Renew():
                return Renewed("s1")


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_whatever_is_dropped_doubled_delayed_or_misnumbered_all_comes_once(data, is_full):
    """While the EHR goes on telling, we catch up at any time. In full, three resources change again and again."""

    def make(thing: int) -> Event:
        return full(thing, f"Observation/o{thing % 3}", thing) if is_full else event(thing)

    keeps, has_status = data.draw(st.sampled_from([0, 3, 100])), data.draw(st.booleans())
    model = Model(0, make, keeps, has_status, has_events=bool(keeps) or data.draw(st.booleans()))
    counts_right = data.draw(st.booleans())  # else the count of a notification is as wrong as its number
    standing, now = Standing("s1", "active", heard=START, since=START), START
    taken: list[str] = []
    delayed: list[int] = []

    def note(heard) -> Standing:
        taken.extend(each.when for each in (*heard.fresh, *heard.overtaken))
        return heard.standing

    def send(thing: int) -> Standing:
        number = max(1, thing + data.draw(st.sampled_from([0, 0, 0, 3, -1])))
        count = model.events if counts_right else max(model.events, number)
        return note(hear(standing, told(msgspec.structs.replace(make(thing), number=number), count=count), now))

    for thing in range(1, data.draw(st.integers(1, 20)) + 1):
        model.events = thing
        match data.draw(st.sampled_from(["send", "send", "drop", "double", "delay"])):
            case "send":
                standing = send(thing)
            case "double":
                standing = send(thing)
                standing = send(data.draw(st.integers(1, thing)))
            case "delay":
                delayed.append(thing)
        if data.draw(st.booleans()):
            now += timedelta(seconds=data.draw(st.sampled_from([1, 3, 80])))
            for action in due(standing, now, RULES):
                standing = note(settle(standing, action, model.answer(action), now, RULES))
    for thing in delayed:
        standing = send(thing)
    for _ in range(60):
        now += timedelta(seconds=80)
        for action in due(standing, now, RULES):
            standing = note(settle(standing, action, model.answer(action), now, RULES))
    assert not is_full or len(taken) == len(set(taken)), "none doubled"
    here = set(taken) | {stamp(n) for n in model.searched}
    assert here == {stamp(n) for n in range(1, model.events + 1)}, "none lost"
    if model.has_status:
        assert (standing.gaps, standing.told) == ((), model.events)
    assert set(standing.counts) <= set(COUNTS)
