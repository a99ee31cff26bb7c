/* Bytes that come again but for some holes: a tree of what was seen, walked without reading JSON.

   See mappers/forms/tracks.py for what it is for. A node is a run of bytes that has to come next; behind it the track
   goes on one of its ways, by the next byte, or over a hole, or it is at its end. Nothing is read beyond the bytes that
   were given, and nothing of them is kept. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

enum { TEXT = 0, NUMBER = 1, VALUE = 2, TOKEN = 3, NO_HOLE = -1 };
enum { MOST_HOLES = 1024, MOST_OPEN = 32, DEEPEST = 60, NOWHERE = -1 };

/* How what is told becomes something made of it, where that is plain; `make` is called with form, id, version, blanks
   and subject. What is told is, in order: id, version, subject, a time, a number; all but the first may be absent. */
typedef struct {
    PyObject *make;
    PyObject *subjects;  /* dict: whom a written reference names; NULL where none is told, and then it is `subject` */
    PyObject *subject;
    PyObject *precisions; /* dict: how precise a time is; NULL where none is told */
    PyObject *precision;
    PyObject *slot;      /* what the number is put in; NULL where none is told */
    PyObject *forms;     /* dict: by what became of the number */
    PyObject *kind;      /* the last that became of it, and the form that this was */
    PyObject *form;
    int has_version;
} Filling;

typedef struct {
    unsigned char *run;
    Py_ssize_t size;
    unsigned char *firsts; /* of each way, the byte that it begins with */
    Py_ssize_t *ways;
    int way_count;
    int hole;
    Py_ssize_t after;
    PyObject *end;
    int *wanted;
    int wanted_count;
    Filling *filling;
    long hits;
} Node;

typedef struct {
    PyObject_HEAD
    Node *nodes;
    Py_ssize_t count;
    Py_ssize_t room;
} Tracks;

static PyObject *name_low, *name_high, *name_kind;

/* ---- what a hole may hold: each returns where it ends, or NULL ---- */

static unsigned char is_text[256];   /* printable ASCII but for quotes and backslashes */
static unsigned char is_inside[256]; /* what may stand in a string as it is: that, and whatever is not ASCII */

static void fill_tables(void)
{
    for (int byte = 0x20; byte < 256; byte++) {
        is_inside[byte] = byte != '"' && byte != '\\';
        is_text[byte] = is_inside[byte] && byte < 0x7f;
    }
}

static const unsigned char *text(const unsigned char *at, const unsigned char *end)
{
    while (at < end && is_text[*at])
        at++;
    return at;
}

static const unsigned char *token(const unsigned char *at, const unsigned char *end)
{
    while (at < end && ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                        *at == '-' || *at == '.'))
        at++;
    return at;
}

