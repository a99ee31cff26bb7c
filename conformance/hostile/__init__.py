"""An EHR simulator: a FHIR server in DSTU2, STU3, R4, R4B or R5 whose habits and misbehaviours can be switched."""

from conformance.hostile.ehr import Ehr, EhrSettings
from conformance.hostile.misbehaviour import MISBEHAVIOURS, Misbehaviour, Misbehaviours
from conformance.hostile.rest import Seen
from conformance.hostile.server import serve
from conformance.hostile.versions import FhirVersion

__all__ = [
    "MISBEHAVIOURS",
    "Ehr",
    "EhrSettings",
    "FhirVersion",
    "Misbehaviour",
    "Misbehaviours",
    "Seen",
    "serve",
]
