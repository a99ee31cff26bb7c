"""What a search looks at in a resource: tokens, references, stretches of time, words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.hostile.interval import Interval, interval, period
from conformance.hostile.parameters import Kind, Parameter, parameters_of, values_at

__all__ = ["Term", "Terms", "patients_of", "terms_of"]

# A token is (system, code), a reference ("Patient", "1"), a word ("", "smith"), a date its stretch.
Term = tuple[str, str] | Interval
Terms = Mapping[str, tuple[Term, ...]]


def terms_of(type_: str, resource: Mapping[str, Any]) -> Terms:
    """Work out the terms of each search parameter of the type."""
    return {name: tuple(_terms(resource, parameter)) for name, parameter in parameters_of(type_).items()}


def patients_of(type_: str, resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the patients that a resource is about, by the search parameter `patient`."""
    if type_ == "Patient":
        return frozenset({str(resource.get("id"))})
    parameter = parameters_of(type_).get("patient")
    terms = _terms(resource, parameter) if parameter else ()
    return frozenset(str(term[1]) for term in terms if term[0] == "Patient")


def _terms(resource: Mapping[str, Any], parameter: Parameter) -> Iterator[Term]:
    read = _READERS[parameter.kind]
    for path in parameter.paths:
        for value in values_at(dict(resource), path):
            # What cannot be read cannot be found: a server does not fall over one odd resource.
            with contextlib.suppress(ValueError, AttributeError, TypeError):
                yield from read(value)


def _tokens(value: Any) -> Iterator[Term]:
    if isinstance(value, bool):
        yield ("", "true" if value else "false")
    elif isinstance(value, str):
        yield ("", value)
    elif "coding" in value:
        for coding in value["coding"]:
            yield (coding.get("system", ""), coding.get("code", ""))
    elif "code" in value or "value" in value:  # a Coding, or an Identifier
        yield (value.get("system", ""), value.get("code", value.get("value", "")))


def _references(value: Any) -> Iterator[Term]:
    parts = value["reference"].split("/_history/")[0].split("/") if "reference" in value else []
    if len(parts) >= 2:
        yield ("/".join(parts[:-1]), parts[-1])


def _dates(value: Any) -> Iterator[Term]:
    yield interval(value) if isinstance(value, str) else period(value)


def _words(value: Any) -> Iterator[Term]:
    if isinstance(value, str):
        yield ("", value.casefold())


_READERS: Mapping[Kind, Any] = {"token": _tokens, "reference": _references, "date": _dates, "string": _words}
