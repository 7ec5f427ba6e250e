#include "gateway/config/check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/common/pin.h"
#include "gateway/common/pkcs11_uri.h"
#include "gateway/config/report.h"
#include "gateway/config/value.h"

const char *check_place(const char *place, const char *key, char ret_place[static CHECK_PLACE_MAX]) {
    snprintf(ret_place, CHECK_PLACE_MAX, "%s%s%s", place, place[0] == '\0' ? "" : ".", key);
    return ret_place;
}

void check_fail(struct check *check, const struct tree_node *node, const char *place, const char *format, ...) {
    if (check->report->count == CONFIG_ERRORS_MAX)
        return; /* node may be missing then: that it is was not reported */
    char text[FB_CAUSE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report_add(check->report, node->line, node->column, "%s%s%s", place, place[0] == '\0' ? "" : ": ", text);
}

/* What is being read: one value, for one key, into its member of the target. */
struct taking {
    const struct check_key *key;
    const char *folder;
    const char *text;
    void *member;
    struct fb_cause *why;
};

static void store_number(const struct taking *taking, uint64_t number) {
    const uint8_t byte = (uint8_t)number;
    const uint16_t half = (uint16_t)number;
    const uint32_t word = (uint32_t)number;
    const void *const sources[] = {
        [sizeof byte] = &byte, [sizeof half] = &half, [sizeof word] = &word, [sizeof number] = &number};
    const size_t size = taking->key->size;
    assert(size < sizeof sources / sizeof sources[0] && sources[size] != NULL);
    memcpy(taking->member, sources[size], size);
}

static bool has_control(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7f || (byte == 0xc2 && (unsigned char)at[1] < 0xa0))
            return true;
    }
    return false;
}

static enum fb_error store_text(const struct taking *taking, const char *text) {
    const size_t most = taking->key->max != 0 ? taking->key->max : taking->key->size - 1;
    const size_t length = strlen(text);
    if (has_control(text))
        return fb_fail(taking->why, FB_INVALID, "has a control character or a line break, which is not allowed");
    if (length > most)
        return fb_fail(taking->why, FB_INVALID, "is %zu bytes long; allowed are at most %zu", length, most);
    memset(taking->member, 0, taking->key->size);
    memcpy(taking->member, text, length);
    return FB_OK;
}

static enum fb_error take_text(const struct taking *taking) {
    return store_text(taking, taking->text);
}

/* "\r" in double quotes of YAML is a carriage return already; plain, it is still two characters. */
static enum fb_error take_control_text(const struct taking *taking) {
    char text[4 * PLANT_LINES_ASK_MAX] = "";
    size_t used = 0;
    for (const char *at = taking->text; *at != '\0' && used + sizeof "\\x00" < sizeof text; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7f)
            used += (size_t)snprintf(text + used, sizeof text - used, "\\x%02x", byte);
        else
            text[used++] = *at;
        text[used] = '\0';
    }
    return store_text(taking, text);
}

static enum fb_error take_name(const struct taking *taking) {
    const enum fb_error error = value_name(taking->text, taking->why);
    return error != FB_OK ? error : store_text(taking, taking->text);
}

static enum fb_error take_host(const struct taking *taking) {
    const enum fb_error error = value_host(taking->text, taking->why);
    return error != FB_OK ? error : store_text(taking, taking->text);
}

static enum fb_error take_path(const struct taking *taking) {
    char path[2 * CONFIG_PATH_MAX];
    const enum fb_error error = file_join(taking->folder, taking->text, path, sizeof path, taking->why);
    return error != FB_OK ? fb_fail(taking->why, FB_INVALID, "is too long for a path") : store_text(taking, path);
}

static enum fb_error take_key(const struct taking *taking) {
    struct pkcs11_uri uri;
    if (!pkcs11_uri_is(taking->text))
        return take_path(taking);
    const enum fb_error error = pkcs11_uri_read(taking->text, &uri, taking->why);
    return error != FB_OK ? error : store_text(taking, taking->text);
}

