"""The Consent examples of FHIR R4 (4.0.1), as HL7 published them, and what each of them allows.

Narrative and title are left out. Two of them contradict each other in form (a root provision without a type is a limit
of the base policy in one, an exception to it in the other): there we deny where either reading does.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.security.consent.saying import (
    ACT,
    ACTION,
    PART,
    TYPES,
    asker,
    concept,
    consent,
    decide,
    permits,
    resource,
    rule,
)

IN_2015 = datetime(2015, 12, 1, tzinfo=UTC)
GOOD_HEALTH = "Organization/f001"
SOMEBODY = asker(who="Practitioner/x", kinds=("Practitioner", "Organization", "Patient", "Device"))
OF_GOOD_HEALTH = asker(who=GOOD_HEALTH, kinds=("Practitioner", "Organization", "Patient", "Device"))


def from_org(role: str = "PRCP", who: str = GOOD_HEALTH):
    return {"role": concept(PART, role), "reference": {"reference": who}}


BASIC = consent("OPTIN", {"period": {"start": "1964-01-01", "end": "2016-01-01"}}, dateTime="2016-05-11")
OUT = consent("OPTOUT", {"actor": [from_org("CST")]})
NOT_ORG = consent(
    "OPTIN",
    {"type": "deny", "actor": [from_org()], "action": [concept(ACTION, "access"), concept(ACTION, "correct")]},
)
NOT_THEM = consent(
    "OPTIN",
    {
        "actor": [from_org(who="Practitioner/f204")],
        "action": [concept(ACTION, "access"), concept(ACTION, "correct")],
    },
)
NOT_THIS = consent("OPTIN", {"data": [{"meaning": "related", "reference": {"reference": "Task/example3"}}]})
NOT_AUTHOR = consent("OPTIN", {"actor": [from_org("CST")]})
NOT_TIME = consent("OPTIN", {"period": {"start": "2015-01-01", "end": "2015-02-01"}})
EMERGENCY = consent(
    "OPTOUT",
    rule("", {"type": "deny", "actor": [from_org("CST")]}, purpose="ETREAT", actor=[("CST", "Organization/f001")]),
)
GRANTOR = consent(
    "OPTOUT",
    {"actor": [from_org("CST"), from_org(who="Patient/example")], "action": [concept(ACTION, "access")]},
)
SMART = consent(
    "OPTIN",
    {
        "period": {"start": "2016-06-23T17:02:33+10:00", "end": "2016-06-23T17:32:33+10:00"},
        "provision": [
            {
                "type": "permit",
                "action": [concept(ACTION, "access")],
                "class": [{"system": TYPES, "code": "MedicationRequest"}],
            }
        ],
    },
)
SIGNATURE = consent(
    "OPTIN",
    {
        "period": {"start": "2015-10-10", "end": "2016-10-10"},
        "actor": [from_org(who="Practitioner/13")],
        "provision": [
            {
                "type": "permit",
                "actor": [from_org("AUT", "Practitioner/xcda-author")],
                "class": [{"system": "urn:ietf:bcp:13", "code": "application/hl7-cda+xml"}],
                "code": [concept("http://loinc.org", "34133-9"), concept("http://loinc.org", "18842-5")],
            }
        ],
    },
)
PKB = consent(
    "OPTOUT",
    {
        "actor": [from_org()],
        "action": [concept(ACTION, "access")],
        "provision": [
            {"actor": [from_org()], "securityLabel": [{"system": ACT, "code": label}]}
            for label in ("PSY", "SPI", "SEX")
        ],
    },
)


def test_basic_authorizes_normal_access_for_treatment_while_its_period_lasts():
    assert permits(BASIC, now=IN_2015)
    assert permits(BASIC, now=IN_2015, who=asker("HPAYMT"))
    assert not permits(BASIC, now=IN_2015, who=asker("HRESCH"))  # R4, notes: Treatment, Payment, normal Operations
    assert not permits(BASIC)
    assert decide(BASIC, without="treatment").rule == "no-consent-treatment"


def test_out_lets_nobody_have_anything():
    for who in (SOMEBODY, OF_GOOD_HEALTH, asker("ETREAT")):
        assert decide(OUT, who=who, without="treatment").rule == "consent-denies"


def test_not_org_keeps_that_organization_out_and_nobody_else():
    assert decide(NOT_ORG, who=OF_GOOD_HEALTH, without="treatment").rule == "consent-denies"
    assert permits(NOT_ORG, who=SOMEBODY)


def test_whose_organization_nobody_knows_may_be_the_one_that_is_meant():
    assert not permits(NOT_ORG, who=asker(who="Practitioner/x"), without="permit")


def test_not_them_keeps_that_nurse_out_and_leaves_others_to_what_holds_without():
    nurse = asker(who="Practitioner/f204")
    assert not permits(NOT_THEM, who=nurse, without="permit")
    assert permits(NOT_THEM, who=SOMEBODY, without="treatment")


def test_not_this_keeps_the_order_and_what_it_refers_to_from_everybody():
    task = resource("Task", "example3", focus={"reference": "ServiceRequest/s1"})
    record = {"Task/example3": task}
    ordered = resource("ServiceRequest", "s1")
    assert not permits(NOT_THIS, of=task, record=record, without="treatment")
    assert not permits(NOT_THIS, of=ordered, record=record, without="treatment")
    assert permits(NOT_THIS, of=resource(), record=record, without="treatment")


def test_of_a_record_that_is_not_here_nobody_knows_what_it_refers_to():
    assert not permits(NOT_THIS, of=resource(), without="treatment")


def test_not_author_denies_what_may_be_in_the_custody_that_it_names():
    assert not permits(NOT_AUTHOR, without="treatment")


def test_not_time_says_by_its_form_when_the_opt_in_holds():
    """Its narrative means the time of the data, which R4 calls dataPeriod; `period` is when a rule holds."""
    assert permits(NOT_TIME, now=datetime(2015, 1, 15, tzinfo=UTC))
    assert not permits(NOT_TIME, now=datetime(2015, 3, 1, tzinfo=UTC))


def test_emergency_is_not_opened_by_a_root_provision_whose_meaning_is_not_told():
    for purpose in ("TREAT", "ETREAT", "HPAYMT"):
        assert not permits(EMERGENCY, who=asker(purpose, GOOD_HEALTH), without="treatment")


def test_grantor_is_denied_to_all_for_the_same_reason():
    assert not permits(GRANTOR, who=asker("PATRQT", "Patient/example"), without="treatment")


@pytest.mark.parametrize("type_", ["MedicationRequest", "Observation"])
def test_smart_on_fhir_opts_in_for_half_an_hour(type_):
    then = datetime(2016, 6, 23, 7, 20, tzinfo=UTC)
    assert permits(SMART, of=resource(type_), now=then)
    assert not permits(SMART, of=resource(type_), now=then.replace(hour=8))


def test_signature_says_nothing_to_others_than_whom_it_names():
    within = {"now": IN_2015, "without": "treatment"}
    assert decide(SIGNATURE, who=SOMEBODY, **within).rule == "no-consent-treatment"
    assert not permits(SIGNATURE, who=asker(who="Practitioner/13"), **within)


def test_pkb_has_nested_provisions_that_neither_permit_nor_deny_and_so_denies():
    assert decide(PKB, who=OF_GOOD_HEALTH, without="treatment").rule == "consent-not-understood"
