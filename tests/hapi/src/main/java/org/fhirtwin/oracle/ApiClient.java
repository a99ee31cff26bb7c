package org.fhirtwin.oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.api.PreferReturnEnum;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import java.math.BigDecimal;
import java.util.HashSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.hl7.fhir.r4.model.BooleanType;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.CodeableConcept;
import org.hl7.fhir.r4.model.Coding;
import org.hl7.fhir.r4.model.DateTimeType;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.IntegerType;
import org.hl7.fhir.r4.model.Observation;
import org.hl7.fhir.r4.model.OperationOutcome;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.Patient;
import org.hl7.fhir.r4.model.Quantity;
import org.hl7.fhir.r4.model.Reference;

/**
 * A client that we did not write, at our API: reads, searches, pages, creates, updates, runs a transaction and two
 * operations. Prints "ok WHAT" for each; anything that is not as FHIR has it ends it with a stack trace and 1.
 *
 * <p>Arguments: base URL, access token, id of a Patient, how many Observations that one has.
 */
public final class ApiClient {
    private static final String DEVICE = "http://device.example/readings";

    private final IGenericClient client;
    private final String patient;

    private ApiClient(IGenericClient client, String patient) {
        this.client = client;
        this.patient = patient;
    }

    public static void main(String[] args) {
        var context = FhirContext.forR4();
        context.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.ONCE);
        context.getRestfulClientFactory().setSocketTimeout(60_000);
        var client = context.newRestfulGenericClient(args[0]);
        client.registerInterceptor(new BearerTokenAuthInterceptor(args[1]));
        try {
            new ApiClient(client, args[2]).run(Integer.parseInt(args[3]));
        } catch (Throwable broken) {
            broken.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private void run(int many) {
        var told = client.capabilities().ofType(CapabilityStatement.class).execute();
        hold("metadata", told.getFhirVersion().toCode().equals("4.0.1") && told.getRest().size() == 1);
        readAndPage(many);
        var made = create();
        update(made);
        conditions();
        transaction();
        refusals();
        operations();
    }

    private void readAndPage(int many) {
        var read = client.read().resource(Patient.class).withId(patient).execute();
        hold("read", read.getIdElement().getIdPart().equals(patient) && read.hasName());
        var page = client.search().forResource(Observation.class)
                .where(Observation.PATIENT.hasId(patient))
                .count(10).returnBundle(Bundle.class).execute();
        var found = new HashSet<String>();
        var pages = 0;
        while (true) {
            pages++;
            page.getEntry().forEach(entry -> hold(null, found.add(entry.getResource().getIdElement().getIdPart())));
            if (page.getLink(Bundle.LINK_NEXT) == null) {
                break;
            }
            page = client.loadPage().next(page).execute();
        }
        hold("search", found.size() == many);
        hold("paging", pages == (many + 9) / 10);
    }

    private Observation weight(String kilograms) {
        var made = new Observation();
        made.setStatus(Observation.ObservationStatus.FINAL);
        made.setCode(new CodeableConcept(new Coding("http://loinc.org", "29463-7", "Body weight")));
        made.setSubject(new Reference("Patient/" + patient));
        made.setEffective(new DateTimeType("2026-06-01T08:00:00Z"));
        made.setValue(new Quantity().setValue(new BigDecimal(kilograms)).setUnit("kg")
                .setSystem("http://unitsofmeasure.org").setCode("kg"));
        return made;
    }

    private IdType create() {
        var outcome = client.create().resource(weight("80.50")).prefer(PreferReturnEnum.REPRESENTATION).execute();
        hold("create", outcome.getCreated() && outcome.getId().getVersionIdPart().equals("1"));
        var read = client.read().resource(Observation.class).withId(outcome.getId().toUnqualifiedVersionless()).execute();
        hold("digits", read.getValueQuantity().getValue().toPlainString().equals("80.50"));
        var minimal = client.create().resource(weight("80.6")).prefer(PreferReturnEnum.MINIMAL).execute();
        hold("minimal", minimal.getCreated() && minimal.getResource() == null && minimal.getId().hasIdPart());
        var told = client.create().resource(weight("80.7")).prefer(PreferReturnEnum.OPERATION_OUTCOME).execute();
        hold("outcome", told.getOperationOutcome() instanceof OperationOutcome);
        return new IdType(outcome.getId().toUnqualified().getValue());
    }

    private void update(IdType made) {
        var changed = weight("81.0");
        changed.setId(made.toVersionless());
        hold("update without If-Match", status(() -> client.update().resource(changed).execute()) == 428);
        var outcome = updated(changed, "1");
        hold("update", outcome.getId().getVersionIdPart().equals("2") && !Boolean.TRUE.equals(outcome.getCreated()));
        var late = weight("99");
        late.setId(made.toVersionless());
        hold("version conflict", status(() -> updated(late, "1")) == 412);
        var first = client.vread(Observation.class, made.getIdPart(), "1");
        hold("vread", first.getValueQuantity().getValue().toPlainString().equals("80.50"));
        var history = client.history().onInstance(made.toVersionless()).returnBundle(Bundle.class).execute();
        hold("history", history.getEntry().size() == 2);
        var amended = client.patch().withBody("[{\"op\":\"replace\",\"path\":\"/status\",\"value\":\"amended\"}]")
                .withId(made.toVersionless()).withAdditionalHeader("If-Match", "W/\"2\"").execute();
        hold("patch", amended.getId().getVersionIdPart().equals("3"));
    }

    private MethodOutcome updated(Observation resource, String version) {
        return client.update().resource(resource).withAdditionalHeader("If-Match", "W/\"" + version + "\"").execute();
    }

    private void conditions() {
        var one = weight("82");
        one.addIdentifier().setSystem(DEVICE).setValue("1");
        var url = "Observation?identifier=" + DEVICE + "|1";
        var made = client.create().resource(one).conditionalByUrl(url).execute();
        var again = client.create().resource(one).conditionalByUrl(url).execute();
        hold("conditional create", made.getId().getIdPart().equals(again.getId().getIdPart()));
        hold("conditional create makes one", made.getCreated() && !Boolean.TRUE.equals(again.getCreated()));
        var changed = weight("83");
        changed.addIdentifier().setSystem(DEVICE).setValue("1");
        var put = client.update().resource(changed).conditionalByUrl(url).execute();
        hold("conditional update", put.getId().getIdPart().equals(made.getId().getIdPart()));
    }

    private void transaction() {
        var bundle = new Bundle();
        bundle.setType(Bundle.BundleType.TRANSACTION);
        var name = "urn:uuid:" + UUID.randomUUID();
        var derived = weight("84");
        derived.addDerivedFrom(new Reference(name));
        bundle.addEntry().setResource(derived).getRequest().setMethod(Bundle.HTTPVerb.POST).setUrl("Observation");
        bundle.addEntry().setFullUrl(name).setResource(weight("85"))
                .getRequest().setMethod(Bundle.HTTPVerb.POST).setUrl("Observation");
        bundle.addEntry().getRequest().setMethod(Bundle.HTTPVerb.GET).setUrl("Patient/" + patient);
        var answer = client.transaction().withBundle(bundle).execute();
        hold("transaction", answer.getEntry().size() == 3
                && answer.getEntry().get(0).getResponse().getStatus().startsWith("201")
                && answer.getEntry().get(2).getResource() instanceof Patient);
        var first = new IdType(answer.getEntry().get(0).getResponse().getLocation());
        var second = new IdType(answer.getEntry().get(1).getResponse().getLocation());
        var read = client.read().resource(Observation.class).withId(first.toUnqualifiedVersionless()).execute();
        hold("references of a transaction",
                read.getDerivedFromFirstRep().getReferenceElement().getIdPart().equals(second.getIdPart()));
        bundle.getEntry().get(0).getRequest().setMethod(Bundle.HTTPVerb.DELETE).setUrl("Observation/1");
        hold("a transaction that cannot be", status(() -> client.transaction().withBundle(bundle).execute()) == 405);
    }

    private void refusals() {
        var lost = weight("86");
        lost.setSubject(new Reference("Patient/" + UUID.randomUUID()));
        hold("unknown patient", status(() -> client.create().resource(lost).execute()) == 422);
        var bare = weight("86");
        bare.setStatus(null);
        hold("missing status", status(() -> client.create().resource(bare).execute()) == 400);
        hold("another type", status(() -> client.create().resource(new Patient()).execute()) == 405);
        hold("not there", status(() -> client.read().resource(Observation.class).withId("x").execute()) == 404);
    }

    private void operations() {
        var valid = client.validate().resource(weight("87")).execute();
        hold("$validate", valid.getOperationOutcome() instanceof OperationOutcome told
                && told.getIssue().stream().noneMatch(each -> each.getSeverity() == OperationOutcome.IssueSeverity.ERROR));
        var someone = client.read().resource(Patient.class).withId(patient).execute();
        var asked = new Parameters();
        asked.addParameter().setName("resource").setResource(someone);
        asked.addParameter().setName("onlyCertainMatches").setValue(new BooleanType(true));
        asked.addParameter().setName("count").setValue(new IntegerType(1));
        var found = client.operation().onType(Patient.class).named("$match").withParameters(asked)
                .returnResourceType(Bundle.class).execute();
        hold("$match", found.getEntry().size() == 1
                && found.getEntryFirstRep().getResource().getIdElement().getIdPart().equals(patient)
                && found.getEntryFirstRep().getSearch().getScore().doubleValue() > 0.9);
    }

    /** Return the status of what is refused, with an OperationOutcome; 0 for what is not. */
    private static int status(Callable<?> call) {
        try {
            call.call();
            return 0;
        } catch (BaseServerResponseException refused) {
            hold(null, refused.getOperationOutcome() instanceof OperationOutcome);
            return refused.getStatusCode();
        } catch (Exception other) {
            throw new IllegalStateException(other);
        }
    }

    private static void hold(String what, boolean holds) {
        if (!holds) {
            throw new IllegalStateException(what == null ? "a part of what is asked" : what);
        }
        if (what != null) {
            System.out.println("ok " + what);
        }
    }
}
