"""What an EHR returns beside what was sent: whatever did not survive is named, and what a server may do is no loss."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappers.outbound import Form, render, to_json
from mappers.outbound.returned import Loss, losses
from mappers.versions import FhirVersion
from tests.hapi.samples import falling, heart, kidney, prevent, valve, warning

VERSIONS: Final[tuple[FhirVersion, ...]] = get_args(FhirVersion)
Path = tuple[str | int, ...]
NAMED_ANEW: Final = {"device": {"reference": "#1"}}


def _all_written() -> list[dict[str, Any]]:
    found = []
    for version in VERSIONS:
        frame: dict[str, Any] = {"patient": "Patient/7", "sender": "fhirtwin 0.1.0"}
        bundles = [render(sample(), version, **frame) for sample in (kidney, prevent, heart, valve)]
        bundles += [render(falling(), version, **frame, attention=warning(), form=form) for form in get_args(Form)]
        bundles.append(render(heart(), version, **frame, takes={"DocumentReference"}, revises=("DocumentReference/9",)))
        bundles.append(render(heart(), version, **frame, takes={"Observation"}))
        text = b"[" + b",".join(to_json(bundle) for bundle in bundles) + b"]"
        found += [e["resource"] for bundle in json.loads(text, parse_float=Decimal) for e in bundle["entry"]]
    return found


WRITTEN: Final = _all_written()
resources = st.sampled_from(WRITTEN).map(copy.deepcopy)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Each place in a resource that holds something."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*at, name)
        yield from paths(part, (*at, name))


def holder(resource: dict[str, Any], path: Path) -> Any:
    for name in path[:-1]:
        resource = resource[name]  # type: ignore[index]
    return resource


def told(path: Path) -> str:
    return ".".join(name for name in path if isinstance(name, str))


def narrative(inner: str, status: str = "generated") -> dict[str, Any]:
    return {"text": {"status": status, "div": f"<div>{inner}</div>"}}


def observation(**changes: Any) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "resourceType": "Observation",
        "meta": {"security": [{"code": "AIAST"}], "tag": [{"code": "a"}, {"code": "b"}]},
        "text": {"status": "generated", "div": "<div><p>Simulated, not measured: 5 &lt; 6.</p></div>"},
        "status": "preliminary",
        "subject": {"reference": "Patient/7"},
        "effectiveDateTime": "2024-02-29T08:30:00+01:00",
        "valueQuantity": {"value": Decimal("4.80"), "unit": "L/min"},
        "derivedFrom": [{"reference": "Observation/12/_history/3"}, {"reference": "Observation/13"}],
        "device": {"reference": "#model"},
        "contained": [{"resourceType": "Device", "id": "model", "meta": {"tag": [{"code": "a"}]}}],
    }
    return {name: value for name, value in (sent | changes).items() if value is not None}


@given(resources)
def test_what_came_back_as_it_was_has_no_loss(sent: dict[str, Any]) -> None:
    assert losses(sent, copy.deepcopy(sent)) == ()
    read_as_text = json.loads(to_json(sent), parse_float=str, parse_int=str)
    assert losses(sent, read_as_text) == ()


@given(resources, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_taken_out_is_named(sent: dict[str, Any], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([p for p in paths(sent) if not _is_free(p)]))
    returned = copy.deepcopy(sent)
    del holder(returned, path)[path[-1]]
    found = losses(sent, returned)
    assert found
    assert all(told(path).startswith(loss.path) or loss.path.startswith(told(path)) for loss in found), found


@given(resources, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_changed_is_named(sent: dict[str, Any], data: st.DataObject) -> None:
    leaves = [p for p in paths(sent) if isinstance(holder(sent, p)[p[-1]], str | Decimal | int)]
    path = data.draw(st.sampled_from([p for p in leaves if not _is_free(p)]))
    returned = copy.deepcopy(sent)
    holder(returned, path)[path[-1]] = "another thing"
    assert losses(sent, returned)


@given(resources, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_server_adds_is_no_loss(sent: dict[str, Any], data: st.DataObject) -> None:
    returned = copy.deepcopy(sent)
    returned |= {"id": "9", "extension": [{"url": "https://ehr.example/x", "valueCode": "y"}]}
    returned["meta"] |= {"versionId": "1", "lastUpdated": "2026-11-25T00:00:00.123Z", "source": "#abc"}
    for path in data.draw(st.lists(st.sampled_from(list(paths(sent))), max_size=5)):
        part = holder(returned, path)[path[-1]]
        if isinstance(part, dict):
            part["added"] = "by the server"
        elif isinstance(part, list):
            part.append({"added": "by the server"})
    assert losses(sent, returned) == ()


@given(resources, st.randoms(use_true_random=False))
def test_the_lists_of_meta_are_sets(sent: dict[str, Any], random: Any) -> None:
    returned = copy.deepcopy(sent)
    for part in returned["meta"].values():
        random.shuffle(part)
    assert losses(sent, returned) == ()


def _is_free(path: Path) -> bool:
    """Whether a server may do with it as it likes: its narrative's markup, and the name of what is contained."""
    return path[0] == "text" or (path[0] == "contained" and path[-1] == "id") or path[-1] == "reference"


