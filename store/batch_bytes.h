/* batch_bytes.h - varints, zigzags and bits of docs/batch.md over memory with known ends. Used by the batch's files
 * alone. Writers and readers go bad instead of past the end, and stay bad; whoever finishes looks once. */
#ifndef FB_STORE_BATCH_BYTES_H
#define FB_STORE_BATCH_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_VARINT_MAX 10 /* bytes: 64 bits, seven a byte */

struct batch_writer {
    uint8_t *data; /* borrowed */
    size_t capacity;
    size_t used;
    bool overflow;
};

struct batch_reader {
    const uint8_t *data; /* what is left, borrowed */
    size_t left;
    bool bad;
};

/* Numbers of up to 56 bits without gaps, the least significant bit first. The caller has made sure of the bytes. */
struct batch_bits_writer {
    uint8_t *next;
    uint64_t held; /* fewer than 8 bits, between calls */
    unsigned held_bits;
};

struct batch_bits_reader {
    const uint8_t *next;
    uint64_t held; /* the rest of the byte that was begun */
    unsigned held_bits;
};

static inline size_t batch_bits_bytes(size_t bits) {
    return (bits + 7) / 8;
}

static inline uint64_t batch_low_bits(uint64_t value, unsigned width) {
    return value & ((UINT64_C(1) << width) - 1);
}

static inline void batch_put_bits(struct batch_bits_writer *writer, uint64_t value, unsigned width) {
    writer->held |= batch_low_bits(value, width) << writer->held_bits;
    for (writer->held_bits += width; writer->held_bits >= 8; writer->held_bits -= 8, writer->held >>= 8)
        *writer->next++ = (uint8_t)writer->held;
}

static inline void batch_end_bits(struct batch_bits_writer *writer) {
    if (writer->held_bits > 0)
        *writer->next = (uint8_t)writer->held;
}

static inline uint64_t batch_get_bits(struct batch_bits_reader *reader, unsigned width) {
    for (; reader->held_bits < width; reader->held_bits += 8)
        reader->held |= (uint64_t)*reader->next++ << reader->held_bits;
    const uint64_t value = batch_low_bits(reader->held, width);
    reader->held >>= width;
    reader->held_bits -= width;
    return value;
}

static inline uint64_t batch_zigzag(uint64_t step) {
    return step << 1 ^ -(step >> 63);
}

static inline uint64_t batch_unzigzag(uint64_t folded) {
    return folded >> 1 ^ -(folded & 1);
}

static inline void batch_put_byte(struct batch_writer *writer, uint8_t byte) {
    if (writer->used == writer->capacity)
        writer->overflow = true;
    else
        writer->data[writer->used++] = byte;
}

static inline void batch_put_varint(struct batch_writer *writer, uint64_t value) {
    if (writer->capacity - writer->used < BATCH_VARINT_MAX) {
        writer->overflow = true;
        return;
    }
    uint8_t *at = writer->data + writer->used;
    for (; value > 127; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    writer->used = (size_t)(at - writer->data);
}

static inline void batch_put_zigzag(struct batch_writer *writer, uint64_t step) {
    batch_put_varint(writer, batch_zigzag(step));
}

/* Borrow the next count bytes for the caller to fill or to read; NULL (and overflow or bad) if there are fewer. */
static inline uint8_t *batch_put_room(struct batch_writer *writer, size_t count) {
    if (writer->capacity - writer->used < count) {
        writer->overflow = true;
        return NULL;
    }
    uint8_t *at = writer->data + writer->used;
    writer->used += count;
    return at;
}

static inline const uint8_t *batch_get_bytes(struct batch_reader *reader, size_t count) {
    if (reader->left < count) {
        reader->bad = true;
        reader->left = 0;
        return NULL;
    }
    const uint8_t *at = reader->data;
    reader->data += count;
    reader->left -= count;
    return at;
}

/* 0 when the reader is or goes bad: cut off, longer than 64 bits, or not the shortest form. */
static inline uint64_t batch_get_varint(struct batch_reader *reader) {
    uint64_t value = 0;
    for (unsigned i = 0; i < BATCH_VARINT_MAX && i < reader->left; i++) {
        const uint8_t byte = reader->data[i];
        value |= (uint64_t)(byte & 127) << (7 * i);
        if (byte > 127)
            continue;
        if ((byte == 0 && i > 0) || (i == BATCH_VARINT_MAX - 1 && byte > 1))
            break;
        reader->data += i + 1;
        reader->left -= i + 1;
        return value;
    }
    reader->bad = true;
    reader->left = 0;
    return 0;
}

static inline uint64_t batch_get_zigzag(struct batch_reader *reader) {
    return batch_unzigzag(batch_get_varint(reader));
}

/* The same for numbers with a limit: goes bad, and gives 0, when the number is outside [least, most]. */
static inline uint64_t batch_get_limited(struct batch_reader *reader, uint64_t least, uint64_t most) {
    const uint64_t value = batch_get_varint(reader);
    if (!reader->bad && value >= least && value <= most)
        return value;
    reader->bad = true;
    reader->left = 0;
    return 0;
}

#endif
