import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.annotation.RequiredParam;
import ca.uhn.fhir.rest.annotation.Search;
import ca.uhn.fhir.rest.api.server.IBundleProvider;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.param.ReferenceParam;
import ca.uhn.fhir.rest.server.FifoMemoryPagingProvider;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.SimpleBundleProvider;
import ca.uhn.fhir.rest.server.provider.HashMapResourceProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Observation;
import org.hl7.fhir.r4.model.Patient;

/**
 * HAPI's plain server, as its documentation shows it: resources in memory, no token, no consent, no audit, nothing
 * sealed. Observations are found by their patient in a map, so that a search does not walk through all of them. Takes
 * an NDJSON file, and prints "listening PORT" once it can be asked.
 */
public final class Plain {
    private Plain() {}

    /** Observations in memory, with a list of each patient's. */
    public static final class Observations extends HashMapResourceProvider<Observation> {
        private final Map<String, List<Observation>> theirs = new HashMap<>();

        Observations(FhirContext context) {
            super(context, Observation.class);
        }

        void keep(Observation observation) {
            store(observation);
            String patient = observation.getSubject().getReferenceElement().getIdPart();
            theirs.computeIfAbsent(patient, none -> new ArrayList<>()).add(observation);
        }

        /** Finds a patient's. */
        @Search
        public IBundleProvider ofPatient(@RequiredParam(name = "patient") ReferenceParam patient, RequestDetails details) {
            return new SimpleBundleProvider(theirs.getOrDefault(patient.getIdPart(), List.of()));
        }
    }

    public static void main(String[] arguments) throws Exception {
        FhirContext context = FhirContext.forR4();
        var observations = new Observations(context);
        var patients = new HashMapResourceProvider<>(context, Patient.class);
        load(context, Path.of(arguments[0]), observations, patients);
        var fhir = new RestfulServer(context);
        fhir.registerProviders(List.of(observations, patients));
        var paging = new FifoMemoryPagingProvider(1000);
        paging.setDefaultPageSize(50);
        paging.setMaximumPageSize(200);
        fhir.setPagingProvider(paging);
        var root = new ServletContextHandler("/");
        root.addServlet(new ServletHolder(fhir), "/fhir/*");
        var jetty = new Server();
        var loopback = new ServerConnector(jetty);
        loopback.setHost("127.0.0.1");
        jetty.addConnector(loopback);
        jetty.setHandler(root);
        jetty.start();
        System.out.println("listening " + loopback.getLocalPort());
        while (System.in.read() != -1) {}
        Runtime.getRuntime().halt(0);
    }

    private static void load(
            FhirContext context, Path file, Observations observations, HashMapResourceProvider<Patient> patients)
            throws IOException {
        var parser = context.newJsonParser();
        for (String line : Files.readAllLines(file)) {
            IBaseResource resource = parser.parseResource(line);
            if (resource instanceof Observation observation) {
                observations.keep(observation);
            } else if (resource instanceof Patient patient) {
                patients.store(patient);
            }
        }
    }
}
