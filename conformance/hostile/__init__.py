"""An EHR simulator: a FHIR server in DSTU2, STU3, R4, R4B or R5 whose habits and faults can be switched."""

from conformance.hostile.bulk import BulkHabits
from conformance.hostile.ehr import Ehr, EhrSettings
from conformance.hostile.faults import FAULTS, PLACES
from conformance.hostile.misbehaviour import MISBEHAVIOURS, Misbehaviour, Misbehaviours, throw
from conformance.hostile.proxy import FaultProxy, Weather, proxied
from conformance.hostile.seen import Seen
from conformance.hostile.server import serve
from conformance.hostile.versions import FhirVersion

__all__ = [
    "FAULTS",
    "MISBEHAVIOURS",
    "PLACES",
    "BulkHabits",
    "Ehr",
    "EhrSettings",
    "FaultProxy",
    "FhirVersion",
    "Misbehaviour",
    "Misbehaviours",
    "Seen",
    "Weather",
    "proxied",
    "serve",
    "throw",
]
