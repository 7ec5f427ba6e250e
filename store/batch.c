#define OPENSSL_SUPPRESS_DEPRECATED /* batch_hash() */
#include "store/batch.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "store/batch_cbor.h"
#include "store/batch_columns.h"
#include "store/batch_frame.h"

#define VERSION 1
#define MESSAGE "batch"
#define NUMBER_MAX ((uint64_t)INT64_MAX)
/* What stands before the columns: fixed members and the texts, then the loss records of at most 6 x 9 + 1 bytes; and
 * behind them: a key, a head, and correction records of at most 5 x 9 + 17 + 1 bytes. */
#define ENVELOPE_ROOM 320
#define LOSS_ROOM 55
#define LOSS_MEMBERS 6
#define CORRECTION_ROOM 63
#define CORRECTION_MEMBERS 5 /* and the store, if it is another */

_Static_assert(SHA256_DIGEST_LENGTH == BATCH_HASH_BYTES, "hashes are SHA-256");

/* Keys of the envelope, in their order. */
enum key {
    KEY_VERSION,
    KEY_MESSAGE,
    KEY_GATEWAY,
    KEY_STORE,
    KEY_NUMBER,
    KEY_PREVIOUS,
    KEY_CATALOGUE,
    KEY_SEALED,
    KEY_CLOCK,
    KEY_LOSSES,
    KEY_READINGS,
    KEY_COLUMNS,
    KEY_CORRECTIONS, /* left out when there are none */
    KEYS
};

static void put_losses(const struct batch_info *info, struct batch_writer *writer) {
    batch_cbor_put_array(writer, info->loss_count);
    for (size_t i = 0; i < info->loss_count; i++) {
        const struct batch_loss *loss = &info->losses[i];
        batch_cbor_put_array(writer, LOSS_MEMBERS);
        batch_cbor_put_unsigned(writer, loss->reason);
        batch_cbor_put_unsigned(writer, loss->readings);
        batch_cbor_put_unsigned(writer, (uint64_t)loss->from_ms);
        batch_cbor_put_unsigned(writer, (uint64_t)loss->to_ms);
        batch_cbor_put_unsigned(writer, loss->first_batch);
        batch_cbor_put_unsigned(writer, loss->last_batch);
    }
}

static bool is_elsewhere(const struct batch_info *info, const struct batch_correction *correction) {
    static const uint8_t here[BATCH_STORE_ID_BYTES];
    return memcmp(correction->store_id, here, sizeof here) != 0 &&
           memcmp(correction->store_id, info->store_id, sizeof here) != 0;
}

static void put_corrections(const struct batch_info *info, struct batch_writer *writer) {
    if (info->correction_count == 0)
        return;
    batch_cbor_put_unsigned(writer, KEY_CORRECTIONS);
    batch_cbor_put_array(writer, info->correction_count);
    for (size_t i = 0; i < info->correction_count; i++) {
        const struct batch_correction *correction = &info->corrections[i];
        const bool elsewhere = is_elsewhere(info, correction);
        batch_cbor_put_array(writer, CORRECTION_MEMBERS + elsewhere);
        batch_cbor_put_unsigned(writer, correction->first_batch);
        batch_cbor_put_unsigned(writer, correction->last_batch);
        batch_cbor_put_unsigned(writer, (uint64_t)correction->from_ms);
        batch_cbor_put_unsigned(writer, (uint64_t)correction->to_ms);
        batch_cbor_put_unsigned(writer, (uint64_t)correction->right_ms);
        if (elsewhere)
            batch_cbor_put_bytes(writer, correction->store_id, sizeof correction->store_id);
    }
}

