/* batch_cbor.h - the part of CBOR (RFC 8949) that docs/batch.md uses, over libcbor's streaming calls. Pure.
 * Used by batch.c and catalogue.c. Both directions go bad at the first mistake and stay so; ask once at the end. */
#ifndef FB_STORE_BATCH_CBOR_H
#define FB_STORE_BATCH_CBOR_H

#include "gateway/common/error.h"
#include "store/batch_bytes.h"

void batch_cbor_put_unsigned(struct batch_writer *writer, uint64_t value);
void batch_cbor_put_text(struct batch_writer *writer, const char *text);
void batch_cbor_put_bytes(struct batch_writer *writer, const uint8_t *bytes, size_t length);
/* Only the head of a byte string; the caller puts length bytes behind it. */
void batch_cbor_put_bytes_start(struct batch_writer *writer, size_t length);
void batch_cbor_put_array(struct batch_writer *writer, size_t count);
void batch_cbor_put_map(struct batch_writer *writer, size_t count);

struct batch_cbor {
    struct batch_reader reader;
    const char *name; /* of the part that is being read, for the cause; static storage */
};

/* Each takes the next item, which must be of that type and inside the limits; 0, "" or NULL once the reader is bad.
 * Lengths in bytes. Texts are checked to be UTF-8 without control characters. */
uint64_t batch_cbor_unsigned(struct batch_cbor *cbor, uint64_t least, uint64_t most);
/* ret_text: size bytes of room; at least least bytes and at most size - 1 are taken. */
void batch_cbor_text(struct batch_cbor *cbor, size_t least, char *ret_text, size_t size);
/* Borrowed from the input. */
const uint8_t *batch_cbor_bytes(struct batch_cbor *cbor, size_t *ret_length);
/* Exactly length bytes, copied. */
void batch_cbor_fixed(struct batch_cbor *cbor, uint8_t *ret_bytes, size_t length);
size_t batch_cbor_array(struct batch_cbor *cbor, size_t least, size_t most);
/* The next key of a map; name is what an error calls its value. */
void batch_cbor_key(struct batch_cbor *cbor, uint64_t key, const char *name);

/* The start of each envelope: a map of at least so many pairs, whose first two are 0: version, 1: the message's word.
 * ret_pairs: how many there are. FB_VERSION: another version. FB_INVALID: something else. */
enum fb_error batch_cbor_begin(struct batch_cbor *cbor, const char *message, size_t pairs_least, size_t pairs_most,
                               uint64_t version, size_t *ret_pairs, struct fb_cause *cause) FB_MUST_USE;

/* FB_OK when all went well and nothing is left, else FB_INVALID with the name of the part. */
enum fb_error batch_cbor_end(const struct batch_cbor *cbor, struct fb_cause *cause) FB_MUST_USE;

#endif
