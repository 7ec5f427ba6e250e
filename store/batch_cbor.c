#include "store/batch_cbor.h"

#include <cbor.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/common/reading.h"

#define MESSAGE_WORD_MAX 16 /* bytes with NUL */

static void put(struct batch_writer *writer, size_t encoded_length) {
    writer->overflow = writer->overflow || encoded_length == 0;
    writer->used += encoded_length;
}

static uint8_t *at(struct batch_writer *writer) {
    return writer->data + writer->used;
}

static size_t room(const struct batch_writer *writer) {
    return writer->capacity - writer->used;
}

static void put_raw(struct batch_writer *writer, const void *bytes, size_t length) {
    uint8_t *to = batch_put_room(writer, length);
    if (to != NULL && length > 0)
        memcpy(to, bytes, length);
}

void batch_cbor_put_unsigned(struct batch_writer *writer, uint64_t value) {
    put(writer, cbor_encode_uint(value, at(writer), room(writer)));
}

void batch_cbor_put_text(struct batch_writer *writer, const char *text) {
    const size_t length = strlen(text);
    put(writer, cbor_encode_string_start(length, at(writer), room(writer)));
    put_raw(writer, text, length);
}

void batch_cbor_put_bytes_start(struct batch_writer *writer, size_t length) {
    put(writer, cbor_encode_bytestring_start(length, at(writer), room(writer)));
}

void batch_cbor_put_bytes(struct batch_writer *writer, const uint8_t *bytes, size_t length) {
    batch_cbor_put_bytes_start(writer, length);
    put_raw(writer, bytes, length);
}

void batch_cbor_put_array(struct batch_writer *writer, size_t count) {
    put(writer, cbor_encode_array_start(count, at(writer), room(writer)));
}

void batch_cbor_put_map(struct batch_writer *writer, size_t count) {
    put(writer, cbor_encode_map_start(count, at(writer), room(writer)));
}

enum item_type { ITEM_OTHER, ITEM_UNSIGNED, ITEM_TEXT, ITEM_BYTES, ITEM_ARRAY, ITEM_MAP };

struct item {
    enum item_type type;
    uint64_t number; /* the value, the count, or the length of bytes */
    const uint8_t *bytes;
};

static void take_u8(void *item, uint8_t value) {
    *(struct item *)item = (struct item){.type = ITEM_UNSIGNED, .number = value};
}

static void take_u16(void *item, uint16_t value) {
    *(struct item *)item = (struct item){.type = ITEM_UNSIGNED, .number = value};
}

static void take_u32(void *item, uint32_t value) {
    *(struct item *)item = (struct item){.type = ITEM_UNSIGNED, .number = value};
}

static void take_u64(void *item, uint64_t value) {
    *(struct item *)item = (struct item){.type = ITEM_UNSIGNED, .number = value};
}

static void take_text(void *item, cbor_data bytes, size_t length) {
    *(struct item *)item = (struct item){.type = ITEM_TEXT, .number = length, .bytes = bytes};
}

static void take_bytes(void *item, cbor_data bytes, size_t length) {
    *(struct item *)item = (struct item){.type = ITEM_BYTES, .number = length, .bytes = bytes};
}

static void take_array(void *item, size_t count) {
    *(struct item *)item = (struct item){.type = ITEM_ARRAY, .number = count};
}

static void take_map(void *item, size_t count) {
    *(struct item *)item = (struct item){.type = ITEM_MAP, .number = count};
}

/* Bytes of the shortest head that can say the number (RFC 8949, section 4.2.1). */
static size_t shortest_head(uint64_t number) {
    if (number < 24)
        return 1;
    if (number <= UINT16_MAX)
        return number <= UINT8_MAX ? 2 : 3;
    return number <= UINT32_MAX ? 5 : 9;
}

/* The next item if it is of the wanted type, in its shortest form, with its number inside the limits; else one of all
 * zeros, and bad. */