/* All that stands before the columns. */
static void put_envelope(const struct batch_info *info, size_t count, size_t columns, struct batch_writer *writer) {
    batch_cbor_put_map(writer, info->correction_count > 0 ? KEYS : KEY_CORRECTIONS);
    batch_cbor_put_unsigned(writer, KEY_VERSION);
    batch_cbor_put_unsigned(writer, VERSION);
    batch_cbor_put_unsigned(writer, KEY_MESSAGE);
    batch_cbor_put_text(writer, MESSAGE);
    batch_cbor_put_unsigned(writer, KEY_GATEWAY);
    batch_cbor_put_text(writer, info->gateway);
    batch_cbor_put_unsigned(writer, KEY_STORE);
    batch_cbor_put_bytes(writer, info->store_id, sizeof info->store_id);
    batch_cbor_put_unsigned(writer, KEY_NUMBER);
    batch_cbor_put_unsigned(writer, info->number);
    batch_cbor_put_unsigned(writer, KEY_PREVIOUS);
    batch_cbor_put_bytes(writer, info->previous, sizeof info->previous);
    batch_cbor_put_unsigned(writer, KEY_CATALOGUE);
    batch_cbor_put_bytes(writer, info->catalogue, sizeof info->catalogue);
    batch_cbor_put_unsigned(writer, KEY_SEALED);
    batch_cbor_put_unsigned(writer, (uint64_t)info->sealed_ms);
    batch_cbor_put_unsigned(writer, KEY_CLOCK);
    batch_cbor_put_unsigned(writer, info->clock);
    batch_cbor_put_unsigned(writer, KEY_LOSSES);
    put_losses(info, writer);
    batch_cbor_put_unsigned(writer, KEY_READINGS);
    batch_cbor_put_unsigned(writer, count);
    batch_cbor_put_unsigned(writer, KEY_COLUMNS);
    batch_cbor_put_bytes_start(writer, columns);
}

/* The columns come first, behind room for the envelope, which must say how long they are; the envelope is then moved up
 * against them. */
static enum fb_error put_plain(const struct batch_info *info, const struct reading *readings, size_t units,
                               uint8_t *plain, size_t envelope_room, size_t size, size_t *ret_start,
                               size_t *ret_length) {
    struct batch_writer columns = {.data = plain + envelope_room, .capacity = size - envelope_room};
    const enum fb_error error = batch_columns_encode(readings, units, &columns);
    if (error != FB_OK)
        return error;
    struct batch_writer envelope = {.data = plain, .capacity = envelope_room};
    put_envelope(info, readings_count(readings, units), columns.used, &envelope);
    put_corrections(info, &columns);
    assert(!envelope.overflow && !columns.overflow);
    *ret_start = envelope_room - envelope.used;
    *ret_length = envelope.used + columns.used;
    memmove(plain + *ret_start, plain, envelope.used);
    return FB_OK;
}

enum fb_error batch_encode(const struct batch_info *info, const struct reading *readings, size_t units,
                           uint8_t *ret_bytes, size_t *ret_length, struct fb_cause *cause) {
    assert(info->number >= 1 && info->loss_count <= BATCH_LOSSES_MAX && info->gateway[0] != '\0');
    assert(info->correction_count <= BATCH_CORRECTIONS_MAX);
    if (readings_first(readings, units, BATCH_READINGS_MAX) < units)
        return fb_fail(cause, FB_LIMIT, "batch: more than %d readings", BATCH_READINGS_MAX);
    const size_t envelope_room = ENVELOPE_ROOM + info->loss_count * LOSS_ROOM;
    const size_t size = envelope_room + batch_columns_room(units) + info->correction_count * CORRECTION_ROOM;
    uint8_t *plain = malloc(size);
    if (plain == NULL)
        return fb_fail(cause, FB_MEMORY, "batch: out of memory");
    size_t start, length;
    enum fb_error error = put_plain(info, readings, units, plain, envelope_room, size, &start, &length);
    if (error != FB_OK)
        fb_fail(cause, error, error == FB_MEMORY ? "batch: out of memory" : "batch: larger than its columns may be");
    else if (length > BATCH_PLAIN_BYTES_MAX)
        error = fb_fail(cause, FB_LIMIT, "batch: larger than %d bytes before compression", BATCH_PLAIN_BYTES_MAX);
    else if ((error = batch_frame_pack(plain + start, length, ret_bytes, BATCH_BYTES_MAX, ret_length, cause)) != FB_OK)
        fb_context(cause, error, "batch");
    free(plain);
    return error;
}

