package org.fhirtwin.converter;

import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import ca.uhn.fhir.model.api.annotation.Child;

/** What HL7's classes of a version say of its elements. */
final class Definitions {

    private static final String TEXTS = ".*(Type|Enumeration|Uuid|Oid)$";

    private Definitions() {}

    /** Tell the shape ("list", "object", "text") of an element by its path in a type, "none" where there is none. */
    static String shape(String version, String path) throws ClassNotFoundException {
        String[] names = path.split("\\.");
        Class<?> within = type(version, names[0]);
        String shape = "none";
        for (int i = 1; i < names.length; i++) {
            Class<?> found = null;
            for (Field field : fields(within)) {
                found = valueOf(version, field, names[i]);
                if (found != null) {
                    boolean list = List.class.isAssignableFrom(field.getType());
                    shape = list ? "list" : found.getSimpleName().matches(TEXTS) ? "text" : "object";
                    break;
                }
            }
            if (found == null) {
                return "none";
            }
            within = found;
        }
        return shape;
    }

    /** List the elements of a type that may change the meaning of it. */
    static List<String> modifiers(String version, String kind) throws ClassNotFoundException {
        var found = new ArrayList<String>();
        for (Field field : fields(type(version, kind))) {
            if (field.getAnnotation(Child.class).modifier()) {
                found.add(field.getAnnotation(Child.class).name().replace("[x]", ""));
            }
        }
        return found;
    }

    /** List all elements of a type and its parts, each with the Java types that may stand there. */
    static List<String> elements(String version, String kind) throws ClassNotFoundException {
        var found = new ArrayList<String>();
        walk(type(version, kind), "", found);
        found.sort(null);
        return found;
    }

    private static void walk(Class<?> within, String path, List<String> found) {
        for (Field field : fields(within)) {
            Child child = field.getAnnotation(Child.class);
            Class<?> held = heldBy(field);
            String names = Arrays.stream(child.type()).map(Class::getSimpleName).sorted().toList().toString();
            found.add(path + child.name() + ":" + child.max() + ":" + held.getSimpleName() + names.replace(" ", ""));
            if (held.getSimpleName().endsWith("Component") && path.split("\\.").length < 4) {
                walk(held, path + child.name() + ".", found);
            }
        }
    }

    private static Class<?> type(String version, String kind) throws ClassNotFoundException {
        return Class.forName("org.hl7.fhir." + version + ".model." + (kind.equals("List") ? "ListResource" : kind));
    }

    private static List<Field> fields(Class<?> type) {
        var found = new ArrayList<Field>();
        for (Class<?> each = type; each != null; each = each.getSuperclass()) {
            Arrays.stream(each.getDeclaredFields()).filter(f -> f.isAnnotationPresent(Child.class)).forEach(found::add);
        }
        return found;
    }

    private static Class<?> heldBy(Field field) {
        if (field.getGenericType() instanceof ParameterizedType many && List.class.isAssignableFrom(field.getType())) {
            var inner = many.getActualTypeArguments()[0];
            return (Class<?>) (inner instanceof ParameterizedType coded ? coded.getRawType() : inner);
        }
        return field.getType();
    }

    /** Return the class of what stands in a field by a name in JSON: "value" may be "valueQuantity". */
    private static Class<?> valueOf(String version, Field field, String name) throws ClassNotFoundException {
        Child child = field.getAnnotation(Child.class);
        String stem = child.name().replace("[x]", "");
        Class<?> held = heldBy(field);
        boolean choice = held.getSimpleName().equals("Type") || held.getSimpleName().equals("DataType");
        if (!choice) {
            return stem.equals(name) ? held : null;
        }
        for (Class<?> each : child.type()) { // a resource there says what may be referred to
            Class<?> told = type(version, "Resource").isAssignableFrom(each) ? type(version, "Reference") : each;
            if (name.equals(stem + told.getSimpleName().replaceAll("Type$", ""))) {
                return told;
            }
        }
        return null;
    }
}
