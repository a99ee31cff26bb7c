"""Log injection: what a name must not hold, by whatever way it comes into an event (I9, CWE-117)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit import (
    System,
    certificate_event,
    consent_event,
    disclosure_event,
    export_event,
    is_plain,
    key_event,
    login_event,
    merge_event,
    plain_name,
    query_event,
    retraction_event,
    run_event,
    settings_event,
    signed_token,
    token_event,
)
from security.audit.canonical import canonical
from tests.security.audit.nasty import NASTY
from tests.security.audit.samples import access

WAYS_IN = {
    "actor": lambda text: access(actor=text),
    "purpose": lambda text: access(purpose=text),
    "basis": lambda text: access(basis=f"a {text}"),
    "request id": lambda text: access(request_id=text),
    "reason": lambda text: access(outcome="8", reason=text),
    "patient": lambda text: access(patient=text),
    "what": lambda text: access(what=(f"Observation/{text}",)),
    "system": lambda text: System(text, "localhost"),
    "address": lambda text: System("north", text),
    "version": lambda text: System("north", "localhost", text),
    "run": lambda text: run_event(access(), run=text, model="kidney@1"),
    "model": lambda text: run_event(access(), run="run-1", model=text),
    "key": lambda text: key_event(access(), key=text),
    "verdict": lambda text: certificate_event(access(), pull="1", verdict=text),
    "retraction": lambda text: retraction_event(access(), why=text),
    "twin": lambda text: merge_event(access(), twin=text),
    "archive": lambda text: export_event(access(), archive=text),
    "login": lambda text: login_event(access(), method=text),
    "client": lambda text: token_event(access(), client_id=text, form={}),
    "content": lambda text: disclosure_event(access(), disclosure="1", content=[text]),
    "organization": lambda text: consent_event(access(), consents=["Consent/1"], organization=text),
}
MAY_BE_EMPTY = {"basis", "request id", "patient", "version", "reason"}  # and is then not told


@pytest.mark.parametrize("nasty", NASTY)
def test_a_text_that_could_forge_or_hide_something_comes_into_no_event(nasty):
    text = NASTY[nasty]
    for way, tell in WAYS_IN.items():
        if (way in MAY_BE_EMPTY and not text) or (way == "basis" and all(map(is_plain, text.split()))):
            continue  # scopes are parted by white space, and none of it is kept
        with pytest.raises(ValueError, match=r"codes, names and references only|a failure has a reason") as refused:
            tell(text)
        assert not text or text not in str(refused.value)  # the refusal does not repeat it


@pytest.mark.parametrize("nasty", NASTY)
def test_a_name_that_has_to_be_told_is_told_in_visible_characters(nasty):
    told = plain_name(NASTY[nasty])
    assert is_plain(told)
    for event in (settings_event(access(), part=told, keys=[NASTY[nasty]]), run_event(access(), run=told, model=told)):
        line = canonical(event)
        assert line.isascii()
        assert line.decode().isprintable()  # one line, however it is shown


def test_what_is_asked_for_is_kept_as_it_was_and_told_in_visible_characters():
    event = query_event(access(query=b"GET https://ehr/Observation?code=a\x1b[31m&name=Anna%20Muster\r\nX: y\r\n"))
    [asked] = [e for e in event["entity"] if "query" in e]
    assert asked["description"] == "GET https://ehr/Observation?code=*&name=*"
    assert "Muster" not in json.dumps(event)  # it is there as base64 alone, as BALP has it (I6)


@given(st.text(max_size=40), st.text(max_size=40))
def test_two_names_stay_two(one, other):
    assert (plain_name(one) == plain_name(other)) is (one == other)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="%"), min_size=1, max_size=40))
def test_a_name_of_visible_characters_stays_as_it_is(name):
    assert not is_plain(name) or plain_name(name) == name


@pytest.mark.parametrize("name", ["os-user:huber", "Zürich", "病院-1", "o'neill", "a.b+c@d.org", "José"])
def test_names_of_all_languages_are_names(name):
    assert is_plain(name)
    assert access(actor=name).actor == name


def test_a_token_id_of_a_strangers_server_cannot_break_out():
    assert signed_token("a\r\nb").mark == "urn:ietf:params:oauth:jti:a%0D%0Ab"
