package org.fhirtwin.converter;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;

import org.hl7.fhir.convertors.factory.VersionConvertorFactory_40_50;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Converts resources between versions as HL7 does, or tells what its classes say of elements: for each line in a line
 * out, in the same order.
 *
 * Usage: Main 4to5 | 5to4 (JSON), Main convert ("stu3 r4 {...}"), Main table ("r5 Patient"), Main shape ("dstu2 Patient.name.family"), Main modifiers or elements ("r5 Immunization")
 */
public final class Main {

    private Main() {}

    private interface Answer {
        String to(String line) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Answer answer = switch (arguments.length == 0 ? "" : arguments[0]) {
            case "convert" -> Main::convert;
            case "table" -> line -> Table.of(line.split(" ")[0], line.split(" ")[1]);
            case "4to5" -> Main::up;
            case "5to4" -> Main::down;
            case "shape" -> line -> Definitions.shape(line.split(" ")[0], line.split(" ")[1]);
            case "elements" -> line -> String.join(" ", Definitions.elements(line.split(" ")[0], line.split(" ")[1]));
            case "modifiers" -> line -> String.join(" ", Definitions.modifiers(line.split(" ")[0], line.split(" ")[1]));
            default -> throw new IllegalArgumentException("Usage: Main 4to5 | 5to4 | convert | table | shape | elements | modifiers");
        };
        var in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        try (var out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, UTF_8)))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                out.println(answer.to(line));
            }
        }
    }

    private static String convert(String line) {
        String[] told = line.split(" ", 3);
        return Conversion.of(told[0], told[1], told[2]);
    }

    private static String up(String json) throws Exception {
        var read = new org.hl7.fhir.r4.formats.JsonParser().parse(json);
        return new org.hl7.fhir.r5.formats.JsonParser().composeString(VersionConvertorFactory_40_50.convertResource(read));
    }

    private static String down(String json) throws Exception {
        var read = new org.hl7.fhir.r5.formats.JsonParser().parse(json);
        return new org.hl7.fhir.r4.formats.JsonParser().composeString(VersionConvertorFactory_40_50.convertResource(read));
    }
}
