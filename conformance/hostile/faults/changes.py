"""Faults that are changes of the record at the wrong moment: rows that move under a walk, deletes, merges, reused ids.

Each happens once unless told otherwise, and really: later searches, reads, histories and exports agree with it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from conformance.hostile import events
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Call, Turning

if TYPE_CHECKING:
    from conformance.hostile.store import Held

__all__: list[str] = []


def _about_type(call: Call) -> bool:
    """Say whether there is something of that type to change."""
    return call.type in call.ehr.version.types and bool(call.ehr.store.live(call.type))


def _first(call: Call) -> Held:
    return call.ehr.store.live(call.type)[0]


def _patients(call: Call) -> list[str]:
    return [held.id for held in call.ehr.store.live("Patient")]


def _has_two_patients(call: Call) -> bool:
    return len(_patients(call)) > 1


@fault(
    "row-deleted-while-paging",
    "turn",
    "a row already shown is deleted, and pages are counted anew: one row is never shown",
    "7: medplum#4608",
    times=1,
)
def row_deleted_while_paging(turning: Turning, struck: Any) -> None:
    gone = turning.ehr.store.live(turning.page.query.type)[0]
    turning.ehr.store.remove(gone.type, gone.id)
    turning.page = turning.ehr.pages.count_anew(turning.token, turning.ehr.store)


@fault(
    "row-inserted-while-paging",
    "turn",
    "a new row appears in front, and pages are counted anew: one row is shown twice, the new one never",
    "7: microsoft/fhir-server#1792",
    times=1,
)
def row_inserted_while_paging(turning: Turning, struck: Any) -> None:
    events.insert_in_front(turning.ehr, turning.page.query.type)
    turning.page = turning.ehr.pages.count_anew(turning.token, turning.ehr.store)


@fault(
    "pages-drift",
    "turn",
    "pages are counted anew at each next link, whatever has changed in between",
    "7: medplum#4608; LinuxForHealth/FHIR#3590",
)
def pages_drift(turning: Turning, struck: Any) -> None:
    turning.page = turning.ehr.pages.count_anew(turning.token, turning.ehr.store)


@fault(
    "late-commit",
    "turn",
    "a row becomes visible now whose lastUpdated is value seconds ago: a watermark has passed it",
    "13: LinuxForHealth/FHIR#3690; interop.md 2a, resumption",
    value="30",
    times=1,
)
def late_commit(turning: Turning, struck: Any) -> None:
    events.insert_late(turning.ehr, turning.page.query.type, timedelta(seconds=struck.number))


@fault(
    "deleted-in-mid-crawl",
    "turn",
    "the last row of the type is deleted before the next page; the page still lists what it found before",
    "16: medplum#10479",
    times=1,
)
def deleted_in_mid_crawl(turning: Turning, struck: Any) -> None:
    gone = turning.ehr.store.live(turning.page.query.type)[-1]
    turning.ehr.store.remove(gone.type, gone.id)


@fault(
    "deleted-resource",
    "request",
    "the first resource of the type is deleted before the answer: 410, a tombstone in _history",
    "16: cumulus-etl#167, fhir-data-pipes#1218",
    times=1,
    fits=_about_type,
)
def deleted_resource(call: Call, struck: Any) -> None:
    held = _first(call)
    call.ehr.store.remove(held.type, held.id)


@fault(
    "vanished-resource",
    "request",
    "the first resource of the type is gone without a trace: 404, nothing in _history",
    "16: medplum#10479: deletes are never reported",
    times=1,
    fits=_about_type,
)
def vanished_resource(call: Call, struck: Any) -> None:
    held = _first(call)
    call.ehr.store.forget(held.type, held.id)


@fault(
    "merged-patient",
    "request",
    "the first Patient is merged into the second (value: OLD>SURVIVOR): Patient.link, and all that pointed to it moves",
    "26: hapi-fhir#6486, awslabs/fhir-works-on-aws-deployment#226",
    value="first>second",
    times=1,
    fits=_has_two_patients,
)
def merged_patient(call: Call, struck: Any) -> None:
    old, survivor = _pair(call, struck)
    events.merge(call.ehr, old, survivor)


@fault(
    "merged-patient-deleted",
    "request",
    "as merged-patient, but the old Patient is deleted instead of linked",
    "26: redguava/cliniko-api#97",
    value="first>second",
    times=1,
    fits=_has_two_patients,
)
def merged_patient_deleted(call: Call, struck: Any) -> None:
    old, survivor = _pair(call, struck)
    events.merge(call.ehr, old, survivor, links=False)
    call.ehr.store.remove("Patient", old)


@fault(
    "unmerged-patient",
    "request",
    "a merge is taken back: links go, what moved moves back",
    "interop.md 2a, deletes and merges: un-merge is an open TODO in smart-fetch",
    value="first>second",
    times=1,
    fits=_has_two_patients,
)
def unmerged_patient(call: Call, struck: Any) -> None:
    old, survivor = _pair(call, struck)
    events.unmerge(call.ehr, old, survivor)


@fault(
    "subject-changed",
    "request",
    "the first resource of the type is from now on about another patient",
    "26: awslabs/fhir-works-on-aws-deployment#226: patients are split too",
    times=1,
    fits=lambda call: call.type != "Patient" and _about_type(call) and _has_two_patients(call),
)
def subject_changed(call: Call, struck: Any) -> None:
    events.move_to_another(call.ehr, _first(call))


@fault(
    "id-reused",
    "request",
    "the first resource of the type is deleted, and its id given to another patient's",
    "12: cerner/fhir.cerner.com#121, IHE/IT-Infrastructure#168",
    times=1,
    fits=lambda call: call.type != "Patient" and _about_type(call) and _has_two_patients(call),
)
def id_reused(call: Call, struck: Any) -> None:
    held = _first(call)
    call.ehr.store.remove(held.type, held.id)
    events.move_to_another(call.ehr, held)


@fault(
    "edited-without-a-stamp",
    "request",
    "the first resource of the type changes, and its lastUpdated does not",
    "13: opensrp/fhircore#2391, CMSgov/beneficiary-fhir-data#239",
    times=1,
    fits=_about_type,
)
def edited_without_a_stamp(call: Call, struck: Any) -> None:
    events.edit_quietly(call.ehr, _first(call))


def _pair(call: Call, struck: Any) -> tuple[str, str]:
    told, _, survivor = struck.setting.partition(">")
    first, second, *_ = _patients(call)
    return (first if told == "first" else told), (second if survivor == "second" else survivor)
