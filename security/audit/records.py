"""What we do with a record: take it in, correct it, join it, prove that it is complete, compute on it, propose, agree.

ISO 21089: to deprecate is to tag entries as obsolete, erroneous or untrustworthy, and to keep them; to verify is to
confirm that data comply with a rule; to transform is to change form, language or code system of a record's content;
what a run makes becomes part of the twin, which is to originate; writing it up in a form for others is to report; to
answer for it is to attest; to send it on is to transmit.
Execution of a program is action E (R4 audit-event-action).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from security.audit.access import Access
from security.audit.event import (
    DATA_REPOSITORY,
    JOB,
    PATIENT,
    REPORT,
    RESOURCE,
    Json,
    detail,
    make_event,
    peer_of,
    thing,
)
from security.audit.kind import (
    APPLICATION,
    AUTHOR,
    DESTINATION,
    SOURCE,
    SOURCE_MEDIA,
    Kind,
    dicom,
    lifecycle,
    ours,
)

__all__ = [
    "APPROVAL",
    "CERTIFICATE",
    "DECLINE",
    "DROP",
    "IMPORT",
    "MERGE",
    "PROPOSAL",
    "REMAP",
    "RETRACTION",
    "RETRY",
    "RUN",
    "UNMERGE",
    "certificate_event",
    "decision_event",
    "import_event",
    "merge_event",
    "proposal_event",
    "remap_event",
    "retraction_event",
    "run_event",
]

IMPORT = Kind(  # DICOM Import
    name="import",
    said="took in data of yours from a file or a device",
    type=dicom("110107"),
    subtype=lifecycle("receive"),
    action="C",
    us=DESTINATION,
    peer=SOURCE_MEDIA,
    user=AUTHOR,
)
RETRACTION = Kind(
    name="retraction",
    said="took data of yours back, because their source no longer has them so",
    type=lifecycle("deprecate"),
    subtype=ours("retraction"),
    action="U",
    us=DESTINATION,
    peer=SOURCE,
    user=AUTHOR,
)
MERGE = Kind(
    name="merge",
    said="joined two records, as being of one person",
    type=lifecycle("merge"),
    subtype=ours("merge"),
    action="U",
    us=DESTINATION,
    peer=SOURCE,
    user=AUTHOR,
)
UNMERGE = Kind(
    name="unmerge",
    said="parted two records, as being of two people",
    type=lifecycle("unmerge"),
    subtype=ours("unmerge"),
    action="U",
    us=DESTINATION,
    peer=SOURCE,
    user=AUTHOR,
)
REMAP = Kind(
    name="remap",
    said="read your kept data again by newer rules",
    type=lifecycle("transform"),
    subtype=ours("remap"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)
CERTIFICATE = Kind(
    name="certificate",
    said="checked whether all of your data came",
    type=lifecycle("verify"),
    subtype=ours("certificate"),
    action="E",
    us=DESTINATION,
    peer=SOURCE,
    user=AUTHOR,
)
RUN = Kind(
    name="run",
    said="computed a forecast or a simulation from your record",
    type=lifecycle("originate"),
    subtype=ours("run"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
PROPOSAL = Kind(
    name="proposal",
    said="wrote results up, for a person to agree on",
    type=lifecycle("report"),
    subtype=ours("proposal"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
APPROVAL = Kind(
    name="approval",
    said="agreed that results about you are written into a health record system",
    type=lifecycle("attest"),
    subtype=ours("approval"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
DECLINE = Kind(
    name="decline",
    said="declined that results about you are written into a health record system",
    type=lifecycle("attest"),
    subtype=ours("decline"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
RETRY = Kind(
    name="retry",
    said="had results about you sent once more that had not arrived in a health record system",
    type=lifecycle("transmit"),
    subtype=ours("retry"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
DROP = Kind(
    name="drop",
    said="gave up sending results about you to a health record system",
    type=lifecycle("transmit"),
    subtype=ours("drop"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)
_DECISIONS: Final = {kind.name: kind for kind in (APPROVAL, DECLINE, RETRY, DROP)}


def import_event(access: Access) -> Json:
    """Record that a folder of FHIR files was taken in. It goes by its source's name: file names are patient data."""
    return make_event(access, IMPORT, thing(DATA_REPOSITORY, "source", peer_of(access).name), also=access.what)


def retraction_event(access: Access, *, why: str) -> Json:
    """Record that resources (`what`) of a twin were taken back, because their source no longer has them so."""
    return make_event(access, RETRACTION, thing(RESOURCE, "retraction", why), also=access.what)


def merge_event(access: Access, *, twin: str, parted: bool = False) -> Json:
    """Record that a patient of a source was moved from a twin into another one, `twin`, or `parted` from it again."""
    return make_event(access, UNMERGE if parted else MERGE, thing(PATIENT, "twin", twin), also=access.what)


def remap_event(access: Access, *, mapping: str) -> Json:
    """Record that kept resources (`what`) of a twin were mapped again, by the rules of a version."""
    return make_event(access, REMAP, thing(JOB, "mapping", mapping), also=access.what)


def certificate_event(access: Access, *, pull: str, verdict: str) -> Json:
    """Record what a pull proved of the completeness of what came: "complete", "incomplete" or "unprovable"."""
    job = thing(JOB, "pull", pull) | {"detail": [detail("verdict", verdict)]}
    return make_event(access, CERTIFICATE, job, also=access.what)


def run_event(access: Access, *, run: str, model: str) -> Json:
    """Record a simulation: the job `run`, of which model and version, from which resources (`what`)."""
    job = thing(JOB, "run", run) | {"detail": [detail("model", model)]}
    return make_event(access, RUN, job, also=access.what)


def proposal_event(access: Access, *, proposal: str) -> Json:
    """Record that a run was turned into resources for a person to agree on."""
    return make_event(access, PROPOSAL, thing(REPORT, "proposal", proposal), also=access.what)


def decision_event(
    access: Access,
    *,
    delivery: str,
    decision: Literal["approval", "decline", "retry", "drop"],
    by: Mapping[str, str] | None = None,
) -> Json:
    """Record what a person, or a rule for them, decided about a proposal or its delivery; `by` are codes and names."""
    job = thing(JOB, "delivery", delivery)
    if by:
        job["detail"] = [detail(name, value) for name, value in by.items()]
    return make_event(access, _DECISIONS[decision], job, also=access.what)
