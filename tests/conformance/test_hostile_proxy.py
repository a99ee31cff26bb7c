"""The proxy that loses things: what the client sees, what the server did, and that the counts say so."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from conformance.hostile import Ehr, EhrSettings, Weather, proxied, serve
from security.errors import BadSettings

CALM = {"refused": 0.0, "swallowed": 0.0, "reset": 0.0, "storm": 0.0}


def person(number):
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female"}


@pytest.fixture
def ehr():
    made = Ehr(EhrSettings(require_auth=False, judges_writes=False))
    with serve([made]):
        yield made


def create(http, base):
    """Create one Patient: the status, or the name of what happened."""
    try:
        return http.post(f"{base}/Patient", json={"resourceType": "Patient"}).status_code
    except httpx.HTTPError as error:
        return type(error).__name__


def test_in_calm_weather_everything_goes_through_unchanged(ehr):
    ehr.load(*map(person, range(5)))
    with proxied(ehr.base_url, Weather(**CALM), seed=1) as proxy, httpx.Client(trust_env=False) as http:
        direct, through = (http.get(f"{base}/Patient?_count=3") for base in (ehr.base_url, proxy.base_url))
        assert [e["resource"]["id"] for e in through.json()["entry"]] == ["p0", "p1", "p2"]
        assert through.headers["content-type"] == direct.headers["content-type"]
        assert create(http, proxy.base_url) == 201
        assert http.delete(f"{proxy.base_url}/Patient/p1").status_code == 204
        assert http.get(f"{proxy.base_url}/Patient/p1").status_code == 410
        assert proxy.counts == {"passed": 4}


@pytest.mark.parametrize(
    ("weather", "seen", "done"),
    [
        ({"refused": 1.0}, 503, 0),
        ({"swallowed": 1.0, "hold_s": 0.05}, "RemoteProtocolError", 1),
        ({"storm": 1.0}, 429, 0),
    ],
)
def test_each_fault_is_what_the_client_sees_and_what_the_server_does(ehr, weather, seen, done):
    with proxied(ehr.base_url, Weather(**{**CALM, **weather}), seed=1) as proxy, httpx.Client(trust_env=False) as http:
        assert create(http, proxy.base_url) == seen
        assert len(ehr.store.live("Patient")) == done
        proxy.is_calm = True
        assert create(http, proxy.base_url) == 201


def test_a_storm_says_when_to_come_back(ehr):
    weather = Weather(**{**CALM, "storm": 1.0, "storm_s": 0.2})
    with proxied(ehr.base_url, weather, seed=1) as proxy, httpx.Client(trust_env=False) as http:
        answer = http.get(f"{proxy.base_url}/Patient")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_client_that_waits_too_long_sees_a_timeout_and_the_server_has_done_it(ehr):
    weather = Weather(**{**CALM, "swallowed": 1.0, "hold_s": 30.0})
    with proxied(ehr.base_url, weather, seed=1) as proxy, httpx.Client(timeout=1.0, trust_env=False) as http:
        assert create(http, proxy.base_url) == "ReadTimeout"
        assert len(ehr.store.live("Patient")) == 1


def test_half_of_the_resets_are_after_the_server_did_it_and_a_seed_says_which(ehr):
    fates = []
    for seed in (3, 3, 4):
        before = len(ehr.store.live("Patient"))
        weather = Weather(**{**CALM, "reset": 1.0})
        with proxied(ehr.base_url, weather, seed=seed) as proxy, httpx.Client(trust_env=False) as http:
            assert {create(http, proxy.base_url) for _ in range(40)} <= {"ReadError", "RemoteProtocolError"}
            done = len(ehr.store.live("Patient")) - before
            assert proxy.counts == {"reset-after": done, "reset-before": 40 - done}
            fates.append(done)
    assert fates[0] == fates[1]
    assert 5 < fates[0] < 35


def test_the_shares_are_kept_over_many_requests(ehr):
    weather = Weather(refused=0.2, swallowed=0.1, reset=0.1, storm=0.0, hold_s=0.0)
    with proxied(ehr.base_url, weather, seed=11) as proxy, httpx.Client(trust_env=False) as http:
        seen = Counter(create(http, proxy.base_url) for _ in range(400))
        assert seen[201] == proxy.counts["passed"]
        assert seen[503] == proxy.counts["refused"]
        assert len(ehr.store.live("Patient")) == sum(
            proxy.counts[fate] for fate in ("passed", "swallowed", "reset-after")
        )
        assert 50 < proxy.counts["refused"] < 110
        assert sum(proxy.counts.values()) == 400


def test_weather_that_cannot_be_is_refused():
    with pytest.raises(BadSettings):
        Weather(refused=0.9, swallowed=0.2)
    with pytest.raises(BadSettings), proxied("ftp://nowhere.invalid", seed=1):
        pass