static const unsigned char *digits(const unsigned char *at, const unsigned char *end, int most)
{
    while (most-- && at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static const unsigned char *number(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *whole;
    if (at < end && *at == '-')
        at++;
    if (at >= end || *at < '0' || *at > '9')
        return NULL;
    whole = *at == '0' ? at + 1 : digits(at, end, 15);
    if (whole + 1 < end && *whole == '.' && whole[1] >= '0' && whole[1] <= '9')
        return digits(whole + 1, end, 30);
    return whole;
}

static const unsigned char *string(const unsigned char *at, const unsigned char *end) /* behind its first quote */
{
    for (;;) {
        unsigned char byte;
        while (end - at > 4 && is_inside[at[0]] && is_inside[at[1]] && is_inside[at[2]] && is_inside[at[3]])
            at += 4;
        while (at < end && is_inside[*at])
            at++;
        if (at >= end || *at < 0x20)
            return NULL;
        if (*at++ == '"')
            return at;
        if (at >= end)
            return NULL;
        byte = *at++;
        if (byte == 'u')
            return NULL; /* halves of characters: left to those who read to the letter */
        if (byte != '"' && byte != '\\' && byte != '/' && byte != 'b' && byte != 'f' && byte != 'n' && byte != 'r' &&
            byte != 't')
            return NULL;
    }
}

static const unsigned char *word(const unsigned char *at, const unsigned char *end, const char *said, int size)
{
    return end - at >= size && memcmp(at, said, (size_t)size) == 0 ? at + size : NULL;
}

static const unsigned char *scalar(const unsigned char *at, const unsigned char *end)
{
    switch (*at) {
    case '"':
        return string(at + 1, end);
    case 't':
        return word(at, end, "true", 4);
    case 'f':
        return word(at, end, "false", 5);
    case 'n':
        return word(at, end, "null", 4);
    default:
        return number(at, end);
    }
}

/* Any JSON value without padding (RFC 8259), not too deep; numbers are plain ones. */
static const unsigned char *value(const unsigned char *at, const unsigned char *end)
{
    unsigned char open[DEEPEST];
    int depth = 0;
    while (at < end) {
        if (*at == '{' || *at == '[') {
            unsigned char close = *at == '{' ? '}' : ']';
            if (depth == DEEPEST)
                return NULL;
            open[depth++] = close;
            at++;
            if (at < end && *at == close) {
                depth--;
                at++;
                goto behind;
            }
        }
        else {
            at = scalar(at, end);
            if (at == NULL)
                return NULL;
            goto behind;
        }
        goto name;
    behind:
        if (depth == 0)
            return at;
        if (at >= end)
            return NULL;
        if (*at == open[depth - 1]) {
            depth--;
            at++;
            goto behind;
        }
        if (*at++ != ',')
            return NULL;
    name:
        if (open[depth - 1] == '}') {
            if (at >= end || *at != '"' || (at = string(at + 1, end)) == NULL)
                return NULL;
            if (at >= end || *at++ != ':')
                return NULL;
        }
    }
    return NULL;
}

static const unsigned char *over(int hole, const unsigned char *at, const unsigned char *end)
{
    switch (hole) {
    case TEXT:
        return text(at, end);
    case NUMBER:
        return number(at, end);
    case TOKEN:
        return token(at, end);
    default:
        return value(at, end);
    }
}

/* ---- the tree ---- */

static Py_ssize_t new_node(Tracks *self, const unsigned char *run, Py_ssize_t size)
{
    Node *node;
    if (self->count == self->room) {
        Py_ssize_t room = self->room ? 2 * self->room : 64;
        Node *nodes = PyMem_Realloc(self->nodes, (size_t)room * sizeof(Node));
        if (nodes == NULL)
            return PyErr_NoMemory(), NOWHERE;
        self->nodes = nodes;
        self->room = room;
    }
    node = &self->nodes[self->count];
    memset(node, 0, sizeof(Node));
    node->hole = NO_HOLE;
    node->after = NOWHERE;
    node->run = PyMem_Malloc(size ? (size_t)size : 1);
    if (node->run == NULL)
        return PyErr_NoMemory(), NOWHERE;
    memcpy(node->run, run, (size_t)size);
    node->size = size;
    return self->count++;
}

static int add_way(Node *node, unsigned char first, Py_ssize_t to)
{
    size_t count = (size_t)node->way_count + 1;
    unsigned char *firsts = PyMem_Realloc(node->firsts, count);
    Py_ssize_t *ways;
    if (firsts == NULL)
        return PyErr_NoMemory(), -1;
    node->firsts = firsts;
    ways = PyMem_Realloc(node->ways, count * sizeof(Py_ssize_t));
    if (ways == NULL)
        return PyErr_NoMemory(), -1;
    node->ways = ways;
    firsts[node->way_count] = first;
    ways[node->way_count] = to;
    node->way_count++;
    return 0;
}

static Py_ssize_t way_of(const Node *node, unsigned char first)
{
    for (int way = 0; way < node->way_count; way++)
        if (node->firsts[way] == first)
            return node->ways[way];
    return NOWHERE;
}

/* Cut the run of a node in two: what comes behind it hangs on a new one. */
static int split(Tracks *self, Py_ssize_t at, Py_ssize_t place)
{
    Py_ssize_t rest = new_node(self, self->nodes[at].run + place, self->nodes[at].size - place);
    Node *node, *behind;
    if (rest == NOWHERE)
        return -1;
    node = &self->nodes[at];
    behind = &self->nodes[rest];
    behind->firsts = node->firsts;
    behind->ways = node->ways;
    behind->way_count = node->way_count;
    behind->hole = node->hole;
    behind->after = node->after;
    behind->end = node->end;
    behind->wanted = node->wanted;
    behind->wanted_count = node->wanted_count;
    behind->filling = node->filling;
    behind->hits = node->hits;
    node->firsts = NULL;
    node->ways = NULL;
    node->way_count = 0;
    node->hole = NO_HOLE;
    node->after = NOWHERE;
    node->end = NULL;
    node->wanted = NULL;
    node->wanted_count = 0;
    node->filling = NULL;
    node->hits = 0;
    node->size = place;
    return add_way(node, node->run[place], rest);
}

/* Go on from a node by bytes, on a way that may be new. */
static Py_ssize_t on(Tracks *self, Py_ssize_t at, const unsigned char *run, Py_ssize_t size)
{
    while (size > 0) {
        Py_ssize_t same = 0, way = way_of(&self->nodes[at], run[0]);
        const Node *next;
        if (way == NOWHERE) {
            way = new_node(self, run, size);
            return way == NOWHERE || add_way(&self->nodes[at], run[0], way) < 0 ? NOWHERE : way;
        }
        next = &self->nodes[way];
        while (same < next->size && same < size && next->run[same] == run[same])
            same++;
        if (same < next->size && split(self, way, same) < 0)
            return NOWHERE;
        at = way;
        run += same;
        size -= same;
    }
    return at;
}

static void drop_filling(Filling *filling)
{
    if (filling == NULL)
        return;
    Py_XDECREF(filling->make);
    Py_XDECREF(filling->subjects);
    Py_XDECREF(filling->subject);
    Py_XDECREF(filling->precisions);
    Py_XDECREF(filling->precision);
    Py_XDECREF(filling->slot);
    Py_XDECREF(filling->forms);
    Py_XDECREF(filling->kind);
    Py_XDECREF(filling->form);
    PyMem_Free(filling);
}

static PyObject *or_null(PyObject *given)
{
    return given == Py_None ? NULL : Py_NewRef(given);
}

/* Read (make, has_version, subjects, subject, precisions, precision, slot, forms); None stands for what is not told. */
static Filling *read_filling(PyObject *told, Py_ssize_t wanted)
{
    PyObject *make, *subjects, *subject, *precisions, *precision, *slot, *forms;
    Filling *filling;
    int has_version;
    if (!PyArg_ParseTuple(told, "OpOUOUOO!", &make, &has_version, &subjects, &subject, &precisions, &precision, &slot,
                          &PyDict_Type, &forms))
        return NULL;
    if ((subjects != Py_None && !PyDict_CheckExact(subjects)) ||
        (precisions != Py_None && !PyDict_CheckExact(precisions)) ||
        wanted != 1 + has_version + (subjects != Py_None) + (precisions != Py_None) + (slot != Py_None)) {
        PyErr_SetString(PyExc_ValueError, "this does not fit to what is told");
        return NULL;
    }
    filling = PyMem_Calloc(1, sizeof(Filling));
    if (filling == NULL)
        return (Filling *)PyErr_NoMemory();
    filling->make = Py_NewRef(make);
    filling->has_version = has_version;
    filling->subjects = or_null(subjects);
    filling->subject = Py_NewRef(subject);
    filling->precisions = or_null(precisions);
    filling->precision = Py_NewRef(precision);
    filling->slot = or_null(slot);
    filling->forms = Py_NewRef(forms);
    return filling;
}

static int set_end(Node *node, PyObject *wanted, PyObject *end, PyObject *how)
{
    Filling *filling = NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(wanted);
    int *numbers = PyMem_Malloc(count ? (size_t)count * sizeof(int) : 1);
    if (numbers == NULL)
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t each = 0; each < count; each++) {
        numbers[each] = (int)PyLong_AsLong(PyTuple_GET_ITEM(wanted, each));
        if (PyErr_Occurred() || numbers[each] < 0 || numbers[each] >= MOST_HOLES) {
            PyMem_Free(numbers);
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "there is no such hole");
            return -1;
        }
    }
    if (how != Py_None && (filling = read_filling(how, count)) == NULL) {
        PyMem_Free(numbers);
        return -1;
    }
    PyMem_Free(node->wanted);
    node->wanted = numbers;
    node->wanted_count = (int)count;
    drop_filling(node->filling);
    node->filling = filling;
    node->hits = 0;
    Py_INCREF(end);
    Py_XSETREF(node->end, end);
    return 0;
}

