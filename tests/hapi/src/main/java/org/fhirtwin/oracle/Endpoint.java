package org.fhirtwin.oracle;

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.config.JpaDstu2Config;
import ca.uhn.fhir.jpa.config.dstu3.JpaDstu3Config;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r4b.JpaR4BConfig;
import ca.uhn.fhir.jpa.config.r5.JpaR5Config;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.validation.JpaValidationSupportChain;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.RequestTypeEnum;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.IValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** One FHIR version: HAPI's JPA server behind HAPI's validator, which refuses with 422 what is not valid. */
public final class Endpoint extends RestfulServer {
    /** What each version is made of: HAPI's own configuration, and topic-based subscriptions where HAPI has them. */
    static final Map<String, List<Class<?>>> VERSIONS = Map.of(
            "r5", List.of(JpaR5Config.class, Topics.class),
            "r4b", List.of(JpaR4BConfig.class, Topics.class),
            "r4", List.of(JpaR4Config.class, Topics.class),
            "stu3", List.of(JpaDstu3Config.class),
            "dstu2", List.of(JpaDstu2Config.class));

    private static final String OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    private static final String SUBSCRIPTION = "http://hl7.org/fhir/StructureDefinition/Subscription";
    private static final String BACKPORT_SUBSCRIPTION =
            "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription";

    private IJobMaintenanceService jobs;

    /** Start; the servlet container calls it before the first request. */
    @Override
    protected void initialize() {
        var beans = new AnnotationConfigApplicationContext();
        var parts = VERSIONS.get(getInitParameter("version"));
        var topics = parts.contains(Topics.class);
        parts.forEach(beans::register);
        beans.register(Store.class);
        beans.refresh();
        if (parts.contains(JpaR4Config.class)) {
            Topics.writeTopicOfR4(beans);
        }
        jobs = beans.getBean(IJobMaintenanceService.class);
        var fhir = beans.getBean(FhirContext.class);
        // HAPI's default drops the version from every reference, on the way in and out. We name exact versions.
        fhir.getParserOptions().setStripVersionsFromReferences(false);
        var published = beans.getBean(DefaultProfileValidationSupport.class);
        beans.getBean(JpaValidationSupportChain.class).addValidationSupport(0, learned(fhir, published, topics));

        var validator = beans.getBean(IValidatorModule.class);
        setFhirContext(fhir);
        registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        registerProvider(beans.getBean(IJpaSystemProvider.class));
        registerProvider(beans.getBean(BulkDataExportProvider.class));
        if (topics) {
            setServerConformanceProvider(new JpaCapabilityStatementProvider(
                    this,
                    beans.getBean(IFhirSystemDao.class),
                    beans.getBean(JpaStorageSettings.class),
                    beans.getBean(ISearchParamRegistry.class),
                    beans.getBean(IValidationSupport.class)));
        }
        setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        setDefaultResponseEncoding(EncodingEnum.JSON);
        registerInterceptor(refuseInvalid(validator));
        loadDefinitions(fhir, validator);
    }

    /**
     * HAPI looks once a minute whether a job can go on, and lets who asks for an export wait for two. Here a job goes on
     * when somebody asks for it, and a second is enough.
     */
    @Override
    protected void handleRequest(RequestTypeEnum type, HttpServletRequest request, HttpServletResponse response)
            throws ServletException, IOException {
        if (request.getRequestURI().endsWith("/$export-poll-status")) {
            jobs.runMaintenancePass();
            super.handleRequest(type, request, new Hurried(response));
        } else {
            super.handleRequest(type, request, response);
        }
    }

    private static final class Hurried extends HttpServletResponseWrapper {
        Hurried(HttpServletResponse response) {
            super(response);
        }

        @Override
        public void addHeader(String name, String value) {
            super.addHeader(name, name.equals("Retry-After") ? "1" : value);
        }
    }

    /** Judges all that is written, but for who says `Prefer: handling=lenient`: a long record takes its time. */
    private static RequestValidatingInterceptor refuseInvalid(IValidatorModule validator) {
        var gate = new RequestValidatingInterceptor() {
            @Override
            public boolean incomingRequestPostProcessed(
                    RequestDetails details, HttpServletRequest request, HttpServletResponse response) {
                return "handling=lenient".equals(request.getHeader("Prefer"))
                        || super.incomingRequestPostProcessed(details, request, response);
            }
        };
        gate.setValidatorModules(List.of(validator));
        gate.setFailOnSeverity(ResultSeverityEnum.ERROR);
        gate.setAddResponseHeaderOnSeverity(null);
        return gate;
    }

    /**
     * What a server learns after a version was published: with HL7's newer terminology the code AIAST, and with the
     * Subscriptions Backport the name of its profile, by which HAPI knows a Subscription to a topic in R4 and R4B.
     */
    static IValidationSupport learned(
            FhirContext fhir, DefaultProfileValidationSupport published, boolean topics) {
        var learned = new PrePopulatedValidationSupport(fhir);
        var terser = fhir.newTerser();
        var codes = published.fetchCodeSystem(OBSERVATION_VALUE);
        if (codes != null) { // not in DSTU2 and STU3
            var newer = terser.clone(codes);
            var concept = terser.addElement(newer, "concept");
            terser.setElement(concept, "code", "AIAST");
            terser.setElement(concept, "display", "Artificial Intelligence asserted");
            learned.addCodeSystem(newer);
        }
        if (topics) {
            var profile = terser.clone(published.fetchStructureDefinition(SUBSCRIPTION));
            terser.setElement(profile, "url", BACKPORT_SUBSCRIPTION);
            learned.addStructureDefinition(profile);
        }
        return learned;
    }

    /** Validate something small, so that the first request does not pay for reading the definitions. */
    private static void loadDefinitions(FhirContext fhir, IValidatorModule validator) {
        var patient = fhir.newJsonParser().parseResource("{\"resourceType\":\"Patient\",\"active\":true}");
        fhir.newValidator().registerValidatorModule(validator).validateWithResult(patient);
    }
}
