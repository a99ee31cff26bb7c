"""Searches that we answer, tokens with which we are asked, decisions and emergencies (I1, I3, I4, I5, N4)."""

from __future__ import annotations

import base64
import json

import pytest

from security.audit import (
    Access,
    System,
    answer_events,
    break_glass_event,
    consent_event,
    disclosure_event,
    issue_event,
    login_event,
    opaque_token,
    read_event,
    run_event,
    settings_event,
    signed_token,
    updated_event,
)
from tests.security.audit.samples import FORM, REQUEST, SAMPLES, TWIN, access, agent, entities

TOKEN_USE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.OAUTHaccessTokenUse."
OTHER = "7d0c1b7e-5c0d-4f0b-8a53-3f1d7e4b9a20"
APP = System("growth-chart", "192.0.2.7")
LONG = "".join(f"Q{n:02}~" for n in range(32))  # 128 characters, no two places alike


def test_i1_a_search_of_a_hundred_resources_of_one_patient_is_one_event_that_lists_them():
    found = [f"Observation/{n}" for n in range(100)]
    [event] = answer_events(access(peer=APP, patient="", what=()), {TWIN: found})
    assert [e["what"]["reference"] for e in entities(event, "4")] == found
    assert entities(event, "1")[0]["what"]["reference"] == f"Patient/{TWIN}"
    assert event["meta"]["profile"][0].endswith("PatientQuery")


def test_i1_a_search_over_several_patients_is_one_event_a_patient_with_what_is_theirs():
    found = {TWIN: ["Observation/1", "Observation/2"], OTHER: ["Observation/3"], "": ["Practitioner/9"]}
    events = answer_events(access(patient="", what=()), found)
    told = {
        "".join(e["what"]["reference"] for e in entities(event, "1")): [
            e["what"]["reference"] for e in entities(event, "4")
        ]
        for event in events
    }
    assert told == {
        f"Patient/{TWIN}": ["Observation/1", "Observation/2"],
        f"Patient/{OTHER}": ["Observation/3"],
        "": ["Practitioner/9"],
    }
    assert {base64.b64decode(entities(event, "2")[0]["query"]) for event in events} == {REQUEST}


@pytest.mark.parametrize(("asked_about", "profile"), [(TWIN, "PatientQuery"), ("", "Query")])
@pytest.mark.parametrize("found", [{}, {"": []}])
def test_i1_a_search_that_finds_nothing_is_one_event_about_whom_it_asked(asked_about, profile, found):
    [event] = answer_events(access(patient=asked_about, what=()), found)
    assert event["meta"]["profile"][0].endswith(f".{profile}")
    assert not entities(event, "4")


@pytest.mark.parametrize("found", [{"Anna Muster": ["Observation/1"]}, {TWIN: ["Observation: creatinine 1.1"]}])
def test_i9_what_was_found_is_told_by_references_only(found):
    with pytest.raises(ValueError, match="references only"):
        answer_events(access(), found)


def test_i4_a_signed_token_is_named_by_its_jti():
    event = read_event(access(peer=APP, token=signed_token("8a7b-1")))
    assert event["meta"]["profile"][1:] == [f"{TOKEN_USE}Minimal"]
    assert agent(event, "UserOauthAgent")["policy"] == ["urn:ietf:params:oauth:jti:8a7b-1"]
    assert agent(event, "IRCP")["policy"] == ["system/Observation.rs", "system/Condition.rs"]


def test_i4_a_token_that_says_more_is_told_with_client_issuer_and_user_and_the_scopes_go_to_the_client():
    use = signed_token("8a7b-1", client_id="growth-chart", issuer="https://auth.example.org", user="dr-huber")
    event = read_event(access(peer=APP, token=use))
    assert event["meta"]["profile"][1:] == [f"{TOKEN_USE}Comprehensive"]
    user, client = agent(event, "IRCP"), agent(event, "110150")
    assert user["policy"] == ["urn:ietf:params:oauth:jti:8a7b-1"]
    assert user["who"]["identifier"] == {"system": "https://auth.example.org", "value": "dr-huber"}
    assert client["who"]["identifier"]["value"] == "growth-chart"
    assert client["policy"] == ["system/Observation.rs", "system/Condition.rs"]


@pytest.mark.parametrize("kind", ["created", "deleted", "run"])
def test_i4_where_the_full_pattern_cannot_be_kept_the_small_one_is(kind):
    use = signed_token("8a7b-1", client_id="growth-chart", issuer="https://auth.example.org", user="dr-huber")
    event = SAMPLES[kind](access(token=use))
    assert event["meta"]["profile"][-1] == f"{TOKEN_USE}Minimal"
    assert agent(event, "UserOauthAgent")["policy"] == ["urn:ietf:params:oauth:jti:8a7b-1"]