static void get_loss(struct batch_cbor *cbor, uint64_t number, struct batch_loss *ret_loss) {
    const uint64_t time_max = (uint64_t)READING_TIME_MAX_MS;
    batch_cbor_array(cbor, LOSS_MEMBERS, LOSS_MEMBERS);
    ret_loss->reason = (enum batch_loss_reason)batch_cbor_unsigned(cbor, BATCH_LOSS_QUOTA, BATCH_LOSS_THINNED);
    ret_loss->readings = batch_cbor_unsigned(cbor, 0, NUMBER_MAX);
    ret_loss->from_ms = (int64_t)batch_cbor_unsigned(cbor, 0, time_max);
    ret_loss->to_ms = (int64_t)batch_cbor_unsigned(cbor, (uint64_t)ret_loss->from_ms, time_max);
    ret_loss->first_batch = batch_cbor_unsigned(cbor, 0, number - 1);
    ret_loss->last_batch = batch_cbor_unsigned(cbor, ret_loss->first_batch, ret_loss->first_batch > 0 ? number - 1 : 0);
}

static void get_losses(struct batch_cbor *cbor, struct batch_info *info) {
    batch_cbor_key(cbor, KEY_LOSSES, "losses");
    info->loss_count = batch_cbor_array(cbor, 0, BATCH_LOSSES_MAX);
    for (size_t i = 0; i < info->loss_count && !cbor->reader.bad; i++)
        get_loss(cbor, info->number, &info->losses[i]);
}

static void get_correction(struct batch_cbor *cbor, const struct batch_info *info,
                           struct batch_correction *ret_correction) {
    const uint64_t time_max = (uint64_t)READING_TIME_MAX_MS;
    const bool elsewhere = batch_cbor_array(cbor, CORRECTION_MEMBERS, CORRECTION_MEMBERS + 1) > CORRECTION_MEMBERS;
    const uint64_t number_max = elsewhere ? NUMBER_MAX : info->number;
    ret_correction->first_batch = batch_cbor_unsigned(cbor, 1, number_max);
    ret_correction->last_batch = batch_cbor_unsigned(cbor, ret_correction->first_batch, number_max);
    const uint64_t from_ms = batch_cbor_unsigned(cbor, 0, time_max);
    const uint64_t to_ms = batch_cbor_unsigned(cbor, from_ms, time_max);
    ret_correction->from_ms = (int64_t)from_ms;
    ret_correction->to_ms = (int64_t)to_ms;
    ret_correction->right_ms = (int64_t)batch_cbor_unsigned(cbor, 0, time_max - (to_ms - from_ms));
    memcpy(ret_correction->store_id, info->store_id, sizeof ret_correction->store_id);
    if (elsewhere)
        batch_cbor_fixed(cbor, ret_correction->store_id, sizeof ret_correction->store_id);
    if (elsewhere && !is_elsewhere(info, ret_correction)) /* the shorter form is for that */
        cbor->reader.bad = true;
}

static void get_corrections(struct batch_cbor *cbor, struct batch_info *info) {
    batch_cbor_key(cbor, KEY_CORRECTIONS, "corrections");
    info->correction_count = batch_cbor_array(cbor, 1, BATCH_CORRECTIONS_MAX);
    for (size_t i = 0; i < info->correction_count && !cbor->reader.bad; i++)
        get_correction(cbor, info, &info->corrections[i]);
}

/* Batch 1 follows on nothing. */
static void get_previous(struct batch_cbor *cbor, struct batch_info *info) {
    static const uint8_t nothing[BATCH_HASH_BYTES];
    batch_cbor_key(cbor, KEY_PREVIOUS, "previous");
    batch_cbor_fixed(cbor, info->previous, sizeof info->previous);
    if (info->number == 1 && memcmp(info->previous, nothing, sizeof nothing) != 0)
        cbor->reader.bad = true;
}

