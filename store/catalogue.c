#include "store/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "store/batch_cbor.h"
#include "store/batch_frame.h"

#define VERSION 1
#define MESSAGE "catalogue"
#define NUMBER_MAX ((uint64_t)INT64_MAX)
#define TAG_MEMBERS 5
#define ENVELOPE_ROOM 160
/* Array head, number, kind, and three texts with their heads. */
#define TAG_ROOM (1 + 5 + 1 + 2 * (PLANT_NAME_MAX + 1) + PLANT_UNIT_MAX)

/* Keys of the envelope, in their order. */
enum key { KEY_VERSION, KEY_MESSAGE, KEY_GATEWAY, KEY_STORE, KEY_REVISION, KEY_MADE, KEY_TAGS, KEYS };

void catalogue_done(struct catalogue *catalogue) {
    free(catalogue->tags);
    catalogue->tags = NULL;
    catalogue->tag_count = 0;
}

static void put_tag(const struct catalogue_tag *tag, struct batch_writer *writer) {
    batch_cbor_put_array(writer, TAG_MEMBERS);
    batch_cbor_put_unsigned(writer, tag->number);
    batch_cbor_put_text(writer, tag->instrument);
    batch_cbor_put_text(writer, tag->name);
    batch_cbor_put_text(writer, tag->unit);
    batch_cbor_put_unsigned(writer, tag->kind);
}

static void put_plain(const struct catalogue *catalogue, struct batch_writer *writer) {
    batch_cbor_put_map(writer, KEYS);
    batch_cbor_put_unsigned(writer, KEY_VERSION);
    batch_cbor_put_unsigned(writer, VERSION);
    batch_cbor_put_unsigned(writer, KEY_MESSAGE);
    batch_cbor_put_text(writer, MESSAGE);
    batch_cbor_put_unsigned(writer, KEY_GATEWAY);
    batch_cbor_put_text(writer, catalogue->gateway);
    batch_cbor_put_unsigned(writer, KEY_STORE);
    batch_cbor_put_bytes(writer, catalogue->store_id, sizeof catalogue->store_id);
    batch_cbor_put_unsigned(writer, KEY_REVISION);
    batch_cbor_put_unsigned(writer, catalogue->revision);
    batch_cbor_put_unsigned(writer, KEY_MADE);
    batch_cbor_put_unsigned(writer, (uint64_t)catalogue->made_ms);
    batch_cbor_put_unsigned(writer, KEY_TAGS);
    batch_cbor_put_array(writer, catalogue->tag_count);
    for (size_t i = 0; i < catalogue->tag_count; i++)
        put_tag(&catalogue->tags[i], writer);
}

enum fb_error catalogue_encode(const struct catalogue *catalogue, uint8_t *ret_bytes, size_t *ret_length,
                               struct fb_cause *cause) {
    if (catalogue->tag_count > PLANT_TAGS_MAX)
        return fb_fail(cause, FB_LIMIT, "catalogue: %zu tags, at most %d fit", catalogue->tag_count, PLANT_TAGS_MAX);
    struct batch_writer writer = {.capacity = ENVELOPE_ROOM + catalogue->tag_count * TAG_ROOM};
    writer.data = malloc(writer.capacity);
    if (writer.data == NULL)
        return fb_fail(cause, FB_MEMORY, "catalogue: out of memory");
    put_plain(catalogue, &writer);
    enum fb_error error = FB_LIMIT;
    if (writer.overflow || writer.used > CATALOGUE_PLAIN_BYTES_MAX)
        fb_fail(cause, error, "larger than %d bytes before compression", CATALOGUE_PLAIN_BYTES_MAX);
    else
        error = batch_frame_pack(writer.data, writer.used, ret_bytes, CATALOGUE_BYTES_MAX, ret_length, cause);
    free(writer.data);
    if (error == FB_LIMIT)
        fb_context(cause, error, "too many tags, or their names are too long");
    return error == FB_OK ? FB_OK : fb_context(cause, error, "catalogue");
}