@pytest.mark.parametrize(
    "changes",
    [
        {"effectiveDateTime": "2024-02-29T07:30:00Z"},
        {"effectiveDateTime": "2024-02-29T07:30:00.000+00:00"},
        {"subject": {"reference": "https://ehr.example/fhir/Patient/7"}},
        {"subject": {"reference": "Patient/7/_history/1", "display": "Anna"}},
        {
            "text": {
                "status": "extensions",
                "div": '<div lang="en">\n <b>Simulated, not  measured: 5 &#60; 6.</b></div>',
            }
        },
        {"text": {"status": "generated", "div": "<div><p>Note.</p><p>Simulated, not measured: 5 &lt; 6.</p></div>"}},
        {"valueQuantity": {"value": "4.80", "unit": "L/min"}},
        {
            "contained": [{"resourceType": "Device", "id": "1", "meta": {"tag": [{"code": "a"}]}}],
            "device": {"reference": "#1"},
        },
        {
            "meta": {
                "security": [{"code": "AIAST", "display": "AI"}],
                "tag": [{"code": "b"}, {"code": "c"}, {"code": "a"}],
            }
        },
    ],
)
def test_what_says_the_same_is_no_loss(changes: dict[str, Any]) -> None:
    assert losses(observation(), observation(**changes)) == ()


@pytest.mark.parametrize(
    ("changes", "path", "what"),
    [
        ({"valueQuantity": {"value": Decimal("4.8"), "unit": "L/min"}}, "valueQuantity.value", "digits"),
        ({"valueQuantity": {"value": "48e-1", "unit": "L/min"}}, "valueQuantity.value", "digits"),
        ({"valueQuantity": {"value": Decimal("4.81"), "unit": "L/min"}}, "valueQuantity.value", "changed"),
        ({"valueQuantity": {"value": Decimal("4.80")}}, "valueQuantity.unit", "gone"),
        ({"meta": {"tag": [{"code": "a"}, {"code": "b"}]}}, "meta.security", "gone"),
        ({"meta": {"security": [{"code": "AIAST"}], "tag": [{"code": "b"}]}}, "meta.tag", "gone"),
        (narrative("Cardiac output 4.8"), "text", "words"),
        ({"text": None}, "text", "gone"),
        ({"status": "final"}, "status", "changed"),
        ({"subject": {"reference": "Patient/8"}}, "subject.reference", "changed"),
        ({"subject": {"reference": "https://ehr.example/fhir/Patient/17"}}, "subject.reference", "changed"),
        ({"effectiveDateTime": "2024-02-29"}, "effectiveDateTime", "changed"),
        ({"effectiveDateTime": "2024-02-30T99:99:99Z"}, "effectiveDateTime", "changed"),
        ({"effectiveDateTime": ["2024-02-29"]}, "effectiveDateTime", "changed"),
        ({"derivedFrom": [{"reference": "Observation/12/_history/3"}]}, "derivedFrom", "gone"),
        ({"contained": None}, "contained", "gone"),
    ],
)
def test_a_loss_is_named_by_its_place_and_what_became_of_it(changes: dict[str, Any], path: str, what: Any) -> None:
    assert losses(observation(), observation(**changes)) == (Loss(path, what),)


def test_a_reference_without_its_version_is_told_apart_from_one_to_something_else() -> None:
    kept = [{"reference": "Observation/12"}, {"reference": "Observation/13"}]
    assert losses(observation(), observation(derivedFrom=kept)) == (
        Loss("derivedFrom.reference", "version of reference"),
    )
    swapped = [{"reference": "Observation/13"}, {"reference": "Observation/12/_history/3"}]
    assert losses(observation(), observation(derivedFrom=swapped)) == (Loss("derivedFrom", "order"),)
    elsewhere = {"reference": "https://lakeside.example/fhir/Observation/9"}
    assert losses({"device": elsewhere}, {"device": {"reference": "Observation/9"}}) == (
        Loss("device.reference", "changed"),
    )


def test_no_number_can_be_so_odd_that_the_comparison_fails() -> None:
    for odd in ("1e99999999999999999999999", "9" * 5000, "", "NaN"):
        assert losses({"value": Decimal("4.80")}, {"value": odd}) == (Loss("value", "changed"),)
