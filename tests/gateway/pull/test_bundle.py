from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pull.bundle import NotReadError, head_of, read_bundle

SPACE = st.sampled_from(["", " ", "\n", "\r\n  ", "\t"])


def test_each_resource_is_the_very_bytes_that_came():
    resource = b'{ "resourceType":"Observation","valueQuantity":{"value": 7.10,"unit":"\\u00b5g"} }'
    data = b'{"resourceType": "Bundle", "entry": [ {"resource" : ' + resource + b' , "fullUrl":"urn:x"} ] }'
    [item] = read_bundle(data).entry
    assert bytes(item.resource) == resource
    assert item.fullUrl == "urn:x"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Pat', "truncated"),
        (b"<html></html>", "not-json"),
        (b'\xef\xbb\xbf{"resourceType":"Bundle"}', "not-json"),
        (b'{"resourceType":"Bundle","total":NaN}', "not-json"),
        (b'{"resourceType":"Patient"}', "not-fhir"),
        (b'{"resourceType":"Bundle","entry":{}}', "not-fhir"),
        (b'{"resourceType":"Bundle","entry":[null]}', "not-fhir"),
        (b"[]", "not-fhir"),
        (b'{"resourceType":"Bundle","entry":[{"resource":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", "not-json"),
    ],
)
def test_what_is_no_bundle_says_why(data, reason):
    with pytest.raises(NotReadError) as caught:
        read_bundle(data)
    assert caught.value.reason == reason


@settings(deadline=None)
@given(SPACE, SPACE, st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=4))
def test_any_bundle_that_is_written_plainly_is_read(before, after, resources):
    entries = ",".join(f'{before}{{"resource"{after}:{before}{json.dumps(r)}}}{after}' for r in resources)
    text = f'{before}{{"resourceType":{after}"Bundle","entry"{before}:[{entries}{after}]}}{before}'
    assert [json.loads(bytes(i.resource)) for i in read_bundle(text.encode()).entry] == resources


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType":"Bundle","entry":[{"resource":{"id":"a"}}],"entry":[]}',
        b'{"resourceType":"Bundle", "entry": [{"resource":{"id":"a"}, "resource":{"id":"b"}}, {}]}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"id":"a"},"resource":{"id":"b"}},{}]}',
        b'{"resourceType":"Bundle","entry":[ {"resource":{"id":"a"},"resource":{"id":"b"}} ]}',
        b'{"entry":[{}], "resourceType":"Bundle", "\\u0065ntry":[]}',
    ],
)
def test_a_key_that_hides_entries_is_noticed(data):
    with pytest.raises(NotReadError):
        read_bundle(data)


def test_a_resource_is_known_by_its_type():
    assert head_of(b'{"resourceType":"Patient","id":"7"}').id == "7"
    assert head_of(b'{"id":"7"}') is None
    assert head_of(b'{"resourceType":7}') is None
    assert head_of(b'"Patient"') is None