@pytest.mark.parametrize("length", [4, 8, 31, 32, 33, 64, 95, 96, 97, 128])
def test_i4_no_event_holds_more_than_32_characters_of_an_opaque_token_and_64_stay_hidden(length):
    token = LONG[:length]
    text = json.dumps(read_event(access(what=("Observation/zz",), basis="", token=opaque_token(token, b"k" * 32))))
    longest = max(n for n in range(length + 1) for at in range(length - n + 1) if token[at : at + n] in text)
    assert longest <= (32 if length >= 96 else 2)  # two digits may stand somewhere by chance
    assert (token[-32:] in text) is (length >= 96)


def test_i4_two_opaque_tokens_have_two_names_and_one_token_has_one():
    key = b"k" * 32
    assert opaque_token("short-1", key) == opaque_token("short-1", key)
    assert opaque_token("short-1", key) != opaque_token("short-2", key)
    assert opaque_token("short-1", key) != opaque_token("short-1", b"another key".ljust(32))


def test_i5_a_token_that_we_issue_leaves_no_credential_in_the_log():
    event = issue_event(access(peer=APP), client_id="growth-chart", form=FORM)
    [request] = entities(event, "2")
    assert "ZZTESTCANARY" not in json.dumps(event) + base64.b64decode(request["query"]).decode()


def test_i3_a_consent_decides_for_and_against_and_both_are_told_in_the_same_pattern(broken_rules):
    permit = consent_event(access(), consents=["Consent/1", "Consent/2"], organization="summit")
    deny = consent_event(access(outcome="8", reason="deny-research"), consents=["Consent/1"], organization="summit")
    for event in (permit, deny):
        assert event["meta"]["profile"][0].endswith("AuthZconsent")
        assert broken_rules(event, "IHE.BasicAudit.AuthZconsent") == []
    assert (permit["outcome"], deny["outcome"], deny["outcomeDesc"]) == ("0", "8", "deny-research")
    assert [e["what"]["reference"] for e in entities(permit, "Consent")] == ["Consent/1", "Consent/2"]
    assert agent(permit, "authserver")["who"] == permit["source"]["observer"]


def test_i3_a_decision_names_the_token_it_was_asked_with_as_its_profile_allows():
    event = consent_event(access(token=signed_token("8a7b-1")), consents=["Consent/1"], organization="summit")
    [token] = entities(event, "UserOauthAgent")
    assert token["what"]["identifier"]["value"] == "urn:ietf:params:oauth:jti:8a7b-1"
    assert {e["type"]["code"] for e in event["entity"]} == {"1", "Consent", "UserOauthAgent"}


@pytest.mark.parametrize("wrong", [{"patient": ""}, {"purpose": "TREAT"}])
def test_n4_emergency_access_is_to_somebody_and_says_so(wrong):
    with pytest.raises(ValueError, match="BTG"):
        break_glass_event(access(**{"purpose": "BTG"} | wrong), justification="unconscious")


def test_a_decision_or_disclosure_is_of_a_patients_data():
    with pytest.raises(ValueError, match="of a patient"):
        consent_event(access(patient=""), consents=["Consent/1"], organization="summit")
    with pytest.raises(ValueError, match="of a patient"):
        disclosure_event(access(patient=""), disclosure="d-1")


def test_a_failed_login_says_from_where_and_why():
    event = login_event(access(peer=APP, patient="", what=(), outcome="4", reason="wrong-password"), method="password")
    assert (event["type"]["code"], event["subtype"][0]["code"]) == ("110114", "110122")
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "wrong-password")
    assert agent(event, "110153")["network"] == {"address": "192.0.2.7", "type": "2"}


def test_a_change_of_settings_tells_keys_and_no_values():
    event = settings_event(access(patient="", what=()), part="sources.north", keys=["url", "key_file"])
    [settings] = entities(event, "2")
    assert settings["what"]["identifier"]["value"] == "sources.north"
    assert [d["valueString"] for d in settings["detail"]] == ["url", "key_file"]


def test_i11_a_run_tells_model_version_references_and_purpose_and_no_value():
    a: Access = access(purpose="HRESCH")
    event = run_event(a, run="run-1", model="kidney@1")
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "HRESCH"
    assert "kidney@1" in json.dumps(event)
    assert {e["what"]["reference"] for e in entities(event, "4")} == set(a.what)


def test_an_update_that_failed_need_not_name_a_version():
    event = updated_event(access(what=("Observation/12",), outcome="8", reason="conflict"))
    assert event["outcomeDesc"] == "conflict"
