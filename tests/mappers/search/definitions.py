"""The rows of `mappers/tables/search.toml`, made from the published SearchParameters and StructureDefinitions.

A path in a FHIRPath expression becomes the keys that it means in JSON, each with the type of what is found there; so
nothing is looked up or guessed when a search runs. `python -m tests.mappers.search.definitions search-parameters.json`
writes the tables; its argument is FHIR 4.0.1's Bundle of SearchParameters.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

IGS = Path(__file__).resolve().parents[4] / "shared" / "data" / "igs"
R4, US_CORE = IGS / "hl7.fhir.r4.core-4.0.1-from-hapi.tgz", IGS / "us_core_610.tgz"

TYPES = (
    *("AdverseEvent", "AllergyIntolerance", "BodyStructure", "CarePlan", "CareTeam", "ClinicalImpression"),
    *("Communication", "Composition", "Condition", "Consent", "Coverage", "DetectedIssue", "Device"),
    *("DeviceRequest", "DeviceUseStatement", "DiagnosticReport", "DocumentReference", "Encounter", "Endpoint"),
    *("EpisodeOfCare", "FamilyMemberHistory", "Flag", "Goal", "Group", "HealthcareService", "ImagingStudy"),
    *("Immunization", "ImmunizationRecommendation", "List", "Location", "Media", "Medication"),
    *("MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"),
    *("MolecularSequence", "NutritionOrder", "Observation", "Organization", "Patient", "Practitioner"),
    *("PractitionerRole", "Procedure", "Provenance", "Questionnaire", "QuestionnaireResponse", "RelatedPerson"),
    *("ResearchStudy", "ResearchSubject", "RiskAssessment", "ServiceRequest", "Specimen", "Task"),
)

USABLE = {
    "token": {"code", "Coding", "CodeableConcept", "Identifier", "ContactPoint", "boolean", "string", "uri", "id"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt", "Range"},
    "quantity": {"Quantity", "Age", "Duration", "Range"},  # not SampledData: R4 does not say how it compares
    "reference": {"Reference", "canonical", "uri"},
    "uri": {"uri", "url", "canonical", "oid"},
}
MIXED_UP = {("DocumentReference", "relationship")}  # as published, the expressions of its parts are exchanged
ADDED = {("DetectedIssue", "status"), ("ServiceRequest", "order-detail")}  # in some copies, and not in FHIR 4.0.1
DEFINED = "http://hl7.org/fhir/SearchParameter/"
LEFT_OUT = {"phonetic": "no algorithm is named", "near": "special"}


@lru_cache(maxsize=2)
def package(path: Path) -> dict[str, dict[str, Any]]:
    """Read the resources of a package, by URL."""
    with tarfile.open(path) as tar:
        read = (tar.extractfile(each) for each in tar.getmembers() if each.name.endswith(".json"))
        told = [json.loads(file.read()) for file in read if file]
    return {each["url"]: each for each in told if "resourceType" in each and "url" in each}


@lru_cache(maxsize=512)
def elements(type_: str) -> dict[str, dict[str, Any]]:
    """Return the elements of a type, by path."""
    definition = package(R4)[f"http://hl7.org/fhir/StructureDefinition/{type_}"]
    return {each["path"]: each for each in definition["snapshot"]["element"]}


def children(at: str) -> dict[str, dict[str, Any]]:
    """Return what is below a place ("Patient.contact", "Period"), by name."""
    known = elements(at.partition(".")[0])
    if "contentReference" in known[at]:
        return children(known[at]["contentReference"].lstrip("#"))
    below = {path[len(at) + 1 :]: each for path, each in known.items() if path.startswith(f"{at}.")}
    return {name: each for name, each in below.items() if "." not in name}


def step(at: str, name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go one name on: each key that it means in JSON, where that is, and its element."""
    below = children(at)
    if name in below:
        element = below[name]
        types = [_code(t) for t in element.get("type", [])]
        inline = not types or types[0] in {"BackboneElement", "Element"}
        yield name, element["path"] if inline else types[0], element
    elif f"{name}[x]" in below:
        element = below[f"{name}[x]"]
        for type_ in (_code(t) for t in element["type"]):
            yield name + _capital(type_), type_, element
    else:
        keys = {
            known[:-3] + _capital(code): (code, element)
            for known, element in below.items()
            if known.endswith("[x]")
            for code in map(_code, element["type"])
        }
        if name not in keys:
            raise KeyError(f"{at}.{name}")
        yield (name, *keys[name])


def _capital(word: str) -> str:
    return word[0].upper() + word[1:]