static enum fb_error take_pin(const struct taking *taking) {
    uint8_t pin[PIN_BYTES];
    const enum fb_error error = pin_read(taking->text, pin, taking->why);
    return error != FB_OK ? error : store_text(taking, taking->text);
}

static enum fb_error take_number(const struct taking *taking) {
    uint64_t number = 0;
    const struct check_key *key = taking->key;
    const enum fb_error error = value_number(taking->text, key->min, key->max, &number, taking->why);
    if (error == FB_OK)
        store_number(taking, number);
    return error;
}

static enum fb_error take_duration(const struct taking *taking) {
    uint64_t time_ms = 0;
    const struct check_key *key = taking->key;
    const enum fb_error error = value_duration(taking->text, key->min, key->max, &time_ms, taking->why);
    if (error == FB_OK)
        store_number(taking, time_ms);
    return error;
}

static enum fb_error take_size(const struct taking *taking) {
    uint64_t bytes = 0;
    const struct check_key *key = taking->key;
    const enum fb_error error = value_size(taking->text, key->min, key->max, &bytes, taking->why);
    if (error == FB_OK)
        store_number(taking, bytes);
    return error;
}

static enum fb_error take_rate(const struct taking *taking) {
    uint64_t rate = 0;
    const struct check_key *key = taking->key;
    const enum fb_error error = value_rate(taking->text, key->min, key->max, &rate, taking->why);
    if (error == FB_OK)
        store_number(taking, rate);
    return error;
}

static enum fb_error take_mask(const struct taking *taking) {
    uint64_t bits = 0;
    const enum fb_error error = value_bits(taking->text, taking->key->max, &bits, taking->why);
    if (error == FB_OK && bits == 0)
        return fb_fail(taking->why, FB_INVALID, "selects no bit; give the bits that count, like 0x0001");
    if (error == FB_OK)
        store_number(taking, bits);
    return error;
}

static enum fb_error take_decimal(const struct taking *taking) {
    struct plant_decimal decimal;
    const enum fb_error error = value_decimal(taking->text, &decimal, taking->why);
    if (error == FB_OK)
        *(struct plant_decimal *)taking->member = decimal;
    return error;
}

static enum fb_error take_real(const struct taking *taking) {
    struct plant_decimal decimal;
    const enum fb_error error = value_decimal(taking->text, &decimal, taking->why);
    if (error == FB_OK)
        *(double *)taking->member = value_decimal_number(decimal);
    return error;
}

static enum fb_error take_word(const struct taking *taking) {
    const char *const *words = taking->key->words;
    size_t count = 0;
    for (; words[count] != NULL; count++)
        if (strcmp(words[count], taking->text) == 0) {
            store_number(taking, count);
            return FB_OK;
        }
    char quote[REPORT_QUOTE_MAX], hint[FB_CAUSE_MAX / 2];
    report_hint(taking->text, words, count, "allowed are", hint, sizeof hint);
    return fb_fail(taking->why, FB_INVALID, "%s is unknown%s", report_quote(taking->text, quote), hint);
}

static const struct {
    enum tree_kind kind;
    bool plain; /* numbers: in quotes it would be a text */
    enum fb_error (*take)(const struct taking *taking);
} types[] = {
    [CHECK_CONTROL_TEXT] = {TREE_TEXT, false, take_control_text},
    [CHECK_TEXT] = {TREE_TEXT, false, take_text},
    [CHECK_NAME] = {TREE_TEXT, false, take_name},
    [CHECK_HOST] = {TREE_TEXT, false, take_host},
    [CHECK_PATH] = {TREE_TEXT, false, take_path},
    [CHECK_KEY] = {TREE_TEXT, false, take_key},
    [CHECK_PIN] = {TREE_TEXT, false, take_pin},
    [CHECK_NUMBER] = {TREE_TEXT, true, take_number},
    [CHECK_DURATION] = {TREE_TEXT, false, take_duration},
    [CHECK_SIZE] = {TREE_TEXT, false, take_size},
    [CHECK_RATE] = {TREE_TEXT, false, take_rate},
    [CHECK_MASK] = {TREE_TEXT, true, take_mask},
    [CHECK_DECIMAL] = {TREE_TEXT, true, take_decimal},
    [CHECK_REAL] = {TREE_TEXT, true, take_real},
    [CHECK_WORD] = {TREE_TEXT, false, take_word},
    [CHECK_MAP] = {TREE_MAP, false, NULL},
    [CHECK_LIST] = {TREE_LIST, false, NULL},
};

