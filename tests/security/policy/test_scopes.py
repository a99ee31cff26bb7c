"""What a scope says, and that what is not one says nothing (B1)."""

from __future__ import annotations

import time
from itertools import product
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.compartment import TYPES
from security.scopes import ACTIONS, WORDS, read_scope, read_scopes

ORDERED = {
    "".join(action for action, keep in zip("cruds", kept, strict=True) if keep) for kept in product((0, 1), repeat=5)
}

contexts = st.sampled_from(["patient", "user", "system"])
types = st.sampled_from([*sorted(TYPES), "*"])
actions = st.sampled_from(sorted(ORDERED - {""}))
names = st.sampled_from(
    ["category", "code", "status", "date", "_id", "_lastUpdated", "_tag", "patient", "value-quantity"]
)
raw_values = st.text(st.sampled_from("abcXYZ019-._~:/|,;=@!$'()*?[]{}<>^`#+"), min_size=1, max_size=30)


@st.composite
def spelled(draw: st.DrawFn) -> str:
    head = f"{draw(contexts)}/{draw(types)}."
    if draw(st.booleans()):
        return head + draw(st.sampled_from(["read", "write", "*"]))
    parameters = draw(st.lists(st.tuples(names, raw_values), max_size=4))
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return head + draw(actions) + (f"?{query}" if query else "")


@settings(deadline=None)
@given(spelled())
def test_what_is_read_is_written_as_it_was_spelled(text: str):
    scope = read_scope(text)
    assert scope is not None
    assert str(scope) == text
    assert read_scope(scope.written) == scope
    assert read_scope(scope.written_as_v1) == scope


@settings(deadline=None)
@given(spelled())
def test_a_constraint_is_read_by_others_as_it_is_meant(text: str):
    scope = read_scope(text)
    assert scope is not None
    assert sorted(parse_qsl(scope.query, strict_parsing=True) if scope.query else []) == list(scope.constraint)


@pytest.mark.parametrize("length", range(7))
def test_of_all_words_over_cruds_those_in_order_are_scopes_and_no_others(length: int):
    for letters in product("cruds", repeat=length):
        word = "".join(letters)
        scope = read_scope(f"patient/Observation.{word}")
        assert (scope is not None) == (word in ORDERED and word != ""), word
        if scope is not None:
            assert scope.actions == word
            assert {action for action in ACTIONS if scope.covers(action, "Observation")} == set(word)


