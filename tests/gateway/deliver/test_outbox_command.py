"""twin outbox, as an integration engineer types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from gateway.cli import main
from gateway.deliver.approval import Decision
from gateway.deliver.learned import Learned, keep_learned
from gateway.deliver.letters import STATES
from gateway.deliver.verdict import REASONS
from gateway.home import Home, now
from gateway.store import Attempt, DeliveryState, Landed
from security.audit import decision_event, delivery_event, proposal_event
from security.audit.entry import read_entry
from tests.gateway.consenting import DIABETES, arrive, home_of, of_p1

NAME = "Zebedee Quux"  # stands in what the server said, and in the result
Json = dict[str, Any]


def outcome(text: str) -> bytes:
    issue = {"severity": "error", "code": "invalid", "diagnostics": text}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def bundle(number: int) -> bytes:
    observation = {"resourceType": "Observation", "id": f"o{number}", "note": [{"text": NAME}]}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": observation}]}).encode()


class Outbox:
    """A home with one twin, and deliveries in it as a worker leaves them."""

    def __init__(self, folder: Path, home: Home, twin: str) -> None:
        self.folder, self.home, self.twin = folder, home, twin

    def put(self, number: int, state: DeliveryState, reason: str = "", **ended: Any) -> str:
        """Put one in, and bring it to a state in the way that a worker would."""
        id_ = f"{number:08x}" + "0" * 56
        access = self.home.access(patient=self.twin)
        agreed = Decision(agreed=True, who="os-user:anna", how="person", rule=0, when=now(), why="looks right")
        decision = b"" if state == "proposed" else msgspec.json.encode(agreed)
        events = [proposal_event(access, proposal=id_)]
        if decision:
            events.append(decision_event(access, delivery=id_, decision="approval", by={"rule": "0"}))
        self.home.store.propose(
            id_,
            self.twin,
            "ward",
            "run",
            bundle(number),
            now=now(),
            model="kidney",
            kind="observation",
            decision=decision,
            events=events,
        )
        if state not in ("proposed", "approved"):
            store, peer = self.home.store, self.home.access(patient=self.twin, peer=self.home.peer("ward"))
            until = now() + timedelta(minutes=1)
            [claimed] = store.claim("w", now(), until, limit=9)
            assert claimed.id == id_
            store.note_leaving("w", id_, now(), [delivery_event(peer, delivery=id_)])
            if state != "sending":
                store.settle("w", {id_: Attempt(state, reason, **ended)}, now())
        return id_

    def state(self, id_: str) -> str:
        return self.home.store.delivery(id_).state


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with home_of(tmp_path, DIABETES) as (home, twin):
        home.store.save_run("run", twin, "kidney", 1, b"{}", now=now())
        yield Outbox(tmp_path, home, twin)


@pytest.fixture
def say(outbox: Outbox, capsys: pytest.CaptureFixture[str]):
    """Run a command as JSON; its status and what it said."""

    def run(*arguments: str, status: int = 0) -> Json:
        assert main([*arguments, "--format", "json", "--home", str(outbox.folder)]) == status
        said = capsys.readouterr()
        assert NAME not in said.err
        return json.loads(said.out) if said.out else {"error": said.err}

    return run


def test_the_list_counts_first_and_says_why_in_words(outbox, say, capsys):
    dead = outbox.put(1, "dead", "invalid", status=422, reply=outcome(NAME))
    later = now() + timedelta(hours=1)
    outbox.put(2, "held", "consent", not_before=later)
    outbox.put(3, "proposed")
    told = say("outbox", "list")
    assert told["counts"] == {"ward": {"dead": 1, "held": 1, "proposed": 1}}
    rows = {each["state"]: each for each in told["deliveries"]}
    assert rows["dead"]["delivery"] == dead
    assert rows["dead"]["means"] == REASONS["invalid"].said
    assert rows["dead"]["hint"] == REASONS["invalid"].hint
    assert rows["held"]["next"] == later.isoformat().replace("+00:00", "Z")
    assert NAME not in json.dumps(told)
    main(["outbox", "list", "--home", str(outbox.folder)])
    text = capsys.readouterr().out
    assert NAME not in text
    assert text.index("Deliveries by source and state") < text.index(
        "The newest" if "The newest" in text else dead[:12]
    )
    assert f"{later:%Y-%m-%d %H:%M:%S}" in text
    assert REASONS["invalid"].said in " ".join(text.split())


def test_the_list_is_narrowed_by_twin_state_and_source(outbox, say):
    outbox.put(1, "dead", "invalid")
    outbox.put(2, "proposed")
    assert say("outbox", "list", outbox.twin[:8], "--state", "dead,failed")["counts"] == {"ward": {"dead": 1}}
    assert say("outbox", "list", "--state", "sent")["deliveries"] == []
    assert [d["state"] for d in say("outbox", "list", "--limit", "1")["deliveries"]] == ["proposed"]
    assert "Did you mean dead" in say("outbox", "list", "--state", "deed", status=2)["error"]
    assert "ward" in say("outbox", "list", "--source", "wart", status=2)["error"]


def test_what_the_server_said_is_shown_to_who_may_read_it_and_stands_nowhere_else(outbox, say):
    id_ = outbox.put(1, "dead", "invalid", status=422, reply=outcome(NAME))
    assert say("outbox", "show", id_[:8])["server_said"] == [f"error invalid: {NAME}"]
    for file in outbox.folder.glob("twin.db*"):
        assert NAME.encode() not in file.read_bytes()
    arrive(outbox.home, of_p1("OPTOUT"))
    assert say("outbox", "show", id_[:8])["server_said"] is None
    assert "consents" in say("outbox", "show", id_[:8], "--fhir", status=4)["error"]
    events = [read_entry(e.sequence, e.event) for e in outbox.home.store.audit_events(12)]
    assert ("consent", "8") in [(e.kind, e.outcome) for e in events]


def test_an_error_inside_an_answer_of_success_is_told_with_its_entry(outbox, say):
    entries = [
        {"response": {"status": "201 Created"}},
        {"response": {"status": "422", "outcome": json.loads(outcome("no such code"))}},
    ]
    reply = json.dumps({"resourceType": "Bundle", "type": "batch-response", "entry": entries}).encode()
    id_ = outbox.put(1, "dead", "invalid", status=200, reply=reply)
    assert say("outbox", "show", id_)["server_said"] == ["entry 2: 422 error invalid: no such code"]


def test_the_journey_is_told_step_by_step_as_the_audit_log_has_it(outbox, say):
    landed = (Landed("urn:uuid:1", "Observation/12", "1", "created"),)
    id_ = outbox.put(1, "sent", landed=landed, status=201)
    keep_learned(outbox.folder, "ward", Learned(losses={"Observation": ("meta.security",), "Flag": ("period",)}))
    told = say("outbox", "show", id_)
    assert [step["what"].partition(":")[0] for step in told["journey"]] == ["proposed", "agreed to", "left for the EHR"]
    assert [step["number"] for step in told["journey"]] == sorted(step["number"] for step in told["journey"])
    assert told["agreed"]["by"] == "os-user:anna"
    assert told["agreed"]["why"] == "looks right"
    assert [one["reference"] for one in told["landed"]] == ["Observation/12"]
    assert told["losses"] == {"Observation": ["meta.security"]}
    assert json.dumps(say("outbox", "show", id_, "--fhir")) == json.dumps(json.loads(bundle(1)))


def test_what_was_laid_aside_leaves_again_behind_the_others_and_who_did_it_is_recorded(outbox, say):
    dead = outbox.put(1, "dead", "invalid")
    other = outbox.put(2, "approved")
    assert say("outbox", "retry", dead[:8])["retried"] == 1
    due = outbox.home.store.claim("w", now(), now() + timedelta(minutes=1), limit=9)
    assert [each.id for each in due] == [other]
    assert outbox.home.store.delivery(dead).position > outbox.home.store.delivery(other).position
    assert outbox.home.store.delivery(dead).decision
    journey = say("outbox", "show", dead)["journey"]
    assert any(step["what"] == "to be tried again" and step["who"] == outbox.home.actor for step in journey)


def test_what_waits_is_taken_up_at_once_and_keeps_its_place_and_its_reason(outbox, say):
    id_ = outbox.put(1, "failed", "unreachable", not_before=now() + timedelta(hours=5))
    before = outbox.home.store.delivery(id_)
    assert outbox.home.store.claim("w", now(), now(), limit=9) == []
    assert say("outbox", "retry", id_)["deliveries"][0]["state"] == "failed"
    after = outbox.home.store.delivery(id_)
    assert (after.position, after.reason, after.not_before) == (before.position, "unreachable", None)
    assert [each.id for each in outbox.home.store.claim("w", now(), now(), limit=9)] == [id_]


def test_all_of_a_state_are_retried_together(outbox, say):
    ids = {outbox.put(number, "dead", "invalid") for number in (1, 2, 3)}
    held = outbox.put(4, "held", "consent", not_before=now() + timedelta(hours=1))
    told = say("outbox", "retry", "--all", "--state", "dead", "--source", "ward")
    assert {each["delivery"] for each in told["deliveries"]} == ids
    assert {outbox.state(id_) for id_ in ids} == {"approved"}
    assert outbox.state(held) == "held"
    assert say("outbox", "retry", "--all")["deliveries"] == []


def test_what_cannot_be_retried_says_what_to_do_instead(outbox, say):
    waiting, dead = outbox.put(1, "proposed"), outbox.put(2, "dead", "invalid")
    assert say("outbox", "retry", waiting, status=2)["retried"] == 0
    told = say("outbox", "retry", waiting, dead, status=5)
    assert {each["state"] for each in told["deliveries"]} == {"proposed", "approved"}
    assert any("twin proposals approve" in (each["fault"] or {}).get("say", "") for each in told["deliveries"])
    assert "Which" in say("outbox", "retry", status=2)["error"]
    assert "not retried" in say("outbox", "retry", "--all", "--state", "sent", status=2)["error"]


@pytest.mark.parametrize("state", ["proposed", "approved", "failed", "held", "dead"])
def test_what_is_dropped_never_leaves_and_is_not_proposed_again(outbox, say, state):
    id_ = outbox.put(1, state, "" if state in ("proposed", "approved") else "invalid")
    assert say("outbox", "drop", id_[:8], "--why", "ticket-1")["dropped"] == 1
    assert outbox.state(id_) == "dropped"
    assert outbox.home.store.claim("w", now(), now(), limit=9) == []
    assert not outbox.home.store.propose(id_, outbox.twin, "ward", "run", bundle(1), now=now())
    steps = say("outbox", "show", id_)["journey"]
    assert any(step["what"] == "dropped: ticket-1" for step in steps)
    assert say("outbox", "retry", id_, status=2)["retried"] == 0


def test_a_drop_says_why_in_a_word(outbox, say):
    id_ = outbox.put(1, "approved")
    assert "Why?" in say("outbox", "drop", id_, status=2)["error"]
    assert "Why?" in say("outbox", "drop", id_, "--why", "Mr. Muster asked", status=2)["error"]
    assert outbox.state(id_) == "approved"


def test_what_is_there_or_may_be_there_is_not_dropped(outbox, say):
    sent = outbox.put(1, "sent", landed=(Landed("urn:uuid:1", "Observation/12"),))
    assert "retract" in say("outbox", "drop", sent, "--why", "x", status=2)["deliveries"][0]["fault"]["say"]
    assert outbox.state(sent) == "sent"
    unsure = outbox.put(2, "failed", "unreachable", unsure=True)
    assert "retry" in say("outbox", "drop", unsure, "--why", "x", status=2)["deliveries"][0]["fault"]["say"]
    assert outbox.state(unsure) == "failed"
    assert say("outbox", "drop", unsure, "--why", "x", "--even-if-unsure")["dropped"] == 1
    sending = outbox.put(3, "sending")
    assert say("outbox", "drop", sending, "--why", "x", "--even-if-unsure", status=2)["dropped"] == 0
    assert outbox.state(sending) == "sending"


def test_what_somebody_looked_for_in_the_ehr_and_did_not_find_goes_without_asking(outbox, say):
    lost = outbox.put(1, "dead", "unsearchable", unsure=True)
    say("outbox", "retry", "--all", "--not-there", status=2)
    assert say("outbox", "retry", lost)["retried"] == 1
    before = outbox.home.store.delivery(lost)
    assert before.unsure
    assert before.left
    outbox.home.store.claim("w", now(), now() + timedelta(minutes=1), limit=1)
    outbox.home.store.settle("w", {lost: Attempt("dead", "unsearchable", unsure=True)}, now())
    assert say("outbox", "retry", lost, "--not-there")["retried"] == 1
    found = outbox.home.store.delivery(lost)
    assert (found.state, found.unsure, found.left) == ("approved", False, None)
    newest = outbox.home.store.audit_events(limit=1)[0].event
    assert "not-there" in json.dumps(newest)


def test_what_the_ehr_can_be_asked_about_is_not_taken_on_a_persons_word(outbox, say):
    settling = outbox.put(2, "failed", "settling", unsure=True)
    assert "asks it first" in say("outbox", "retry", settling, "--not-there", status=2)["deliveries"][0]["fault"]["say"]
    assert outbox.home.store.delivery(settling).unsure


def test_reading_the_outbox_is_recorded(outbox, say):
    id_ = outbox.put(1, "sent", landed=())
    for arguments in (["list"], ["list", outbox.twin], ["show", id_]):
        before = outbox.home.store.search_audit(limit=1).size
        say("outbox", *arguments)
        page = outbox.home.store.search_audit(limit=20)
        assert "read" in {read_entry(e.sequence, e.event).kind for e in page.entries if e.sequence > before}
    assert outbox.home.store.verify_audit().ok


def test_every_state_has_words():
    assert set(STATES) == set(get_args(DeliveryState))


def test_an_id_that_is_unknown_or_fits_several_is_told(outbox, say):
    outbox.put(0x11, "proposed")
    outbox.put(0x12, "proposed")
    assert "Several" in say("outbox", "show", "0000001", status=2)["error"]
    assert "no delivery" in say("outbox", "show", "ffff", status=2)["error"]
