"""Consents at the view that all of the API looks through: what they hide is not there (N3, N5, N6)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.api.refusal import Refusal
from gateway.api.shown import Gone
from gateway.home import Home
from gateway.settings import load_settings
from security.audit.entry import read_entry
from tests.gateway.consenting import (
    ALCOHOL,
    CREATININE,
    DIABETES,
    PATIENT,
    Window,
    arrive,
    condition,
    home_of,
    observation,
    of_p1,
    who,
)
from tests.security.consent.saying import LEVEL, concept, rule

DENIES_SUD = of_p1("OPTIN", rule("deny", securityLabel="SUD"))
TO_RESEARCH = of_p1("", rule("permit", purpose="HRESCH"))


def test_what_a_consent_denies_is_not_found_not_read_and_not_counted(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        window = Window(home)
        view = window.view(who())
        assert window.codes(who(), twin) == {"E11.9"}
        [hidden] = [each for each in window.charts.chart(twin).of_type("Condition") if "F10" in str(each.body)]
        with pytest.raises(Refusal) as refused:
            view.get("Condition", hidden.id)
        with pytest.raises(Refusal) as nothing:
            view.get("Condition", f"{twin}-{'a' * 26}")
        assert (refused.value.status, refused.value.text) == (nothing.value.status, nothing.value.text)
        with pytest.raises(Refusal):
            view.versions("Condition", hidden.id)
        with pytest.raises(Refusal):
            view.get("Condition", hidden.id, version=hidden.version)


def test_what_is_hidden_has_no_lineage_either(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        window = Window(home)
        told = {str(each.body["target"]) for each in window.view(who()).resources(twin, "Provenance")}
        [hidden] = [each for each in window.charts.chart(twin).of_type("Condition") if "F10" in str(each.body)]
        assert told
        assert not any(hidden.id in each for each in told)


def test_a_copy_in_another_resource_is_hidden_with_it(tmp_path):
    copy = observation(
        "copy",
        contained=[condition("inner", "F10.20") | {"id": "c"}],
        extension=[{"url": "http://example.org/why", "valueReference": {"reference": "#c"}}],
    )
    derived = observation("derived", derivedFrom=[{"reference": "Observation/copy"}])
    with home_of(tmp_path, CREATININE, copy, derived, DENIES_SUD) as (home, twin):
        window = Window(home)
        shown = window.charts.chart(twin).of_type("Observation")
        seen = window.view(who()).resources(twin, "Observation")
        assert len(shown) == 3
        assert len(seen) == 1


def test_a_consent_that_denies_all_hides_the_patient_and_itself(tmp_path):
    with home_of(tmp_path, DIABETES, of_p1("OPTOUT")) as (home, twin):
        view = Window(home).view(who())
        assert view.types(twin) == frozenset()
        with pytest.raises(Refusal):
            view.get("Patient", twin)


def test_patients_see_their_own_record_and_their_consents_whatever_these_say(tmp_path):
    with home_of(tmp_path, ALCOHOL, of_p1("OPTOUT")) as (home, twin):
        window = Window(home)
        mine = who("PATRQT", roles=(), scopes=("patient/*.rs",), fhir_user=f"Patient/{twin}", patient=twin)
        assert window.codes(mine, twin) == {"F10.20"}
        assert window.view(mine).resources(twin, "Consent")


def test_auditors_see_the_consents_and_nothing_else(tmp_path):
    auditor = who("HCOMPL", roles=("auditor",), scopes=("user/*.rs",))
    with home_of(tmp_path, ALCOHOL, of_p1("OPTOUT")) as (home, twin):
        window = Window(home)
        consents = window.charts.chart(twin).of_type("Consent")
        chart = window.charts.chart(twin)
        moment = datetime.now(UTC)
        assert all(window.consents.permits(auditor, "r", chart, each, moment) for each in consents)
        assert not any(
            window.consents.permits(auditor, "r", chart, each, moment) for each in chart.of_type("Condition")
        )


@pytest.mark.parametrize(
    ("purpose", "seen"),
    [
        ("TREAT", {"E11.9", "F10.20"}),
        ("ETREAT", {"E11.9", "F10.20"}),
        ("HPAYMT", {"E11.9"}),
        ("HOPERAT", {"E11.9"}),
        ("HRESCH", set()),
        ("PUBHLTH", set()),
    ],
)
def test_without_a_consent_the_setting_holds(tmp_path, purpose, seen):
    with home_of(tmp_path, DIABETES, ALCOHOL) as (home, twin):
        assert Window(home).codes(who(purpose), twin) == seen


@pytest.mark.parametrize(("told", "seen"), [("deny", set()), ("permit", {"E11.9", "F10.20"})])
def test_the_setting_may_be_another_one(tmp_path, told, seen):
    with home_of(tmp_path, DIABETES, ALCOHOL, serve=f'without_consent = "{told}"') as (home, twin):
        assert Window(home).codes(who("TREAT"), twin) == seen


def test_a_label_of_the_source_counts(tmp_path):
    labelled = condition("secret", "E10.9", meta={"security": [{"system": LEVEL, "code": "V"}]})
    with home_of(tmp_path, DIABETES, labelled) as (home, twin):
        window = Window(home)
        assert window.codes(who("TREAT"), twin) == {"E11.9"}
        assert window.codes(who("ETREAT"), twin) == {"E11.9", "E10.9"}


def test_a_withdrawal_holds_from_the_next_request(tmp_path):
    with home_of(tmp_path, DIABETES, TO_RESEARCH) as (home, twin):
        window = Window(home)
        assert window.codes(who("HRESCH"), twin) == {"E11.9"}
        arrive(home, TO_RESEARCH | {"status": "inactive"})
        assert window.codes(who("HRESCH"), twin) == set()


def test_a_withdrawal_in_another_process_holds_from_the_next_request(tmp_path):
    with home_of(tmp_path, DIABETES, TO_RESEARCH) as (home, twin):
        window = Window(home)
        assert window.codes(who("HRESCH"), twin)
        with Home.open(load_settings(tmp_path)) as another:
            arrive(another, TO_RESEARCH | {"status": "inactive"})
        assert window.codes(who("HRESCH"), twin) == set()


def test_a_consent_ends_at_the_instant_without_anybody_writing_anything(tmp_path):
    ends = datetime(2026, 7, 1, tzinfo=UTC)
    told = of_p1("", rule("permit", purpose="HRESCH", period={"end": "2026-06-30"}))
    with home_of(tmp_path, DIABETES, told) as (home, twin):
        window, caller = Window(home), who("HRESCH")
        for moment, seen in ((ends - timedelta(microseconds=1), 1), (ends, 0), (ends - timedelta(seconds=1), 1)):
            assert len(window.view(caller, moment).resources(twin, "Condition")) == seen


def test_the_end_of_a_resource_is_as_secret_as_it_was(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        window = Window(home)
        chart = window.charts.chart(twin)
        [hidden] = [each for each in chart.of_type("Condition") if "F10" in str(each.body)]
        end = Gone("Condition", hidden.id, 2, hidden.updated, twin)
        assert not window.consents.permits(who(), "s", chart, end, datetime.now(UTC))


@pytest.mark.parametrize(
    "changes",
    [
        {"implicitRules": "http://example.org/rules"},
        {"modifierExtension": [{"url": "http://example.org/not", "valueBoolean": True}]},
        {"novel": 1},
        {"dateTime": "yesterday"},
        {"policyRule": concept("http://example.org", "own")},
        {"provision": {"type": "permit", "period": {"start": "never"}}},
        {"provision": {"type": "permit", "purpose": [{"code": "HRESCH", "strange": {"a": 1}}]}},
        {"scope": {"coding": [{"system": "http://example.org", "code": "x"}]}},
    ],
)
def test_a_consent_that_is_not_shown_as_it_came_denies_all_the_same(tmp_path, changes):
    """The API leaves out what R4 does not know; a condition that is left out would make a permission wider."""
    told = of_p1("OPTIN", rule("permit", purpose="HRESCH")) | changes
    with home_of(tmp_path, DIABETES, told) as (home, twin):
        assert Window(home).codes(who("HRESCH"), twin) == set()


def test_a_withdrawn_consent_of_which_a_part_is_not_shown_is_withdrawn_all_the_same(tmp_path):
    told = of_p1("OPTOUT", status="inactive", novel=1)
    with home_of(tmp_path, DIABETES, told) as (home, twin):
        assert Window(home).codes(who(), twin) == {"E11.9"}


def test_an_actor_is_found_by_role_team_and_organization(tmp_path):
    doctor = {
        "resourceType": "Practitioner",
        "id": "d1",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    }
    again = doctor | {"id": "d2"}
    role = {
        "resourceType": "PractitionerRole",
        "id": "r1",
        "practitioner": {"reference": "Practitioner/d1"},
        "organization": {"reference": "Organization/o1"},
    }
    ward = {"resourceType": "Organization", "id": "o1", "name": "Ward"}
    team = {
        "resourceType": "CareTeam",
        "id": "t1",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "participant": [{"member": {"reference": "Practitioner/d2"}}],
    }
    seen = {}
    for name in ("Practitioner/d1", "Practitioner/d2", "PractitionerRole/r1", "Organization/o1", "CareTeam/t1"):
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        told = of_p1("", rule("permit", purpose="HRESCH", actor=[("IRCP", name)]))
        with home_of(folder, doctor, again, role, ward, team, DIABETES, told) as (home, twin):
            window = Window(home)
            own = min(
                (e for e in window.charts.shared("").of_type("Practitioner")), key=lambda e: str(e.body.get("id"))
            )
            seen[name] = window.codes(who("HRESCH", fhir_user=own.reference), twin)
    assert [*seen.values()] == [{"E11.9"}] * 5


def test_nobody_writes_what_they_may_not_see_nor_a_consent_for_themselves(tmp_path):
    with home_of(tmp_path, DIABETES, of_p1("OPTOUT")) as (home, twin):
        view = Window(home).view(who())
        mine = of_p1("OPTIN", patient={"reference": f"Patient/{twin}"})
        assert not view.may_write("c", "Observation", observation("x"), twin)
        assert not view.may_write("c", "Consent", mine, twin)
        office = who(roles=("admin",))
        window = Window(home)
        chart = window.charts.chart(twin)
        assert window.consents.permits_write(office, "c", chart, "Consent", mine, datetime.now(UTC))
        assert not window.consents.permits_write(office, "c", chart, "Observation", {}, datetime.now(UTC))


def test_whom_a_consent_keeps_out_does_not_withdraw_it(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        window, moment = Window(home), datetime.now(UTC)
        chart = window.charts.chart(twin)
        [shown] = chart.of_type("Consent")
        withdrawn = dict(shown.body) | {"status": "inactive"}
        patient = who("PATRQT", roles=(), fhir_user=f"Patient/{twin}", patient=twin)
        broken = who("BTG", glass=f"{twin}.x")
        allowed = {
            name: window.consents.permits_write(caller, deed, chart, "Consent", withdrawn, moment)
            for name, caller, deed in (
                ("clinician changes", who(), "u"),
                ("clinician adds", who(), "c"),
                ("glass changes", broken, "u"),
                ("glass adds", broken, "c"),
                ("patient changes", patient, "u"),
                ("admin changes", who(roles=("admin",)), "u"),
            )
        }
        assert {name for name, may in allowed.items() if may} == {
            "clinician adds",
            "patient changes",
            "admin changes",
        }


def test_a_consent_that_keeps_nothing_back_is_corrected_by_who_treats(tmp_path):
    with home_of(tmp_path, DIABETES, of_p1("OPTIN", rule("permit", purpose="HRESCH"))) as (home, twin):
        window = Window(home)
        chart = window.charts.chart(twin)
        [shown] = chart.of_type("Consent")
        assert window.consents.permits_write(who(), "u", chart, "Consent", shown.body, datetime.now(UTC))


def test_each_decision_by_consent_is_told_to_the_audit(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        window = Window(home)
        hearing = window.consents.during()
        window.view(who(), hearing=hearing).resources(twin, "Condition")
        events = hearing.events(home.access)
        home.store.append_audit(events)
        told = [read_entry(e.sequence, e.event) for e in home.store.audit_events(2)]
        assert {(e.kind, e.outcome, e.reason, e.patients) for e in told} == {
            ("consent", "0", "", (twin,)),
            ("consent", "8", "consent-denies", (twin,)),
        }
        assert all(reference.startswith("Consent/") for entry in told for reference in entry.resources)


def test_what_no_consent_decided_makes_no_event(tmp_path):
    with home_of(tmp_path, DIABETES) as (home, twin):
        window = Window(home)
        hearing = window.consents.during()
        window.view(who("HRESCH"), hearing=hearing).resources(twin, "Condition")
        assert hearing.events(home.access) == []


@pytest.mark.parametrize(
    "provision",
    [rule("deny", securityLabel="SUD"), rule("deny", code="F10.20"), rule("deny", class_="Condition")],
    ids=["label", "code", "class"],
)
def test_the_view_is_the_same_with_and_without_what_a_consent_hides(tmp_path_factory, provision):
    """Non-interference: what is seen of a record does not depend on what is in it and may not be seen."""
    told, seen = of_p1("OPTIN", provision), []
    for hidden in ((), (ALCOHOL,)):
        with home_of(tmp_path_factory.mktemp("home"), CREATININE, told, *hidden) as (home, twin):
            window = Window(home)
            seen.append(
                {
                    (purpose, type_, str({k: v for k, v in each.body.items() if k not in ("id", "meta")}))
                    for purpose in ("TREAT", "HPAYMT", "HRESCH")
                    for type_ in ("Condition", "Observation", "Patient")
                    for each in window.view(who(purpose)).resources(twin, type_)
                }
            )
            seen[-1] = {(p, t, text.replace(twin, "")) for p, t, text in seen[-1]}
    assert seen[0] == seen[1] != set()


def test_a_code_of_another_system_in_the_same_words_is_not_meant(tmp_path):
    other = condition("other", "F10.20", code=concept("http://example.org/codes", "F10.20"))
    with home_of(tmp_path, other, DENIES_SUD) as (home, twin):
        assert len(Window(home).view(who()).resources(twin, "Condition")) == 1


def test_an_export_has_of_each_patient_what_their_own_consents_allow(tmp_path):
    """A group, an export, a search over all: whoever asks for many gets of each what that one allows."""
    other = PATIENT | {"id": "p2", "birthDate": "1950-02-02", "name": [{"family": "Beispiel", "given": ["Max"]}]}
    theirs = condition("theirs", "I10", subject={"reference": "Patient/p2"})
    permits = of_p1("", rule("permit", purpose="HRESCH"), patient={"reference": "Patient/p2"}, id="theirs")
    bulk = who("HRESCH", user="", scopes=("system/*.rs",))
    (tmp_path / "in").mkdir()
    for each in (PATIENT, other):
        (tmp_path / "in" / f"{each['id']}.json").write_text(json.dumps(each), "utf-8")
    (tmp_path / "twin.toml").write_text('[sources.ward]\nfolder = "in"\nfhir_version = "r4"\n', "utf-8")
    with Home.open(load_settings(tmp_path)) as home:
        arrive(home, DIABETES, theirs, permits)
        window = Window(home)
        view = window.view(bulk)
        assert len([*view.twins()]) == 2
        found = [
            str(each.body["code"]["coding"][0]["code"])
            for twin in view.twins()
            for each in view.resources(twin, "Condition")
        ]
        assert found == ["I10"]
        assert {type_ for twin in view.twins() for type_ in view.types(twin)} == {
            "Condition",
            "Consent",
            "Patient",
            "Provenance",
        }
