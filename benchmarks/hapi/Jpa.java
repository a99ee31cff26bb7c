import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.fhirtwin.oracle.Endpoint;

/**
 * HAPI's JPA server of the tests, for R4 alone and without its validator, as HAPI's own starter has it: a database in
 * memory, real transactions and real conditional creates. Prints "listening PORT" once it can be asked, and ends with its
 * standard input.
 */
public final class Jpa {
    private Jpa() {}

    public static void main(String[] arguments) throws Exception {
        var endpoint = new Endpoint();
        var holder = new ServletHolder(endpoint);
        holder.setInitParameter("version", "r4");
        holder.setInitOrder(1);
        var root = new ServletContextHandler("/");
        root.addServlet(holder, "/fhir/*");
        var jetty = new Server();
        var loopback = new ServerConnector(jetty);
        loopback.setHost("127.0.0.1");
        jetty.addConnector(loopback);
        jetty.setHandler(root);
        jetty.start();
        endpoint.getInterceptorService()
                .unregisterInterceptorsIf(each -> each instanceof RequestValidatingInterceptor);
        System.out.println("listening " + loopback.getLocalPort());
        while (System.in.read() != -1) {}
        Runtime.getRuntime().halt(0);
    }
}
