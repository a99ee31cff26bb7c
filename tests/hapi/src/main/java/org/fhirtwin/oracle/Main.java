package org.fhirtwin.oracle;

import ca.uhn.fhir.jpa.config.JpaDstu2Config;
import ca.uhn.fhir.jpa.config.dstu3.JpaDstu3Config;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.rest.server.RestfulServer;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Serves /r4, /stu3 and /dstu2 on a free loopback port, prints "listening PORT" when it can be asked, and ends when its
 * standard input ends: whoever started it cannot leave it behind, however they die.
 */
public final class Main {
    private static final Map<String, Class<?>> VERSIONS =
            Map.of("r4", JpaR4Config.class, "stu3", JpaDstu3Config.class, "dstu2", JpaDstu2Config.class);

    private Main() {}

    public static void main(String[] args) {
        endWithOurStarter();
        try {
            serve();
        } catch (Exception broken) {
            broken.printStackTrace();
            Runtime.getRuntime().halt(1); // HAPI's schedulers would keep a half-started server alive
        }
    }

    private static void serve() throws Exception {
        var root = new ServletContextHandler("/");
        start().forEach((name, server) -> root.addServlet(new ServletHolder(server), "/" + name + "/*"));
        var jetty = new Server();
        var loopback = new ServerConnector(jetty);
        loopback.setHost("127.0.0.1");
        jetty.addConnector(loopback);
        jetty.setHandler(root);
        jetty.start();
        System.out.println("listening " + loopback.getLocalPort());
        jetty.join();
    }

    /** The versions share nothing and start side by side. */
    private static Map<String, RestfulServer> start() {
        var starting = VERSIONS.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, each -> CompletableFuture.supplyAsync(() -> Endpoint.start(each.getValue()))));
        return starting.entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, each -> each.getValue().join()));
    }

    private static void endWithOurStarter() {
        var watch = new Thread(() -> {
            try {
                while (System.in.read() != -1) {}
            } catch (java.io.IOException gone) {
                // as good as its end
            }
            Runtime.getRuntime().halt(0);
        });
        watch.setDaemon(true);
        watch.start();
    }
}
