package org.fhirtwin.oracle;

import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Serves /r5, /r4b, /r4, /stu3 and /dstu2 on a free loopback port, each started by the first request to it, and /judge
 * where "-Dguides" names packages on the class path. Prints "listening PORT" when it can be asked, and ends when its standard input ends: whoever started it cannot leave it
 * behind, however they die.
 */
public final class Main {
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
        for (var version : Endpoint.VERSIONS.keySet()) {
            // By its class: Jetty starts a servlet that it has to make with the first request, a ready one at once.
            root.addServlet(Endpoint.class, "/" + version + "/*").setInitParameter("version", version);
        }
        if (System.getProperty("guides") != null) {
            root.addServlet(Judge.class, "/judge").setInitParameter("guides", System.getProperty("guides"));
        }
        var jetty = new Server();
        var loopback = new ServerConnector(jetty);
        loopback.setHost("127.0.0.1");
        jetty.addConnector(loopback);
        jetty.setHandler(root);
        jetty.start();
        System.out.println("listening " + loopback.getLocalPort());
        jetty.join();
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
