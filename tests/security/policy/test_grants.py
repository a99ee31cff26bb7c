"""What a token allows: every cell of types, actions and scopes, against rules that are written down a second time."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.compartment import TYPES
from security.grants import compile_grants, export_types, usable
from security.policy import ROLES, Caller, Grants
from security.scopes import ACTIONS
from tests.security.policy.callers import LABORATORY, caller, matches, observation, service

ANNA, BERT = "anna", "bert"

# Of each, whose it is, by which element it says so, and whether a patient's own scope shows it where it is nobody's:
# written down here once more, from the specification, not taken from our tables.
SUBJECT = {
    "Observation": "subject",
    "Condition": "subject",
    "MedicationRequest": "subject",
    "Procedure": "subject",
    "AllergyIntolerance": "patient",
    "Immunization": "patient",
    "Encounter": "subject",
    "DiagnosticReport": "subject",
    "RiskAssessment": "subject",
    "Consent": "patient",
    "CarePlan": "subject",
    "CareTeam": "subject",
    "Goal": "subject",
    "Coverage": "beneficiary",
    "DocumentReference": "subject",
    "ServiceRequest": "subject",
    "Specimen": "subject",
    "QuestionnaireResponse": "subject",
    "RelatedPerson": "patient",
    "FamilyMemberHistory": "patient",
    "ImagingStudy": "subject",
    "MedicationStatement": "subject",
    "MedicationDispense": "subject",
    "Media": "subject",
    "Flag": "subject",
}
KEPT = ("Device", "Task", "Binary")  # in no compartment: of whom they are kept with
NOBODYS = ("Practitioner", "Organization", "Location", "Medication", "PractitionerRole", "HealthcareService")
OTHERS = ("Patient", "Provenance", "Group", "AuditEvent", "Measure", "Questionnaire")
ALL = (*SUBJECT, *KEPT, *NOBODYS, *OTHERS)

SHAPES = (
    "{c}/{t}.r",
    "{c}/{t}.s",
    "{c}/{t}.rs",
    "{c}/{t}.cu",
    "{c}/{t}.cruds",
    "{c}/{t}.d",
    "{c}/{t}.read",
    "{c}/{t}.write",
    "{c}/{t}.*",
    "{c}/*.rs",
    "{c}/*.cruds",
    "{c}/{t}.sr",
    "{c}/{t}.rs?unknown=1",
    "{c}/Flag.cruds",
    "openid fhirUser launch/patient",
)


def made(type_: str, of: str) -> dict[str, Any]:
    """Make a resource that says of whom it is, where its type has a way to."""
    resource: dict[str, Any] = {"resourceType": type_, "id": of if type_ == "Patient" else "1"}
    if type_ in SUBJECT and of:
        resource[SUBJECT[type_]] = {"reference": f"Patient/{of}"}
    if type_ == "Provenance":
        resource["target"] = [{"reference": "Observation/1"}]
    if type_ == "Group" and of:
        resource["member"] = [{"entity": {"reference": f"Patient/{of}"}}]
    if type_ == "AuditEvent" and of:
        resource["entity"] = [{"what": {"reference": f"Patient/{of}"}}]
    return resource


def actions_of(scope: str) -> set[str]:
    said = scope.partition("?")[0].rpartition(".")[2]
    said = {"read": "rs", "write": "cud", "*": "cruds"}.get(said, said)
    return set(said) if said == "".join(each for each in "cruds" if each in said) else set()


def expected(context: str, scope: str, action: str, type_: str, twin: str, names: str, who: str) -> bool:
    """Say what the rules say of a caller `who`, with Anna in context for a `patient/` scope."""
    head = scope.partition(".")[0]
    if "/" not in head or "?" in scope or head.partition("/")[2] not in (type_, "*") or action not in actions_of(scope):
        return False
    wild = head.endswith("*")
    if type_ == "AuditEvent" and action not in "rs":
        return False
    if who == "service":
        if context != "system" or (type_ == "AuditEvent" and wild):
            return False
    elif context == "system":
        return False
    elif who == "clinician":
        if type_ == "AuditEvent" or action == "d":
            return False
        if action in "cu" and (type_ not in (*SUBJECT, "Patient")):
            return False
    elif who == "auditor":
        may = action in "rs" and (type_ == "AuditEvent" or (type_ == "Consent" and bool(twin)))
        return may and (context == "user" or (context == "patient" and twin == ANNA))
    elif who == "admin" and type_ == "Consent":
        return bool(twin) and action in "rscu" and (context == "user" or (context == "patient" and twin == ANNA))
    elif who in ("engineer", "admin", "student", "planner"):
        types = {*NOBODYS, "Device", *(("Group", "Measure") if who == "planner" else ())}
        return context == "user" and type_ in types and action in "rs" and not twin and not names
    if not twin and action in "cu" and type_ in (*SUBJECT, "Patient", "Provenance"):
        return False  # belongs to somebody
    if context == "patient":
        if twin == ANNA:
            return type_ not in NOBODYS or True
        shared = type_ in (*NOBODYS, "Device") and action in "rs"
        return not twin and shared
    return True


SITUATIONS = (("anna's", ANNA, ANNA), ("bert's", BERT, BERT), ("nobody's", "", ""))


@pytest.mark.parametrize("who", ["clinician", "service", "auditor", "engineer", "planner", "student", "admin"])
@pytest.mark.parametrize("context", ["patient", "user", "system"])
def test_every_cell_of_the_table_is_as_the_rules_say(context: str, who: str):
    cells = 0
    for type_, shape in product(ALL, SHAPES):
        scope = shape.format(c=context, t=type_)
        patient = ANNA if context == "patient" else ""
        scopes = tuple(scope.split(" "))
        asks = service(*scopes) if who == "service" else caller(*scopes, roles=(who,), patient=patient)
        grants = compile_grants(asks, matches)
        for action, (said, twin, names) in product(ACTIONS, SITUATIONS):
            if type_ in ("Patient", *SUBJECT) and not twin and action in "rs":
                continue  # there is no such thing: what is of a patient is kept with one
            if type_ in ("Group", "AuditEvent") and twin and context == "patient":
                continue  # these have their own tests
            if type_ == "AuditEvent" and who != "service" and not twin:
                continue
            found = grants.allows(action, type_, made(type_, names), twin)
            want = expected(context, scope, action, type_, twin, names, who)
            assert found is want, (who, scope, action, type_, said)
            if found:
                assert grants.may(action, type_)
                assert grants.basis(action, type_) == scope
                assert not twin or grants.reaches(twin) or type_ == "AuditEvent"
            cells += 1
    assert cells > len(ALL) * len(SHAPES) * 12
    assert len(ALL) >= 30
    assert len(SHAPES) >= 12


def test_a_patient_scope_without_a_patient_in_context_grants_nothing():
    """A10, 2.2.0@164."""
    asks = caller("patient/*.cruds", "launch/patient")
    grants = compile_grants(asks, matches)
    for action, type_ in product(ACTIONS, TYPES):
        assert not grants.may(action, type_)
        assert not grants.allows(action, type_, {**made(type_, ANNA), "resourceType": type_}, ANNA)
        assert not grants.allows(action, type_, {"resourceType": type_, "id": "1"}, "")
    assert not grants.reaches(ANNA)
    assert not grants.reaches("")
    assert usable(asks) == ("launch/patient",)


def test_a_patient_scope_is_delegated_by_a_person_and_counts_for_nobody_else():
    asks = Caller(
        client="app", patient=ANNA, scopes=("patient/*.rs",), token=service().token, expires=service().expires
    )
    assert not compile_grants(asks, matches).may("r", "Observation")
    assert not compile_grants(asks, matches).reaches(ANNA)


def test_a_token_for_one_patient_shows_no_other_even_where_the_resource_names_the_first():
    grants = compile_grants(caller("patient/*.cruds", patient=ANNA), matches)
    for action in ACTIONS:
        assert not grants.allows(action, "Observation", observation(ANNA), BERT)
        assert not grants.allows(action, "Observation", observation(BERT), BERT)
        assert not grants.allows(action, "Observation", observation(BERT), ANNA)


def test_a_linked_patient_is_another_patient():
    """2.2.0@139: nothing follows Patient.link; where two records are joined, they are one twin."""
    grants = compile_grants(caller("patient/*.rs", patient=ANNA), matches)
    linked = {
        "resourceType": "Patient",
        "id": BERT,
        "link": [{"other": {"reference": "Patient/anna"}, "type": "seealso"}],
    }
    assert not grants.allows("r", "Patient", linked, BERT)
    assert grants.allows("r", "Patient", linked, ANNA)  # one of Anna's own, from another source
    back = {
        "resourceType": "Patient",
        "id": ANNA,
        "link": [{"other": {"reference": "Patient/bert"}, "type": "seealso"}],
    }
    assert grants.allows("r", "Patient", back, ANNA)
    assert not grants.reaches(BERT)


def test_a_group_that_lists_others_is_not_shown_to_one_of_its_members():
    grants = compile_grants(caller("patient/*.rs", patient=ANNA), matches)
    group = {
        "resourceType": "Group",
        "id": "g",
        "member": [{"entity": {"reference": f"Patient/{who}"}} for who in (ANNA, BERT)],
    }
    assert not grants.allows("r", "Group", group, "")
    assert not grants.allows("r", "Group", group, ANNA)
    assert compile_grants(caller("user/*.rs"), matches).allows("r", "Group", group, "")
    assert not compile_grants(caller("user/*.rs", roles=("planner",)), matches).allows("r", "Group", group, "")
    assert compile_grants(caller("user/*.rs", roles=("planner",)), matches).allows(
        "r", "Group", {"resourceType": "Group", "id": "g", "quantity": 2}, ""
    )


def test_a_device_that_names_a_patient_is_not_everybodys():
    device = {"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/bert"}}
    anna = compile_grants(caller("patient/*.rs", patient=ANNA), matches)
    assert not anna.allows("r", "Device", device, "")
    assert not anna.allows("r", "Device", device, ANNA)
    assert anna.allows("r", "Device", {"resourceType": "Device", "id": "model"}, "")
    assert not compile_grants(caller("user/*.rs", roles=("engineer",)), matches).allows("r", "Device", device, "")


def test_what_is_no_longer_there_is_told_to_whom_it_was_shown_and_to_nobody_with_a_constraint():
    gone = {"resourceType": "Observation", "id": "o1"}
    assert compile_grants(caller("patient/Observation.rs", patient=ANNA), matches).allows(
        "r", "Observation", gone, ANNA
    )
    assert not compile_grants(caller("patient/Observation.rs", patient=ANNA), matches).allows(
        "r", "Observation", gone, BERT
    )
    some = compile_grants(caller(f"patient/Observation.rs?{LABORATORY}", patient=ANNA), matches)
    assert not some.allows("r", "Observation", gone, ANNA)
    assert not compile_grants(caller("patient/Observation.cu", patient=ANNA), matches).allows(
        "c", "Observation", gone, ANNA
    )


def test_what_is_written_into_a_record_says_that_it_is_of_that_patient_whoever_writes():
    for asks in (caller("user/*.cu"), service("system/*.cu"), caller("patient/*.cu", patient=ANNA)):
        grants = compile_grants(asks, matches)
        assert grants.allows("c", "Observation", observation(ANNA), ANNA)
        assert not grants.allows("c", "Observation", observation(BERT), ANNA)
        assert not grants.allows("u", "Observation", {"resourceType": "Observation", "id": "1"}, ANNA)
        assert not grants.allows("c", "Observation", observation(ANNA), "")


def test_a_resource_of_another_type_than_is_told_is_not_allowed():
    grants = compile_grants(caller("user/Observation.rs"), matches)
    assert not grants.allows("r", "Observation", {**observation(ANNA), "resourceType": "Condition"}, ANNA)
    assert not grants.allows("r", "Observation", {"id": "1"}, ANNA)
    assert not grants.may("r", "Nonsense")
    assert not grants.allows("r", "Nonsense", {"resourceType": "Nonsense"}, ANNA)


class TestConstraints:
    def test_what_meets_one_is_allowed_and_all_else_is_not(self):
        grants = compile_grants(caller(f"patient/Observation.rs?{LABORATORY}", patient=ANNA), matches)
        assert grants.may("s", "Observation")
        for action in ("r", "s"):
            assert grants.allows(action, "Observation", observation(ANNA, "laboratory"), ANNA)
            assert grants.allows(action, "Observation", observation(ANNA, "vital-signs", "laboratory"), ANNA)
            assert not grants.allows(action, "Observation", observation(ANNA, "vital-signs"), ANNA)
            assert not grants.allows(action, "Observation", observation(ANNA), ANNA)
            assert not grants.allows(action, "Observation", observation(BERT, "laboratory"), BERT)

    def test_they_hold_for_what_is_written_as_it_was_and_as_it_will_be(self):
        grants = compile_grants(caller(f"user/Observation.cud?{LABORATORY}", roles=("clinician",)), matches)
        for action in ("c", "u"):
            assert grants.allows(action, "Observation", observation(ANNA, "laboratory"), ANNA)
            assert not grants.allows(action, "Observation", observation(ANNA, "vital-signs"), ANNA)

    def test_several_add_up(self):
        grants = compile_grants(
            caller(
                "patient/Observation.rs?category=laboratory",
                "patient/Observation.rs?category=vital-signs",
                patient=ANNA,
            ),
            matches,
        )
        for category, said in (("laboratory", True), ("vital-signs", True), ("survey", False)):
            assert grants.allows("s", "Observation", observation(ANNA, category), ANNA) is said

    def test_one_without_a_constraint_is_not_narrowed_by_one_with(self):
        grants = compile_grants(
            caller("patient/*.rs", "patient/Observation.rs?category=laboratory", patient=ANNA), matches
        )
        assert grants.allows("s", "Observation", observation(ANNA, "survey"), ANNA)

    def test_one_with_a_constraint_is_not_widened_by_one_of_version_1_for_another_type(self):
        grants = compile_grants(
            caller("patient/Condition.read", "patient/Observation.rs?category=laboratory", patient=ANNA), matches
        )
        assert not grants.allows("s", "Observation", observation(ANNA, "survey"), ANNA)

    def test_one_on_every_type_allows_what_meets_it_and_nothing_of_types_that_cannot_be_asked(self):
        grants = compile_grants(caller("patient/*.rs?category=laboratory", patient=ANNA), matches)
        assert grants.allows("s", "Observation", observation(ANNA, "laboratory"), ANNA)
        assert grants.may("s", "Condition")
        assert not grants.may("s", "Device")
        assert not grants.allows("s", "Device", {"resourceType": "Device", "id": "1"}, ANNA)

    @pytest.mark.parametrize(
        "query", ["unknown=1", "code=4548-4", "category=laboratory&code=4548-4", "_lastUpdated=ge2020"]
    )
    def test_one_that_cannot_be_decided_allows_nothing_and_takes_nothing_away(self, query: str):
        alone = compile_grants(caller(f"patient/Observation.rs?{query}", patient=ANNA), matches)
        assert not alone.may("r", "Observation")
        assert not alone.allows("r", "Observation", observation(ANNA, "laboratory"), ANNA)
        beside = compile_grants(
            caller(f"patient/Observation.rs?{query}", "patient/Observation.r", patient=ANNA), matches
        )
        assert beside.allows("r", "Observation", observation(ANNA), ANNA)
        assert beside.basis("r", "Observation") == "patient/Observation.r"

    @pytest.mark.parametrize(
        "error", [ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError]
    )
    def test_a_resource_that_cannot_be_matched_is_not_allowed_and_is_no_error(self, error: type[Exception]):
        def breaks(type_: str, query: str, resource: Any) -> bool:
            if resource.get("id") == "bad":
                raise error("told by a test")
            return True

        grants = compile_grants(caller("patient/Observation.rs?code=a", patient=ANNA), breaks)
        assert grants.allows("r", "Observation", observation(ANNA), ANNA)
        assert not grants.allows("r", "Observation", observation(ANNA, id_="bad"), ANNA)

    def test_an_answer_that_is_not_yes_is_no(self):
        grants = compile_grants(caller("patient/Observation.rs?code=a", patient=ANNA), lambda *_: "yes")  # type: ignore[arg-type,return-value]
        assert not grants.allows("r", "Observation", observation(ANNA), ANNA)

    def test_a_search_can_be_read_once(self):
        class Reads:
            read = 0

            def __call__(self, type_: str, query: str, resource: Any) -> bool:
                raise AssertionError("it was to be read once")

            def compiled(self, type_: str, query: str) -> Any:
                self.read += 1
                if type_ != "Observation":
                    raise ValueError(type_)
                return lambda resource: matches(type_, query, resource)

        reads = Reads()
        grants = compile_grants(caller("patient/*.rs?category=laboratory", patient=ANNA), reads)
        for _ in range(10):
            assert grants.allows("r", "Observation", observation(ANNA, "laboratory"), ANNA)
            assert not grants.allows("r", "Observation", observation(ANNA), ANNA)
        assert reads.read == 1
        assert not grants.may("r", "Device")

    def test_the_search_that_is_asked_is_the_one_that_the_scope_means(self):
        asked = []

        def told(type_: str, query: str, resource: Any) -> bool:
            asked.append(query)
            return True

        grants = compile_grants(caller("user/Observation.r?code=http://loinc.org|4548-4,a%26b+c&status=final"), told)
        grants.may("r", "Observation")
        assert asked[:2] == ["code=http://loinc.org|4548-4,a%26b%2Bc", "status=final"]  # can they be decided at all?
        grants.allows("r", "Observation", observation(ANNA), ANNA)
        assert asked[-1:] == ["code=http://loinc.org|4548-4,a%26b%2Bc&status=final"]


class TestRoles:
    def test_the_roles_are_those_that_there_are(self):
        for role in ROLES:
            assert usable(caller("user/*.rs", roles=(role,))) == ("user/*.rs",)
        assert usable(caller("user/*.rs", roles=())) == ()

    def test_who_has_no_role_sees_nothing_by_any_scope(self):
        grants = compile_grants(
            caller("user/*.cruds", "patient/*.cruds", "system/*.cruds", roles=(), patient=ANNA), matches
        )
        assert all(not grants.types(action) for action in ACTIONS)
        assert not grants.reaches(ANNA)

    def test_roles_are_those_of_now_not_of_when_the_token_was_given(self):
        scopes = ("user/Observation.rs",)
        assert compile_grants(caller(*scopes, roles=("clinician",)), matches).may("r", "Observation")
        assert not compile_grants(caller(*scopes, roles=("admin",)), matches).may("r", "Observation")

    def test_an_app_of_one_patient_gives_a_person_nothing_that_their_role_does_not(self):
        for role in set(ROLES) - {"clinician"}:
            grants = compile_grants(caller("patient/*.rs", roles=(role,), patient=ANNA), matches)
            assert not grants.allows("r", "Observation", observation(ANNA), ANNA), role
            assert grants.reaches(ANNA) is (role in ("auditor", "admin")), role  # for Consents

    def test_several_roles_add_up(self):
        grants = compile_grants(caller("user/*.rs", roles=("clinician", "auditor")), matches)
        assert grants.may("r", "Observation")
        assert grants.may("r", "AuditEvent")

    def test_an_auditor_sees_the_log_of_every_twin_and_by_which_consent_and_no_record(self):
        grants = compile_grants(caller("user/*.rs", roles=("auditor",)), matches)
        event = {"resourceType": "AuditEvent", "id": "1", "entity": [{"what": {"reference": "Patient/anna"}}]}
        assert grants.allows("s", "AuditEvent", event, ANNA)
        assert grants.allows("s", "AuditEvent", event, "")
        assert grants.types("r") == {"AuditEvent", "Consent"}
        assert grants.allows("r", "Consent", made("Consent", ANNA), ANNA)
        assert not grants.may("u", "Consent")
        log = compile_grants(caller("user/AuditEvent.rs", roles=("auditor",)), matches)
        assert log.allows("s", "AuditEvent", event, ANNA)
        assert not log.reaches(ANNA)

    def test_an_admin_keeps_consents_and_sees_no_record(self):
        grants = compile_grants(caller("user/*.cruds", roles=("admin",)), matches)
        for action in ("c", "r", "u", "s"):
            assert grants.allows(action, "Consent", made("Consent", ANNA), ANNA)
            assert {each for each in TYPES if grants.allows(action, each, made(each, ANNA), ANNA)} == {"Consent"}
        assert not grants.may("d", "Consent")

    @pytest.mark.parametrize("role", ["planner", "student", "engineer"])
    def test_who_treats_nobody_sees_nothing_that_names_a_patient(self, role):
        grants = compile_grants(caller("user/*.cruds", roles=(role,)), matches)
        assert not grants.reaches(ANNA)
        for type_ in TYPES:
            named = {"resourceType": type_, "id": "1", "x": [{"reference": "Patient/anna"}]}
            for action in ACTIONS:
                assert not grants.allows(action, type_, named, "")
                assert not grants.allows(action, type_, {"resourceType": type_, "id": "1"}, ANNA)

    def test_a_patient_sees_their_own_record_and_no_other_with_no_role(self):
        me = {"roles": (), "fhir_user": "Patient/anna"}
        for asks in (caller("patient/*.cruds", patient=ANNA, **me), caller("user/*.cruds", **me)):
            grants = compile_grants(asks, matches)
            assert grants.allows("r", "Observation", observation(ANNA), ANNA)
            assert grants.allows("c", "QuestionnaireResponse", made("QuestionnaireResponse", ANNA), ANNA)
            assert not grants.allows("u", "Condition", made("Condition", ANNA), ANNA)
            assert not grants.allows("r", "Observation", observation(BERT), BERT)
            assert not grants.allows("r", "Observation", observation(BERT), ANNA)
            assert grants.allows("r", "Practitioner", {"resourceType": "Practitioner", "id": "1"}, "")
            assert not grants.may("r", "Group")
            assert not grants.may("r", "AuditEvent")
            assert grants.reaches(ANNA)
            assert not grants.reaches(BERT)
        of_bert = compile_grants(caller("patient/*.rs", patient=BERT, **me), matches)
        assert not of_bert.reaches(BERT)
        assert not of_bert.allows("r", "Observation", observation(BERT), BERT)

    def test_the_scope_fhir_user_shows_who_somebody_is_and_nothing_else(self):
        """A12, 2.2.0@197: the URL of the claim can be read with the same token."""
        grants = compile_grants(caller("openid", "fhirUser", roles=(), fhir_user="Practitioner/7"), matches)
        me, other = ({"resourceType": "Practitioner", "id": id_} for id_ in ("7", "8"))
        assert grants.allows("r", "Practitioner", me, "")
        assert grants.basis("r", "Practitioner") == "fhirUser"
        assert not grants.allows("r", "Practitioner", other, "")
        assert not grants.allows("s", "Practitioner", me, "")
        assert not grants.allows("u", "Practitioner", me, "")
        assert grants.types("r") == {"Practitioner"}
        patient = compile_grants(caller("openid", "fhirUser", roles=(), fhir_user="Patient/anna"), matches)
        assert patient.allows("r", "Patient", {"resourceType": "Patient", "id": ANNA}, ANNA)
        assert not patient.allows("r", "Observation", observation(ANNA), ANNA)
        assert not patient.allows("r", "Patient", {"resourceType": "Patient", "id": BERT}, BERT)
        assert patient.reaches(ANNA)

    @pytest.mark.parametrize(
        "fhir_user",
        ["", "Practitioner", "Practitioner/", "/7", "https://a.example.org/Practitioner/7", "Practitioner/None"],
    )
    def test_who_is_no_resource_is_shown_none(self, fhir_user: str):
        grants = compile_grants(caller("fhirUser", roles=(), fhir_user=fhir_user), matches)
        assert not grants.allows("r", "Practitioner", {"resourceType": "Practitioner", "id": "7"}, "")
        assert not grants.allows("r", "Practitioner", {"resourceType": "Practitioner", "id": ""}, "")
        assert not grants.allows("r", "Practitioner", {"resourceType": "Practitioner"}, "")


class TestServices:
    def test_only_who_acts_for_itself_has_system_scopes(self):
        assert compile_grants(service("system/*.rs"), matches).may("r", "Observation")
        assert not compile_grants(caller("system/*.rs"), matches).may("r", "Observation")
        assert not compile_grants(service("user/*.rs"), matches).may("r", "Observation")

    def test_the_log_is_had_by_name_only(self):
        event = {"resourceType": "AuditEvent", "id": "1"}
        assert not compile_grants(service("system/*.cruds"), matches).may("s", "AuditEvent")
        grants = compile_grants(service("system/AuditEvent.cruds"), matches)
        assert grants.allows("s", "AuditEvent", event, "")
        assert not any(grants.may(action, "AuditEvent") for action in ("c", "u", "d"))


class TestExports:
    @pytest.mark.parametrize(
        ("asks", "types"),
        [
            (service("system/Observation.rs", "system/Condition.read"), {"Observation", "Condition"}),
            (service("system/Observation.r", "system/Observation.s"), {"Observation"}),
            (service("system/Observation.r"), set()),
            (service("system/Observation.cud"), set()),
            (service("system/Observation.rs?category=laboratory"), set()),
            (service("system/*.rs?category=laboratory", "system/Condition.rs"), {"Condition"}),
            (service("system/Observation.rs?_id=1", "system/Observation.r"), set()),
            (service("system/*.rs"), set(TYPES) - {"AuditEvent"}),
            (service("patient/*.rs", "user/*.rs"), set()),
            (caller("system/*.rs", "user/*.rs", "patient/*.rs", patient=ANNA), set()),
            (service(), set()),
        ],
    )
    def test_what_may_be_exported_is_what_system_scopes_without_a_constraint_name(self, asks: Caller, types: set[str]):
        assert export_types(asks) == types


# ---- laws ---------------------------------------------------------------------------------------------------------

spelled = st.builds(
    lambda context, type_, actions, query: f"{context}/{type_}.{actions}{query}",
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(["Observation", "Condition", "Device", "Practitioner", "Patient", "Group", "Provenance", "*"]),
    st.sampled_from(["r", "s", "rs", "cu", "cruds", "d"]),
    st.sampled_from(["", "", "?category=laboratory", "?category=laboratory,vital-signs", "?code=a"]),
)
scope_lists = st.lists(st.one_of(spelled, st.sampled_from(["fhirUser", "launch", "nonsense"])), max_size=5).map(tuple)
resources = st.one_of(
    st.builds(
        lambda of, categories: observation(of, *categories),
        st.sampled_from([ANNA, BERT]),
        st.sets(st.sampled_from(["laboratory", "vital-signs"])),
    ),
    st.builds(
        made,
        st.sampled_from(["Condition", "Device", "Practitioner", "Patient", "Group", "Provenance"]),
        st.sampled_from([ANNA, BERT, ""]),
    ),
)
twins = st.sampled_from([ANNA, BERT, ""])
standings = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["maria", ""]),
        "roles": st.sets(st.sampled_from(ROLES), max_size=2).map(tuple),
        "patient": st.sampled_from([ANNA, ""]),
        "fhir_user": st.sampled_from(["", "Patient/anna", "Practitioner/1"]),
    }
)


def allowed(grants: Grants, resource: dict[str, Any], twin: str) -> set[str]:
    return {action for action in ACTIONS if grants.allows(action, resource["resourceType"], resource, twin)}


@settings(deadline=None)
@given(scope_lists, scope_lists, standings, resources, twins)
def test_fewer_scopes_never_see_more(some, more, standing, resource, twin):
    few = compile_grants(caller(*some, **standing), matches)
    many = compile_grants(caller(*some, *more, **standing), matches)
    assert allowed(few, resource, twin) <= allowed(many, resource, twin)
    assert few.reaches(twin) <= many.reaches(twin)
    assert all(few.types(action) <= many.types(action) for action in ("r", "c"))


@settings(deadline=None)
@given(scope_lists, scope_lists, standings, resources, twins)
def test_what_two_lists_allow_together_is_what_one_or_the_other_allows(some, others, standing, resource, twin):
    one, other = (compile_grants(caller(*each, **standing), matches) for each in (some, others))
    both = compile_grants(caller(*some, *others, **standing), matches)
    assert allowed(both, resource, twin) == allowed(one, resource, twin) | allowed(other, resource, twin)


@settings(deadline=None)
@given(spelled, standings, resources, twins)
def test_a_constraint_never_widens(scope, standing, resource, twin):
    narrow = compile_grants(caller(scope.partition("?")[0] + "?category=laboratory", **standing), matches)
    wide = compile_grants(caller(scope.partition("?")[0], **standing), matches)
    assert allowed(narrow, resource, twin) <= allowed(wide, resource, twin)


@settings(deadline=None)
@given(scope_lists, standings, resources, twins, st.sampled_from(ROLES))
def test_one_more_role_never_takes_away(scopes, standing, resource, twin, role):
    fewer = compile_grants(caller(*scopes, **standing), matches)
    more = compile_grants(caller(*scopes, **{**standing, "roles": (*standing["roles"], role)}), matches)
    assert allowed(fewer, resource, twin) <= allowed(more, resource, twin)


@settings(deadline=None)
@given(scope_lists, standings, resources, twins)
def test_what_is_allowed_may_be_asked_for_and_has_a_reason(scopes, standing, resource, twin):
    grants = compile_grants(caller(*scopes, **standing), matches)
    type_ = resource["resourceType"]
    for action in allowed(grants, resource, twin):
        assert grants.may(action, type_)
        assert type_ in grants.types(action)
        assert set(grants.basis(action, type_).split(" ")) <= set(scopes)
        assert not twin or grants.reaches(twin)
    for action in ACTIONS:
        assert grants.may(action, type_) is (grants.basis(action, type_) != "")


@settings(deadline=None)
@given(scope_lists, standings, resources, twins)
def test_what_cannot_be_used_grants_nothing_and_the_rest_grants_all(scopes, standing, resource, twin):
    asks = caller(*scopes, **standing)
    left = caller(*usable(asks), **standing)
    assert allowed(compile_grants(asks, matches), resource, twin) == allowed(
        compile_grants(left, matches), resource, twin
    )
    assert set(usable(asks)) <= set(scopes)


@settings(deadline=None)
@given(scope_lists, standings, st.sampled_from(sorted(TYPES)))
def test_nobody_writes_the_log(scopes, standing, type_):
    grants = compile_grants(caller(*scopes, "system/AuditEvent.cruds", "user/AuditEvent.cruds", **standing), matches)
    assert not any(grants.may(action, "AuditEvent") for action in ("c", "u", "d"))


# ---- a whole chart at once ----------------------------------------------------------------------------------------


class Chart:
    """Something that lives, and says the same of itself as others of its kind."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chart)

    def __hash__(self) -> int:
        return 7


