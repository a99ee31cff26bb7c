"""FHIR interactions: what we ask of an EHR as its client, and what others ask of us as their server (BALP, 3:5.7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from security.audit.access import Access, System, demand_references
from security.audit.event import JOB, Json, asked, make_event, resource, thing
from security.audit.kind import (
    APPLICATION,
    AUTHOR,
    CUSTODIAN,
    DESTINATION,
    RECIPIENT,
    REST,
    SOURCE,
    Coding,
    Kind,
    interaction,
)

__all__ = [
    "ANSWER",
    "CREATE",
    "CREATED",
    "DELETED",
    "FETCH",
    "PATCHED",
    "QUERY",
    "READ",
    "UPDATE",
    "UPDATED",
    "VREAD",
    "answer_events",
    "created_event",
    "deleted_event",
    "delivery_event",
    "fetch_event",
    "query_event",
    "read_event",
    "update_event",
    "updated_event",
]

_ACTIONS: dict[str, Literal["C", "R", "U", "D", "E"]] = {
    "Create": "C",
    "Read": "R",
    "Update": "U",
    "Delete": "D",
    "Query": "E",
}


def _rest(name: str, said: str, code: str, profile: str, us: Coding, peer: Coding, user: Coding) -> Kind:
    return Kind(
        name=name,
        said=said,
        type=REST,
        subtype=interaction(code),
        action=_ACTIONS[profile],
        us=us,
        peer=peer,
        user=user,
        profile=f"IHE.BasicAudit.{profile}",
        patient_profile=f"IHE.BasicAudit.Patient{profile}",
    )


# We are the client of an EHR.
QUERY = _rest(
    *("query", "asked a health record system for your data", "search-type", "Query"), SOURCE, DESTINATION, RECIPIENT
)
FETCH = _rest(*("fetch", "read your data in a health record system", "read", "Read"), DESTINATION, SOURCE, RECIPIENT)
CREATE = _rest(
    *("delivery", "wrote results into a health record system", "create", "Create"), SOURCE, DESTINATION, AUTHOR
)
UPDATE = _rest(
    *("delivery-update", "changed results in a health record system", "update", "Update"), SOURCE, DESTINATION, AUTHOR
)
# We are the server, and a terminal, a browser or another program is the client.
READ = _rest(*("read", "looked at your record", "read", "Read"), SOURCE, DESTINATION, RECIPIENT)
VREAD = _rest(*("vread", "looked at an earlier state of your record", "vread", "Read"), SOURCE, DESTINATION, RECIPIENT)
ANSWER = _rest(*("answer", "searched your record", "search-type", "Query"), DESTINATION, SOURCE, RECIPIENT)
CREATED = _rest(*("created", "added something to your record", "create", "Create"), DESTINATION, SOURCE, AUTHOR)
UPDATED = _rest(*("updated", "changed something in your record", "update", "Update"), DESTINATION, SOURCE, AUTHOR)
PATCHED = _rest(*("patched", "changed a part of your record", "patch", "Update"), DESTINATION, SOURCE, AUTHOR)
DELETED = _rest(*("deleted", "deleted something from your record", "delete", "Delete"), CUSTODIAN, APPLICATION, AUTHOR)


def query_event(access: Access) -> Json:
    """Record a search that we sent to an EHR (`query`): BALP Query, or PatientQuery where the twin is known."""
    return make_event(access, QUERY, asked(access.query), also=access.what)


def fetch_event(access: Access) -> Json:
    """Record one resource that we read from an EHR (`what`): BALP Read, or PatientRead where the twin is known."""
    return _of_one(access, FETCH)


def delivery_event(access: Access, *, delivery: str) -> Json:
    """Record resources that we created in an EHR (`what`): BALP Create, or PatientCreate where the twin is known.

    BALP allows one `data` entity in an event; that is the delivery, and the resources stand beside it.
    """
    return make_event(access, CREATE, thing(JOB, "delivery", delivery), also=access.what)


def update_event(access: Access, *, delivery: str) -> Json:
    """Record resources that we changed in an EHR (`what`, with their versions): BALP Update or PatientUpdate."""
    return make_event(access, UPDATE, thing(JOB, "delivery", delivery), also=access.what)


def read_event(access: Access) -> Json:
    """Record that somebody read a twin, at our terminal (no `peer`) or over the network: BALP Read or PatientRead.

    A reference with a version makes it a vread.
    """
    versioned = bool(access.what) and "/_history/" in access.what[0]
    return _of_one(access, VREAD if versioned else READ, _asker(access))


def answer_events(access: Access, found: Mapping[str, Sequence[str]]) -> list[Json]:
    """Record a search that we answered (`query`), with the resources that left: twin id to references, "" for nobody's.

    One event a twin touched, however many resources; one for all that is nobody's. Where nothing was found, one event
    for the twin that was asked about (`access.patient`), or for none (I1): BALP Query and PatientQuery.
    """
    touched = {twin: refs for twin, refs in found.items() if twin or refs} or {access.patient: ()}
    demand_references([f"Patient/{twin}" for twin in touched if twin])
    request = asked(access.query)
    return [
        make_event(access, ANSWER, dict(request), also=demand_references(refs), peer=_asker(access), patient=twin)
        for twin, refs in touched.items()
    ]


def created_event(access: Access) -> Json:
    """Record a resource that somebody created here (`what`): BALP Create or PatientCreate."""
    return _of_one(access, CREATED, _asker(access))


def updated_event(access: Access, *, patch: bool = False) -> Json:
    """Record a resource that somebody changed here (`what`): BALP Update or PatientUpdate.

    BALP wants to know which version, so a reference without one is a `ValueError`; where the change failed, it is the
    version that was to be changed, if one was told.
    """
    if not access.reason and not (access.what and "/_history/" in access.what[0]):
        raise ValueError("an update is of a version")
    return _of_one(access, PATCHED if patch else UPDATED, _asker(access))


def deleted_event(access: Access) -> Json:
    """Record a resource that somebody deleted here (`what`): BALP Delete or PatientDelete."""
    return _of_one(access, DELETED, _asker(access))


def _of_one(access: Access, kind: Kind, peer: System | None = None) -> Json:
    if not access.what and not access.patient:
        raise ValueError("a read or a change is of something")
    first, *rest = access.what or (f"Patient/{access.patient}",)
    return make_event(access, kind, resource(first), also=rest, peer=peer)


def _asker(access: Access) -> System:
    """Return who asks us: at our terminal it is this machine."""
    return access.peer or access.system