static bool check_kind(struct check *check, const struct tree_node *node, const char *place, enum tree_kind wanted) {
    static const char *const kinds[] = {
        [TREE_TEXT] = "one value", [TREE_MAP] = "a section of \"key: value\"", [TREE_LIST] = "a list"};
    if (tree_empty(node))
        check_fail(check, node, place, "has no value; give %s", kinds[wanted]);
    else if (node->kind != wanted)
        check_fail(check, node, place, "is %s; allowed is %s", kinds[node->kind], kinds[wanted]);
    return node->kind == wanted && !tree_empty(node);
}

void check_value(struct check *check, const struct check_key *key, const struct tree_node *node, const char *place,
                 void *target) {
    if (!check_kind(check, node, place, types[key->type].kind) || types[key->type].take == NULL)
        return;
    if (types[key->type].plain && node->quoted) {
        check_fail(check, node, place, "is in quotes, which makes it a text; write the number without");
        return;
    }
    struct fb_cause why;
    const struct taking taking = {key, check->folder, node->text, (char *)target + key->offset, &why};
    if (types[key->type].take(&taking) != FB_OK)
        check_fail(check, node, place, "%s", why.text);
}

static void use_standard(const struct check_key *key, const char *folder, void *target) {
    struct fb_cause why;
    const struct taking taking = {key, folder, key->standard, (char *)target + key->offset, &why};
    const enum fb_error error = types[key->type].take(&taking);
    assert(error == FB_OK);
}

static void check_absent(struct check *check, const struct check_key *key, const struct tree_node *map,
                         const char *section, void *target) {
    char place[CHECK_PLACE_MAX];
    if (key->standard != NULL)
        use_standard(key, check->folder, target);
    if (map != NULL && key->wanted != NULL)
        check_fail(check, map->key != NULL ? map->key : map, check_place(section, key->name, place),
                   "is missing; give %s", key->wanted);
}

static const struct check_key *find_key(const struct check_table *table, const char *name) {
    for (size_t i = 0; table != NULL && i < table->count; i++)
        if (strcmp(table->keys[i].name, name) == 0)
            return &table->keys[i];
    return NULL;
}

static void check_unknown(struct check *check, const struct check_table *table, const struct tree_node *key,
                          const char *section) {
    char quote[REPORT_QUOTE_MAX], place[CHECK_PLACE_MAX], hint[FB_CAUSE_MAX / 2];
    check_place(section, report_quote(key->text, quote), place);
    if (find_key(table->other, key->text) != NULL) {
        check_fail(check, key, place, "%s", table->other_is);
        return;
    }
    const char *names[TREE_KEYS_MAX] = {NULL};
    for (size_t i = 0; i < table->count; i++)
        names[i] = table->keys[i].name;
    check_fail(check, key, place, "is not a key of this section%s",
               report_hint(key->text, names, table->count, "its keys are", hint, sizeof hint));
}

void check_section(struct check *check, const struct check_table *table, const struct tree_node *map, const char *place,
                   void *target) {
    assert(table->count <= TREE_KEYS_MAX);
    if (map != NULL && !check_kind(check, map, place, TREE_MAP))
        return;
    for (const struct tree_node *node = map == NULL ? NULL : map->first; node != NULL; node = node->next)
        if (find_key(table, node->key->text) == NULL)
            check_unknown(check, table, node->key, place);
    for (size_t i = 0; i < table->count; i++) {
        const struct tree_node *node = tree_get(map, table->keys[i].name);
        char value[CHECK_PLACE_MAX];
        if (node == NULL)
            check_absent(check, &table->keys[i], map, place, target);
        else
            check_value(check, &table->keys[i], node, check_place(place, table->keys[i].name, value), target);
    }
}