static PyObject *add(Tracks *self, PyObject *args)
{
    PyObject *parts, *wanted, *end, *how = Py_None;
    Py_ssize_t at = 0, holes = 0;
    if (!PyArg_ParseTuple(args, "O!O!O|O:add", &PyList_Type, &parts, &PyTuple_Type, &wanted, &end, &how))
        return NULL;
    if (how != Py_None && !PyTuple_Check(how)) {
        PyErr_SetString(PyExc_TypeError, "how it is filled in is a tuple");
        return NULL;
    }
    for (Py_ssize_t each = 0; each < PyList_GET_SIZE(parts); each++) {
        PyObject *part = PyList_GET_ITEM(parts, each);
        if (PyBytes_Check(part)) {
            at = on(self, at, (const unsigned char *)PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part));
            if (at == NOWHERE)
                return NULL;
            continue;
        }
        long kind = PyLong_AsLong(part);
        if (PyErr_Occurred())
            return NULL;
        if (kind < TEXT || kind > TOKEN || ++holes > MOST_HOLES) {
            PyErr_SetString(PyExc_ValueError, "there is no such hole, or there are too many");
            return NULL;
        }
        if (self->nodes[at].hole == NO_HOLE) {
            Py_ssize_t after = new_node(self, (const unsigned char *)"", 0);
            if (after == NOWHERE)
                return NULL;
            self->nodes[at].hole = (int)kind;
            self->nodes[at].after = after;
        }
        else if (self->nodes[at].hole != kind)
            Py_RETURN_FALSE;
        at = self->nodes[at].after;
    }
    for (Py_ssize_t each = 0; each < PyTuple_GET_SIZE(wanted); each++)
        if (PyLong_AsLong(PyTuple_GET_ITEM(wanted, each)) >= holes) {
            PyErr_SetString(PyExc_ValueError, "there is no such hole");
            return NULL;
        }
    if (set_end(&self->nodes[at], wanted, end, how) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

typedef struct {
    const unsigned char *begins[MOST_HOLES];
    const unsigned char *ends[MOST_HOLES];
} Holes;

static PyObject *text_told(const Node *node, const Holes *holes, int each)
{
    const unsigned char *begin = holes->begins[node->wanted[each]];
    return PyUnicode_DecodeUTF8((const char *)begin, holes->ends[node->wanted[each]] - begin, NULL);
}

static PyObject *told(const Node *node, const Holes *holes)
{
    PyObject *found, *texts = PyTuple_New(node->wanted_count);
    if (texts == NULL)
        return NULL;
    for (int each = 0; each < node->wanted_count; each++) {
        PyObject *one = text_told(node, holes, each);
        if (one == NULL) {
            Py_DECREF(texts);
            return NULL;
        }
        PyTuple_SET_ITEM(texts, each, one);
    }
    found = PyTuple_Pack(2, node->end, texts);
    Py_DECREF(texts);
    return found;
}

/* Walk bytes to their end, and return where in the tree that is: NOWHERE where they leave it. */
static Py_ssize_t walk(Tracks *self, PyObject *raw, Holes *found)
{
    struct {
        Py_ssize_t at;
        const unsigned char *place;
        int holes;
    } open[MOST_OPEN];
    const unsigned char *place = (const unsigned char *)PyBytes_AS_STRING(raw), *end, *behind;
    Py_ssize_t at = 0, way;
    int holes = 0, open_count = 0, has_value = 0;
    end = place + PyBytes_GET_SIZE(raw);
    for (;;) {
        const Node *node = &self->nodes[at];
        if (end - place >= node->size && memcmp(place, node->run, (size_t)node->size) == 0) {
            place += node->size;
            if (place == end) {
                if (node->end != NULL) {
                    if (has_value) { /* what was passed over has to be UTF-8 */
                        PyObject *whole = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), NULL);
                        if (whole == NULL) {
                            PyErr_Clear();
                            return NOWHERE;
                        }
                        Py_DECREF(whole);
                    }
                    return at;
                }
            }
            else {
                way = way_of(node, *place);
                if (way != NOWHERE) {
                    if (node->hole != NO_HOLE && open_count < MOST_OPEN) {
                        open[open_count].at = at;
                        open[open_count].place = place;
                        open[open_count++].holes = holes;
                    }
                    at = way;
                    continue;
                }
                if (node->hole != NO_HOLE && (behind = over(node->hole, place, end)) != NULL) {
                    has_value |= node->hole == VALUE;
                    found->begins[holes] = place;
                    found->ends[holes++] = place = behind;
                    at = node->after;
                    continue;
                }
            }
        }
        for (;;) { /* back to where another way was open */
            const Node *before;
            if (open_count == 0)
                return NOWHERE;
            before = &self->nodes[open[--open_count].at];
            holes = open[open_count].holes;
            place = open[open_count].place;
            if ((behind = over(before->hole, place, end)) != NULL) {
                has_value |= before->hole == VALUE;
                found->begins[holes] = place;
                found->ends[holes++] = place = behind;
                at = before->after;
                break;
            }
        }
    }
}

