package org.fhirtwin.converter;

import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import ca.uhn.fhir.model.api.annotation.Block;
import ca.uhn.fhir.model.api.annotation.Child;
import ca.uhn.fhir.model.api.annotation.DatatypeDef;

/**
 * One type of a version, its parts and their elements as HL7's classes have them, on one line.
 *
 * A part is "Path element element ...", parts are parted by tabs. An element is NAME[*][!]:TYPE[,TYPE...][=code,code...];
 * "*" says that it repeats, "!" that it changes the meaning of what holds it. What all types have is left out.
 */
final class Table {

    private static final List<String> COMMON = List.of(
        "Base", "BaseElement", "Element", "BackboneElement", "BackboneType", "DataType", "Resource", "DomainResource", "Type",
        "PrimitiveType", "BaseResource", "BaseReference");

    private static final int MOST_CODES = 60; // more are the names of types, currencies and the like

    private final String version;
    private final Map<Class<?>, String> parts = new LinkedHashMap<>();

    private Table(String version) {
        this.version = version.equals("stu3") ? "dstu3" : version;
    }

    static String of(String version, String kind) throws Exception {
        var made = new Table(version);
        String name = !kind.equals("List") ? kind : version.equals("dstu2") ? "List_" : "ListResource";
        Class<?> type = Class.forName("org.hl7.fhir." + made.version + ".model." + name);
        made.parts.put(type, kind);
        var lines = new ArrayList<String>();
        var open = new ArrayList<Class<?>>(List.of(type));
        while (!open.isEmpty()) {
            Class<?> next = open.remove(0);
            var line = new StringBuilder(made.parts.get(next));
            for (Field field : made.fields(next)) {
                line.append(' ').append(made.element(made.parts.get(next), field, open));
            }
            lines.add(line.toString());
        }
        return String.join("\t", lines);
    }

    private List<Field> fields(Class<?> type) {
        var found = new ArrayList<Field>();
        for (Class<?> each = type; each != null; each = each.getSuperclass()) {
            if (!COMMON.contains(each.getSimpleName())) {
                for (Field field : each.getDeclaredFields()) {
                    if (field.isAnnotationPresent(Child.class)) {
                        found.add(field);
                    }
                }
            }
        }
        return found;
    }

    private String element(String holder, Field field, List<Class<?>> open) throws Exception {
        Child child = field.getAnnotation(Child.class);
        String name = child.name().replace("[x]", "");
        Type told = field.getGenericType();
        boolean many = List.class.isAssignableFrom(field.getType());
        if (many) {
            told = ((ParameterizedType) told).getActualTypeArguments()[0];
        }
        Class<?> codes = null;
        if (told instanceof ParameterizedType coded) {
            codes = (Class<?>) coded.getActualTypeArguments()[0];
            told = coded.getRawType();
        }
        Class<?> held = (Class<?>) told;
        String types;
        boolean choice = held.getSimpleName().equals("Type") || held.getSimpleName().equals("DataType");
        if (choice) {
            var names = new ArrayList<String>();
            for (Class<?> each : child.type()) {
                String one = nameOf(each);
                if (!names.contains(one)) {
                    names.add(one);
                }
            }
            name += "[x]";
            types = names.isEmpty() ? "any" : String.join(",", names);
        } else if (held.isAnnotationPresent(Block.class)) {
            if (!parts.containsKey(held)) {
                parts.put(held, holder + "." + name);
                open.add(held);
            }
            types = parts.get(held);
        } else {
            types = nameOf(held);
        }
        return name + (many ? "*" : "") + (child.modifier() ? "!" : "") + ":" + types + listed(codes);
    }

    private String nameOf(Class<?> type) {
        DatatypeDef told = type.getAnnotation(DatatypeDef.class);
        if (told != null) {
            return told.name();
        }
        return type.getSimpleName().equals("Resource") ? "Resource" : isResource(type) ? "Reference" : type.getSimpleName();
    }

    private boolean isResource(Class<?> type) {
        for (Class<?> each = type; each != null; each = each.getSuperclass()) {
            if (each.getSimpleName().equals("BaseResource")) {
                return true;
            }
        }
        return type.getSimpleName().equals("Reference");
    }

    private static String listed(Class<?> codes) throws Exception {
        if (codes == null || codes.getEnumConstants().length > MOST_CODES) {
            return "";
        }
        var found = new ArrayList<String>();
        for (Object each : codes.getEnumConstants()) {
            Object code = codes.getMethod("toCode").invoke(each);
            if (code != null && !code.equals("?")) {
                found.add(code.toString());
            }
        }
        return "=" + String.join(",", found);
    }
}
