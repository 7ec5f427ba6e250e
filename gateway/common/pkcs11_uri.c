#include "gateway/common/pkcs11_uri.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "pkcs11:"
#define PRIVATE ";type=private"

/* Attributes of RFC 7512, 2.3, that select a token or an object; each at most once. */
static const char *const path_names[] = {
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-manufacturer",
    "library-version",
    "library-description",
    "object",
    "type",
    "id",
    "slot-manufacturer",
    "slot-description",
    "slot-id",
};
enum { NAME_OBJECT = 7, NAME_TYPE = 8, NAME_ID = 9, NAME_COUNT = sizeof path_names / sizeof path_names[0] };

/* One "name=value" of the URI. */
struct attribute {
    const char *name, *value;
    size_t name_length, value_length;
};

static bool named(const struct attribute *attribute, const char *name) {
    return attribute->name_length == strlen(name) && memcmp(attribute->name, name, attribute->name_length) == 0;
}

static bool valued(const struct attribute *attribute, const char *value) {
    return attribute->value_length == strlen(value) && memcmp(attribute->value, value, attribute->value_length) == 0;
}

/* Unreserved, escaped, or one of the marks that both parts of the URI allow (RFC 7512, 2.3). */
static bool well_formed(const struct attribute *attribute) {
    for (size_t i = 0; i < attribute->value_length; i++) {
        const unsigned char byte = (unsigned char)attribute->value[i];
        if (byte == '%') {
            if (i + 2 >= attribute->value_length || !isxdigit((unsigned char)attribute->value[i + 1]) ||
                !isxdigit((unsigned char)attribute->value[i + 2]) || strncmp(attribute->value + i, "%00", 3) == 0)
                return false;
        } else if (byte >= 0x80 || (!isalnum(byte) && strchr("-._~:[]@!$'()*+,=/&", byte) == NULL)) {
            return false;
        }
    }
    return attribute->value_length > 0;
}

/* Take the attribute that begins at text and ends before separator or end. Returns where the next one begins. */
static const char *take(const char *text, const char *end, char separator, struct attribute *ret_attribute) {
    const char *stop = memchr(text, separator, (size_t)(end - text));
    if (stop == NULL)
        stop = end;
    const char *equals = memchr(text, '=', (size_t)(stop - text));
    const char *name_end = equals == NULL ? stop : equals;
    *ret_attribute = (struct attribute){.name = text, .name_length = (size_t)(name_end - text)};
    ret_attribute->value = equals == NULL ? stop : equals + 1;
    ret_attribute->value_length = (size_t)(stop - ret_attribute->value);
    return stop == end ? end : stop + 1;
}

static enum fb_error read_path(const char *text, const char *end, bool seen[static NAME_COUNT],
                               struct fb_cause *cause) {
    while (text < end) {
        struct attribute attribute;
        text = take(text, end, ';', &attribute);
        size_t name = 0;
        while (name < NAME_COUNT && !named(&attribute, path_names[name]))
            name++;
        if (name == NAME_COUNT)
            return fb_fail(cause, FB_INVALID, "has an attribute that RFC 7512 does not know; give token and object");
        if (seen[name])
            return fb_fail(cause, FB_INVALID, "has the attribute %s twice", path_names[name]);
        seen[name] = true;
        if (!well_formed(&attribute))
            return fb_fail(cause, FB_INVALID, "has no usable value for %s; write other characters as %%XX",
                           path_names[name]);
        if (name == NAME_TYPE && !valued(&attribute, "private"))
            return fb_fail(cause, FB_INVALID, "names another type than private; leave type out");
    }
    if (!seen[NAME_OBJECT] && !seen[NAME_ID])
        return fb_fail(cause, FB_INVALID, "must name the key: give object=LABEL or id=%%XX");
    return FB_OK;
}

static void decode(const struct attribute *attribute, char ret_text[static PKCS11_URI_MAX]) {
    size_t length = 0;
    for (size_t i = 0; i < attribute->value_length; i++) {
        const char *at = attribute->value + i;
        if (*at != '%') {
            ret_text[length++] = *at;
            continue;
        }
        const char digits[] = {at[1], at[2], '\0'};
        ret_text[length++] = (char)strtoul(digits, NULL, 16);
        i += 2;
    }
    ret_text[length] = '\0';
}

static enum fb_error read_query(const char *text, const char *end, char ret_module[static PKCS11_URI_MAX],
                                struct fb_cause *cause) {
    ret_module[0] = '\0';
    while (text < end) {
        struct attribute attribute;
        text = take(text, end, '&', &attribute);
        if (named(&attribute, "pin-value") || named(&attribute, "pin-source"))
            return fb_fail(cause, FB_INVALID,
                           "must not hold the PIN; put it into a file and name that as key_pin_file");
        if (!named(&attribute, "module-path") || ret_module[0] != '\0')
            return fb_fail(cause, FB_INVALID, "may have one attribute behind the \"?\": module-path=PATH");
        if (!well_formed(&attribute))
            return fb_fail(cause, FB_INVALID, "has no usable value for module-path; write other characters as %%XX");
        decode(&attribute, ret_module);
    }
    if (ret_module[0] != '/')
        return fb_fail(cause, FB_INVALID,
                       "must end with ?module-path=PATH, the absolute path of the library for this token");
    return FB_OK;
}

bool pkcs11_uri_is(const char *text) {
    return strncmp(text, SCHEME, sizeof SCHEME - 1) == 0;
}

enum fb_error pkcs11_uri_read(const char *text, struct pkcs11_uri *ret_uri, struct fb_cause *cause) {
    struct pkcs11_uri uri;
    bool seen[NAME_COUNT] = {false};
    const size_t length = strlen(text);
    if (!pkcs11_uri_is(text))
        return fb_fail(cause, FB_INVALID, "does not begin with " SCHEME);
    if (length + sizeof PRIVATE > PKCS11_URI_MAX)
        return fb_fail(cause, FB_INVALID, "is %zu bytes long; allowed are at most %zu", length,
                       (size_t)PKCS11_URI_MAX - sizeof PRIVATE);
    const char *path_end = text + strcspn(text, "?");
    enum fb_error error = read_path(text + sizeof SCHEME - 1, path_end, seen, cause);
    if (error == FB_OK)
        error = read_query(*path_end == '?' ? path_end + 1 : path_end, text + length, uri.module, cause);
    if (error != FB_OK)
        return error;
    snprintf(uri.object, sizeof uri.object, "%.*s%s", (int)(path_end - text), text, seen[NAME_TYPE] ? "" : PRIVATE);
    *ret_uri = uri;
    return FB_OK;
}