/* Say which form it is that this number makes, as a borrowed reference: NULL where that has to be thought about. */
static PyObject *form_of_number(Filling *filling, PyObject *text)
{
    PyObject *low, *high, *kind, *kinds, *form = NULL;
    const char *written = PyUnicode_AsUTF8(text); /* a NUL stands behind it */
    double number, from, to;
    if (written == NULL)
        return NULL;
    if (strncmp(written + (*written == '-'), "0.00000", 7) == 0)
        return NULL; /* Decimal writes it with an exponent */
    number = PyOS_string_to_double(written, NULL, NULL);
    if (number == -1.0 && PyErr_Occurred())
        return NULL;
    low = PyObject_GetAttr(filling->slot, name_low);
    high = low == NULL ? NULL : PyObject_GetAttr(filling->slot, name_high);
    kind = high == NULL ? NULL : PyObject_GetAttr(filling->slot, name_kind);
    if (kind != NULL) {
        from = PyFloat_AsDouble(low);
        to = PyFloat_AsDouble(high);
        if (!PyErr_Occurred() && from < number && number < to) {
            if (kind == filling->kind)
                form = filling->form;
            else if ((kinds = PyTuple_Pack(1, kind)) != NULL) {
                form = PyDict_GetItemWithError(filling->forms, kinds);
                Py_DECREF(kinds);
                if (form == Py_None)
                    form = NULL;
                if (form != NULL) {
                    Py_INCREF(kind);
                    Py_XSETREF(filling->kind, kind);
                    Py_INCREF(form);
                    Py_XSETREF(filling->form, form);
                }
            }
        }
    }
    Py_XDECREF(low);
    Py_XDECREF(high);
    Py_XDECREF(kind);
    return form;
}

