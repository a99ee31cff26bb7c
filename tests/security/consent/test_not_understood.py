"""What of a Consent is not understood denies, and is told by its place; and the laws that hold for any Consent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.consent import Directives, Item, read_consent
from security.consent.when import UTC
from tests.security.consent.saying import ACT, NOW, TWIN, asker, coded, concept, consent, decide, resource, rule

MODIFIER = [{"url": "http://example.org/not", "valueBoolean": True}]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"modifierExtension": MODIFIER}, "modifierExtension"),
        ({"implicitRules": "http://example.org/rules"}, "implicitRules"),
        ({"unknown": 1}, "unknown"),
        ({"status": "on-hold"}, "status"),
        ({"status": None}, "status"),
        ({"patient": {}}, "patient"),
        ({"policyRule": concept(ACT, "SOMETHING")}, "policyRule"),
        ({"policyRule": {"text": "the usual"}}, "policyRule"),
        ({"verification": {"verified": True}}, "verification"),
        ({"provision": []}, "provision"),
        ({"provision": {"type": "allow"}}, "provision.type"),
        ({"provision": {"type": "permit", "modifierExtension": MODIFIER}}, "provision.modifierExtension"),
        ({"provision": {"type": "permit", "unless": True}}, "provision.unless"),
        ({"provision": {"type": "permit", "provision": [{}]}}, "provision.provision[0].type"),
        ({"provision": {"type": "permit", "purpose": []}}, "provision.purpose"),
        ({"provision": {"type": "permit", "purpose": [{"display": "care"}]}}, "provision.purpose"),
        ({"provision": {"type": "permit", "actor": [{}]}}, "provision.actor[0]"),
        ({"provision": {"type": "permit", "actor": [{"reference": {}}]}}, "provision.actor[0].reference"),
        ({"provision": {"type": "permit", "data": [{"reference": {}}]}}, "provision.data[0].meaning"),
        ({"provision": {"type": "permit", "period": {"start": "soon"}}}, "provision.period"),
        ({"provision": {"type": "permit", "period": {"start": "2026-02-30"}}}, "provision.period"),
        ({"provision": {"type": "permit", "period": {"start": "2026-01-01T12:00:00"}}}, "provision.period"),
        ({"provision": {"type": "permit", "period": {"start": "2026", "end": "2025"}}}, "provision.period"),
        ({"provision": {"type": "permit", "dataPeriod": {}}}, "provision.dataPeriod"),
        ({"provision": {"type": "permit", "period": {"start": "0001"}}}, ""),
        ({"provision": {"type": "permit", "period": {"end": "9999-12-31"}}}, ""),
    ],
)
def test_it_denies_and_says_where(changed, place):
    told = consent("OPTIN", **changed)
    read = read_consent(told, TWIN, UTC)
    assert read is not None
    if place:
        assert any(problem.startswith(place) for problem in read.problems), read.problems
        assert decide(told, without="permit").rule == "consent-not-understood"
    else:
        assert not read.problems


def test_extensions_that_modify_nothing_are_read_over():
    told = consent("OPTIN", extension=MODIFIER, text={"status": "generated"}, _status={"extension": MODIFIER})
    assert decide(told).rule == "consent-permits"


def test_nesting_without_end_is_not_followed():
    told: dict[str, Any] = rule("permit")
    for _ in range(200):
        told = rule("deny", told)
    assert decide(consent("OPTIN", told), without="permit").rule == "consent-not-understood"


PURPOSES = st.sampled_from(["TREAT", "ETREAT", "HPAYMT", "HRESCH", "CLINTRCH", "PUBHLTH", "HOPERAT", "PATRQT"])
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "purpose": st.lists(PURPOSES, min_size=1, max_size=2),
    "action": st.lists(st.sampled_from(["access", "correct", "disclose", "strange"]), min_size=1, max_size=2),
    "class": st.lists(st.sampled_from(["Observation", "Condition", "Patient"]), min_size=1, max_size=2),
    "code": st.lists(st.sampled_from(["F10.20", "E11.9", "B20", "F10"]), min_size=1, max_size=2),
    "securityLabel": st.lists(st.sampled_from(["N", "R", "V", "SUD", "HIV", "PSY"]), min_size=1, max_size=2),
    "actor": st.lists(
        st.tuples(
            st.sampled_from(["PRCP", "IRCP", "AUT", "CST"]), st.sampled_from(["Practitioner/1", "Organization/1"])
        ),
        min_size=1,
        max_size=2,
    ),
    "period": st.sampled_from([{"end": "2026-05"}, {"start": "2026-06-01"}, {"start": "2020", "end": "2030"}]),
    "dataPeriod": st.sampled_from([{"end": "2020"}, {"start": "2020-06"}]),
    "data": st.lists(
        st.tuples(
            st.sampled_from(["instance", "related", "dependents", "authoredby"]),
            st.sampled_from(["Condition/c1", "Encounter/e1"]),
        ),
        min_size=1,
        max_size=1,
    ),
}


def rules(kinds: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    def one(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.builds(
            lambda kind, conditions, nested: rule(kind, *nested, **conditions),
            kinds,
            st.fixed_dictionaries({}, optional=CONDITIONS),
            st.lists(children, max_size=2),
        )

    return st.recursive(one(st.builds(rule, kinds)), one, max_leaves=6)


ANY = rules(st.sampled_from(["permit", "deny"]))
CONSENTS = st.builds(
    lambda policy, provision, number: consent(policy, provision, id=number),
    st.sampled_from(["OPTIN", "OPTOUT", "EMRGONLY", ""]),
    st.one_of(st.none(), ANY),
    st.uuids().map(str),
)
BODIES = st.sampled_from(
    [
        resource(effectiveDateTime="2021-01-01", encounter={"reference": "Encounter/e1"}),
        coded("F10.20", recordedDate="2019"),
        coded("B20"),
        coded("E11.9", asserter={"reference": "Practitioner/1"}),
    ]
)
ASKERS = st.builds(asker, PURPOSES, st.sampled_from(["", "Practitioner/1", "Practitioner/2", "Organization/1"]))
DEEDS = st.sampled_from(["r", "s", "c", "u", "use", "disclose"])
WITHOUT = st.sampled_from(["treatment", "deny", "permit"])


def permit(consents: list[Any], body: Any, who: Any, deed: Any, without: Any) -> bool:
    item = Item(body["resourceType"], body["id"], body)
    return Directives.read(TWIN, consents, without).decide(who, deed, item, NOW).permit


@settings(max_examples=300, deadline=None)
@given(st.lists(CONSENTS, max_size=3), ANY, BODIES, ASKERS, DEEDS, WITHOUT)
def test_one_more_denial_never_permits_more(consents, provision, body, who, deed, without):
    denial = consent("", provision | {"type": "deny", "provision": []}, id="more")
    del denial["provision"]["provision"]
    assert permit([*consents, denial], body, who, deed, without) <= permit(consents, body, who, deed, without)


@settings(max_examples=300, deadline=None)
@given(rules(st.just("permit")), st.lists(rules(st.just("permit")), max_size=2), BODIES, ASKERS, DEEDS)
def test_withdrawing_a_permission_never_permits_more(provision, others, body, who, deed):
    kept = [consent("", each, id=str(number)) for number, each in enumerate(others)]
    with_it = permit([*kept, consent("", provision, id="x")], body, who, deed, "deny")
    withdrawn = permit([*kept, consent("", provision, id="x", status="inactive")], body, who, deed, "deny")
    assert withdrawn <= with_it


@settings(max_examples=300, deadline=None)
@given(CONSENTS, BODIES, ASKERS, DEEDS, WITHOUT)
def test_a_denial_beside_what_is_there_never_permits_more(told, body, who, deed, without):
    """Within one Consent, too: an exception that denies is put beside each provision's own."""
    if "provision" not in told:
        return
    stricter = told | {
        "provision": told["provision"]
        | {"provision": [*told["provision"].get("provision", []), rule("deny", securityLabel="R")]}
    }
    assert permit([stricter], body, who, deed, without) <= permit([told], body, who, deed, without)