def _code(type_: Mapping[str, Any]) -> str:
    told = str(type_["code"])
    return "string" if told.endswith("System.String") else told


def paths(kind: str, start: str, expression: str) -> Iterator[str]:
    """Turn an expression below a place into paths of JSON: `keys:Type`, with `[key=value]` where one is chosen."""
    for part in re.split(r"\s*\|\s*", expression):
        yield from _one(kind, start, part)


def _one(kind: str, start: str, told: str) -> Iterator[str]:
    if told.endswith(".exists() and Patient.deceased != false"):
        yield "deceased:exists"
        return
    told = re.sub(r"\((\S+) as (\w+)\)", r"\1.as(\2)", told)
    told = told.replace(".extension.value.code", ".extension.value.as(Coding)")
    told = told.replace(".value.coding.code", ".value.as(CodeableConcept)")
    steps = re.findall(r"(\w+(?:\([^()]*(?:\(\))?[^()]*\))?)(?:\.|$)", _guarded(told))
    found = [("", start)]
    chosen = ""
    for each in steps[1:] if steps[0] == start.partition(".")[0] else steps:
        name = _restored(each)
        if said := re.fullmatch(r"as\((\w+)\)", name):
            wanted = said[1][0].lower() + said[1][1:] if said[1] == "DateTime" else said[1]
            found = [(path, at) for path, at in found if at == wanted]
        elif said := re.fullmatch(r"where\(resolve\(\) is (\w+)\)", name):
            chosen = said[1]
        elif said := re.fullmatch(r"where\((\w+)\s*=\s*'([^']*)'\)", name):
            found = [(f"{path}[{said[1]}={said[2]}]", at) for path, at in found]
        else:
            found = [
                (f"{path}.{key}" if path else key, place) for path, at in found for key, place, _ in step(at, name)
            ]
    for path, at in found:
        if kind == "composite":
            yield path
        elif at in USABLE[kind] or (kind == "string" and at == "CodeableConcept"):
            yield f"{path}:{at}{_extra(start, path, at, chosen)}"


def _guarded(told: str) -> str:
    return re.sub(r"'[^']*'", lambda quoted: f"'{quoted[0].encode().hex()}'", told)


def _restored(told: str) -> str:
    return re.sub(r"'([0-9a-f]*)'", lambda quoted: bytes.fromhex(quoted[1]).decode(), told)


def _extra(start: str, path: str, at: str, chosen: str) -> str:
    if at == "code":
        system = _system(start, path)
        return f"({system})" if system else ""
    return f"({chosen})" if chosen else ""


def _system(start: str, path: str) -> str:
    """Name the one code system of a required binding."""
    at, element = start, None
    for name in re.sub(r"\[[^]]*\]", "", path).split("."):
        _, at, element = next(step(at, name))
    binding = (element or {}).get("binding", {})
    bound = package(R4).get(binding.get("valueSet", "").partition("|")[0], {})
    included = bound.get("compose", {}).get("include", [])
    systems = {each.get("system") for each in included}
    return (
        str(systems.pop())
        if binding.get("strength") == "required" and len(systems) == 1 and None not in systems
        else ""
    )