static PyObject *form_without_number(Filling *filling)
{
    if (filling->form == NULL) {
        PyObject *kinds = PyTuple_New(0), *form = NULL;
        if (kinds != NULL) {
            form = PyDict_GetItemWithError(filling->forms, kinds);
            Py_DECREF(kinds);
        }
        if (form != NULL && form != Py_None)
            filling->form = Py_NewRef(form);
    }
    return filling->form;
}

/* Make what is told into something, where all of it is plain. Otherwise NULL, with no error set but a real one. */
static PyObject *filled(const Node *node, const Holes *holes)
{
    Filling *filling = node->filling;
    PyObject *texts[5] = {NULL}, *made = NULL, *blanks = NULL, *form, *subject = filling->subject, *version;
    int count = node->wanted_count, next = 1, first_blank;
    for (int each = 0; each < count; each++)
        if ((texts[each] = text_told(node, holes, each)) == NULL)
            goto done;
    if (PyUnicode_GET_LENGTH(texts[0]) == 0)
        goto done;
    version = filling->has_version ? Py_NewRef(texts[next++]) : PyUnicode_New(0, 0);
    if (version == NULL)
        goto done;
    if (filling->subjects != NULL && (subject = PyDict_GetItemWithError(filling->subjects, texts[next++])) == NULL)
        goto without;
    first_blank = next;
    if (filling->precisions != NULL) {
        PyObject *precision = PyDict_GetItemWithError(filling->precisions, texts[next++]);
        if (precision == NULL || !PyUnicode_Check(precision) || PyUnicode_Compare(precision, filling->precision) != 0)
            goto without;
    }
    form = filling->slot != NULL ? form_of_number(filling, texts[next++]) : form_without_number(filling);
    if (form == NULL || (blanks = PyTuple_New(count - first_blank)) == NULL)
        goto without;
    for (int each = first_blank; each < count; each++)
        PyTuple_SET_ITEM(blanks, each - first_blank, Py_NewRef(texts[each]));
    {
        PyObject *given[5] = {Py_NewRef(form), texts[0], version, blanks, Py_NewRef(subject)};
        made = PyObject_Vectorcall(filling->make, given, 5, NULL);
        Py_DECREF(given[0]);
        Py_DECREF(given[4]);
    }
without:
    Py_XDECREF(blanks);
    Py_DECREF(version);
done:
    for (int each = 0; each < count; each++)
        Py_XDECREF(texts[each]);
    return made;
}

static int is_bytes(PyObject *raw)
{
    if (PyBytes_Check(raw))
        return 1;
    PyErr_SetString(PyExc_TypeError, "bytes are walked");
    return 0;
}

