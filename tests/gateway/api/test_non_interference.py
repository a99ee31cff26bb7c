"""Non-interference: no answer differs because of data that its caller may not see.

Worlds are drawn at random, and who asks, and what. Each question is asked twice: of the whole world, and of one without
all that the caller may not see. Whoever can tell the two apart has seen something. What may be seen is decided here one
resource at a time; the API decides it in views, walks, includes, chains and batches.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.call import Call
from gateway.api.operations import everything
from gateway.api.reading import OFFERS as READS
from gateway.api.refusal import Refusal
from gateway.api.routing import route
from gateway.api.searching import OFFERS as SEARCHES
from gateway.api.shown import Gone, Shown
from gateway.api.view import View
from gateway.api.writing.bundles import OFFERS as BUNDLES
from gateway.home import Home
from mappers.search import matches
from security.audit import TokenUse
from security.compartment import TYPES
from security.grants import compile_grants
from security.policy import ROLES, Action, Caller
from tests.gateway.api.search.conftest import home  # noqa: F401 - a fixture
from tests.gateway.api.search.ward import BASE, Hiding, Ward

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TWINS = {"p1": "", "p2": "", "p3": "", "q1": "other"}  # twin to tenant
OFFERS = (*READS, *SEARCHES, *everything.OFFERS, *BUNDLES)
HIDDEN = "-hid"  # at the end of the id of what consents keep back
PAGE = re.compile(r"(_page|page)=[A-Za-z0-9._~%=-]+")  # sealed: another text each time
Json = dict[str, Any]
Item = tuple[str, Json]  # whose it is, and the resource; one without more than type and id is the end of it


# ---- worlds -------------------------------------------------------------------------------------------------------

codes = st.sampled_from(["4548-4", "718-7", "8480-6"])
categories = st.sampled_from(["laboratory", "vital-signs", "survey"])
days = st.integers(1, 5)
others = st.integers(0, 7)  # which other resource is referred to


def reference(number: int) -> Json:
    return {"reference": f"Observation/o{number}"}


def coded(code: str, system: str = "http://loinc.org") -> Json:
    return {"coding": [{"system": system, "code": code}]}


def of_patient(type_: str, id_: str, twin: str, says: str, **more: Any) -> Item:
    """Make what is kept with a twin; `says` is whom its subject names: mostly that one."""
    subject = "patient" if type_ in ("AllergyIntolerance", "Immunization") else "subject"
    return twin, {"resourceType": type_, "id": id_, subject: {"reference": f"Patient/{says or twin}"}, **more}


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    """Draw what there is: patients with their resources, some hidden by consent, and what belongs to nobody."""
    found: list[Item] = []
    for twin in TWINS:
        name = draw(st.sampled_from(["Ada", "Bob", "Zoe"]))
        end = draw(st.sampled_from(["", "", "", HIDDEN]))
        if not end:
            found.append((twin, {"resourceType": "Patient", "id": twin, "name": [{"given": [name]}], "active": True}))
    for number in range(draw(st.integers(0, 8))):
        twin, says = draw(st.sampled_from(sorted(TWINS))), draw(st.sampled_from(["", "", "", "p1", "p2"]))
        end = draw(st.sampled_from(["", "", HIDDEN]))
        more: Json = {
            "status": draw(st.sampled_from(["final", "amended"])),
            "code": coded(draw(codes)),
            "category": [coded(draw(categories), "http://terminology.hl7.org/CodeSystem/observation-category")],
            "effectiveDateTime": f"2026-0{draw(days)}-01",
            "valueQuantity": {"value": draw(days), "unit": "%"},
            "performer": [
                {"reference": draw(st.sampled_from(["Practitioner/dr", "Practitioner/other", "Patient/p2"]))}
            ],
        }
        if draw(st.booleans()):
            more["hasMember"] = [reference(draw(others))]
        if draw(st.booleans()):
            more["focus"] = [{"reference": draw(st.sampled_from(["Patient/p1", "Patient/p2", "Patient/q1"]))}]
        found.append(of_patient("Observation", f"o{number}{end}", twin, says, **more))
        if draw(st.booleans()):
            target = {"target": [{"reference": f"Observation/o{number}{end}"}], "recorded": "2026-01-01T00:00:00Z"}
            found.append((twin, {"resourceType": "Provenance", "id": f"v{number}{end}", **target}))
    for number in range(draw(st.integers(0, 4))):
        twin, end = draw(st.sampled_from(sorted(TWINS))), draw(st.sampled_from(["", HIDDEN]))
        type_ = draw(st.sampled_from(["Condition", "DiagnosticReport", "Device", "Encounter", "Consent"]))
        if type_ == "DiagnosticReport":
            item = of_patient(
                type_, f"x{number}{end}", twin, "", code=coded(draw(codes)), result=[reference(draw(others))]
            )
        elif type_ == "Device":
            item = twin, {"resourceType": type_, "id": f"x{number}{end}", "status": "active"}
        elif type_ == "Consent":
            item = twin, {"resourceType": type_, "id": f"x{number}{end}", "patient": {"reference": f"Patient/{twin}"}}
        else:
            item = of_patient(type_, f"x{number}{end}", twin, "", code=coded(draw(codes)))
        found.append(item)
    for number in range(draw(st.integers(0, 2))):  # what is no longer there
        found.append((draw(st.sampled_from(sorted(TWINS))), {"resourceType": "Observation", "id": f"gone{number}"}))
    found.append(("", {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Müller"}]}))
    found.append(("", {"resourceType": "Practitioner", "id": "other", "name": [{"family": "Young"}]}))
    members = draw(st.lists(st.sampled_from(sorted(TWINS)), unique=True))
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    found.append(("", {**group, "member": [{"entity": {"reference": f"Patient/{twin}"}} for twin in members]}))
    return found


def world(some: list[Item]) -> Ward:
    """Keep what there is; each at a time that depends on nothing but its name."""
    ward = Ward(**TWINS)
    for twin, resource in some:
        when = NOW - timedelta(hours=1 + sum(resource["id"].encode()) % 97, minutes=len(resource["resourceType"]))
        if resource["id"].startswith("gone"):
            ward.put({**resource, "subject": {"reference": f"Patient/{twin}"}}, twin, when)
            ward.end(resource["resourceType"], resource["id"])
            key = resource["resourceType"], resource["id"]
            _, *before = ward._kept[twin][key]
            ward._kept[twin][key] = (Gone(*key, 2, when + timedelta(minutes=1), twin), *before)
        else:
            ward.put(resource, twin, when)
    return ward


# ---- who asks -----------------------------------------------------------------------------------------------------

LABORATORY = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
scope_lists = st.lists(
    st.sampled_from(
        [
            *("*.rs", "Patient.rs", "Observation.rs", "Condition.rs", "Provenance.rs", "Practitioner.rs", "Group.rs"),
            *("DiagnosticReport.rs", "Device.rs", f"Observation.rs?{LABORATORY}", "Observation.rs?code=4548-4,718-7"),
            *("Observation.rs?status=final&category=survey", "*.rs?code=4548-4", "Encounter.rs", "Consent.rs"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def callers(draw: st.DrawFn) -> Caller:
    context = draw(st.sampled_from(["patient", "patient", "user", "user", "system"]))
    roles = draw(st.sampled_from([{"clinician"}, {"clinician"}, {"clinician"}, {draw(st.sampled_from(ROLES))}]))
    return Caller(
        client="app",
        user="" if context == "system" else "maria",
        roles=frozenset() if context == "system" else frozenset(roles),
        fhir_user=draw(st.sampled_from(["", "Practitioner/dr", "Patient/p1"])),
        tenant=draw(st.sampled_from(["", "", "", "other"])),
        patient=draw(st.sampled_from(["p1", "p2", "q1"])) if context == "patient" else "",
        scopes=tuple(f"{context}/{each}" for each in draw(scope_lists)),
        token=TokenUse("urn:ietf:params:oauth:jti:1"),
        expires=NOW + timedelta(hours=1),
    )


CONSENTS = Hiding(lambda shown: shown.id.endswith(HIDDEN))


def may_be_seen(caller: Caller, ward: Ward, each: Shown | Gone) -> bool:
    """Say, of one resource, whether a caller may see it: behind which wall it is, scopes, roles, consents."""
    grants = compile_grants(caller, matches)
    wall = not each.twin or (ward.tenant_of(each.twin) == caller.tenant and grants.reaches(each.twin))
    body = each.body if isinstance(each, Shown) else {"resourceType": each.type, "id": each.id}
    actions: tuple[Action, ...] = ("r", "s")
    granted = any(grants.allows(action, each.type, body, each.twin) for action in actions)
    return wall and granted and not CONSENTS.hidden(each)


def without_the_hidden(caller: Caller, some: list[Item]) -> list[Item]:
    ward = world(some)
    kept = []
    for twin, resource in some:
        [each, *_] = ward._kept[twin][resource["resourceType"], resource["id"]]
        if may_be_seen(caller, ward, each):
            kept.append((twin, resource))
    return kept


# ---- questions ----------------------------------------------------------------------------------------------------


@dataclass
class Asker:
    """One caller before one world. Each answer is all that they can tell: status, body, links, headers, error."""

    caller: Caller
    ward: Ward
    home: Home

    def view(self) -> View:
        return View(self.caller, self.ward, compile_grants(self.caller, matches), CONSENTS, NOW)

    def ask(self, url: str, body: Json | None = None) -> list[Any]:
        """Ask, and follow the links to further pages."""
        told: list[Any] = []
        while url and len(told) < 20:
            answer, url = self._ask(url, body)
            told.append(answer)
        return told

    def _ask(self, url: str, body: Json | None) -> tuple[Any, str]:
        parts = urlsplit(url.removeprefix(BASE))
        found = route("POST" if body else "GET", "/" + parts.path.lstrip("/"), OFFERS)
        if found is None:
            return "nothing is offered there", ""
        offer, path = found
        begun = self.home.access(query=b"GET /")
        call = Call(
            home=self.home,
            view=self.view(),
            request_id="1",
            method=offer.method,
            url=url,
            path=path,
            parameters=parse_qsl(parts.query, keep_blank_values=True),
            headers={"content-type": "application/fhir+json"},
            body=json.dumps(body).encode() if body else b"",
            base=BASE,
            now=NOW,
            access=lambda **what: replace(begun, **what),
            offers=OFFERS,
        )
        try:
            reply = asyncio.run(offer.answer(call))  # type: ignore[arg-type] # a coroutine
        except Refusal as refusal:
            return (refusal.status, refusal.outcome(), refusal.headers), ""
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        told: Any = json.loads(content) if content else None
        links = told.get("link", []) if isinstance(told, dict) else []
        onward = next((each["url"] for each in links if each["relation"] == "next"), "")
        said = PAGE.sub("page", content.decode())
        return (reply.status, said, reply.headers, {twin: [*each] for twin, each in reply.found.items()}), onward


IDS = [f"Observation/o{n}{end}" for n in range(4) for end in ("", HIDDEN)]
IDS += [
    "Patient/p1",
    "Patient/p2",
    "Patient/q1",
    "Observation/gone0",
    "Condition/x0",
    "Device/x1",
    "Group/g",
    "Practitioner/dr",
]
IDS += ["Provenance/v0", "DiagnosticReport/x0", "Encounter/x0" + HIDDEN, "Observation/never"]
QUESTIONS = [
    *IDS,
    *(f"{id_}/_history" for id_ in IDS[::3]),
    "Observation/o0/_history/1",
    "Observation/gone0/_history/2",
    "Observation",
    "Observation?_count=1",
    "Observation?_summary=count",
    "Observation?_total=accurate&_count=2",
    "Observation?_sort=-date,code",
    "Observation?_sort=_lastUpdated&_count=1",
    "Observation?_sort=patient.name",
    "Observation?_id=o0,o1,o0-hid",
    "Observation?_lastUpdated=gt2026-11-28",
    "Observation?patient=p1",
    "Observation?patient=Patient/p2&_summary=count",
    "Observation?patient=q1",
    "Observation?subject:Patient=p1",
    "Observation?focus=Patient/p1",
    "Observation?performer=Practitioner/dr",
    "Observation?performer=Patient/p2",
    "Observation?code=4548-4",
    "Observation?code:not=4548-4",
    "Observation?category=laboratory&status=final",
    "Observation?category:missing=false",
    "Observation?value-quantity=gt3",
    "Observation?date=ge2026-03-01",
    "Observation?has-member=Observation/o1",
    "Observation?has-member.code=718-7",
    "Observation?has-member:missing=false",
    "Observation?patient.given=Ada",
    "Observation?patient.given:exact=Zoe",
    "Observation?subject:Patient.given=Bob",
    "Observation?performer:Practitioner.family=Young",
    "Observation?patient._has:Condition:subject:code=718-7",
    "Observation?_include=Observation:performer",
    "Observation?_include=Observation:subject&_revinclude=Provenance:target",
    "Observation?_include=Observation:has-member",
    "Observation?_include:iterate=Observation:has-member",
    "Observation?_include=*",
    "Observation?_elements=code&_include=Observation:subject",
    "Observation?_count=1&_include=*&_revinclude=Provenance:target",
    "Patient",
    "Patient?_total=accurate",
    "Patient?given=Ada",
    "Patient?_has:Observation:patient:code=4548-4",
    "Patient?_has:Observation:subject:value-quantity=gt3",
    "Patient?_has:Condition:patient:code=718-7",
    "Patient?_has:Group:member:_id=g",
    "Patient?_has:Observation:subject:_has:Provenance:target:_id=v0",
    "Patient?_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
    "Patient?_revinclude=Observation:focus",
    "Patient?_sort=given&_count=1",
    "Patient/p1/Observation",
    "Patient/p2/Observation?code=4548-4&_summary=count",
    "Patient/q1/Condition",
    "Condition?code=718-7",
    "Condition?subject=Patient/p1",
    "DiagnosticReport?_include=DiagnosticReport:result",
    "DiagnosticReport?result=Observation/o1",
    "DiagnosticReport?result.code=4548-4",
    "Provenance?target=Observation/o0",
    "Provenance?target=Observation/o0-hid",
    "Provenance?_include=Provenance:target",
    "Provenance?target:Observation.code=4548-4",
    "Device",
    "Encounter?_revinclude=Observation:encounter",
    "Group?member=Patient/p1",
    "Group?member=Patient/q1",
    "Group?_include=Group:member",
    "Practitioner?family=young",
    "Practitioner?_revinclude=Observation:performer",
    "Practitioner?_has:Observation:performer:code=4548-4",
    "Consent",
    "Patient/p1/$everything",
    "Patient/p2/$everything?_count=2",
    "Patient/q1/$everything",
    "Patient/p1/$everything?_type=Observation,Condition",
    "Patient/p2/$everything?_since=2026-11-28T00:00:00Z",
    "Observation?unknown=1",
    "Observation?date=nonsense",
]
BATCH = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [{"request": {"method": "GET", "url": url}} for url in QUESTIONS[::6]],
}
LAW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LAW
@given(items(), callers())
def test_a_view_is_the_same_without_what_its_caller_may_not_see(some: list[Item], caller: Caller):
    left = without_the_hidden(caller, some)
    whole, bare = world(some), world(left)
    for ward in (whole, bare):
        ward.clock = NOW
    assert told_by(caller, whole, some) == told_by(caller, bare, some)


def told_by(caller: Caller, ward: Ward, some: list[Item]) -> list[Any]:
    """Tell all that a view tells."""

    def view() -> View:
        return View(caller, ward, compile_grants(caller, matches), CONSENTS, NOW)

    told: list[Any] = [[*view().twins()], [*view().twins("p1")]]
    for twin in ("", *TWINS, "nobody"):
        one = view()
        told.append((twin, one.types(twin)))
        for type_ in sorted(TYPES):
            told += [shown_of(one.resources(twin, type_, action)) for action in get_args(Action)]
            told.append(one.gone(twin, type_))
    for _, resource in (*some, ("", {"resourceType": "Observation", "id": "never"})):
        type_, id_ = resource["resourceType"], resource["id"]
        for version in (None, 1, 2, 3):
            told.append(
                answer_of(lambda type_=type_, id_=id_, version=version: shown_of([view().get(type_, id_, version)]))
            )
        told.append(answer_of(lambda type_=type_, id_=id_: shown_of(view().versions(type_, id_))))
    return told


def shown_of(some: Any) -> list[Any]:
    return [
        (each.reference, each.version, each.updated, each.raw) if isinstance(each, Shown) else each for each in some
    ]


def answer_of(ask: Any) -> Any:
    try:
        return ask()
    except Refusal as refusal:
        return refusal.status, refusal.outcome(), refusal.headers


@LAW
@given(items(), callers(), st.lists(st.sampled_from(QUESTIONS), min_size=5, max_size=12, unique=True))
def test_no_answer_tells_of_what_its_caller_may_not_see(home: Home, some: list[Item], caller: Caller, urls: list[str]):  # noqa: F811
    whole, bare = Asker(caller, world(some), home), Asker(caller, world(without_the_hidden(caller, some)), home)
    for url in urls:
        assert whole.ask(url) == bare.ask(url), url


@settings(LAW, max_examples=25)
@given(items(), callers())
def test_no_batch_tells_of_what_its_caller_may_not_see(home: Home, some: list[Item], caller: Caller):  # noqa: F811
    whole, bare = Asker(caller, world(some), home), Asker(caller, world(without_the_hidden(caller, some)), home)
    assert whole.ask("/", BATCH) == bare.ask("/", BATCH)