@settings(max_examples=200, deadline=None)
@given(CONSENTS, st.sampled_from(["modifierExtension", "implicitRules", "novel"]), BODIES, ASKERS, DEEDS, WITHOUT)
def test_what_we_do_not_know_never_permits_more(told, key, body, who, deed, without):
    assert permit([told | {key: "x"}], body, who, deed, without) <= permit([told], body, who, deed, without)


@settings(max_examples=200, deadline=None)
@given(st.lists(CONSENTS, max_size=3), BODIES, ASKERS, DEEDS)
def test_the_order_of_consents_makes_no_difference(consents, body, who, deed):
    assert permit(consents, body, who, deed, "deny") is permit(consents[::-1], body, who, deed, "deny")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=6), each, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*consent("OPTIN", rule("permit")), "verification"]), JUNK, BODIES)
def test_junk_is_never_a_permission_nor_a_crash(key, junk, body):
    told = consent("OPTIN", rule("permit", purpose="TREAT"), scope=consent()["scope"]) | {key: junk}
    verdict = decide(told, of=body)
    if key in ("status", "scope", "patient", "policyRule", "provision"):
        assert not verdict.permit or junk == told[key]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*CONDITIONS]), JUNK, BODIES)
def test_junk_in_a_condition_is_never_met(key, junk, body):
    assert not decide(consent("", {"type": "permit", key: junk}), of=body).permit