static PyObject *find(Tracks *self, PyObject *raw)
{
    Holes holes;
    Py_ssize_t at;
    if (!is_bytes(raw))
        return NULL;
    at = walk(self, raw, &holes);
    if (at == NOWHERE)
        Py_RETURN_NONE;
    self->nodes[at].hits++;
    return told(&self->nodes[at], &holes);
}

static PyObject *fill(Tracks *self, PyObject *raw)
{
    Holes holes;
    Py_ssize_t at;
    PyObject *made;
    if (!is_bytes(raw))
        return NULL;
    at = walk(self, raw, &holes);
    if (at == NOWHERE)
        Py_RETURN_NONE;
    self->nodes[at].hits++;
    if (self->nodes[at].filling != NULL) {
        made = filled(&self->nodes[at], &holes);
        if (made != NULL || PyErr_Occurred())
            return made;
    }
    return told(&self->nodes[at], &holes);
}

static PyObject *hits(Tracks *self, PyObject *unused)
{
    PyObject *all = PyList_New(0);
    (void)unused;
    for (Py_ssize_t at = 0; all != NULL && at < self->count; at++) {
        Node *node = &self->nodes[at];
        PyObject *one;
        if (node->end == NULL || node->hits == 0)
            continue;
        one = Py_BuildValue("(Ol)", node->end, node->hits);
        node->hits = 0;
        if (one == NULL || PyList_Append(all, one) < 0)
            Py_CLEAR(all);
        Py_XDECREF(one);
    }
    return all;
}

/* ---- the type ---- */

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *names)
{
    Tracks *self;
    if ((args && PyTuple_GET_SIZE(args)) || (names && PyDict_GET_SIZE(names))) {
        PyErr_SetString(PyExc_TypeError, "Tracks() begins empty");
        return NULL;
    }
    self = (Tracks *)type->tp_alloc(type, 0);
    if (self != NULL && new_node(self, (const unsigned char *)"", 0) == NOWHERE) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int visit_all(Tracks *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (Py_ssize_t at = 0; at < self->count; at++)
        if (self->nodes[at].end != NULL) {
            const Filling *filling = self->nodes[at].filling;
            Py_VISIT(self->nodes[at].end);
            if (filling != NULL) {
                Py_VISIT(filling->make);
                Py_VISIT(filling->subjects);
                Py_VISIT(filling->precisions);
                Py_VISIT(filling->slot);
                Py_VISIT(filling->forms);
                Py_VISIT(filling->kind);
                Py_VISIT(filling->form);
            }
        }
    return 0;
}

static int clear_all(Tracks *self)
{
    for (Py_ssize_t at = 0; at < self->count; at++)
        if (self->nodes[at].end != NULL) {
            Filling *filling = self->nodes[at].filling;
            self->nodes[at].filling = NULL;
            drop_filling(filling);
            Py_CLEAR(self->nodes[at].end);
        }
    return 0;
}

static void drop(Tracks *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear_all(self);
    for (Py_ssize_t at = 0; at < self->count; at++) {
        PyMem_Free(self->nodes[at].run);
        PyMem_Free(self->nodes[at].firsts);
        PyMem_Free(self->nodes[at].ways);
        PyMem_Free(self->nodes[at].wanted);
    }
    PyMem_Free(self->nodes);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"add", (PyCFunction)add, METH_VARARGS, "Add a track; says whether it fits to those that are there."},
    {"find", (PyCFunction)find, METH_O, "Walk bytes to their end, and tell what is there."},
    {"fill", (PyCFunction)fill, METH_O, "Walk bytes to their end, and make of it what is plain."},
    {"hits", (PyCFunction)hits, METH_NOARGS, "Say how often each end was found since this was asked last."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A tree of bytes that were seen, with holes."},
    {Py_tp_new, make},
    {Py_tp_dealloc, drop},
    {Py_tp_traverse, visit_all},
    {Py_tp_clear, clear_all},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    "mappers.forms._tracks.Tracks",
    sizeof(Tracks),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type;
    int added;
    fill_tables();
    name_low = PyUnicode_InternFromString("low");
    name_high = PyUnicode_InternFromString("high");
    name_kind = PyUnicode_InternFromString("kind");
    if (name_low == NULL || name_high == NULL || name_kind == NULL)
        return -1;
    type = PyType_FromSpec(&spec);
    added = type == NULL ? -1 : PyModule_AddObjectRef(module, "Tracks", type);
    Py_XDECREF(type);
    return added;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill_module}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_tracks", "Bytes that come again but for some holes.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__tracks(void)
{
    return PyModuleDef_Init(&module);
}
