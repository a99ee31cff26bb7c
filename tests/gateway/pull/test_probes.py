"""What is learned of a server by asking it, against the simulator in all versions and with its faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from conformance.hostile import Ehr, EhrSettings, Misbehaviour
from gateway.profiles import keep, kept, profile_of
from gateway.pull.connection import Connection
from gateway.pull.controls import ask_nonsense
from gateway.pull.habits import load_habits
from gateway.pull.known import what_is_known
from gateway.pull.metadata import fetch_capability
from gateway.pull.passwords import StaticBearer
from gateway.pull.probes import HOLDS, learn
from gateway.pull.wire import Patience
from gateway.source_settings import SourceSettings
from security.errors import Denied, NotFhir, Refused, UnknownName
from tests.conformance.desk import PATIENTS, observation, sockets

VERSIONS = ("dstu2", "stu3", "r4", "r4b", "r5")
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
VENDORS = load_habits()


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


@pytest.fixture
def put(socket):
    """Put an EHR there, with faults thrown."""

    def made(*faults: str, rows=True, **settings) -> Ehr:
        ehr = Ehr(EhrSettings(**{"require_auth": False, **settings}), clock=lambda: NOW)
        if rows:
            ehr.load(*PATIENTS, *(observation(n) for n in range(5)))
        ehr.misbehaviours.add(*(Misbehaviour(name) for name in faults))
        socket.insert(ehr)
        return ehr

    return made


def look(ehr, *, version=None, now=NOW, **options):
    """Fetch the statement and learn; the statement's own request does not count."""

    async def looking():
        async with Connection(ehr.base_url, version, patience=Patience(tries=1), clock=lambda: now) as connection:
            capability = await fetch_capability(connection)
            ehr.seen.clear()
            return await learn(connection, capability, vendors=VENDORS, clock=lambda: now, **options)

    return asyncio.run(looking())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_honest_server_is_known_after_a_few_questions(put, version):
    ehr = put(fhir_version=version)
    profile = look(ehr)
    assert (profile.last_updated, profile.counts, profile.post_search, profile.totals) == ("yes", "yes", "yes", "told")
    assert profile.unknown_parameters == "refused"
    assert profile.because["last_updated"] == "probe"
    assert profile.bulk.offered == "yes"
    assert set(profile.bulk.levels) == {"system", "patient", "group"}
    assert (profile.slices, profile.per_patient, profile.created, profile.largest_page) == ({}, (), {}, 0)
    assert profile.learned
    assert len(ehr.seen) <= 9
    assert not any("export" in seen.path for seen in ehr.seen)


SEEN = {
    "ignored-parameter": {"unknown_parameters": "dropped", "strict": "no"},
    "ignored-last-updated": {"last_updated": "no"},
    "last-updated-refused": {"last_updated": "no"},
    "count-alone-refused": {"counts": "no"},
    "count-capped": {"largest_page": 0},
    "no-total": {"totals": "absent"},
    "post-only-search": {"post_search": "yes", "longest_url": 0, "unknown_parameters": "refused"},
    "category-required": {"per_patient": ()},
    "patient-required": {"per_patient": ("Observation",), "slices": {}},
    "patients-not-listed": {"last_updated": "yes"},
    "statement-hides-a-type": {"also_searched": ("Observation",)},
    "statement-hides-parameters": {"last_updated": "yes"},
    "statement-promises-too-much": {"last_updated": "yes"},
    "no-self-link": {"last_updated": "yes"},
}


OLD = ("ignored-last-updated", "post-only-search", "statement-hides-a-type")


@pytest.mark.parametrize(("fault", "version"), [*((name, "r4") for name in SEEN), *((name, "dstu2") for name in OLD)])
def test_what_a_server_does_wins_over_what_it_says(put, fault, version):
    profile = look(put(fault, fhir_version=version))
    assert {name: getattr(profile, name) for name in SEEN[fault]} == SEEN[fault]
    assert all(profile.because[name] == "probe" for name in SEEN[fault] if name in profile.because)


def test_a_server_that_refuses_strictly_is_told_from_one_that_never_refuses(put):
    profile = look(put(unknown_parameters="ignore", honours_prefer=True))
    assert (profile.unknown_parameters, profile.strict) == ("dropped", "yes")
    profile = look(put(unknown_parameters="ignore", honours_prefer=False))
    assert (profile.unknown_parameters, profile.strict) == ("dropped", "no")


def test_without_last_updated_the_dates_of_creation_are_those_of_the_version(put):
    assert look(put("last-updated-refused", fhir_version="dstu2")).created["MedicationOrder"] == "datewritten"
    created = look(put("last-updated-refused", fhir_version="r4")).created
    assert (created["MedicationRequest"], created["Condition"]) == ("authoredon", "recorded-date")
    assert "issued" not in created.values()  # this server lists no such parameter


