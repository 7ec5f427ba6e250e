#include "gateway/core/record_calls.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "gateway/common/hex.h"
#include "gateway/config/config.h"

#define DIGITS_MAX 16 /* numbers have 56 bits */
/* After that much the rest is left to the next call. */
#define ANSWER_BYTES ((size_t)2 * 1024 * 1024)

struct listing {
    struct text *result;
    bool exact;
    const char *separator;
};

/* A configuration's header, and the whole of any other. */
static size_t json_length(const struct store_record *record) {
    const uint8_t *end = memchr(record->body, '\n', record->length);
    return end != NULL ? (size_t)(end - record->body) : record->length;
}

static json_t *to_json(const struct store_record *record) {
    json_t *body = json_loadb((const char *)record->body, json_length(record), JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(body)) {
        json_decref(body);
        body = json_object();
    }
    json_object_set_new(body, "number", json_integer((json_int_t)record->number));
    json_object_set_new(body, "time_ms", json_integer(record->time_ms));
    return body;
}

static json_t *to_exact_json(const struct store_record *record) {
    char previous[2 * RECORD_HASH_BYTES + 1];
    hex_encode(record->previous, RECORD_HASH_BYTES, previous);
    json_t *body = json_stringn((const char *)record->body, record->length);
    return json_pack("{s:I, s:I, s:s, s:o}", "number", (json_int_t)record->number, "time_ms",
                     (json_int_t)record->time_ms, "previous", previous, "body", body != NULL ? body : json_null());
}

static bool list_one(const struct store_record *record, void *user) {
    struct listing *listing = user;
    text_add_string(listing->result, listing->separator);
    text_add_json(listing->result, listing->exact ? to_exact_json(record) : to_json(record));
    listing->separator = ",";
    return !listing->result->failed && listing->result->used < ANSWER_BYTES;
}

/* So that what was just done is shown; readings alone are no reason to write. */
static void commit_waiting(struct core *core) {
    if (store_records_waiting(core->store) > 0)
        intake_commit_now(core->intake);
}

enum fb_error record_calls_list(struct core *core, const struct record_calls_range *range, struct text *result,
                                struct fb_cause *cause) {
    struct store_records_figures figures;
    char head[2 * RECORD_HASH_BYTES + 1];
    struct listing listing = {.result = result, .exact = range->exact, .separator = ""};
    commit_waiting(core);
    text_add_string(result, "{\"records\":[");
    const enum fb_error error =
        store_records_read(core->store, range->kind, range->after, range->limit, list_one, &listing, cause);
    store_records_figures(core->store, range->kind, &figures);
    hex_encode(figures.head, sizeof figures.head, head);
    text_add_format(result, "],\"first\":%llu,\"last\":%llu,\"head\":\"%s\"}", (unsigned long long)figures.first,
                    (unsigned long long)figures.last, head);
    return error;
}

enum fb_error record_calls_parse(const char *query, struct record_calls_range *range, struct fb_cause *cause) {
    static const char name[] = "after=";
    const char *digits = query + strlen(name);
    if (query[0] == '\0')
        return FB_OK;
    if (strncmp(query, name, strlen(name)) != 0 || digits[0] == '\0' || strlen(digits) > DIGITS_MAX ||
        strspn(digits, "0123456789") != strlen(digits))
        return fb_fail(cause, FB_INVALID, "after=NUMBER of a record is expected");
    range->after = strtoull(digits, NULL, 10);
    return FB_OK;
}

static bool whole_number(const json_t *request, const char *name, json_int_t standard, json_int_t most,
                         json_int_t *ret_number) {
    const json_t *value = json_object_get(request, name);
    *ret_number = value != NULL ? json_integer_value(value) : standard;
    return (value == NULL || json_is_integer(value)) && *ret_number >= 0 && *ret_number <= most;
}

enum fb_error record_call_list(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    json_int_t after, limit;
    struct record_calls_range range = {.kind = records_kind(json_string_value(json_object_get(request, "call"))),
                                       .exact = json_is_true(json_object_get(request, "exact"))};
    if (!whole_number(request, "after", 0, INT64_MAX >> 8, &after))
        return fb_fail(cause, FB_INVALID, "\"after\": the number of a record is expected");
    if (!whole_number(request, "limit", RECORD_CALLS_LIMIT_MAX, RECORD_CALLS_LIMIT_MAX, &limit) || limit == 0)
        return fb_fail(cause, FB_INVALID, "\"limit\": a whole number from 1 to %d is expected", RECORD_CALLS_LIMIT_MAX);
    if (range.exact && range.kind == STORE_RECORD_CONFIGURATION)
        return fb_fail(cause, FB_INVALID, "\"exact\": not with configurations");
    range.after = (uint64_t)after;
    range.limit = (size_t)limit;
    return record_calls_list(core, &range, result, cause);
}

struct finding {
    uint64_t number;
    json_t *json; /* NULL: not found, or damaged */
};

static json_t *unpack(const uint8_t *packed, size_t length) {
    const unsigned long long size = ZSTD_getFrameContentSize(packed, length);
    if (size > CONFIG_BYTES_MAX)
        return NULL;
    char *document = malloc((size_t)size + 1);
    const size_t got = document != NULL ? ZSTD_decompress(document, (size_t)size, packed, length) : 0;
    json_t *json = document != NULL && got == size ? json_stringn(document, got) : NULL;
    free(document);
    return json;
}

static bool find_one(const struct store_record *record, void *user) {
    struct finding *finding = user;
    const size_t head = json_length(record);
    if (record->number != finding->number || head == record->length)
        return false;
    json_t *document = unpack(record->body + head + 1, record->length - head - 1);
    finding->json = document != NULL ? to_json(record) : NULL;
    if (finding->json != NULL)
        json_object_set_new(finding->json, "document", document);
    return false;
}

enum fb_error record_call_configuration(struct core *core, const json_t *request, struct text *result,
                                        struct fb_cause *cause) {
    json_int_t number;
    if (!whole_number(request, "number", 0, INT64_MAX >> 8, &number) || number == 0)
        return fb_fail(cause, FB_INVALID, "\"number\": the number of a configuration is expected");
    struct finding finding = {.number = (uint64_t)number};
    commit_waiting(core);
    const enum fb_error error =
        store_records_read(core->store, STORE_RECORD_CONFIGURATION, (uint64_t)number - 1, 1, find_one, &finding, cause);
    if (error != FB_OK)
        return error;
    if (finding.json == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "there is no configuration %lld, or not any more", (long long)number);
    text_add_json(result, finding.json);
    return FB_OK;
}
