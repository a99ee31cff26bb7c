"""Answers to an export that the simulator does not give: what servers said, or may say, to a client of the guide."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.pull.bulk import BulkExport
from gateway.pull.connection import Connection
from gateway.pull.keys import SigningKey
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Certificate, Page
from gateway.pull.passwords import StaticBearer
from gateway.pull.profile import Profile
from gateway.pull.tokens import BackendServices
from gateway.pull.wire import Patience
from gateway.source_settings import SourceSettings
from security.errors import Unreachable

PATIENTS = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(3)]


def lines(*resources: dict[str, Any]) -> Response:
    return Response(b"".join(json.dumps(r).encode() + b"\n" for r in resources), media_type="application/fhir+ndjson")


class Server:
    """Answers what a test says: by path below the base; "begin" is the kick-off, of which the form may be looked at."""

    def __init__(self, ehr: Any) -> None:
        self.ehr = ehr
        ehr.resources = {"Patient": PATIENTS, "Immunization": []}
        self.files: dict[str, list[dict[str, Any]]] = {"1": PATIENTS}
        self.manifest: dict[str, Any] = {
            "transactionTime": "2026-11-24T10:00:00Z",
            "requiresAccessToken": True,
            "output": [{"type": "Patient", "url": f"{ehr.base}/files/1", "count": 3}],
            "error": [],
        }
        self.answers: dict[str, Any] = {}
        self.auth: Any = None
        ehr.hooks.append(self.answer)

    def answer(self, request: Request) -> Response | None:
        path = request.url.path.removeprefix("/fhir/")
        told = self.answers.get(path)
        if told is not None and not isinstance(told, Response):
            told = told(request)
        if told is not None:
            return told
        if path.endswith("$export"):
            return Response(status_code=202, headers={"Content-Location": f"{self.ehr.base}/status"})
        if path == "status":
            return JSONResponse(self.manifest)
        if path.startswith("files/"):
            return lines(*self.files[path[6:]])
        return None

    def pull(self, clock: Any, token: bool = True, since: Any = "", **settings: Any) -> tuple[list[Page], Certificate]:
        told = SourceSettings(url=self.ehr.base, way="bulk", **{"types": ("Patient",), "at_once": 1, **settings})

        async def run() -> tuple[list[Page], Certificate]:
            auth = self.auth or (StaticBearer("secret") if token else None)
            patience = Patience(tries=2)
            aliases = tuple(map(str, told.aliases))
            async with Connection(
                self.ehr.base, None, auth, patience=patience, clock=clock, sleep=clock.sleep, aliases=aliases
            ) as connection:
                capability = await fetch_capability(connection)
                source = BulkExport(
                    "north", connection, capability, Profile(), told, since=since, clock=clock, sleep=clock.sleep
                )
                pages = [page async for page in source.pages(None)]
                return pages, source.certificate()

        return asyncio.run(run())

    def asked(self, path: str) -> list[Request]:
        return [r for r in self.ehr.asked if r.url.path == f"/fhir/{path}"]


@pytest.fixture
def server(ehr) -> Server:
    return Server(ehr)


def came(pages: list[Page]) -> list[str]:
    return [json.loads(entry.raw)["id"] for page in pages for entry in page.entries if not entry.problem]


def test_a_manifest_that_comes_at_once_needs_no_status(server, clock):
    server.answers["Patient/$export"] = JSONResponse(server.manifest)
    pages, certificate = server.pull(clock)
    assert (came(pages), certificate.verdict) == (["p0", "p1", "p2"], "complete")
    assert server.asked("status") == []


@pytest.mark.parametrize("body", [{"resourceType": "Bundle", "type": "searchset"}, {}])
def test_an_answer_at_once_that_is_no_manifest_is_no_export(server, clock, body):
    server.answers["Patient/$export"] = JSONResponse(body)
    with pytest.raises(Exception, match="with no export") as raised:
        server.pull(clock)
    assert "--way crawl" in raised.value.hint


def test_prefer_asks_for_the_background_and_never_for_leniency(server, clock):
    """A lenient server would leave filters out without a word."""
    server.pull(clock)
    [begun] = server.asked("Patient/$export")
    assert begun.headers["prefer"] == "respond-async"
    assert begun.headers["accept"] == "application/fhir+json"
    assert server.asked("status")[0].headers["accept"].startswith("application/json")


def test_a_get_that_is_not_known_is_said_by_post(server, clock):
    """STU4 allows no GET; servers say 404, 405 or 501 to what they do not have."""

    def by_post(request: Request) -> Response | None:
        return None if request.method == "POST" else JSONResponse({}, 404)

    server.answers["Patient/$export"] = by_post
    _, certificate = server.pull(clock, types=("Patient", "Immunization"))
    assert certificate.verdict == "complete"
    body = json.loads(next(b for r, b in zip(server.ehr.asked, server.ehr.bodies, strict=True) if r.method == "POST"))
    assert body == {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueString": type_} for type_ in ("Patient", "Immunization")],
    }


def refusing(word: str, text: str) -> Any:
    def answer(request: Request) -> Response | None:
        issue = {"severity": "error", "code": "not-supported", "details": {"text": text}}
        said = request.url.query if request.method == "GET" else ""
        return (
            JSONResponse({"resourceType": "OperationOutcome", "issue": [issue]}, 400)
            if not said or word in said
            else None
        )

    return answer


def test_a_type_that_a_patient_has_and_that_is_not_exported_makes_it_incomplete(server, clock):
    server.answers["Patient/$export"] = refusing("Immunization", "Patient/$export has no Immunization.")
    pages, certificate = server.pull(clock, types=("Patient", "Immunization"))
    assert len(came(pages)) == 3
    assert {each.type: each.verdict for each in certificate.asked} == {
        "Patient": "complete",
        "Immunization": "incomplete",
    }
    assert {each.type: each.stopped for each in certificate.asked} == {"Patient": "", "Immunization": "refused"}


def test_a_filter_that_is_refused_is_left_out_with_a_remark(server, clock):
    server.answers["Patient/$export"] = refusing("_typeFilter", "Patient: the parameter _typeFilter is unknown.")
    _, certificate = server.pull(clock, types=("Patient", "Immunization"), filters=("Patient?gender=female",))
    assert "refused the filters" in certificate.note
    assert [each.what for each in certificate.asked] == ["Patient", "Immunization"]


def test_a_refusal_that_names_nothing_is_told(server, clock):
    server.answers["Patient/$export"] = refusing("", "No.")
    with pytest.raises(Exception, match=r"refused the export, status 400 \(error not-supported\)"):
        server.pull(clock)


def test_another_export_of_ours_is_waited_for(server, clock):
    left = [2]

    def busy(request: Request) -> Response | None:
        left[0] -= 1
        return Response(status_code=429, headers={"Retry-After": "90"}) if left[0] >= 0 else None

    server.answers["Patient/$export"] = busy
    pages, certificate = server.pull(clock)
    assert certificate.verdict == "complete"
    assert sum(clock.slept) >= 180
    assert [page.what for page in pages[:5]] == [
        "bulk export, asked for",
        "bulk export, not begun yet",
        "bulk export, asked for",
        "bulk export, not begun yet",
        "bulk export, asked for",
    ]
    assert "lost-job" not in certificate.asked[0].signs


def test_a_file_on_another_server_that_wants_our_token_is_left_there(server, stranger, clock):
    server.manifest["output"] = [{"type": "Patient", "url": f"{stranger.base}/files/1", "count": 3}]
    pages, certificate = server.pull(clock)
    assert stranger.asked == []
    assert (came(pages), certificate.asked[0].stopped) == ([], "foreign-file")


def test_a_file_on_another_server_comes_without_our_token(server, stranger, clock):
    server.manifest |= {"requiresAccessToken": False}
    server.manifest["output"] = [{"type": "Patient", "url": f"{stranger.base}/files/1?key=1", "count": 3}]
    stranger.hooks.append(lambda request: lines(*PATIENTS))
    pages, certificate = server.pull(clock)
    assert stranger.tokens() == [None]
    assert (came(pages), certificate.verdict) == (["p0", "p1", "p2"], "complete")
    assert not any("key=1" in page.query for page in pages)  # the address is the key to it


def test_a_server_that_knows_itself_by_another_name_is_asked_under_ours(server, clock):
    """Behind a proxy: the status, the files and what is beside the base, as `aliases` says."""
    inner = "https://inner.invalid:8443"
    server.answers["Patient/$export"] = Response(
        status_code=202, headers={"Content-Location": f"{inner}/base/fhir/status"}
    )
    server.manifest["output"] = [{"type": "Patient", "url": f"{inner}/fhir/files/1", "count": 3}]
    pages, certificate = server.pull(clock, aliases=(f"{inner}/base/fhir",))
    assert (came(pages), certificate.verdict) == (["p0", "p1", "p2"], "complete")
    assert set(server.ehr.tokens()) == {"Bearer secret"}


def test_a_status_on_another_server_gets_no_token_and_the_fault_says_what_to_do(server, stranger, clock):
    stranger.hooks.append(lambda request: JSONResponse({}, 401))
    server.answers["Patient/$export"] = Response(
        status_code=202, headers={"Content-Location": f"{stranger.base}/status"}
    )
    with pytest.raises(Unreachable, match="on another server") as raised:
        server.pull(clock)
    assert "aliases" in raised.value.hint
    assert set(stranger.tokens()) == {None}


@pytest.mark.parametrize("what", ["status", "file"])
def test_an_address_that_is_not_asked_is_told_with_what_to_do(server, clock, what):
    link = "http://mr-x@files.invalid/1"
    if what == "status":
        server.answers["Patient/$export"] = Response(status_code=202, headers={"Content-Location": link})
    else:
        server.manifest["output"][0]["url"] = link
    _, certificate = server.pull(clock)
    assert certificate.verdict == "incomplete"
    assert "The server told us a link with a user in it. Tell its operator." in certificate.note
    assert "mr-x" not in certificate.note


def test_a_file_of_ours_is_tried_without_a_token_where_none_is_wanted(server, clock):
    server.manifest |= {"requiresAccessToken": False}
    server.pull(clock)
    assert [r.headers.get("authorization") for r in server.asked("files/1")] == [None]


def test_a_part_of_a_type_that_our_token_allows_proves_no_list(server, clock):
    base = server.ehr.base
    server.answers[".well-known/smart-configuration"] = JSONResponse({"token_endpoint": f"{base}/token"})
    granted = {"access_token": "t", "token_type": "bearer", "expires_in": 300, "scope": "system/Patient.rs?_tag=x"}
    server.answers["token"] = JSONResponse(granted)
    server.auth = BackendServices(base, "us", SigningKey.new(), read=("Patient",), clock=clock, sleep=clock.sleep)
    _, certificate = server.pull(clock)
    assert (certificate.asked[0].signs, certificate.verdict) == (("narrowed-scope",), "unprovable")
    assert certificate.until == {}  # what is hidden now is older than what changes


def outcomes(*severities: str) -> list[dict[str, Any]]:
    return [
        {"resourceType": "OperationOutcome", "issue": [{"severity": s, "code": "processing", "diagnostics": "Mr X"}]}
        for s in severities
    ]


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        (("information",), "complete"),
        (("success",), "complete"),
        (("warning",), "incomplete"),
        (("information", "error"), "incomplete"),
        (("fatal",), "incomplete"),
    ],
)
@pytest.mark.parametrize("key", ["error", "outcome"])
def test_what_the_outcomes_say_is_counted_by_severity(server, clock, key, severities, verdict):
    server.files["2"] = outcomes(*severities)
    server.manifest[key] = [{"type": "OperationOutcome", "url": f"{server.ehr.base}/files/2"}]
    _, certificate = server.pull(clock)
    assert certificate.verdict == verdict
    assert f"{severities[0]} processing" in certificate.note
    assert "Mr X" not in certificate.note
    assert certificate.until == ({} if verdict == "incomplete" else {"Patient": "2026-11-24T10:00:00.000Z"})


def test_outcomes_that_cannot_be_had_may_tell_of_anything_unless_the_manifest_says_what_they_tell(server, clock):
    gone = {"url": f"{server.ehr.base}/files/2"}
    server.answers["files/2"] = JSONResponse({}, 404)
    server.manifest["outcome"] = [gone | {"countSeverity": [{"code": "information", "count": 1}]}]
    assert server.pull(clock)[1].verdict == "complete"
    server.manifest["outcome"] = [gone]
    assert server.pull(clock)[1].asked[0].signs == ("file-error",)


def deletion(*urls: str) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": url}} for url in urls],
    }


def test_deletions_are_read_however_they_are_written(server, clock):
    base = server.ehr.base
    server.files["2"] = [deletion("Patient/a", f"{base}/Observation/b"), deletion("Patient/c/_history/2")]
    server.manifest["deleted"] = [{"type": "Bundle", "url": f"{base}/files/2", "count": 2}]
    pages, certificate = server.pull(clock)
    assert [one.resource for page in pages for one in page.gone] == ["Patient/a", "Observation/b", "Patient/c"]
    assert certificate.asked[-1].verdict == "complete"


def test_a_deletion_that_cannot_be_read_keeps_the_next_pull_from_going_on(server, clock):
    server.files["2"] = [deletion("Patient?identifier=1"), {"resourceType": "Patient"}, deletion("Patient/a")]
    server.manifest["deleted"] = [{"type": "Bundle", "url": f"{server.ehr.base}/files/2", "count": 3}]
    pages, certificate = server.pull(clock)
    assert [one.resource for page in pages for one in page.gone] == ["Patient/a"]
    assert certificate.asked[-1].verdict == "incomplete"
    assert certificate.until == {}


def test_a_file_of_several_types_is_counted_by_type_and_proves_nothing(server, clock):
    server.files["1"] = [*PATIENTS, {"resourceType": "Observation", "id": "o"}]
    server.manifest["output"] = [{"url": f"{server.ehr.base}/files/1", "count": 4}]
    server.manifest["outputOrganizedBy"] = "Patient"
    _, certificate = server.pull(clock)
    assert {each.type: (each.said, each.came) for each in certificate.asked} == {
        "Patient": (None, 3),
        "Observation": (None, 1),
    }
    assert certificate.verdict == "unprovable"
    assert [each.listed for each in certificate.asked] == ["Patient", ""]


def test_what_is_no_name_of_a_type_is_shown_to_nobody(server, clock):
    server.manifest["output"] = [{"type": "Mr X", "url": f"{server.ehr.base}/files/1", "count": 2}]
    server.files["1"] = [PATIENTS[0], {"resourceType": "Mr X", "id": "1"}]
    pages, certificate = server.pull(clock)
    assert came(pages) == ["p0"]
    assert [entry.problem for page in pages for entry in page.entries] == ["", "not-fhir"]
    assert not [text for text in (*(p.what for p in pages), *(a.what for a in certificate.asked)) if "Mr X" in text]


def test_lines_without_an_id_are_told(server, clock):
    server.files["1"] = [{"resourceType": "Patient"}, *PATIENTS[:2]]
    _, certificate = server.pull(clock)
    assert certificate.asked[0].signs == ("without-id",)


def test_what_grows_too_much_when_it_is_unpacked_is_asked_for_unpacked(server, clock):
    """A server that sends all of it cannot make little large: what is too long for a line costs only that line."""
    long = b'{"resourceType":"Patient","id":"' + b"0" * (3 << 20) + b'"}\n'
    text = long + b"".join(json.dumps(each).encode() + b"\n" for each in PATIENTS)

    def file(request: Request) -> Response:
        if "gzip" in request.headers["accept-encoding"]:
            return Response(gzip.compress(text), headers={"Content-Encoding": "gzip"})
        return Response(text)

    server.answers["files/1"] = file
    server.manifest["output"][0]["count"] = 4
    pages, certificate = server.pull(clock, line_mb=1)
    assert came(pages) == ["p0", "p1", "p2"]
    assert [entry.problem for page in pages for entry in page.entries if entry.problem] == ["too-large"]
    assert (certificate.asked[0].said, certificate.asked[0].came, certificate.verdict) == (4, 3, "incomplete")


def test_an_empty_file_is_no_trouble(server, clock):
    server.files["1"] = []
    server.manifest["output"][0]["count"] = 0
    pages, certificate = server.pull(clock)
    assert (came(pages), certificate.asked[0].said) == ([], 0)


@pytest.mark.parametrize("link", ["status", "https://elsewhere.invalid/x y", "{base}/status?page=2"])
def test_pages_of_a_manifest_that_lead_in_a_circle_or_nowhere_are_not_followed_for_ever(server, clock, link):
    server.manifest["link"] = [{"relation": "next", "url": link.format(base=server.ehr.base)}]
    _, certificate = server.pull(clock)
    assert {each.stopped for each in certificate.asked} == {"no-manifest"}
    assert len(server.asked("status")) <= 3


def test_a_page_of_a_manifest_that_is_not_ready_is_waited_for(server, clock):
    more = {**server.manifest, "output": [{"type": "Patient", "url": f"{server.ehr.base}/files/1", "count": 3}]}
    answers = [Response(status_code=202, headers={"Retry-After": "40"}), JSONResponse(more)]
    server.answers["more"] = lambda request: answers.pop(0)
    server.manifest["output"] = []
    server.manifest["link"] = [{"relation": "next", "url": f"{server.ehr.base}/more"}]
    pages, certificate = server.pull(clock)
    assert (came(pages), certificate.verdict) == (["p0", "p1", "p2"], "complete")
    assert 40 in clock.slept


def test_an_export_of_changes_without_a_word_of_files_has_none(server, clock):
    """HAPI leaves `output` out where nothing changed."""
    del server.manifest["output"], server.manifest["error"]
    _, changes = server.pull(clock, since="2026-11-01T00:00:00Z")
    assert (changes.asked[0].verdict, changes.asked[0].stopped) == ("unprovable", "")
    _, whole = server.pull(clock)
    assert (whole.asked[0].verdict, whole.asked[0].stopped) == ("incomplete", "no-manifest")


def test_a_server_that_says_at_once_again_and_again_is_asked_once_a_second(server, clock):
    server.ehr.once("status", Response(status_code=202, headers={"Retry-After": "0"}), times=5)
    server.ehr.hooks.reverse()
    _, certificate = server.pull(clock)
    assert certificate.verdict == "complete"
    assert clock.slept == [1.0] * 5


def test_a_server_that_never_begins_is_left_after_an_hour(server, clock):
    server.answers["Patient/$export"] = Response(status_code=429, headers={"Retry-After": "0"})
    with pytest.raises(Unreachable, match="come back later"):
        server.pull(clock)
    assert 3600 <= sum(clock.slept) < 7200
    assert len(server.asked("Patient/$export")) < 200


@pytest.mark.parametrize("path", ["status", "more"])
def test_a_server_that_wants_to_be_left_alone_for_years_is_not_waited_for(server, clock, path):
    server.manifest["link"] = [{"relation": "next", "url": f"{server.ehr.base}/more"}]
    server.answers[path] = Response(status_code=202, headers={"Retry-After": "999999999"})
    _, certificate = server.pull(clock)
    assert certificate.verdict == "incomplete"
    assert sum(clock.slept) < 60


def test_a_page_of_a_manifest_that_never_comes_is_given_up(server, clock):
    server.manifest["link"] = [{"relation": "next", "url": f"{server.ehr.base}/more"}]
    server.answers["more"] = Response(status_code=202, headers={"Retry-After": "86400"})
    _, certificate = server.pull(clock)
    assert {each.stopped for each in certificate.asked} == {"no-manifest"}
    assert 29 * 86_400 < sum(clock.slept) <= 30 * 86_400


# ---- where the next pull begins --------------------------------------------------------------------------------------

BEFORE = {"Patient": "2026-11-01T00:00:00.000Z", "Immunization": "2026-11-02T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("date", "begins"),
    [("Tue, 24 Nov 2026 09:00:00 GMT", "2026-11-24T09:00:00.000Z"), ("", "2026-11-24T12:00:00.000Z")],
)
def test_the_next_pull_begins_no_later_than_this_export_did(server, clock, date, begins):
    """A server that stamps its manifest when the export ends would lose what was written meanwhile."""
    server.manifest["transactionTime"] = "2199-01-01T00:00:00Z"
    headers = {"Content-Location": f"{server.ehr.base}/status", **({"Date": date} if date else {})}
    server.answers["Patient/$export"] = Response(status_code=202, headers=headers)
    _, certificate = server.pull(clock)
    assert certificate.until == {"Patient": begins}


def test_a_type_that_came_along_is_asked_for_whole_when_it_is_wanted(server, clock):
    server.files["2"] = [{"resourceType": "Immunization", "id": "i"}]
    server.manifest["output"].append({"type": "Immunization", "url": f"{server.ehr.base}/files/2", "count": 1})
    _, certificate = server.pull(clock)
    assert {each.what for each in certificate.asked} == {"Patient", "Immunization, that came along"}
    assert list(certificate.until) == ["Patient"]


def test_what_is_about_no_patient_is_asked_for_whole_by_another_way_after_an_export_of_patients(server, clock):
    _, certificate = server.pull(clock, types=("Patient", "Device"))
    assert "Patient" in certificate.until
    assert "Device" not in certificate.until
    server.pull(clock, types=("Patient", "Device"), since=certificate.until)
    assert "_since" in server.asked("Patient/$export")[-1].query_params


@pytest.mark.parametrize("lacking", ["count", "file", "outcome", "deletion", "output"])
def test_changes_that_lack_something_are_asked_for_again(server, clock, lacking):
    types = ("Patient", "Immunization")
    _, certificate = server.pull(clock, types=types, since=BEFORE)
    assert {*certificate.until.values()} == {"2026-11-24T10:00:00.000Z"}
    match lacking:
        case "count":
            server.manifest["output"][0]["count"] = 4
        case "file":
            server.answers["files/1"] = Response(status_code=404)
        case "outcome":
            server.files["2"] = outcomes("error")
            server.manifest["error"] = [{"type": "OperationOutcome", "url": f"{server.ehr.base}/files/2"}]
        case "deletion":
            server.files["2"] = [{"resourceType": "Bundle", "type": "transaction", "entry": [{}]}]
            server.manifest["deleted"] = [{"type": "Bundle", "url": f"{server.ehr.base}/files/2"}]
        case "output":
            del server.manifest["output"]
    _, certificate = server.pull(clock, types=types, since=BEFORE)
    assert certificate.until == dict.fromkeys(types, BEFORE["Patient"])


def test_nothing_that_a_server_writes_into_progress_is_shown_but_numbers(server, clock):
    told: list[str] = []
    answers = [
        Response(status_code=202, headers={"X-Progress": said, "Retry-After": "1"})
        for said in ("exporting Mr X 17%", "3 of 12 files", "in-progress", "\x1b[31m done 5/9")
    ]
    server.answers["status"] = lambda request: answers.pop(0) if answers else None
    clock_tell(server, clock, told)
    assert [text.partition("(")[2] for text in told] == [
        "17 %, asking again in 1 s)",
        "3 of 12, asking again in 1 s)",
        "asking again in 1 s)",
        "5 of 9, asking again in 1 s)",
    ]


def clock_tell(server: Server, clock: Any, told: list[str]) -> None:
    async def run() -> None:
        async with Connection(server.ehr.base, clock=clock, sleep=clock.sleep) as connection:
            settings = SourceSettings(url=server.ehr.base, way="bulk", types=("Patient",))
            capability = await fetch_capability(connection)
            source = BulkExport("north", connection, capability, Profile(), settings, clock=clock, sleep=clock.sleep)
            source.waiting.tell = told.append
            _ = [page async for page in source.pages(None)]

    asyncio.run(run())