def test_a_category_that_is_needed_is_asked_for_in_each_that_fhir_has_and_nobody_says_that_it_is_all(put):
    slices = look(put("category-required")).slices["Observation"]
    assert len(slices) == 9
    assert not any(each.whole for each in slices)


def test_a_page_that_is_too_large_is_found_without_a_row(put):
    ehr = put()
    ehr.misbehaviours.add(Misbehaviour("count-refused", value="60"))
    assert look(ehr).largest_page == 50
    assert look(ehr, page_size=60).largest_page == 0


def test_an_empty_server_is_believed_by_its_self_links(put):
    assert look(put(rows=False)).last_updated == "yes"
    assert look(put("ignored-last-updated", rows=False)).last_updated == "unknown"


def test_an_id_goes_into_a_body_where_the_server_takes_one(put):
    ehr = put("patient-required")
    look(ehr)
    asked = [seen for seen in ehr.seen if "p1" in seen.path + seen.query]
    assert [seen.path.removeprefix("/fhir/") for seen in asked] in ([], ["Patient/p1/$everything"])


def test_the_servers_clock_is_compared_with_ours(put):
    ehr = put("skewed-clock")
    ahead = look(ehr).skew_s
    assert abs(ahead) > 60
    assert look(put()).skew_s == 0


@pytest.mark.parametrize("fault", ["server-error", "throttled", "login-page", "cut-body", "never-answers"])
def test_what_could_not_be_learned_is_unknown_and_is_not_believed_next_time(put, fault):
    ehr = put()
    ehr.misbehaviours.add(Misbehaviour(fault, value="600" if fault == "throttled" else ""))
    profile = asyncio.run(_hasty(ehr))
    assert (profile.last_updated, profile.unknown_parameters, profile.counts) == ("unknown", "unknown", "unknown")
    assert profile.learned == ""
    ehr.misbehaviours.clear()
    assert look(ehr, kept=profile).last_updated == "yes"


async def _hasty(ehr):
    patience = Patience(tries=1, read=0.1, total=0.2)
    async with Connection(ehr.base_url, patience=patience, clock=lambda: NOW) as connection:
        return await learn(connection, await fetch_capability(connection), vendors=VENDORS, clock=lambda: NOW)


def test_one_question_that_fails_costs_no_other(put):
    ehr = put()
    ehr.misbehaviours.add(Misbehaviour("server-error", after=2, times=1))
    profile = look(ehr)
    assert profile.learned == ""
    assert [profile.last_updated, profile.counts, profile.post_search].count("yes") == 2


def test_a_token_for_one_type_teaches_what_it_can(put):
    ehr = put(require_auth=True)
    auth = StaticBearer(ehr.smart.issue("twin", "system/Observation.rs"))

    async def looking():
        async with Connection(ehr.base_url, auth=auth, patience=Patience(tries=1)) as connection:
            return await learn(connection, await fetch_capability(connection), vendors=VENDORS, clock=lambda: NOW)

    profile = asyncio.run(looking())
    assert profile.last_updated == "yes"
    assert profile.not_searched == ()


# What is kept


def test_what_was_learned_holds_for_a_month_and_nothing_is_asked(put, tmp_path):
    ehr = put()
    keep(tmp_path, "ward", look(ehr))
    again = kept(tmp_path, "ward")
    assert again is not None
    assert look(ehr, kept=again, now=NOW + HOLDS - timedelta(seconds=1)) == again
    assert ehr.seen == []
    for options in ({"now": NOW + HOLDS}, {"now": NOW - timedelta(days=1)}, {"fresh": True}, {"vendor": "hapi"}):
        look(ehr, kept=again, **options)
        assert ehr.seen, options


def test_a_source_is_learned_once_and_then_known_by_its_file(put, tmp_path):
    ehr = put()

    async def known(settings, **options):
        async with Connection(ehr.base_url, clock=lambda: NOW) as connection:
            capability = await fetch_capability(connection)
            ehr.seen.clear()
            return await profile_of(connection, capability, tmp_path, "ward", settings, **options)

    settings = SourceSettings(url=ehr.base_url)
    first = asyncio.run(known(settings))
    assert ehr.seen
    assert asyncio.run(known(settings)) == first == kept(tmp_path, "ward")
    assert ehr.seen == []
    assert asyncio.run(known(SourceSettings(url=ehr.base_url, vendor="hapi"))).vendor == "hapi"
    with pytest.raises(UnknownName):
        asyncio.run(known(SourceSettings(url=ehr.base_url, vendor="hapy")))


def test_another_statement_is_another_server(put):
    before = look(put(name="a"))
    after = put(name="b")
    look(after, kept=before)
    assert after.seen


def test_a_kept_file_can_be_read_by_a_person_and_names_no_patient(put, tmp_path):
    keep(tmp_path, "ward", look(put("patient-required")))
    file = tmp_path / "profiles" / "ward.json"
    assert '"last_updated": "yes"' in file.read_text("utf-8")
    assert "p1" not in file.read_text("utf-8")
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"last_updated": "perhaps"}', b"\xff"])
def test_a_kept_file_that_cannot_be_read_is_as_none(tmp_path, content):
    assert kept(tmp_path, "ward") is None
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "ward.json").write_bytes(content)
    assert kept(tmp_path, "ward") is None


