package org.fhirtwin.oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ValidationOptions;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.NpmPackageValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * Judges one R4 resource by HL7's validator, with the guides that stand on the class path ("guides", packages by name),
 * and answers an OperationOutcome. "?profile=" names what it has to conform to beside what its meta says. It asks no
 * terminology server: a code of a system that no package brings is a warning.
 */
public final class Judge extends HttpServlet {
    private FhirContext fhir;
    private FhirValidator validator;

    /** Read the definitions; the servlet container calls it before the first request. */
    @Override
    public void init() throws ServletException {
        fhir = FhirContext.forR4();
        var published = new DefaultProfileValidationSupport(fhir);
        var guides = new NpmPackageValidationSupport(fhir);
        try {
            for (var guide : getInitParameter("guides").split(",")) {
                guides.loadPackageFromClasspath(guide);
            }
        } catch (IOException absent) {
            throw new ServletException(absent);
        }
        var unknown = new UnknownCodeSystemWarningValidationSupport(fhir);
        unknown.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
        var chain = new ValidationSupportChain(
                Endpoint.learned(fhir, published, false),
                guides,
                published,
                new CommonCodeSystemsTerminologyService(fhir),
                new InMemoryTerminologyServerValidationSupport(fhir),
                new SnapshotGeneratingValidationSupport(fhir),
                unknown);
        validator = fhir.newValidator().registerValidatorModule(new FhirInstanceValidator(chain));
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        var told = new String(request.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        var options = new ValidationOptions();
        var profiles = request.getParameterValues("profile");
        for (var profile : profiles == null ? new String[0] : profiles) {
            options.addProfile(profile);
        }
        var outcome = validator.validateWithResult(told, options).toOperationOutcome();
        response.setContentType("application/fhir+json");
        response.getOutputStream()
                .write(fhir.newJsonParser().encodeResourceToString(outcome).getBytes(StandardCharsets.UTF_8));
    }
}
