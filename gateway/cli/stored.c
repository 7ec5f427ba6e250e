#include "gateway/cli/stored.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/client.h"
#include "gateway/common/hex.h"

#define TIMEOUT_MS 10000
/* A core that was killed or updated is back within seconds. */
#define TRIES 40
#define PAUSE_MS 250

/* The first call of a walk does not wait: where no gateway runs, that is the answer. */
static enum fb_error ask(const struct stored *stored, json_t *request, json_t **ret_result, struct fb_cause *cause) {
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    enum fb_error error = client_request(stored->run, request, TIMEOUT_MS, ret_result, cause);
    for (int i = 1; error == FB_CLOSED && stored->begun && i < TRIES; i++) {
        nanosleep(&pause, NULL);
        error = client_request(stored->run, request, TIMEOUT_MS, ret_result, cause);
    }
    json_decref(request);
    return error;
}

/* Base64 of at most most bytes. plain: room for them and three more. */
static bool decode_into(const char *text, size_t digits, unsigned char *plain, size_t most, size_t *ret_length) {
    if (digits < 4 || digits % 4 != 0 || digits / 4 * 3 > most + 2 ||
        EVP_DecodeBlock(plain, (const unsigned char *)text, (int)digits) < 0)
        return false;
    *ret_length = digits / 4 * 3 - (text[digits - 1] == '=') - (text[digits - 2] == '=');
    return *ret_length <= most;
}