# Vendors


def test_what_is_seen_wins_over_a_habit_and_what_is_not_asked_stays(put):
    profile = look(put(), vendor="microsoft")
    assert (profile.unknown_parameters, profile.because["unknown_parameters"]) == ("refused", "probe")
    assert (profile.largest_page, profile.because["largest_page"]) == (1000, "habit: microsoft")
    assert profile.because["vendor"] == "told"


def test_a_type_that_needs_a_patient_is_not_asked_without_one(put):
    ehr = put(name="Epic")
    profile = look(ehr, vendor="epic")
    assert ehr.seen == []
    assert (profile.last_updated, profile.because["last_updated"]) == ("no", "habit: epic")
    assert profile.created


def test_a_type_in_slices_is_asked_in_one_of_them(put):
    ehr = put(required={"Observation": ("category",)})
    vendors = {"epic": VENDORS["epic"].model_copy(update={"habits": VENDORS["epic"].habits[1:2]})}
    profile = asyncio.run(_sliced(ehr, vendors))
    assert all("category=laboratory" in seen.query or "_search" in seen.path for seen in ehr.seen[1:])
    assert profile.unknown_parameters == "refused"


async def _sliced(ehr, vendors):
    async with Connection(ehr.base_url, clock=lambda: NOW) as connection:
        capability = await fetch_capability(connection)
        return await learn(
            connection, capability, types=("Observation",), vendor="epic", vendors=vendors, clock=lambda: NOW
        )


# The control alone


@pytest.mark.parametrize(
    ("fault", "settings", "control"),
    [
        ("", {}, "refused"),
        ("", {"unknown_parameters": "ignore"}, "dropped"),
        ("ignored-parameter", {}, "dropped"),
        ("wrong-self-link", {"unknown_parameters": "ignore"}, "repeated"),
        ("no-self-link", {"unknown_parameters": "ignore"}, "unknown"),
        ("login-page", {}, "unknown"),
        ("server-error", {}, "unknown"),
    ],
)
def test_the_control_says_what_filters_are_worth(put, fault, settings, control):
    ehr = put(*filter(None, [fault]), **settings)

    async def asking():
        async with Connection(ehr.base_url, patience=Patience(tries=1)) as connection:
            return await ask_nonsense(connection, "Patient")

    assert asyncio.run(asking()) == control


def test_a_control_where_the_type_needs_more_is_asked_with_it(put):
    ehr = put(unknown_parameters="ignore", required={"Observation": ("category",)})

    async def asking(params, *, by_post=False):
        async with Connection(ehr.base_url, patience=Patience(tries=1)) as connection:
            return await ask_nonsense(connection, "Observation", params, by_post=by_post)

    assert asyncio.run(asking(())) == "refused"
    assert asyncio.run(asking((("category", "laboratory"),))) == "dropped"
    assert asyncio.run(asking((("category", "laboratory"),), by_post=True)) == "dropped"


# Without a statement


SILENT = ("no-statement", "statement-page", "statement-as-xml", "statement-wants-a-token")


@pytest.mark.parametrize(
    ("fault", "version"), [*((name, "r4") for name in SILENT), *(("no-statement", name) for name in VERSIONS)]
)
def test_a_server_without_a_statement_is_asked_for_what_we_understand_where_its_version_is_told(put, fault, version):
    ehr = put(fault, fhir_version=version)

    async def fetching(told):
        async with Connection(ehr.base_url, told, patience=Patience(tries=1)) as connection:
            return await fetch_capability(connection)

    capability = asyncio.run(fetching(version))
    assert (capability.fhir_version, capability.is_told, capability.types) == (version, False, {})
    with pytest.raises((NotFhir, Refused, Denied)) as raised:
        asyncio.run(fetching(None))
    assert raised.value.hint
    assert look(ehr, version=version).last_updated == "yes"


def test_a_statement_of_another_version_is_no_missing_statement(put):
    with pytest.raises(NotFhir, match=r"3\.5\.0"):
        look(put("statement-of-another-version"), version="r4")


# In words


def test_what_is_known_is_told_with_its_reason_and_what_follows(put):
    told = {each.what: each for each in what_is_known(look(put("last-updated-refused"), vendor="epic"))}
    assert told["last_updated"].because == "habit: epic"
    assert "dates of creation" in told["last_updated"].means
    assert told["per_patient"].value == "all clinical types"
    assert "Others may exist" in told["slices.Observation"].means
    assert told["bulk.levels"].means == "It needs group."
    assert told["vendor"].because == "told"


def test_what_nobody_knows_is_not_told(put):
    told = {each.what for each in what_is_known(look(put(rows=False)))}
    assert "everything" not in told
    assert "slices.Observation" not in told