static struct item next(struct batch_cbor *cbor, enum item_type type, uint64_t least, uint64_t most) {
    struct cbor_callbacks callbacks = cbor_empty_callbacks;
    callbacks.uint8 = take_u8;
    callbacks.uint16 = take_u16;
    callbacks.uint32 = take_u32;
    callbacks.uint64 = take_u64;
    callbacks.string = take_text;
    callbacks.byte_string = take_bytes;
    callbacks.array_start = take_array;
    callbacks.map_start = take_map;
    struct item item = {.type = ITEM_OTHER};
    const struct cbor_decoder_result result =
        cbor_stream_decode(cbor->reader.data, cbor->reader.left, &callbacks, &item);
    const uint64_t content = item.bytes != NULL ? item.number : 0;
    const bool good = !cbor->reader.bad && result.status == CBOR_DECODER_FINISHED && item.type == type &&
                      result.read == shortest_head(item.number) + content && item.number >= least &&
                      item.number <= most;
    if (!good) {
        cbor->reader.bad = true;
        return (struct item){.type = ITEM_OTHER};
    }
    batch_get_bytes(&cbor->reader, result.read);
    return item;
}

uint64_t batch_cbor_unsigned(struct batch_cbor *cbor, uint64_t least, uint64_t most) {
    return next(cbor, ITEM_UNSIGNED, least, most).number;
}

void batch_cbor_text(struct batch_cbor *cbor, size_t least, char *ret_text, size_t size) {
    const struct item item = next(cbor, ITEM_TEXT, least, size - 1);
    if (!reading_text_valid(item.bytes, (size_t)item.number)) {
        cbor->reader.bad = true;
        return;
    }
    if (item.number > 0)
        memcpy(ret_text, item.bytes, (size_t)item.number);
    ret_text[item.number] = '\0';
}

const uint8_t *batch_cbor_bytes(struct batch_cbor *cbor, size_t *ret_length) {
    const struct item item = next(cbor, ITEM_BYTES, 0, SIZE_MAX);
    *ret_length = (size_t)item.number;
    return item.bytes;
}

void batch_cbor_fixed(struct batch_cbor *cbor, uint8_t *ret_bytes, size_t length) {
    const struct item item = next(cbor, ITEM_BYTES, length, length);
    if (item.bytes != NULL)
        memcpy(ret_bytes, item.bytes, length);
}

size_t batch_cbor_array(struct batch_cbor *cbor, size_t least, size_t most) {
    return (size_t)next(cbor, ITEM_ARRAY, least, most).number;
}

void batch_cbor_key(struct batch_cbor *cbor, uint64_t key, const char *name) {
    if (cbor->reader.bad)
        return;
    cbor->name = name;
    next(cbor, ITEM_UNSIGNED, key, key);
}

enum fb_error batch_cbor_begin(struct batch_cbor *cbor, const char *message, size_t pairs_least, size_t pairs_most,
                               uint64_t version, size_t *ret_pairs, struct fb_cause *cause) {
    const size_t pairs = (size_t)next(cbor, ITEM_MAP, 0, UINT64_MAX).number;
    batch_cbor_key(cbor, 0, "version");
    const uint64_t got = batch_cbor_unsigned(cbor, 0, UINT64_MAX);
    if (!cbor->reader.bad && got != version)
        return fb_fail(cause, FB_VERSION, "version %" PRIu64 ", this Forebay reads version %" PRIu64, got, version);
    char word[MESSAGE_WORD_MAX] = "";
    batch_cbor_key(cbor, 1, "message");
    batch_cbor_text(cbor, 1, word, sizeof word);
    if (cbor->reader.bad || pairs < pairs_least || pairs > pairs_most || strcmp(word, message) != 0)
        return fb_fail(cause, FB_INVALID, "not the envelope of a %s", message);
    *ret_pairs = pairs;
    return FB_OK;
}

enum fb_error batch_cbor_end(const struct batch_cbor *cbor, struct fb_cause *cause) {
    if (cbor->reader.bad)
        return fb_fail(cause, FB_INVALID, "%s: missing, cut off, or not what it must be", cbor->name);
    return cbor->reader.left == 0 ? FB_OK : fb_fail(cause, FB_INVALID, "bytes behind the end");
}
