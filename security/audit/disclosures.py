"""What left to others for a purpose that a patient can ask to have accounted (BALP; 45 CFR 164.528)."""

from __future__ import annotations

from collections.abc import Sequence

from security.audit.access import Access
from security.audit.event import RESOURCE, Json, detail, make_event, named, thing
from security.audit.kind import AUTHOR, DESTINATION, SOURCE, Coding, Kind, dicom, lifecycle

__all__ = ["DISCLOSURE", "RECEIPT", "disclosure_event", "receipt_event"]

_CUSTODIAN, _AUTHORIZER = (Coding("http://snomed.info/sct", code) for code in ("159541003", "429577009"))

DISCLOSURE = Kind(
    name="disclosure",
    said="disclosed data of yours to somebody else",
    type=dicom("110106"),
    subtype=lifecycle("disclose"),
    action="R",
    us=SOURCE,
    peer=DESTINATION,
    user=AUTHOR,
    profile="IHE.BasicAudit.PrivacyDisclosure.Source",
    patient_profile="IHE.BasicAudit.PrivacyDisclosure.Source",
    of_failures=True,
)
RECEIPT = Kind(
    name="receipt",
    said="received data of yours that somebody else disclosed",
    type=dicom("110107"),
    subtype=lifecycle("disclose"),
    action="C",
    us=DESTINATION,
    peer=SOURCE,
    user=AUTHOR,
    profile="IHE.BasicAudit.PrivacyDisclosure.Recipient",
    patient_profile="IHE.BasicAudit.PrivacyDisclosure.Recipient",
    of_failures=True,
)


def disclosure_event(
    access: Access, *, disclosure: str, content: Sequence[str] = (), custodian: str = "", authorizer: str = ""
) -> Json:
    """Record that data of `access.patient` went to `access.peer`: PrivacyDisclosure.Source.

    `disclosure` is its id; `content` says by codes what it was ("laboratory", "forecast"), `access.what` the resources,
    `custodian` who answers for the record, `authorizer` who allowed it, each by an id.
    """
    return _made(access, DISCLOSURE, disclosure, content, custodian, authorizer)


def receipt_event(
    access: Access, *, disclosure: str, content: Sequence[str] = (), custodian: str = "", authorizer: str = ""
) -> Json:
    """Record that data came that `access.peer` disclosed to us: PrivacyDisclosure.Recipient."""
    return _made(access, RECEIPT, disclosure, content, custodian, authorizer)


def _made(access: Access, kind: Kind, disclosure: str, content: Sequence[str], custodian: str, authorizer: str) -> Json:
    if not access.patient:
        raise ValueError("a disclosure is of a patient's data")
    main = thing(RESOURCE, "disclosure", disclosure)
    if content:
        main["detail"] = [detail("content", each) for each in content]
    event = make_event(access, kind, main, also=access.what)
    for part, name in ((_CUSTODIAN, custodian), (_AUTHORIZER, authorizer)):
        if name:
            agent = {"type": {"coding": [part.json()]}, "who": named("organization", name), "requestor": False}
            event["agent"].append(agent)
    return event