@pytest.mark.parametrize(("v1", "v2"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
@pytest.mark.parametrize("type_", ["Observation", "*"])
def test_version_1_means_what_smart_says_it_means(type_: str, v1: str, v2: str):
    old, new = read_scope(f"user/{type_}.{v1}"), read_scope(f"user/{type_}.{v2}")
    assert old == new
    assert old is not None
    assert old.is_v1
    assert new is not None
    assert new.written_as_v1 == str(old)


MALFORMED = [
    "",
    "patient",
    "patient/",
    "patient/Observation",
    "patient/Observation.",
    "patient/Observation.sr",
    "patient/Observation.dus",
    "patient/Observation.rss",
    "patient/Observation.RS",
    "patient/Observation.readwrite",
    "patient/Observation.read.",
    "patient/Observation.rs.",
    "patient/Observation.rs?",
    "patient/Observation.rs?category",
    "patient/Observation.rs?category=",
    "patient/Observation.rs?=laboratory",
    "patient/Observation.rs?category=a&",
    "patient/Observation.rs?&category=a",
    "patient/Observation.read?category=a",
    "patient/Observation.?category=a",
    "patient/observation.rs",
    "patient/Observations.rs",
    "patient/DomainResource.rs",
    "patient/Resource.rs",
    "patient/BodySite.rs",  # of DSTU2 and STU3
    "patient/Observation*.rs",
    "patient/**.rs",
    "patient/*",
    "patient/.rs",
    "Patient/Observation.rs",
    "patients/Observation.rs",
    "patient /Observation.rs",
    "patient//Observation.rs",
    "patient\\Observation.rs",
    " patient/Observation.rs",
    "patient/Observation.rs ",
    "patient/Observation.rs\n",
    "patient/Observation.rs\0",
    "patient/Observation.rs\tuser/*.cruds",
    'patient/Observation.rs?code="a"',
    "patient/Observation.rs?code=ä",
    "patient/Оbservation.rs",  # with a Cyrillic letter
    "patient/Observation.ｒs",
    "patient/Observation.rs?code:in=http://example.org/ValueSet/a",
    "patient/Observation.rs?code:not=a",
    "patient/Observation.rs?category:missing=false",
    "patient/Observation.rs?patient.birthdate=1990",
    "patient/Observation.rs?subject:Patient.name=a",
    "patient/Observation.rs?_has:Provenance:target:agent=a",
    "patient/Observation.rs?_filter=code%20eq%20a",
    "patient/Observation.rs?_include=Observation:subject",
    "patient/Observation.rs?_revinclude=Provenance:target",
    "patient/Observation.rs?_sort=date",
    "patient/Observation.rs?_count=1",
    "patient/Observation.rs?_elements=id",
    "patient/Observation.rs?_summary=count",
    "patient/Observation.rs?_total=accurate",
    "patient/Observation.rs?_contained=both",
    "patient/Observation.rs?_type=Observation",
    "patient/Observation.rs?_list=42",
    "patient/Observation.rs?_query=a",
    "patient/Observation.rs?_text=a",
    "patient/Observation.rs?_content=a",
    "patient/Observation.rs?code=%",
    "patient/Observation.rs?code=%2",
    "patient/Observation.rs?code=%zz",
    "patient/Observation.rs?code=%00",
    "patient/Observation.rs?code=%0A",
    "patient/Observation.rs?code=%FF",
    "patient/Observation.rs?code=%E2%80%AE",  # turns the text around
    "patient/Observation.rs?code=" + "a" * 2000,
    "patient/Observation.rs?" + "&".join(f"code=a{n}" for n in range(17)),
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_scope_grants_nothing(text: str):
    assert read_scope(text) is None


@pytest.mark.parametrize("text", [each for each in MALFORMED if each.strip(" ") == each and each])
def test_what_is_malformed_is_told_so_that_it_is_refused_and_not_ignored(text: str):
    told = read_scopes([text])
    assert told.resources == ()
    assert told.words == ()
    assert told.malformed == (text,) or (told.unknown == (text,) and not set(text) & set("/.?"))


def test_a_list_of_scopes_is_read_one_by_one():
    told = read_scopes(
        "launch/patient  openid email patient/Observation.rs patient/Observation.read patient/*.sr launch/a"
    )
    assert told.words == ("launch/patient", "openid")
    assert [str(each) for each in told.resources] == ["patient/Observation.rs"]
    assert told.malformed == ("patient/*.sr",)
    assert told.unknown == ("email", "launch/a")
    assert told.known == ("launch/patient", "openid", "patient/Observation.rs")


def test_all_words_are_read():
    assert set(read_scopes(" ".join(sorted(WORDS))).words) == WORDS


@pytest.mark.parametrize(
    "scopes",
    [
        " ".join(f"patient/Observation.rs?code=a{n}" for n in range(257)),
        " ".join(["patient/Observation.rs?code=" + "a" * 1900] * 18),
    ],
)
def test_more_than_any_app_needs_is_malformed_as_a_whole(scopes: str):
    told = read_scopes(scopes)
    assert told.malformed
    assert told.known == ()


def test_a_long_string_of_scopes_that_somebody_may_need_is_read():
    many = [f"patient/{type_}.rs" for type_ in sorted(TYPES)]
    assert read_scopes(" ".join(many)).known == tuple(many)


@pytest.mark.parametrize(
    "hostile",
    [
        "patient/" + "A" * 10_000,
        "patient/Observation." + "crud" * 2_500,
        "patient/Observation.rs?" + "a=" * 5_000,
        "patient/Observation.rs?" + "&" * 10_000,
        "patient/Observation.rs?code=" + "%41" * 3_300,
        "patient/Observation.rs?code=" + "%" * 10_000,
        "/" * 10_000,
        "launch/" * 1_500,
        " " * 10_000,
        "x " * 5_000,
    ],
)
def test_no_string_takes_long_to_read(hostile: str):
    begun = time.process_time()
    read_scope(hostile)
    read_scopes(hostile)
    assert time.process_time() - begun < 0.01  # M2


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_at_all_is_read_without_an_error(text: str):
    scope = read_scope(text)
    assert scope is None or str(scope) == text
    read_scopes(text)
