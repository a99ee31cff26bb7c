from __future__ import annotations

import httpx
import pytest

from gateway.pull.origin import Base, ForeignUrlError
from security.errors import BadSettings

BASE = Base.parse("https://ehr.example/tenant/fhir/")


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example/tenant/fhir",
        "https://ehr.example/tenant/fhir?_getpages=1",
        "https://EHR.example:443/tenant/fhir/Patient?_page=a%2Fb==",
    ],
)
def test_credentials_go_to_the_base_and_below_it(url):
    assert BASE.covers(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/tenant/fhir/Patient",
        "https://ehr.example.evil.example/tenant/fhir/Patient",
        "https://ehr.example:8443/tenant/fhir/Patient",
        "https://ehr.example/tenant/fhirx/Patient",
        "https://ehr.example/other/fhir/Patient",
        "https://ehr.example/tenant/fhir/../admin",
        "https://ehr.example/tenant/fhir/%2e%2e/admin",
        "https://ehr.example/tenant/fhir/%252e%252e/admin",
        "https://ehr.example/tenant/fhir/..%5cadmin",
        "https://ehr.example@evil.example/tenant/fhir/Patient",
        "https://user:secret@ehr.example/tenant/fhir/Patient",
        "https://ehr.example./tenant/fhir/Patient",
        "https://evil.example/https://ehr.example/tenant/fhir",
    ],
)
def test_credentials_go_nowhere_else(url):
    assert not BASE.covers(httpx.URL(url))


@pytest.mark.parametrize(
    ("link", "meant"),
    [
        ("Patient?_page=2", "https://ehr.example/tenant/fhir/Patient?_page=2"),
        ("?_page=2", "https://ehr.example/tenant/fhir/Observation?_page=2"),
        ("/tenant/fhir/Patient?_page=2", "https://ehr.example/tenant/fhir/Patient?_page=2"),
        ("https://ehr.example:443/tenant/fhir?_getpages=x", "https://ehr.example/tenant/fhir?_getpages=x"),
        ("Patient?ct=a%2Bb==&x=1|2", "https://ehr.example/tenant/fhir/Patient?ct=a%2Bb==&x=1|2"),
    ],
)
def test_a_link_is_read_as_its_server_means_it(link, meant):
    page = "https://ehr.example/tenant/fhir/Observation?_count=2"
    assert BASE.follow(link, page) == httpx.URL(meant)


@pytest.mark.parametrize(
    "link",
    [
        "//evil.example/fhir",
        "https://evil.example/fhir",
        "http://ehr.example/tenant/fhir/Patient",
        "https://ehr.example:443:443/tenant/fhir/Patient",  # opensrp/fhircore#1714
        "https:\\\\evil.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://ehr.example/a\r\nHost: evil.example",
        "https://[::1",
    ],
)
def test_a_link_to_somewhere_else_is_not_followed(link):
    with pytest.raises(ForeignUrlError):
        BASE.follow(link, str(BASE.url))


@pytest.mark.parametrize(
    "text",
    ["", "ehr.example/fhir", "ftp://ehr.example", "https://u:p@ehr.example/fhir", "https://ehr.example/fhir?x=1"],
)
def test_a_base_that_is_no_plain_url_is_a_wrong_setting(text):
    with pytest.raises(BadSettings):
        Base.parse(text)