@settings(deadline=None)
@given(scope_lists, standings, st.lists(resources, max_size=6), twins)
def test_a_chart_is_answered_as_each_of_its_resources_is(scopes, standing, some, twin):
    grants, chart = compile_grants(caller(*scopes, **standing), matches), Chart()
    for action, type_ in product(("r", "s", "c"), ("Observation", "Condition", "Practitioner")):
        of_type = [each for each in some if each["resourceType"] == type_]
        one_by_one = [grants.allows(action, type_, each, twin) for each in of_type]
        assert list(grants.allows_each(action, type_, iter(of_type), twin, chart)) == one_by_one
        assert (
            list(grants.allows_each(action, type_, iter(()), twin, chart)) == one_by_one
        )  # kept: nobody is asked again


def test_what_is_kept_of_a_chart_is_of_that_very_chart_and_goes_with_it():
    grants = compile_grants(caller("patient/Observation.rs?category=laboratory", patient=ANNA), matches)
    before, after = Chart(), Chart()
    shown, hidden = observation(ANNA, "laboratory"), observation(ANNA, "survey")
    assert list(grants.allows_each("s", "Observation", [shown], ANNA, before)) == [True]
    assert list(grants.allows_each("s", "Observation", [hidden], ANNA, after)) == [False]
    assert list(grants.allows_each("s", "Observation", [hidden], BERT, before)) == [False]
    del before
    for _ in range(50):  # a new one may stand where the old one stood
        assert list(grants.allows_each("s", "Observation", [hidden], ANNA, Chart())) == [False]
        assert list(grants.allows_each("s", "Observation", [shown], ANNA, Chart())) == [True]


def test_of_what_nobody_can_tell_the_end_nothing_is_kept():
    grants = compile_grants(caller("user/Observation.rs?category=laboratory"), matches)
    assert list(grants.allows_each("s", "Observation", [observation(ANNA, "laboratory")], ANNA, 5)) == [True]
    assert list(grants.allows_each("s", "Observation", [observation(ANNA, "survey")], ANNA, 5)) == [False]
