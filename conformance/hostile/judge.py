"""Is what is written a resource of this version? A real server refuses elements that its version does not have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b
from fhir.resources.STU3 import get_fhir_model_class as stu3
from pydantic import ValidationError

from conformance.hostile.dstu2 import faults
from conformance.hostile.versions import FhirVersion

__all__ = ["judge"]

_MODELS: Final = MappingProxyType({"stu3": stu3, "r4": r4b, "r4b": r4b, "r5": r5})


def judge(resource: Mapping[str, Any], version: FhirVersion) -> str:
    """Say what is wrong with a resource's structure, "" where nothing is.

    R4 is judged by the R4B classes of fhir.resources, which are the same for every type that is mounted here; the
    classes at the root of that library are those of R5.
    """
    if version == "dstu2":
        return next(faults(resource), "")
    model = _MODELS[version](str(resource.get("resourceType")))
    try:
        model.model_validate(dict(resource))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""
