"""Who may, and who went in by breaking the glass: decisions by a consent, and emergency access with its review.

A decision is BALP's AuthZconsent (3:5.7.6), for permit and deny alike. A denial without a consent is the event of what
was asked for, with outcome 8 and the code of the rule. Emergency access is DICOM's Security Alert 110113, Emergency
Override Started 110127; all that is done under it has the purpose BTG, break the glass (HL7 v3-ActReason).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from security.audit.access import Access
from security.audit.event import SECURITY_RESOURCE, Json, detail, make_event, named, thing
from security.audit.kind import APPLICATION, BALP, RECIPIENT, Coding, Kind, dicom, ours, user_agent

__all__ = ["BREAK_GLASS", "DECISION", "REVIEW", "break_glass_event", "consent_event", "review_event"]

_AUTHORIZER = Coding("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver")
_ORGANIZATION = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV")
_CONSENT = Coding("http://hl7.org/fhir/resource-types", "Consent")
_TOKEN = user_agent("UserOauthAgent")

DECISION = Kind(
    name="consent",
    said="was let in, or kept out, as your consent says",
    type=dicom("110113"),
    subtype=Coding(f"{BALP}CodeSystem/AuthZsubType", "AuthZ-Consent"),
    action="E",
    us=_AUTHORIZER,
    peer=APPLICATION,
    user=RECIPIENT,
    profile="IHE.BasicAudit.AuthZconsent",
    patient_profile="IHE.BasicAudit.AuthZconsent",
    of_failures=True,
)
BREAK_GLASS = Kind(
    name="break-glass",
    said="opened your record in an emergency, past what your consent allows",
    type=dicom("110113"),
    subtype=dicom("110127"),
    action="E",
    us=APPLICATION,
    user=RECIPIENT,
)
REVIEW = Kind(
    name="review",
    said="reviewed whether an access to your record was justified",
    type=dicom("110101"),
    subtype=ours("review"),
    action="E",
    us=APPLICATION,
    user=RECIPIENT,
)


def consent_event(access: Access, *, consents: Sequence[str], organization: str) -> Json:
    """Record that a patient's `consents` ("Consent/1") let somebody of an `organization` in, or kept them out.

    Permit has outcome 0; deny has 8 and the code of the provision as its reason. The profile's entities are closed:
    patient, consents and token, so that no X-Request-Id and no other resource can stand there.
    """
    if not consents or not access.patient:
        raise ValueError("a decision by consent is by a consent of a patient")
    asker = replace(access, what=tuple(consents), request_id="", token=None, peer=access.peer or access.system)
    event = make_event(asker, DECISION)
    authorizer, *others = event["agent"]
    del authorizer["network"]  # the profile allows none
    provider = {"type": {"coding": [_ORGANIZATION.json()]}, "who": named("organization", organization)}
    event["agent"] = [authorizer, *others, provider | {"requestor": False}]
    event["entity"] += [{"type": _CONSENT.json(), "what": {"reference": consent}} for consent in consents]
    if access.token:
        event["entity"].append({"type": _TOKEN.json(), "what": {"identifier": {"value": access.token.mark}}})
    return event


def break_glass_event(access: Access, *, justification: str) -> Json:
    """Record that somebody goes past a consent in an emergency; `justification` is a code, its prose is not kept here.

    The purpose has to be BTG: the anomaly list asks for a review of each.
    """
    if access.purpose != "BTG" or not access.patient:
        raise ValueError("emergency access is to a patient's record, for the purpose BTG")
    return make_event(access, BREAK_GLASS, thing(SECURITY_RESOURCE, "justification", justification), also=access.what)


def review_event(access: Access, *, event: int, verdict: Literal["justified", "breach", "unclear"]) -> Json:
    """Record that an auditor looked into event number `event`, about `access.patient`, and what came out."""
    entry = thing(SECURITY_RESOURCE, "event", str(event)) | {"detail": [detail("verdict", verdict)]}
    return make_event(access, REVIEW, entry, also=access.what)
