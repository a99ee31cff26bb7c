"""The interval of an answer: in the terminal and in what is written back, in the digits of its value."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from conformance.cohort import VERSIONS, build, to_json
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli.simulate import show_run
from gateway.deliver import propose, send
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from gateway.wording import output_interval, output_value
from twin_engine import Output, Run, example_profile, model, simulate

KIDNEY = model("kidney")
SOURCE = next(name for name, version in VERSIONS.items() if version == "r4")


def widened(run: Run) -> Run:
    """The same run as an ensemble would tell it: the eGFR 3.04 below and 4 above, risks by a half, the last exact."""

    def wide(output: Output) -> Output:
        below, above = (3.04, 4.0) if output.kind == "observation" else (output.value / 2, output.value / 2)
        return msgspec.structs.replace(output, low=output.value - below, high=output.value + above)

    return msgspec.structs.replace(run, outputs=(*map(wide, run.outputs[:-1]), run.outputs[-1]))


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[tuple[Home, str, Run]]:
    """A twin of an EHR, and a kept run of the kidney model whose results have intervals."""
    ehr = Ehr(EhrSettings(name=SOURCE, fhir_version=VERSIONS[SOURCE], require_auth=False, page_size=200))
    ehr.load(*(to_json(bundle) for bundle in build(3).bundles(SOURCE)))
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.{SOURCE}]\nurl = "{base}"\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            await pulled(home)
            for twin in home.store.twins():
                record = open_twin(home, twin.id)
                run, _ = run_model(home, record, "kidney")
                if isinstance(run, Run) and len(run.outputs) > 1:
                    run = widened(run)
                    content = msgspec.json.encode(run)
                    home.store.save_run("ab" * 32, twin.id, "kidney", record.version, content, now=now())
                    yield home, twin.id, run
                    return
            pytest.fail("no twin of this EHR has enough data for the kidney model")


async def pulled(home: Home) -> dict[str, int]:
    async with open_source(SOURCE, home.settings.source(SOURCE)) as source:
        return dict((await ingest(home, source, lambda text: None)).ledger.refusals)


def output(value: float, low: float | None, high: float | None, **changes: object) -> Output:
    told = {"name": "x", "title": "X", "kind": "observation", "unit": "L/min", "decimals": 1, "reference": ""}
    return Output(**{**told, "value": value, "low": low, "high": high, **changes})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (output(4.83, 4.06, 5.64), "4.1 to 5.6"),
        (output(4.83, None, None), ""),
        (output(120.4, 99.6, 131.2, decimals=0), "100 to 131"),
        (output(0.1234, 0.05, 0.2, kind="risk", unit="1", decimals=3), "5.0 to 20.0"),
        (output(0.1234, 0.05, 0.2, kind="risk", unit="1", decimals=1), "5 to 20"),
        (output(0.3, -0.04, 1.0), "0.0 to 1.0"),
        (output(-1.0, -2.0, -0.5), "-2.0 to -0.5"),
    ],
)
def test_an_interval_is_told_in_the_digits_of_its_value(told: Output, said: str):
    assert output_interval(told) == said
    if said:
        digits = {len(number.partition(".")[2]) for number in (output_value(told)[0], *said.split(" to "))}
        assert len(digits) == 1


def test_the_terminal_has_a_column_where_something_varies_and_none_where_nothing_does(capsys):
    run = simulate(KIDNEY, example_profile(KIDNEY))
    assert isinstance(run, Run)
    run = widened(run)
    show_run(run)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Result +Value +Unit +95 % +Class *", lines[1])
    for told_line, wide in zip(lines[2:], run.outputs, strict=False):
        assert output_interval(wide) in told_line
    assert " to " in lines[2]
    assert " to " not in lines[1 + len(run.outputs)]  # the last one does not vary
    show_run(msgspec.structs.replace(run, outputs=run.outputs[-1:]))
    assert "95 %" not in capsys.readouterr().out


async def test_it_is_written_back_and_pulled_again_it_is_refused(told):
    home, twin, run = told
    [proposed] = propose(home, open_twin(home, twin))
    [delivery] = [each for each in home.store.outbox() if each.id == proposed.delivery]
    written = [entry["resource"] for entry in json.loads(delivery.bundle)["entry"]]
    [observation] = [each for each in written if each["resourceType"] == "Observation"]
    [component] = observation["component"]
    ends = [str(component["valueRange"][end]["value"]) for end in ("low", "high")]
    assert " to ".join(ends) == output_interval(run.outputs[0])
    [assessment] = [each for each in written if each["resourceType"] == "RiskAssessment"]
    rationales = [each["rationale"] for each in assessment["prediction"]]
    assert f"ensemble: {output_interval(run.outputs[1])} %." in rationales[0]
    assert "Middle 95 %" not in rationales[-1]

    facts = {each.id: each.facts for each in home.store.twins()}
    [sent] = await send(home, twin)
    assert sent.fault is None
    assert (await pulled(home))["simulated"] > 0
    assert {each.id: each.facts for each in home.store.twins()} == facts
