"""Breaking the glass: who may, what it opens and for how long, what it leaves, and its review (N4)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.api.breaking_glass import OFFERS, break_glass, glass_of
from gateway.api.call import Call, Reply
from gateway.api.refusal import Refusal
from gateway.break_glass import queue
from gateway.cli import main
from gateway.home import Home, now
from security.audit import read_event
from security.audit.entry import read_entry
from security.policy import Caller
from tests.gateway.consenting import ALCOHOL, DIABETES, Window, home_of, of_p1, who

DENIES = of_p1("OPTOUT")
WHY = "Found unconscious, needs her medication list."


def body(**values: str) -> bytes:
    parts = [{"name": n, ("valueCode" if n == "reason" else "valueString"): v} for n, v in values.items()]
    return json.dumps({"resourceType": "Parameters", "parameter": parts}).encode()


def ask(home: Home, caller: Caller, twin: str, **changes: Any) -> Reply:
    """Ask for it as the door does: answered, then recorded together with the grant."""
    view = Window(home).view(caller)
    told: dict[str, Any] = {"reason": "ETREAT", "text": WHY} | changes

    def access(**what: Any) -> Any:
        begun = home.access()
        return replace(begun, **({"actor": f"user:{caller.user}", "purpose": caller.purpose} | what))

    call = Call(
        home=home,
        view=view,
        request_id="r1",
        method="POST",
        url=f"/Patient/{twin}/$break-glass",
        path={"id": twin},
        body=body(**{k: v for k, v in told.items() if v}),
        base="https://twin.example.org/fhir",
        now=view.now,
        access=access,
    )
    reply = asyncio.run(break_glass(call))
    assert reply.done is not None
    reply.done(reply.events)
    return reply


def read(home: Home, caller: Caller, twin: str) -> set[str]:
    return Window(home).codes(glass_of(home.store, caller, twin, now()), twin)


def test_it_opens_what_consents_hide_for_who_asked_and_nobody_else(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        assert read(home, who(), twin) == set()
        reply = ask(home, who(), twin)
        assert read(home, who(), twin) == {"F10.20"}
        assert read(home, who(user="other"), twin) == set()
        assert read(home, who(user=""), twin) == set()
        told = {p["name"]: p for p in reply.body["parameter"]}  # type: ignore[index]
        assert told["purpose"]["valueCode"] == "BTG"
        opened = glass_of(home.store, who(), twin, now())
        assert (opened.purpose, opened.glass) == ("BTG", told["id"]["valueId"])


def test_it_ends_by_itself_and_sooner_with_the_role(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES, serve="break_glass_minutes = 10") as (home, twin):
        ask(home, who(), twin)
        before, behind = now() + timedelta(minutes=9), now() + timedelta(minutes=10)
        assert glass_of(home.store, who(), twin, before).glass
        assert not glass_of(home.store, who(), twin, behind).glass
        assert not glass_of(home.store, who(roles=("student",)), twin, before).glass


def test_scopes_are_not_widened_by_it(tmp_path):
    narrow = who(scopes=("user/Patient.r", "user/Observation.rs"))
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        ask(home, narrow, twin)
        opened = glass_of(home.store, narrow, twin, now())
        view = Window(home).view(opened)
        assert opened.scopes == narrow.scopes
        assert view.get("Patient", twin)
        assert not view.resources(twin, "Condition")


def test_it_opens_one_record_and_closes_others_meanwhile(tmp_path):
    with home_of(tmp_path, DIABETES, DENIES) as (home, twin):
        ask(home, who(), twin)
        opened = glass_of(home.store, who(), twin, now())
        window = Window(home)
        chart = window.charts.chart(twin)
        forged = replace(opened, glass="0" * 36 + ".x")
        [shown] = chart.of_type("Condition")
        assert window.consents.permits(opened, "r", chart, shown, now())
        assert not window.consents.permits(forged, "r", chart, shown, now())
        assert not window.consents.permits(replace(opened, glass=""), "r", chart, shown, now())


@pytest.mark.parametrize(
    ("caller", "changes", "status"),
    [
        (who(roles=("student",)), {}, 403),
        (who(roles=("auditor",)), {}, 403),
        (who(user="", scopes=("system/*.rs",)), {}, 403),
        (who(scopes=("user/Observation.rs",)), {}, 403),
        (who(tenant="other"), {}, 404),
        (who(), {"reason": ""}, 400),
        (who(), {"reason": "BECAUSE"}, 400),
        (who(), {"text": ""}, 400),
        (who(), {"text": "   "}, 400),
        (who(), {"text": "x" * 2001}, 400),
    ],
)
def test_it_is_refused_without_the_right_or_a_reason(tmp_path, caller, changes, status):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        with pytest.raises(Refusal) as refused:
            ask(home, caller, twin, **changes)
        assert refused.value.status == status
        assert WHY not in refused.value.text
        assert queue(home, now()) == []


def test_who_is_not_there_and_who_is_anothers_get_the_same_answer(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        told = []
        for caller, patient in ((who(tenant="other"), twin), (who(), "0" * 8 + "-0000-0000-0000-" + "0" * 12)):
            with pytest.raises(Refusal) as refused:
                ask(home, caller, patient)
            told.append((refused.value.status, refused.value.outcome()))
        assert told[0] == told[1]


def test_a_setting_says_which_roles_may(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES, serve='break_glass_roles = ["admin"]') as (home, twin):
        ask(home, who(roles=("admin", "clinician")), twin)
        with pytest.raises(Refusal):
            ask(home, who(), twin)


def test_the_audit_has_the_code_and_never_the_words(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        ask(home, who(), twin)
        [entry] = home.store.audit_events(1)
        told = read_entry(entry.sequence, entry.event)
        assert (told.kind, told.purpose, told.actor, told.patients) == ("break-glass", "BTG", "user:maria", (twin,))
        assert told.thing == "ETREAT"
        assert "unconscious" not in json.dumps([e.event for e in home.store.audit_events(100)])
    for file in tmp_path.iterdir():
        assert not file.is_file() or b"unconscious" not in file.read_bytes()


def test_a_reviewer_sees_who_when_why_and_how_much_and_says_what_came_out(tmp_path, capsys):
    with home_of(tmp_path, ALCOHOL, DIABETES, DENIES) as (home, twin):
        ask(home, who(), twin)
        seen = tuple(
            each.reference
            for each in Window(home).view(glass_of(home.store, who(), twin, now())).resources(twin, "Condition")
        )
        home.store.append_audit(
            [read_event(replace(home.access(), actor="user:maria", purpose="BTG", patient=twin, what=seen))]
        )
        home.store.append_audit([read_event(replace(home.access(), actor="user:other", patient=twin, what=seen))])
    arguments = ["--home", str(tmp_path)]
    assert main(["audit", "review", "--format", "json", *arguments]) == 0
    [waiting] = json.loads(capsys.readouterr().out)["waiting"]
    assert (waiting["user"], waiting["reason"], waiting["text"]) == ("maria", "ETREAT", WHY)
    assert (waiting["twin"], waiting["events"], waiting["resources"]) == (twin, 1, 2)
    assert main(["audit", "review", *arguments]) == 0
    assert "maria" in capsys.readouterr().out
    assert main(["audit", "review", str(waiting["event"]), "--found", "justified", *arguments]) == 0
    capsys.readouterr()
    assert main(["audit", "review", "--format", "json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"waiting": []}
    from gateway.settings import load_settings

    with Home.open(load_settings(tmp_path)) as home:
        kinds = [read_entry(e.sequence, e.event).kind for e in home.store.audit_events(20)]
        assert "review" in kinds


def test_a_review_waits_when_the_grant_is_over(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        ask(home, who(), twin)
        later = now() + timedelta(days=3)
        assert not glass_of(home.store, who(), twin, later).glass
        assert [each.glass.user for each in queue(home, later)] == ["maria"]


def test_asked_again_it_lasts_anew_and_both_are_reviewed(tmp_path):
    with home_of(tmp_path, ALCOHOL, DENIES) as (home, twin):
        ask(home, who(), twin)
        first = glass_of(home.store, who(), twin, now()).glass
        ask(home, who(), twin)
        assert glass_of(home.store, who(), twin, now()).glass != first
        assert len(queue(home, now())) == 2


def test_it_is_offered_by_post_at_a_patient_only():
    assert [(offer.method, offer.path, offer.event) for offer in OFFERS] == [
        ("POST", "/Patient/{id}/$break-glass", "own")
    ]