static void get_tag(struct batch_cbor *cbor, uint32_t number_before, struct catalogue_tag *ret_tag) {
    batch_cbor_array(cbor, TAG_MEMBERS, TAG_MEMBERS);
    ret_tag->number = (uint32_t)batch_cbor_unsigned(cbor, (uint64_t)number_before + 1, UINT32_MAX);
    batch_cbor_text(cbor, 1, ret_tag->instrument, sizeof ret_tag->instrument);
    batch_cbor_text(cbor, 1, ret_tag->name, sizeof ret_tag->name);
    batch_cbor_text(cbor, 0, ret_tag->unit, sizeof ret_tag->unit);
    ret_tag->kind = (enum reading_kind)batch_cbor_unsigned(cbor, READING_REAL64, READING_TEXT);
}

static enum fb_error get_tags(struct batch_cbor *cbor, struct catalogue *catalogue, struct fb_cause *cause) {
    batch_cbor_key(cbor, KEY_TAGS, "tags");
    const size_t count = batch_cbor_array(cbor, 0, PLANT_TAGS_MAX);
    /* A tag takes at least as many bytes as it has members: a few bytes cannot claim much memory. */
    if (count * TAG_MEMBERS > cbor->reader.left)
        cbor->reader.bad = true;
    if (!cbor->reader.bad && count > 0) {
        catalogue->tags = calloc(count, sizeof *catalogue->tags);
        if (catalogue->tags == NULL)
            return fb_fail(cause, FB_MEMORY, "out of memory");
        catalogue->tag_count = count;
    }
    for (size_t i = 0; i < catalogue->tag_count && !cbor->reader.bad; i++)
        get_tag(cbor, i > 0 ? catalogue->tags[i - 1].number : 0, &catalogue->tags[i]);
    return batch_cbor_end(cbor, cause);
}

static enum fb_error decode_plain(const uint8_t *plain, size_t length, struct catalogue *catalogue,
                                  struct fb_cause *cause) {
    struct batch_cbor cbor = {.reader = {.data = plain, .left = length}, .name = "envelope"};
    size_t pairs;
    const enum fb_error error = batch_cbor_begin(&cbor, MESSAGE, KEYS, KEYS, VERSION, &pairs, cause);
    if (error != FB_OK)
        return error;
    batch_cbor_key(&cbor, KEY_GATEWAY, "gateway");
    batch_cbor_text(&cbor, 1, catalogue->gateway, sizeof catalogue->gateway);
    batch_cbor_key(&cbor, KEY_STORE, "store");
    batch_cbor_fixed(&cbor, catalogue->store_id, sizeof catalogue->store_id);
    batch_cbor_key(&cbor, KEY_REVISION, "revision");
    catalogue->revision = batch_cbor_unsigned(&cbor, 1, NUMBER_MAX);
    batch_cbor_key(&cbor, KEY_MADE, "made");
    catalogue->made_ms = (int64_t)batch_cbor_unsigned(&cbor, 0, (uint64_t)READING_TIME_MAX_MS);
    return get_tags(&cbor, catalogue, cause);
}

enum fb_error catalogue_decode(const uint8_t *bytes, size_t length, struct catalogue *ret_catalogue,
                               struct fb_cause *cause) {
    if (length > CATALOGUE_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "catalogue: larger than %d bytes", CATALOGUE_BYTES_MAX);
    uint8_t *plain;
    size_t plain_length;
    enum fb_error error = batch_frame_unpack(bytes, length, CATALOGUE_PLAIN_BYTES_MAX, &plain, &plain_length, cause);
    if (error != FB_OK)
        return fb_context(cause, error, "catalogue");
    struct catalogue catalogue = {0};
    error = decode_plain(plain, plain_length, &catalogue, cause);
    free(plain);
    if (error != FB_OK) {
        catalogue_done(&catalogue);
        return fb_context(cause, error, "catalogue");
    }
    *ret_catalogue = catalogue;
    return FB_OK;
}

static bool same_tag(const struct catalogue_tag *a, const struct catalogue_tag *b) {
    return a->number == b->number && a->kind == b->kind && strcmp(a->instrument, b->instrument) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->unit, b->unit) == 0;
}

bool catalogue_same_tags(const struct catalogue *a, const struct catalogue *b) {
    if (a->tag_count != b->tag_count)
        return false;
    for (size_t i = 0; i < a->tag_count; i++)
        if (!same_tag(&a->tags[i], &b->tags[i]))
            return false;
    return true;
}
