"""Narrative that is taken, and what runs, loads or hides in it, which is not."""

from __future__ import annotations

import pytest

from mappers.incoming import narrative_issues

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def issues(div: str) -> list[str]:
    return [each.place for each in narrative_issues({"resourceType": "Observation", "text": {"div": div}})]


@pytest.mark.parametrize(
    "inside",
    [
        "Weight <b>80&#160;kg</b>",
        "a&nbsp;b &lt;c&gt;",
        '<table class="t"><tr><td colspan="2" style="color: red">1</td></tr></table>',
        '<a href="https://a.example/x">x</a><a href="#y">y</a>',
        '<img alt="" src="data:image/png;base64,AAAA"/>',
    ],
)
def test_formatting_is_taken(inside: str) -> None:
    assert issues(f"<div {XHTML}>{inside}</div>") == []


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}><script>alert(1)</script></div>",
        f'<div {XHTML} onclick="alert(1)">a</div>',
        f'<div {XHTML}><a href="javascript:alert(1)">a</a></div>',
        f'<div {XHTML}><a href="java&#x0A;script:alert(1)">a</a></div>',
        f'<div {XHTML}><img src="https://a.example/pixel.png"/></div>',
        f'<div {XHTML}><img src="data:image/svg+xml;base64,AAAA"/></div>',
        f'<div {XHTML}><p style="background: url(https://a.example)">a</p></div>',
        f'<div {XHTML}><p style="width: expression(alert(1))">a</p></div>',
        f'<div {XHTML}><p style="\\75 rl(x)">a</p></div>',
        f"<div {XHTML}><iframe/></div>",
        f"<div {XHTML}><form/></div>",
        f'<div {XHTML}><svg xmlns="http://www.w3.org/2000/svg"/></div>',
        f'<!DOCTYPE div [<!ENTITY a "b">]><div {XHTML}>&a;</div>',
        f"<?php evil ?><div {XHTML}>a</div>",
        f"<div {XHTML}>a",
        "<div>a</div>",
        f"<p {XHTML}>a</p>",
        f"<div {XHTML}>" + "<b>" * 100 + "</b>" * 100 + "</div>",
        f"<div {XHTML}>{'a' * 300_000}</div>",
    ],
)
def test_what_runs_loads_or_hides_is_not_taken(div: str) -> None:
    assert issues(div) == ["Observation.text.div"]


def test_what_is_contained_is_looked_at_too() -> None:
    inside = {"resourceType": "Patient", "id": "a", "text": {"div": f"<div {XHTML}><script/></div>"}}
    found = narrative_issues({"resourceType": "Observation", "contained": [inside]})
    assert [each.place for each in found] == ["Observation.contained[0].text.div"]
