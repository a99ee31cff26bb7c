package org.fhirtwin.converter;

import org.hl7.fhir.convertors.advisors.impl.BaseAdvisor_10_30;
import org.hl7.fhir.convertors.advisors.impl.BaseAdvisor_10_40;
import org.hl7.fhir.convertors.advisors.impl.BaseAdvisor_30_40;
import org.hl7.fhir.convertors.advisors.impl.BaseAdvisor_40_50;
import org.hl7.fhir.convertors.advisors.impl.BaseAdvisor_43_50;
import org.hl7.fhir.convertors.factory.VersionConvertorFactory_10_30;
import org.hl7.fhir.convertors.factory.VersionConvertorFactory_10_40;
import org.hl7.fhir.convertors.factory.VersionConvertorFactory_30_40;
import org.hl7.fhir.convertors.factory.VersionConvertorFactory_40_50;
import org.hl7.fhir.convertors.factory.VersionConvertorFactory_43_50;

/**
 * Converts one resource from a version into another as HL7 does; what it cannot is "!" and why.
 *
 * Where HL7 has no converter from one to the other, it goes through a third: R4B through R5. DSTU2 goes through STU3 as in HL7's maps, and
 * directly where HL7 has only that (the direct one keeps code systems' URIs of DSTU2, which R4 has not).
 */
final class Conversion {

    private Conversion() {}

    static String of(String from, String to, String json) {
        try {
            return write(to, convert(from, to, read(from, json)));
        } catch (Exception | Error error) {
            String said = String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
            return "!" + error.getClass().getSimpleName() + " " + said.substring(0, Math.min(200, said.length()));
        }
    }

    private static Object read(String version, String json) throws Exception {
        return switch (version) {
            case "dstu2" -> new org.hl7.fhir.dstu2.formats.JsonParser().parse(json);
            case "stu3" -> new org.hl7.fhir.dstu3.formats.JsonParser().parse(json);
            case "r4" -> new org.hl7.fhir.r4.formats.JsonParser().parse(json);
            case "r4b" -> new org.hl7.fhir.r4b.formats.JsonParser().parse(json);
            case "r5" -> new org.hl7.fhir.r5.formats.JsonParser().parse(json);
            default -> throw new IllegalArgumentException(version);
        };
    }

    private static String write(String version, Object made) throws Exception {
        return switch (version) {
            case "dstu2" -> new org.hl7.fhir.dstu2.formats.JsonParser().composeString((org.hl7.fhir.dstu2.model.Resource) made);
            case "stu3" -> new org.hl7.fhir.dstu3.formats.JsonParser().composeString((org.hl7.fhir.dstu3.model.Resource) made);
            case "r4" -> new org.hl7.fhir.r4.formats.JsonParser().composeString((org.hl7.fhir.r4.model.Resource) made);
            case "r4b" -> new org.hl7.fhir.r4b.formats.JsonParser().composeString((org.hl7.fhir.r4b.model.Resource) made);
            case "r5" -> new org.hl7.fhir.r5.formats.JsonParser().composeString((org.hl7.fhir.r5.model.Resource) made);
            default -> throw new IllegalArgumentException(version);
        };
    }

    private static Object convert(String from, String to, Object read) {
        return switch (from + " " + to) {
            case "dstu2 r4" -> {
                var one = (org.hl7.fhir.dstu2.model.Resource) read;
                try {
                    yield convert("stu3", "r4", some(VersionConvertorFactory_10_30.convertResource(one, new BaseAdvisor_10_30(true))));
                } catch (Exception | Error none) {
                    yield some(VersionConvertorFactory_10_40.convertResource(one, new BaseAdvisor_10_40(true)));
                }
            }
            case "r4 dstu2" -> {
                var one = (org.hl7.fhir.r4.model.Resource) read;
                try {
                    var between = (org.hl7.fhir.dstu3.model.Resource) convert("r4", "stu3", one);
                    yield some(VersionConvertorFactory_10_30.convertResource(between, new BaseAdvisor_10_30(true)));
                } catch (Exception | Error none) {
                    yield some(VersionConvertorFactory_10_40.convertResource(one, new BaseAdvisor_10_40(true)));
                }
            }
            case "stu3 r4" -> some(VersionConvertorFactory_30_40.convertResource((org.hl7.fhir.dstu3.model.Resource) read, new BaseAdvisor_30_40(true)));
            case "r4 stu3" -> some(VersionConvertorFactory_30_40.convertResource((org.hl7.fhir.r4.model.Resource) read, new BaseAdvisor_30_40(true)));
            case "r4 r5" -> some(VersionConvertorFactory_40_50.convertResource((org.hl7.fhir.r4.model.Resource) read, new BaseAdvisor_40_50(true)));
            case "r5 r4" -> some(VersionConvertorFactory_40_50.convertResource((org.hl7.fhir.r5.model.Resource) read, new BaseAdvisor_40_50(true)));
            case "r4b r5" -> some(VersionConvertorFactory_43_50.convertResource((org.hl7.fhir.r4b.model.Resource) read, new BaseAdvisor_43_50(true)));
            case "r5 r4b" -> some(VersionConvertorFactory_43_50.convertResource((org.hl7.fhir.r5.model.Resource) read, new BaseAdvisor_43_50(true)));
            case "r4 r4b" -> convert("r5", "r4b", convert("r4", "r5", read));
            case "r4b r4" -> convert("r5", "r4", convert("r4b", "r5", read));
            default -> throw new IllegalArgumentException(from + " " + to);
        };
    }

    private static Object some(Object made) {
        if (made == null) {
            throw new IllegalArgumentException("no conversion");
        }
        return made;
    }
}