static void get_envelope(struct batch_cbor *cbor, struct batch_info *info) {
    batch_cbor_key(cbor, KEY_GATEWAY, "gateway");
    batch_cbor_text(cbor, 1, info->gateway, sizeof info->gateway);
    batch_cbor_key(cbor, KEY_STORE, "store");
    batch_cbor_fixed(cbor, info->store_id, sizeof info->store_id);
    batch_cbor_key(cbor, KEY_NUMBER, "number");
    info->number = batch_cbor_unsigned(cbor, 1, NUMBER_MAX);
    get_previous(cbor, info);
    batch_cbor_key(cbor, KEY_CATALOGUE, "catalogue");
    batch_cbor_fixed(cbor, info->catalogue, sizeof info->catalogue);
    batch_cbor_key(cbor, KEY_SEALED, "sealed");
    info->sealed_ms = (int64_t)batch_cbor_unsigned(cbor, 0, (uint64_t)READING_TIME_MAX_MS);
    batch_cbor_key(cbor, KEY_CLOCK, "clock");
    info->clock = (enum clock_state)batch_cbor_unsigned(cbor, CLOCK_NOT_SET, CLOCK_SYNCHRONISED);
    get_losses(cbor, info);
}

static enum fb_error decode_plain(const uint8_t *plain, size_t length, struct batch_info *info,
                                  struct reading **ret_readings, size_t *ret_units, struct fb_cause *cause) {
    struct batch_cbor cbor = {.reader = {.data = plain, .left = length}, .name = "envelope"};
    size_t pairs;
    enum fb_error error = batch_cbor_begin(&cbor, MESSAGE, KEY_CORRECTIONS, KEYS, VERSION, &pairs, cause);
    if (error != FB_OK)
        return error;
    get_envelope(&cbor, info);
    batch_cbor_key(&cbor, KEY_READINGS, "readings");
    const size_t count = (size_t)batch_cbor_unsigned(&cbor, 0, BATCH_READINGS_MAX);
    batch_cbor_key(&cbor, KEY_COLUMNS, "columns");
    size_t columns_length;
    const uint8_t *columns = batch_cbor_bytes(&cbor, &columns_length);
    if (pairs == KEYS)
        get_corrections(&cbor, info);
    error = batch_cbor_end(&cbor, cause);
    return error == FB_OK ? batch_columns_decode(columns, columns_length, count, ret_readings, ret_units, cause)
                          : error;
}

enum fb_error batch_decode(const uint8_t *bytes, size_t length, struct batch_info *ret_info,
                           struct reading **ret_readings, size_t *ret_units, struct fb_cause *cause) {
    if (length > BATCH_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "batch: larger than %d bytes", BATCH_BYTES_MAX);
    uint8_t *plain;
    size_t plain_length;
    enum fb_error error = batch_frame_unpack(bytes, length, BATCH_PLAIN_BYTES_MAX, &plain, &plain_length, cause);
    if (error != FB_OK)
        return fb_context(cause, error, "batch");
    struct batch_info info = {0};
    error = decode_plain(plain, plain_length, &info, ret_readings, ret_units, cause);
    free(plain);
    if (error != FB_OK)
        return fb_context(cause, error, "batch");
    *ret_info = info;
    return FB_OK;
}

/* By the calls that need no memory: OpenSSL's newer ones may have none, just when a wrong hash would look like damage.
 */
void batch_hash(const uint8_t *bytes, size_t length, uint8_t ret_hash[static BATCH_HASH_BYTES]) {
    SHA256_CTX context;
    const bool works = SHA256_Init(&context) == 1 && SHA256_Update(&context, bytes, length) == 1 &&
                       SHA256_Final(ret_hash, &context) == 1;
    assert(works);
}