static enum fb_error decode(const json_t *json, uint8_t *ret_bytes, size_t most, size_t *ret_length,
                            struct fb_cause *cause) {
    unsigned char *plain = malloc(most + 3);
    if (plain == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    enum fb_error error = FB_OK;
    if (json_is_string(json) && decode_into(json_string_value(json), json_string_length(json), plain, most, ret_length))
        memcpy(ret_bytes, plain, *ret_length);
    else
        error = fb_fail(cause, FB_INVALID, "forebay-core answered with something that is no batch");
    free(plain);
    return error;
}

static enum fb_error take_batch(struct stored *stored, const json_t *result, struct fb_cause *cause) {
    const json_t *number = json_object_get(result, "number"), *bytes = json_object_get(result, "bytes");
    stored->begun = true;
    if (json_is_null(number))
        return FB_NOT_FOUND;
    stored->number = (uint64_t)json_integer_value(number);
    stored->readable = !json_is_null(bytes);
    return stored->readable ? decode(bytes, stored->bytes, sizeof stored->bytes, &stored->length, cause) : FB_OK;
}

enum fb_error stored_next_number(struct stored *stored, struct fb_cause *cause) {
    json_t *result;
    enum fb_error error =
        ask(stored, json_pack("{s:s, s:I}", "call", "batch", "after", (json_int_t)stored->number), &result, cause);
    if (error != FB_OK)
        return error;
    stored->evicted_to = (uint64_t)json_integer_value(json_object_get(result, "evicted_to"));
    error = take_batch(stored, result, cause);
    json_decref(result);
    return error;
}

static json_t *place_of(const struct stored *stored, int64_t from_ms) {
    return stored->placed ? json_pack("[III]", (json_int_t)stored->last_ms, (json_int_t)stored->first_ms,
                                      (json_int_t)stored->number)
                          : json_integer(from_ms);
}

/* FB_AGAIN: none in time among those that core has looked at; the place has moved on. */
static enum fb_error next_in_time(struct stored *stored, int64_t from_ms, int64_t to_ms, struct fb_cause *cause) {
    json_t *request =
        json_pack("{s:s, s:o, s:I}", "call", "batch", "after", place_of(stored, from_ms), "to_ms", (json_int_t)to_ms);
    json_t *result;
    enum fb_error error = ask(stored, request, &result, cause);
    if (error != FB_OK)
        return error;
    const json_t *place = json_object_get(result, "place");
    stored->last_ms = json_integer_value(json_array_get(place, 0));
    stored->first_ms = json_integer_value(json_array_get(place, 1));
    stored->number = (uint64_t)json_integer_value(json_array_get(place, 2));
    stored->placed = true;
    error = take_batch(stored, result, cause);
    if (error == FB_NOT_FOUND && json_is_true(json_object_get(result, "more")))
        error = FB_AGAIN;
    json_decref(result);
    return error;
}

enum fb_error stored_next_in_time(struct stored *stored, int64_t from_ms, int64_t to_ms, struct fb_cause *cause) {
    enum fb_error error;
    do
        error = next_in_time(stored, from_ms, to_ms, cause);
    while (error == FB_AGAIN);
    return error;
}

static bool take_correction(json_t *json, struct batch_correction *ret_record) {
    json_int_t part[5];
    const char *id;
    if (json_unpack(json, "[IIIIIs!]", &part[0], &part[1], &part[2], &part[3], &part[4], &id) < 0)
        return false;
    *ret_record = (struct batch_correction){(uint64_t)part[0], (uint64_t)part[1], part[2], part[3], part[4]};
    return hex_decode(id, ret_record->store_id, sizeof ret_record->store_id);
}

enum fb_error stored_parked(const struct stored *stored, uint64_t after, uint64_t *ret_numbers, size_t *ret_count,
                            struct fb_cause *cause) {
    json_t *result;
    const enum fb_error error =
        ask(stored, json_pack("{s:s, s:I}", "call", "parked", "after", (json_int_t)after), &result, cause);
    if (error != FB_OK)
        return error;
    const json_t *parked = json_object_get(result, "parked");
    *ret_count = json_array_size(parked) < STORED_PARKED_MOST ? json_array_size(parked) : STORED_PARKED_MOST;
    for (size_t i = 0; i < *ret_count; i++)
        ret_numbers[i] = (uint64_t)json_integer_value(json_object_get(json_array_get(parked, i), "number"));
    json_decref(result);
    return FB_OK;
}

enum fb_error stored_corrections(const struct stored *stored, struct batch_walk *ret_walk, struct fb_cause *cause) {
    json_t *result;
    enum fb_error error = ask(stored, json_pack("{s:s}", "call", "corrections"), &result, cause);
    if (error != FB_OK)
        return error;
    const json_t *records = json_object_get(result, "corrections");
    const size_t count = json_array_size(records);
    if (count > BATCH_WALK_CORRECTIONS_MAX)
        error =
            fb_fail(cause, FB_INVALID, "forebay-core knows of more than %d corrections", BATCH_WALK_CORRECTIONS_MAX);
    for (size_t i = 0; error == FB_OK && i < count; i++)
        if (!take_correction(json_array_get(records, i), &ret_walk->corrections[i]))
            error = fb_fail(cause, FB_INVALID, "forebay-core answered with something that is no correction");
    ret_walk->correction_count = error == FB_OK ? count : 0;
    json_decref(result);
    return error;
}

enum fb_error stored_catalogue(const struct stored *stored, const uint8_t hash[static BATCH_HASH_BYTES],
                               struct catalogue *ret_catalogue, struct fb_cause *cause) {
    char text[2 * BATCH_HASH_BYTES + 1];
    hex_encode(hash, BATCH_HASH_BYTES, text);
    json_t *result;
    enum fb_error error = ask(stored, json_pack("{s:s, s:s}", "call", "catalogue", "hash", text), &result, cause);
    if (error != FB_OK)
        return error;
    size_t length = 0;
    uint8_t *bytes = malloc(CATALOGUE_BYTES_MAX);
    error = bytes != NULL ? decode(json_object_get(result, "bytes"), bytes, CATALOGUE_BYTES_MAX, &length, cause)
                          : fb_fail(cause, FB_MEMORY, "out of memory");
    json_decref(result);
    if (error == FB_OK)
        error = catalogue_decode(bytes, length, ret_catalogue, cause);
    free(bytes);
    return error;
}

enum fb_error stored_seal(const struct stored *stored, struct fb_cause *cause) {
    json_t *result;
    const enum fb_error error = ask(stored, json_pack("{s:s}", "call", "seal"), &result, cause);
    if (error == FB_OK)
        json_decref(result);
    return error;
}
