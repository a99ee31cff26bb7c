"""What is left of the scopes that were asked for: exactly what both sides allow, and nothing more (A9, A11, C6)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.narrowing import is_within, meet, narrow
from security.scopes import ACTIONS, Scope, read_scope, read_scopes

CONTEXTS = ("patient", "user", "system")
TYPES = ("Observation", "Condition", "Device")
CATEGORIES = ("a", "b", "c")
# what a resource can be: of some categories, with a status
RESOURCES = [
    (frozenset(one for one, keep in zip(CATEGORIES, kept, strict=True) if keep), status)
    for kept in product((False, True), repeat=3)
    for status in ("final", "amended")
]
UNIVERSE = list(product(CONTEXTS, TYPES, ACTIONS, range(len(RESOURCES))))

constraints = st.lists(
    st.one_of(
        st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=3, unique=True).map(
            lambda some: f"category={','.join(some)}"
        ),
        st.sampled_from(["status=final", "status=amended", "status=final,amended"]),
    ),
    max_size=2,
)
spelled = st.builds(
    lambda context, type_, actions, query: f"{context}/{type_}.{actions}" + (f"?{'&'.join(query)}" if query else ""),
    st.sampled_from(CONTEXTS),
    st.sampled_from([*TYPES, "*"]),
    st.sets(st.sampled_from(ACTIONS), min_size=1).map(lambda some: "".join(each for each in ACTIONS if each in some)),
    constraints,
)
v1 = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(CONTEXTS),
    st.sampled_from([*TYPES, "*"]),
    st.sampled_from(["read", "write", "*"]),
)
lists = st.lists(st.one_of(spelled, v1), max_size=5).map(tuple)


def allowed(scopes: tuple[str, ...]) -> set[tuple[str, str, str, int]]:
    """Say what scopes allow, read by other means: split, not matched."""
    found = set()
    for text in scopes:
        head, _, query = text.partition("?")
        context, _, rest = head.partition("/")
        type_, _, actions = rest.partition(".")
        actions = {"read": "rs", "write": "cud", "*": "cruds"}.get(actions, actions)
        for cell in UNIVERSE:
            categories, status = RESOURCES[cell[3]]
            meets = all(
                bool(set(value.split(",")) & (categories if name == "category" else {status}))
                for name, value in (part.split("=") for part in query.split("&") if part)
            )
            if cell[0] == context and type_ in ("*", cell[1]) and cell[2] in actions and meets:
                found.add(cell)
    return found


@settings(deadline=None)
@given(lists, lists)
def test_what_is_left_is_what_both_allow(asked: tuple[str, ...], registered: tuple[str, ...]):
    assert allowed(narrow(asked, registered)) == allowed(asked) & allowed(registered)


@settings(deadline=None)
@given(lists, lists, lists)
def test_each_further_list_takes_away_and_never_adds(asked, registered, left):
    assert allowed(narrow(asked, registered, left)) == allowed(asked) & allowed(registered) & allowed(left)


@settings(deadline=None)
@given(spelled, spelled)
def test_what_is_within_another_allows_nothing_that_the_other_does_not(one: str, other: str):
    scope, wide = read_scope(one), read_scope(other)
    assert scope is not None
    assert wide is not None
    if is_within(scope, wide):
        assert allowed((one,)) <= allowed((other,))
        common = meet(scope, wide)
        assert common is not None
        assert allowed((str(common),)) == allowed((one,))


@settings(deadline=None)
@given(lists)
def test_narrowing_to_itself_changes_nothing(asked: tuple[str, ...]):
    assert narrow(asked, asked) == narrow(asked)
    assert set(narrow(asked)) <= set(asked)


@settings(deadline=None)
@given(lists, lists)
def test_what_is_left_can_be_read_again(asked, registered):
    left = narrow(asked, registered)
    assert read_scopes(left).malformed == ()
    assert narrow(left, registered) == left


def scope(text: str) -> Scope:
    found = read_scope(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("patient/Observation.rs?category=laboratory", "patient/Observation.rs", True),
        ("patient/Observation.rs?category=laboratory", "patient/*.cruds", True),
        ("patient/Observation.rs", "patient/Observation.rs?category=laboratory", False),
        ("patient/Observation.rs", "user/Observation.rs", False),
        ("patient/*.rs", "patient/Observation.rs", False),
        ("patient/Observation.rs?category=a&status=final", "patient/Observation.rs?status=final", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=b,a", True),
        ("patient/Observation.rs?category=a,b", "patient/Observation.rs?category=a", False),
        (
            "patient/Observation.rs?category=http://s|a",
            "patient/Observation.rs?category=a",
            False,
        ),  # no code is looked up
        ("patient/Observation.rs?code=a%2Cb", "patient/Observation.rs?code=b,a", True),
        ("patient/Observation.rs?code=a%5C%2Cb", "patient/Observation.rs?code=a,b", False),  # a comma that is meant
    ],
)
def test_a_scope_is_within_another_by_its_form(one: str, other: str, said: bool):
    assert is_within(scope(one), scope(other)) is said


@pytest.mark.parametrize(
    ("asked", "registered", "left"),
    [
        (
            "patient/*.read",
            "patient/Observation.rs patient/Condition.r",
            ("patient/Observation.read", "patient/Condition.r"),
        ),
        ("patient/*.*", "patient/Observation.rs", ("patient/Observation.read",)),
        ("patient/Observation.rs", "patient/Observation.r patient/Observation.s", ("patient/Observation.rs",)),
        ("patient/Observation.read", "patient/*.cruds", ("patient/Observation.read",)),
        ("patient/Observation.rs patient/*.rs", "patient/*.rs", ("patient/Observation.rs", "patient/*.rs")),
        ("launch/patient openid fhirUser email", "openid launch", ("openid",)),
        ("patient/*.sr launch", "patient/*.cruds launch", ("launch",)),
        ("user/*.cruds", "patient/*.cruds", ()),
        ("patient/*.rs", "patient/*.rs?category=laboratory", ("patient/*.rs?category=laboratory",)),
        ("", "patient/*.rs", ()),
        ("patient/*.rs", "", ()),
    ],
)
def test_what_may_be_had_comes_back_as_it_was_spelled(asked: str, registered: str, left: tuple[str, ...]):
    assert narrow(asked, registered) == left
