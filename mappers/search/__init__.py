"""FHIR R4 search: which parameters there are, and whether a resource answers a question. Resources in, truth out."""

from mappers.search.criteria import Test, compile_criterion, compile_query, matches
from mappers.search.parameters import SEARCHED, Parameter, find_parameter, parameters
from mappers.search.references import local, references_of
from mappers.search.sorting import SortValue, sort_value
from mappers.search.summaries import shape_of
from mappers.search.unsearchable import Unsearchable

__all__ = [
    "SEARCHED",
    "Parameter",
    "SortValue",
    "Test",
    "Unsearchable",
    "compile_criterion",
    "compile_query",
    "find_parameter",
    "local",
    "matches",
    "parameters",
    "references_of",
    "shape_of",
    "sort_value",
]
