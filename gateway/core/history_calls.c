#include "gateway/core/history_calls.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/common/hex.h"
#include "store/history.h"

#define BASE64_BYTES(length) (((length) + 2) / 3 * 4 + 1)

static enum fb_error get_integer(const json_t *request, const char *name, int64_t *ret_number, struct fb_cause *cause) {
    const json_t *value = json_object_get(request, name);
    if (!json_is_integer(value))
        return fb_fail(cause, FB_INVALID, "\"%s\": a whole number is expected", name);
    *ret_number = json_integer_value(value);
    return FB_OK;
}

/* "after": [last_ms, first_ms, number] of the batch before, or just a time to begin at. */
static enum fb_error get_place(const json_t *request, struct history_place *ret_place, struct fb_cause *cause) {
    const json_t *after = json_object_get(request, "after");
    if (json_is_integer(after)) {
        *ret_place = history_begin(json_integer_value(after));
        return FB_OK;
    }
    json_int_t last_ms, first_ms, number;
    if (json_unpack((json_t *)(uintptr_t)after, "[III!]", &last_ms, &first_ms, &number) < 0 || number < 0)
        return fb_fail(cause, FB_INVALID, "\"after\": a time, or the place of the batch before, is expected");
    *ret_place = (struct history_place){.last_ms = last_ms, .first_ms = first_ms, .number = (uint64_t)number};
    return FB_OK;
}

static void add_base64(struct text *result, const uint8_t *bytes, size_t length) {
    unsigned char *encoded = malloc(BASE64_BYTES(length));
    if (encoded == NULL) {
        result->failed = true;
        return;
    }
    text_add(result, (const char *)encoded, (size_t)EVP_EncodeBlock(encoded, bytes, (int)length));
    free(encoded);
}

/* error: FB_OK, or FB_CORRUPT for a batch that is there but cannot be read. */
static void add_batch(struct text *result, const struct store_batch *batch, enum fb_error error) {
    text_add_format(result, ",\"number\":%llu,\"bytes\":", (unsigned long long)batch->number);
    if (error != FB_OK) {
        text_add_string(result, "null");
        return;
    }
    text_add_string(result, "\"");
    add_base64(result, batch->bytes, batch->length);
    text_add_string(result, "\"");
}

static enum fb_error walk_numbers(struct core *core, const json_t *request, struct store_batch *batch,
                                  struct text *result, struct fb_cause *cause) {
    int64_t after = 0;
    enum fb_error error = get_integer(request, "after", &after, cause);
    if (error == FB_OK && after < 0)
        error = fb_fail(cause, FB_INVALID, "\"after\": no number of a batch");
    if (error == FB_OK)
        error = history_after(core->store, (uint64_t)after, batch, cause);
    text_add_format(result, "{\"evicted_to\":%llu", (unsigned long long)history_evicted_to(core->store));
    return error;
}

static enum fb_error walk_time(struct core *core, const json_t *request, struct store_batch *batch, struct text *result,
                               struct fb_cause *cause) {
    struct history_place place;
    int64_t to_ms = 0;
    enum fb_error error = get_integer(request, "to_ms", &to_ms, cause);
    if (error == FB_OK)
        error = get_place(request, &place, cause);
    if (error == FB_OK) {
        error = history_next(core->store, &place, to_ms, batch, cause);
        text_add_format(result, "{\"place\":[%lld,%lld,%llu]", (long long)place.last_ms, (long long)place.first_ms,
                        (unsigned long long)place.number);
    }
    return error;
}

static enum fb_error find_batch(struct core *core, const json_t *request, struct store_batch *batch,
                                struct text *result, struct fb_cause *cause) {
    const bool by_time = json_object_get(request, "to_ms") != NULL;
    const enum fb_error error =
        by_time ? walk_time(core, request, batch, result, cause) : walk_numbers(core, request, batch, result, cause);
    if (error == FB_OK || error == FB_CORRUPT)
        add_batch(result, batch, error);
    else if (error == FB_NOT_FOUND || error == FB_AGAIN)
        text_add_format(result, ",\"number\":null%s", error == FB_AGAIN ? ",\"more\":true" : "");
    else
        return error;
    text_add_string(result, "}");
    return FB_OK;
}

enum fb_error history_call_batch(struct core *core, const json_t *request, struct text *result,
                                 struct fb_cause *cause) {
    struct store_batch *batch = malloc(sizeof *batch);
    if (batch == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const enum fb_error error = find_batch(core, request, batch, result, cause);
    free(batch);
    return error;
}

static bool get_hash(const json_t *request, uint8_t ret_hash[static BATCH_HASH_BYTES]) {
    const char *text = json_string_value(json_object_get(request, "hash"));
    if (text == NULL || strlen(text) != 2 * BATCH_HASH_BYTES)
        return false;
    for (size_t i = 0; i < BATCH_HASH_BYTES; i++) {
        const int high = OPENSSL_hexchar2int((unsigned char)text[2 * i]);
        const int low = OPENSSL_hexchar2int((unsigned char)text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

enum fb_error history_call_catalogue(struct core *core, const json_t *request, struct text *result,
                                     struct fb_cause *cause) {
    uint8_t hash[BATCH_HASH_BYTES];
    if (!get_hash(request, hash))
        return fb_fail(cause, FB_INVALID, "\"hash\": %d hexadecimal digits are expected", 2 * BATCH_HASH_BYTES);
    FB_CLEANUP(file_free) uint8_t *bytes = malloc(CATALOGUE_BYTES_MAX);
    if (bytes == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    uint64_t revision;
    size_t length;
    const enum fb_error error = store_read_catalogue(core->store, hash, &revision, bytes, &length, cause);
    if (error != FB_OK)
        return error;
    text_add_format(result, "{\"revision\":%llu,\"bytes\":\"", (unsigned long long)revision);
    add_base64(result, bytes, length);
    text_add_string(result, "\"}");
    return FB_OK;
}

enum fb_error history_call_corrections(struct core *core, const json_t *request, struct text *result,
                                       struct fb_cause *cause) {
    (void)request;
    (void)cause;
    struct batch_correction corrections[STORE_CORRECTIONS_MAX];
    const size_t count = store_corrections(core->store, corrections);
    text_add_string(result, "{\"corrections\":[");
    for (size_t i = 0; i < count; i++) {
        char id[2 * BATCH_STORE_ID_BYTES + 1];
        hex_encode(corrections[i].store_id, sizeof corrections[i].store_id, id);
        text_add_format(result, "%s[%llu,%llu,%lld,%lld,%lld,\"%s\"]", i > 0 ? "," : "",
                        (unsigned long long)corrections[i].first_batch, (unsigned long long)corrections[i].last_batch,
                        (long long)corrections[i].from_ms, (long long)corrections[i].to_ms,
                        (long long)corrections[i].right_ms, id);
    }
    text_add_string(result, "]}");
    return FB_OK;
}

enum fb_error history_call_seal(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    (void)request;
    const enum fb_error error = intake_seal_now(core->intake, cause);
    if (error == FB_OK)
        text_add_format(result, "{\"last_number\":%llu}", (unsigned long long)store_last_number(core->store));
    if (error == FB_CORRUPT)
        return fb_fail(cause, FB_AGAIN,
                       "the store is damaged: the gateway starts again and puts it aside; ask once it is there");
    return error;
}
