"""What a consent says, by hand: base policy, nesting, each condition, who and what it is about (N3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from security.consent import Asker, Directives, Item
from security.purposes import covers
from tests.security.consent.saying import (
    ACT,
    ICD,
    LEVEL,
    NOW,
    SCOPE,
    TWIN,
    asker,
    coded,
    concept,
    consent,
    decide,
    permits,
    resource,
    rule,
)

RESEARCH = asker("HRESCH")


@pytest.mark.parametrize(
    ("status", "permit"),
    [
        ("active", True),
        ("draft", False),
        ("proposed", False),
        ("rejected", False),
        ("inactive", False),
        ("entered-in-error", False),
    ],
)
def test_only_an_active_consent_permits(status, permit):
    assert permits(consent("OPTIN", status=status)) is permit


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
def test_a_consent_that_is_not_in_force_denies_nothing_either(status):
    assert permits(consent("OPTOUT", status=status), without="treatment")


@pytest.mark.parametrize(
    ("policy", "purpose", "rule_"),
    [
        ("OPTIN", "TREAT", "consent-permits"),
        ("OPTOUT", "TREAT", "consent-denies"),
        ("OPTOUTE", "TREAT", "consent-denies"),
        ("EMRGONLY", "TREAT", "consent-denies"),
        ("EMRGONLY", "ETREAT", "consent-permits"),
        ("OPTINR", "TREAT", "consent-not-understood"),  # its restrictions are not told
        ("NOCONSENT", "TREAT", "consent-not-understood"),
        ("", "TREAT", "no-consent-treatment"),
    ],
)
def test_the_base_policy_holds_where_there_is_no_provision(policy, purpose, rule_):
    assert decide(consent(policy), who=asker(purpose), without="treatment").rule == rule_


def test_a_policy_of_another_system_is_not_understood_and_denies():
    hipaa = consent(policyRule=concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth"))
    assert decide(hipaa, without="permit").rule == "consent-not-understood"


def test_a_policy_that_is_only_linked_modifies_nothing():
    """R4, Consent.policy.uri: "does not modify or qualify the policy rules"."""
    linked = consent("", rule("permit", purpose="HRESCH"), policy=[{"uri": "http://example.org/policy"}])
    assert permits(linked, who=RESEARCH)
    assert decide(linked, without="treatment").rule == "no-consent-treatment"


@pytest.mark.parametrize(
    ("scope", "purpose", "permit"),
    [
        ("patient-privacy", "TREAT", False),
        ("research", "TREAT", True),
        ("research", "HRESCH", False),
        ("research", "CLINTRCH", False),
        ("treatment", "TREAT", True),
        ("adr", "TREAT", True),
        ("npp", "TREAT", False),  # we do not know what this is about: it may be this
    ],
)
def test_a_consent_denies_within_its_scope(scope, purpose, permit):
    denies = consent("OPTOUT", scope=concept(SCOPE, scope))
    assert permits(denies, who=asker(purpose), without="permit") is permit


@pytest.mark.parametrize("scope", ["treatment", "adr", "npp"])
def test_only_a_consent_to_share_data_permits_it(scope):
    assert not permits(consent("OPTIN", rule("permit"), scope=concept(SCOPE, scope)), who=RESEARCH)


def test_a_consent_to_research_permits_research_only():
    taking_part = consent("OPTIN", scope=concept(SCOPE, "research"))
    assert permits(taking_part, who=RESEARCH)
    assert not permits(taking_part, who=asker("TREAT"))


def test_a_consent_of_another_patient_has_no_effect():
    other = consent("OPTIN", patient={"reference": "Patient/p2"})
    assert not permits(other)
    assert permits(consent("OPTOUT", patient={"reference": "Patient/p2"}), without="treatment")


def test_a_consent_that_names_no_patient_denies():
    assert decide(consent("OPTIN", patient=None), without="permit").rule == "consent-not-understood"


def test_what_is_not_verified_permits_nothing_and_still_denies():
    assert not permits(consent("OPTIN", verification=[{"verified": False}]))
    assert permits(consent("OPTIN", verification=[{"verified": False}, {"verified": True}]))
    assert not permits(consent("OPTOUT", verification=[{"verified": False}]), without="permit")


def test_three_levels_of_exceptions_each_to_the_one_around_it():
    nested = consent(
        "OPTIN",
        rule(
            "deny",
            rule("permit", rule("deny", class_="Condition"), purpose="CLINTRCH"),
            purpose="HRESCH",
        ),
    )
    assert permits(nested, who=asker("TREAT"))
    assert not permits(nested, who=asker("HRESCH"))
    assert permits(nested, who=asker("CLINTRCH"))
    assert not permits(nested, who=asker("CLINTRCH"), of=coded("E11.9"))


def test_side_by_side_a_denial_wins():
    both = consent("OPTOUT", rule("permit", rule("permit", class_="Observation"), rule("deny", purpose="TREAT")))
    assert not permits(both)
    assert permits(both, who=asker("HPAYMT"))


def test_of_several_consents_a_denial_wins():
    assert not permits(consent("OPTIN"), consent("", rule("deny", class_="Observation"), id="2"))
    assert permits(consent("OPTIN"), consent("", rule("deny", class_="Condition"), id="2"))


def test_the_decision_names_the_consents_that_made_it():
    said = decide(consent("OPTIN"), consent("", rule("deny"), id="2"), consent("OPTOUT", id="3"))
    assert said.consents == ("Consent/2", "Consent/3")


# --- purpose -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "asked", "met"),
    [
        ("TREAT", "TREAT", True),
        ("TREAT", "ETREAT", True),
        ("TREAT", "ERTREAT", True),
        ("ETREAT", "TREAT", False),
        ("HOPERAT", "HCOMPL", True),
        ("HRESCH", "TREAT", False),
        ("HPAYMT", "COVERAGE", True),
        ("PATRQT", "FAMRQT", True),
    ],
)
def test_a_purpose_has_its_kinds_in_it(told, asked, met):
    assert covers(told, asked) is met
    assert permits(consent("", rule("permit", purpose=told)), who=asker(asked)) is met
    assert permits(consent("OPTIN", rule("deny", purpose=told)), who=asker(asked), without="permit") is not met


def test_breaking_the_glass_is_for_nobody_by_a_consent():
    assert not permits(consent("", rule("permit", purpose="BTG")), who=asker("BTG"), without="permit")


def test_a_purpose_of_another_system_may_be_any():
    own = [{"system": "http://example.org/purposes", "code": "quality"}]
    assert not permits(consent("", {"type": "permit", "purpose": own}))
    assert not permits(consent("OPTIN", {"type": "deny", "purpose": own}), without="permit")


# --- action --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "deed", "permitted", "denied"),
    [
        ("access", "r", True, True),
        ("access", "s", True, True),
        ("access", "u", False, True),
        ("correct", "r", False, False),
        ("correct", "u", True, True),
        ("collect", "c", True, True),
        ("use", "use", True, True),
        ("use", "r", False, True),
        ("disclose", "disclose", True, True),
        ("disclose", "r", False, True),
        ("disclose", "use", False, False),
        ("access", "disclose", False, True),
        ("own-word", "r", False, True),
    ],
)
def test_an_action(told, deed, permitted, denied):
    assert permits(consent("", rule("permit", action=told)), deed=deed) is permitted
    assert permits(consent("OPTIN", rule("deny", action=told)), deed=deed, without="permit") is not denied


# --- actor ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "permitted", "denied"),
    [
        (asker(who="Practitioner/7"), True, True),
        (asker(who="Practitioner/8"), False, False),
        (asker(), False, True),  # an account without a resource may be that person
        (Asker.of, False, False),  # a client that acts for itself is no person
    ],
)
def test_an_actor_is_who_asks(who, permitted, denied):
    from tests.security.policy.callers import service

    one = who(service()) if callable(who) else who
    told = [("IRCP", "Practitioner/7")]
    assert permits(consent("", rule("permit", actor=told)), who=one) is permitted
    assert permits(consent("OPTIN", rule("deny", actor=told)), who=one, without="permit") is not denied


def test_a_client_and_an_account_are_named_by_an_identifier():
    from tests.security.policy.callers import caller

    def actor(system, value):
        return [{"role": concept("", "IRCP"), "reference": {"identifier": {"system": system, "value": value}}}]

    one = Asker.of(caller())
    assert permits(consent("", {"type": "permit", "actor": actor("urn:fhirtwin:client", "app")}), who=one)
    assert permits(consent("", {"type": "permit", "actor": actor("urn:fhirtwin:user", "maria")}), who=one)
    other = consent("OPTIN", {"type": "deny", "actor": actor("urn:fhirtwin:client", "other")})
    assert permits(other, who=one)
    npi = consent("OPTIN", {"type": "deny", "actor": actor("http://hl7.org/fhir/sid/us-npi", "1")})
    assert not permits(npi, who=one, without="permit")


def test_an_author_is_who_wrote_it():
    told = [("AUT", "Practitioner/7")]
    denies = consent("OPTIN", rule("deny", actor=told))
    assert not permits(denies, of=resource(performer=[{"reference": "Practitioner/7"}]))
    assert permits(denies, of=resource(performer=[{"reference": "Practitioner/8"}]))
    assert not permits(denies, of=resource())  # it does not say who wrote it


# --- data ----------------------------------------------------------------------------------------------------------


def test_a_class_is_a_type_or_a_profile():
    only = consent("", rule("permit", class_=["Observation", "Patient"]))
    assert permits(only)
    assert not permits(only, of=coded("E11.9"))
    denies = consent("OPTIN", rule("deny", class_="Medication"))
    assert not permits(denies, of=resource("MedicationRequest", contained=[{"resourceType": "Medication"}]))
    vital = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    profile = consent("", {"type": "permit", "class": [{"system": "urn:ietf:rfc:3986", "code": vital}]})
    assert permits(profile, of=resource(meta={"profile": [f"{vital}|4.0.1"]}))
    assert not permits(profile)


def test_a_code_is_found_wherever_it_stands():
    denies = consent("OPTIN", rule("deny", code="E11.9"))
    assert not permits(denies, of=coded("E11.9"))
    assert not permits(denies, of=resource(reasonCode=[concept(ICD, "E11.9")]))
    assert not permits(denies, of=resource(contained=[{"resourceType": "Condition", "code": concept(ICD, "E11.9")}]))
    assert permits(denies, of=coded("E10.9"))
    assert permits(denies, of=coded("E11.9", system="http://snomed.info/sct"))


def test_a_category_of_icd_10_may_mean_all_that_is_below_it():
    assert not permits(consent("OPTIN", rule("deny", code="E11")), of=coded("E11.9"))
    assert not permits(consent("", rule("permit", code="E11")), of=coded("E11.9"))


def test_a_concept_in_words_alone_may_be_any():
    words = {"code": [{"text": "everything about my liver"}]}
    assert not permits(consent("OPTIN", {"type": "deny", **words}), without="permit")
    assert not permits(consent("", {"type": "permit", **words}))


@pytest.mark.parametrize(
    ("meaning", "hidden"),
    [
        ("instance", {"Encounter/e1"}),
        ("related", {"Encounter/e1", "Condition/c1"}),
        ("dependents", {"Encounter/e1", "Observation/o1"}),
    ],
)
def test_data_is_one_resource_or_what_hangs_together_with_it(meaning, hidden):
    encounter = resource("Encounter", "e1", diagnosis=[{"condition": {"reference": "Condition/c1"}}])
    record = {
        "Encounter/e1": encounter,
        "Condition/c1": coded("E11.9"),
        "Observation/o1": resource(encounter={"reference": "Encounter/e1"}),
        "Observation/o2": resource(id_="o2"),
    }
    denies = consent("OPTIN", rule("deny", data=[(meaning, "Encounter/e1")]))
    assert {name for name, body in record.items() if not permits(denies, of=body, record=record)} == hidden


def test_data_of_an_author():
    denies = consent("OPTIN", rule("deny", data=[("authoredby", "Organization/o")]))
    assert not permits(denies, of=resource(performer=[{"reference": "Organization/o"}]))
    assert permits(denies, of=resource(performer=[{"reference": "Organization/p"}]))


@pytest.mark.parametrize(
    ("told", "when", "permitted", "denied"),
    [
        ({"start": "2020", "end": "2020"}, "2020-12-31T23:59:59Z", True, True),
        ({"start": "2020", "end": "2020"}, "2021-01-01T00:00:00Z", False, False),
        ({"start": "2020-02", "end": "2020-02"}, "2020-02-29", True, True),
        ({"start": "2020-06-15"}, "2020", False, True),  # a year may be before or after
        ({"start": "2020-06-15"}, None, False, True),
        ({"end": "2020-06-15"}, "not a date", False, True),
    ],
)
def test_a_data_period_is_about_the_time_of_the_data(told, when, permitted, denied):
    body = resource(**({"effectiveDateTime": when} if when else {}))
    assert permits(consent("", rule("permit", dataPeriod=told)), of=body) is permitted
    assert permits(consent("OPTIN", rule("deny", dataPeriod=told)), of=body, without="permit") is not denied


# --- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "carried", "permitted", "denied"),
    [
        ("N", None, True, True),
        ("N", "R", False, True),
        ("R", None, True, False),
        ("R", "R", True, True),
        ("R", "V", False, True),
        ("L", None, False, True),
    ],
)
def test_confidentiality_is_a_high_water_mark(told, carried, permitted, denied):
    """R4: a consent for "R" applies to what is "R" or lower; a denial of "R" is about what is "R" or higher."""
    body = resource(meta={"security": [{"system": LEVEL, "code": carried}]} if carried else {})
    assert permits(consent("", rule("permit", securityLabel=told)), of=body) is permitted
    assert permits(consent("OPTIN", rule("deny", securityLabel=told)), of=body, without="permit") is not denied


def test_a_class_of_data_follows_from_codes_and_is_restricted():
    denies = consent("OPTIN", rule("deny", securityLabel="HIV"))
    assert not permits(denies, of=coded("B20"))
    assert not permits(denies, of=resource(code=concept("http://loinc.org", "20447-9")))
    assert permits(denies, of=coded("E11.9"))
    assert not permits(consent("OPTIN", rule("deny", securityLabel="R")), of=coded("B20"))


def test_a_permission_for_one_class_is_none_for_another_that_stands_beside_it():
    permission = consent("", rule("permit", securityLabel="HIV"))
    assert permits(permission, of=coded("B20"))
    both = coded("B20", reasonCode=[concept(ICD, "F32.9")])
    assert not permits(permission, of=both)
    assert permits(consent("", rule("permit", securityLabel=["HIV", "PSY"])), of=both)


def test_labels_of_the_same_meaning_are_denied_together():
    for label in ("ETH", "SUD", "SPI", "OPIOIDUD"):
        assert not permits(consent("OPTIN", rule("deny", securityLabel=label)), of=coded("F11.20")), label
    assert permits(consent("OPTIN", rule("deny", securityLabel="ETHUD")), of=coded("F11.20"))


def test_a_label_of_ones_own_is_compared_as_it_is():
    own = [{"system": "http://example.org/labels", "code": "board"}]
    denies = consent("OPTIN", {"type": "deny", "securityLabel": own})
    assert not permits(denies, of=resource(meta={"security": own}))
    assert permits(denies, of=resource())


# --- time ----------------------------------------------------------------------------------------------------------

LAST = datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "now", "permit"),
    [
        ({"start": "2026-01-31"}, datetime(2026, 1, 31, tzinfo=UTC), True),
        ({"start": "2026-01-31"}, datetime(2026, 1, 31, tzinfo=UTC) - timedelta(microseconds=1), False),
        ({"end": "2026-01-31"}, LAST, True),  # R4, Period: the day is in it
        ({"end": "2026-01-31"}, LAST + timedelta(microseconds=1), False),
        ({"end": "2026-01"}, LAST, True),
        ({"end": "2026"}, datetime(2026, 12, 31, 23, 59, tzinfo=UTC), True),
        ({"end": "2026"}, datetime(2027, 1, 1, tzinfo=UTC), False),
        ({"end": "2026-01-31T12:00:00+02:00"}, datetime(2026, 1, 31, 10, 0, 0, 999_999, tzinfo=UTC), True),
        ({"end": "2026-01-31T12:00:00+02:00"}, datetime(2026, 1, 31, 10, 0, 1, tzinfo=UTC), False),
        ({"end": "2026-01-31T12:00:00.5Z"}, datetime(2026, 1, 31, 12, 0, 0, 500_001, tzinfo=UTC), False),
        ({"start": "2024-02-29", "end": "2024-02-29"}, datetime(2024, 2, 29, 23, 59, tzinfo=UTC), True),
    ],
)
def test_a_period_begins_and_ends_at_the_instant(period, now, permit):
    assert permits(consent("OPTIN", {"period": period}), now=now) is permit


def test_a_day_without_a_zone_is_one_of_the_zone_that_is_told():
    until = consent("OPTIN", {"period": {"end": "2026-01-31"}})
    night = datetime(2026, 2, 1, 4, tzinfo=UTC)  # still the 31st in New York
    assert permits(until, now=night, zone=ZoneInfo("America/New_York"))
    assert not permits(until, now=night)


def test_decisions_stay_for_as_long_as_no_period_begins_or_ends():
    directives = Directives.read(TWIN, [consent("OPTIN", {"period": {"end": "2026-01-31"}})], "deny")
    assert directives.epoch(LAST) == directives.epoch(LAST - timedelta(days=9))
    assert directives.epoch(LAST) != directives.epoch(LAST + timedelta(microseconds=1))


# --- what holds without --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "plain", "sensitive", "very"),
    [
        ("TREAT", True, True, False),
        ("ETREAT", True, True, True),
        ("HPAYMT", True, False, False),
        ("HOPERAT", True, False, False),
        ("HCOMPL", True, False, False),
        ("HLEGAL", False, False, False),
        ("CLINTRL", False, False, False),
        ("HRESCH", False, False, False),
        ("PUBHLTH", False, False, False),
        ("HMARKT", False, False, False),
        ("PATRQT", False, False, False),
        ("BTG", False, False, False),
        ("XYZ", False, False, False),
    ],
)
def test_without_a_consent_treatment_payment_and_operations_go_on(purpose, plain, sensitive, very):
    said = {"who": asker(purpose), "without": "treatment"}
    restricted = resource(meta={"security": [{"system": LEVEL, "code": "V"}]})
    assert permits(**said) is plain
    assert permits(of=coded("F11.20"), **said) is sensitive
    assert permits(of=restricted, **said) is very


def test_without_a_consent_a_setting_may_deny_or_permit_all():
    assert not permits(who=asker("TREAT"), without="deny")
    assert permits(who=asker("HMARKT"), without="permit")


def test_a_label_that_cannot_be_read_is_very_restricted():
    assert not permits(of=resource(meta={"security": [{"system": LEVEL, "code": "X"}]}), without="treatment")


# --- patients, and the glass ---------------------------------------------------------------------------------------


def test_patients_have_their_own_record_whatever_they_said_to_others():
    patient = asker("PATRQT", f"Patient/{TWIN}", twin=TWIN)
    assert decide(consent("OPTOUT"), who=patient).rule == "own-record"
    assert decide(of=coded("F11.20"), who=patient).permit
    other = asker("PATRQT", "Patient/p2", twin="p2")
    assert decide(consent("OPTIN"), who=other, without="permit").rule == "another-patient"


@pytest.mark.parametrize("label", ["NOPAT", "TBOO"])
def test_patients_are_told_first_by_their_physician_where_a_label_says_so(label):
    body = resource(meta={"security": [{"system": ACT, "code": label}]})
    patient = asker("PATRQT", f"Patient/{TWIN}", twin=TWIN)
    assert decide(of=body, who=patient, without="permit").rule == "not-for-the-patient"


def test_a_broken_glass_opens_one_record_past_its_consents():
    assert decide(consent("OPTOUT"), who=asker("BTG", glass=TWIN)).rule == "glass"
    assert decide(consent("OPTIN"), who=asker("BTG", glass="p2"), without="permit").rule == "glass-of-another"
    assert decide(consent("OPTIN"), who=asker("BTG"), without="permit").rule == "no-glass"


# --- what was made of it (N6) --------------------------------------------------------------------------------------


def test_what_was_made_of_what_may_not_be_had_may_not_be_had():
    alcohol = coded("F10.20")
    risk = resource("RiskAssessment", "r1", basis=[{"reference": "Condition/c1"}])
    lineage = resource("Provenance", "v1", target=[{"reference": "RiskAssessment/r1"}])
    record = {"Condition/c1": alcohol, "RiskAssessment/r1": risk, "Provenance/v1": lineage}
    denies = consent("OPTIN", rule("deny", securityLabel="SUD"))
    assert decide(denies, of=risk, record=record).rule == "made-from-denied"
    assert decide(denies, of=lineage, record=record).rule == "made-from-denied"
    assert permits(denies, of=risk, record={"Condition/c1": coded("E11.9")})


def test_a_circle_of_references_ends():
    record = {
        f"Observation/o{n}": resource(id_=f"o{n}", hasMember=[{"reference": f"Observation/o{(n + 1) % 5}"}])
        for n in range(5)
    }
    assert permits(consent("OPTIN"), of=record["Observation/o0"], record=record)


def test_of_an_end_without_its_content_a_denial_counts():
    """An end tells that something was there: what only a content could tell, it may have had."""
    directives = Directives.read(TWIN, [consent("OPTIN", rule("deny", securityLabel="HIV"))], "permit")
    assert not directives.decide(asker(), "s", Item("Condition", "c1", None), NOW).permit


def test_it_is_explained_which_consent_decides_and_by_which_provision():
    nested = consent("OPTIN", rule("deny", rule("permit", class_="Observation"), purpose="HRESCH"))
    directives = Directives.read(TWIN, [nested], "deny")
    body = coded("E11.9")
    [said] = directives.explain(RESEARCH, "r", Item("Condition", "c1", body), NOW)
    assert (said.consent, said.outcome) == ("Consent/1", "deny")
    assert [(s.path, s.met, s.outcome) for s in said.steps] == [
        ("provision", "yes", "deny"),
        ("provision.provision[0]", "no", "silent"),
    ]
    assert said.steps[1].checks == (("class", "no"),)