def row(parameter: Mapping[str, Any], type_: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Make the row of one parameter for one type. Raises `KeyError` where a path is not of the type."""
    kind = parameter["type"]
    mine = [p for p in re.split(r"\s*\|\s*", parameter["expression"]) if re.match(rf"\(?{type_}\b", p)]
    made: dict[str, Any] = {"type": kind, "url": parameter["url"].removeprefix(DEFINED)}
    if kind == "composite":
        places = [_restored(place) for place in mine]
        made["at"] = [place.partition(".")[2] for place in places]
        parts = []
        for component in parameter["component"]:
            of = known[component["definition"]]["type"]
            below = sorted({p for place in places for p in paths(of, _place(place), component["expression"])})
            parts.append({"type": of, "paths": " ".join(below)})
        made["parts"] = parts
        return made
    found = [p for part in mine for p in paths(kind, type_, part)]
    made["paths"] = " ".join(dict.fromkeys(found))
    if kind == "reference":
        targets = _targets(parameter, type_, found)
        made["targets"] = "*" if len(targets) > 100 else " ".join(sorted(targets))
    return made


def _place(path: str) -> str:
    """Say what is at a path: a part of a resource, or a data type."""
    at, *names = path.split(".")
    for name in names:
        _, at, _ = next(step(at, name))
    return at


def _targets(parameter: Mapping[str, Any], type_: str, found: list[str]) -> set[str]:
    """Name what may be referred to there: what the element allows, of what the parameter names."""
    allowed: set[str] = set()
    for path in found:
        if said := re.search(r"\((\w+)\)$", path):
            allowed.add(said[1])
            continue
        at, element = type_, None
        for name in path.partition(":")[0].split("."):
            _, at, element = next(step(at, name))
        profiles = [p for t in (element or {}).get("type", []) for p in t.get("targetProfile", [])]
        allowed |= {p.rpartition("/")[2] for p in profiles}
    named = set(parameter.get("target", []))
    return (allowed & named if "Resource" not in allowed else named) or named


def definitions(parameters: Path) -> list[dict[str, Any]]:
    """Read FHIR's SearchParameters."""
    return [entry["resource"] for entry in json.loads(parameters.read_text())["entry"]]


def us_core() -> list[dict[str, Any]]:
    """Read US Core's SearchParameters."""
    return [each for each in package(US_CORE).values() if each["resourceType"] == "SearchParameter"]


def table(told: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Make all rows, by type and name: FHIR's own, and US Core's where FHIR has none of the name."""
    known = {each["url"]: each for each in [*told, *us_core()]}
    made: dict[str, dict[str, dict[str, Any]]] = {type_: {} for type_ in sorted(TYPES)}
    for parameter in [*told, *us_core()]:
        name = parameter["code"]
        if name in LEFT_OUT or name.startswith("_") or "expression" not in parameter:
            continue
        if any("%resource" in each["expression"] for each in parameter.get("component", [])):
            continue  # of MolecularSequence: parts of a composite that are not together in one place
        for type_ in parameter["base"]:
            if type_ in made and name not in made[type_] and (type_, name) not in MIXED_UP | ADDED:
                made[type_][name] = row(parameter, type_, known)
    return {type_: dict(sorted(rows.items())) for type_, rows in made.items()}


def shapes() -> dict[str, dict[str, str]]:
    """Say of each type which elements a summary has, and which always stay (mandatory, or they change the meaning)."""
    made = {}
    for type_ in sorted(TYPES):
        rest = {path[len(type_) + 1 :]: e for path, e in elements(type_).items() if path != type_}
        inner = {
            p
            for p, e in rest.items()
            if any(t.get("code") in {"BackboneElement", "Element"} for t in e.get("type", []))
        }
        chosen = {p for p, e in rest.items() if e.get("isSummary") and _is_ours(p, inner)}
        summary = [p for p in rest if p in chosen and ("." not in p or p.rpartition(".")[0] in chosen)]
        stays = [p for p, e in rest.items() if "." not in p and (e.get("min", 0) or e.get("isModifier"))]
        made[type_] = {"summary": " ".join(summary), "stays": " ".join(p for p in stays if p != "implicitRules")}
    return made


def _is_ours(path: str, inner: set[str]) -> bool:
    parents = [path.rsplit(".", n)[0] for n in range(1, path.count(".") + 1)]
    return all(parent in inner for parent in parents) and path.rpartition(".")[2] not in {"id", "extension"}


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def search_toml(told: list[dict[str, Any]]) -> str:
    """Write the table of parameters."""
    lines = [
        "# Search parameters of FHIR 4.0.1 (CC0) and US Core 6.1.0, each with the places in JSON that it is about.",
        "# Written by tests/mappers/search/definitions.py from the published SearchParameters and",
        "# StructureDefinitions, and compared with them by a test: do not edit. A place is KEYS:TYPE, KEYS[KEY=VALUE]",
        "# chooses, and in brackets behind a type is the system of its codes, or what is referred to. Left out:",
        "# phonetic (no algorithm is named), near (special), composites whose parts are not told in one place.",
    ]
    for type_, rows in table(told).items():
        lines += ["", f"[{type_}]", *(f"{name} = {_value(made)}" for name, made in rows.items())]
    return "\n".join([*lines, ""])


def summaries_toml() -> str:
    """Write the table of what a summary has."""
    lines = [
        "# What a resource keeps in a summary, and what it always keeps: FHIR 4.0.1's isSummary; min and isModifier.",
        "# Written by tests/mappers/search/definitions.py from the published StructureDefinitions, and compared with",
        "# them by a test: do not edit.",
    ]
    for type_, shape in shapes().items():
        lines += ["", f"[{type_}]", *(f"{name} = {_value(told)}" for name, told in shape.items())]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write both tables."""
    tables = Path(__file__).resolve().parents[3] / "mappers" / "tables"
    (tables / "search.toml").write_text(search_toml(definitions(Path(sys.argv[1]))))
    (tables / "summaries.toml").write_text(summaries_toml())


if __name__ == "__main__":
    main()
