package org.fhirtwin.oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.validation.JpaValidationSupportChain;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.validation.IValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.r4.model.CodeSystem;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** One FHIR version: HAPI's JPA server behind HAPI's validator, which refuses with 422 what is not valid. */
final class Endpoint {
    private static final String OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

    private Endpoint() {}

    static RestfulServer start(Class<?> version) {
        var beans = new AnnotationConfigApplicationContext(version, Store.class);
        var fhir = beans.getBean(FhirContext.class);
        // HAPI's default drops the version from every reference, on the way in and out. We name exact versions.
        fhir.getParserOptions().setStripVersionsFromReferences(false);
        var published = beans.getBean(DefaultProfileValidationSupport.class);
        beans.getBean(JpaValidationSupportChain.class).addValidationSupport(0, newerCodes(fhir, published));

        var validator = beans.getBean(IValidatorModule.class);
        var server = new RestfulServer(fhir);
        server.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(beans.getBean(IJpaSystemProvider.class));
        server.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        server.setDefaultResponseEncoding(EncodingEnum.JSON);
        server.registerInterceptor(refuseInvalid(validator));
        loadDefinitions(fhir, validator);
        return server;
    }

    private static RequestValidatingInterceptor refuseInvalid(IValidatorModule validator) {
        var gate = new RequestValidatingInterceptor();
        gate.setValidatorModules(List.of(validator));
        gate.setFailOnSeverity(ResultSeverityEnum.ERROR);
        gate.setAddResponseHeaderOnSeverity(null);
        return gate;
    }

    /** HL7 added AIAST to v3-ObservationValue after R4 was published; a server learns it with HL7's newer terminology. */
    private static IValidationSupport newerCodes(FhirContext fhir, DefaultProfileValidationSupport published) {
        var codes = new PrePopulatedValidationSupport(fhir);
        if (published.fetchCodeSystem(OBSERVATION_VALUE) instanceof CodeSystem r4) {
            var newer = r4.copy();
            newer.addConcept().setCode("AIAST").setDisplay("Artificial Intelligence asserted");
            codes.addCodeSystem(newer);
        }
        return codes;
    }

    /** Validate something small, so that the first request does not pay for reading the definitions. */
    private static void loadDefinitions(FhirContext fhir, IValidatorModule validator) {
        var patient = fhir.newJsonParser().parseResource("{\"resourceType\":\"Patient\",\"active\":true}");
        fhir.newValidator().registerValidatorModule(validator).validateWithResult(patient);
    }
}
