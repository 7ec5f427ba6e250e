#include "gateway/cli/pcapng.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPTION_NAME 2 /* if_name; 0 ends the options */
#define LINKTYPE_RAW 101
#define LINKTYPE_UPPER_PDU 252
#define MODBUS_PORT 502
#define GATEWAY_PORT 49152

/* Tags of an exported PDU: epan/exported_pdu.h of Wireshark. */
#define PDU_DISSECTOR 12
#define PDU_PORT_TYPE 24
#define PDU_SOURCE_PORT 25
#define PDU_TARGET_PORT 26
#define PDU_PORT_TYPE_TCP 2

/* A block, or the headers of a frame, while it is put together. */
struct buffer {
    uint8_t bytes[PCAPNG_BLOCK_BYTES_MAX];
    size_t used;
};

static void add(struct buffer *buffer, const void *bytes, size_t length) {
    assert(buffer->used + length <= sizeof buffer->bytes);
    memcpy(buffer->bytes + buffer->used, bytes, length);
    buffer->used += length;
}

/* The file is in this machine's byte order, as its magic number tells; what is inside frames is not. */
static void add_native(struct buffer *buffer, uint32_t number) {
    add(buffer, &number, sizeof number);
}

static void add_big(struct buffer *buffer, uint32_t number, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;) {
        const uint8_t byte = (uint8_t)(number >> 8 * i);
        add(buffer, &byte, 1);
    }
}

static void pad(struct buffer *buffer) {
    static const uint8_t zeros[4];
    add(buffer, zeros, (4 - buffer->used % 4) % 4);
}

static void begin_block(struct buffer *block, uint32_t type) {
    block->used = 0;
    add_native(block, type);
    add_native(block, 0);
}

static enum fb_error end_block(struct pcapng *pcapng, struct buffer *block, struct fb_cause *cause) {
    const uint32_t length = (uint32_t)block->used + 4;
    memcpy(block->bytes + 4, &length, sizeof length);
    add_native(block, length);
    if (fwrite(block->bytes, 1, block->used, pcapng->file) != block->used || fflush(pcapng->file) != 0)
        return fb_fail_errno(cause, FB_IO, errno, "writing the trace");
    pcapng->bytes += block->used;
    return FB_OK;
}

static void add_option(struct buffer *block, uint16_t code, const char *text) {
    const uint16_t head[] = {code, (uint16_t)strlen(text)};
    add(block, head, sizeof head);
    add(block, text, head[1]);
    pad(block);
    add_native(block, 0);
}

enum fb_error pcapng_begin(struct pcapng *pcapng, FILE *file, enum pcapng_kind kind, const char *bus,
                           struct fb_cause *cause) {
    static struct buffer block;
    const uint16_t version[] = {1, 0};
    const uint16_t link[] = {kind == PCAPNG_MODBUS_TCP ? LINKTYPE_RAW : LINKTYPE_UPPER_PDU, 0};
    *pcapng = (struct pcapng){.file = file, .kind = kind, .sequence = {1, 1}};
    begin_block(&block, BLOCK_SECTION);
    add_native(&block, BYTE_ORDER_MAGIC);
    add(&block, version, sizeof version);
    add_native(&block, UINT32_MAX); /* the section's length: not given */
    add_native(&block, UINT32_MAX);
    const enum fb_error error = end_block(pcapng, &block, cause);
    if (error != FB_OK)
        return error;
    begin_block(&block, BLOCK_INTERFACE);
    add(&block, link, sizeof link);
    add_native(&block, 0); /* no limit on frames */
    add_option(&block, OPTION_NAME, bus);
    return end_block(pcapng, &block, cause);
}

static uint16_t internet_checksum(const uint8_t *bytes, size_t length) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* RFC 791 section 3.1; addresses of RFC 5737, which nobody has. */
static void add_ip(struct buffer *headers, bool out, size_t length) {
    const size_t begin = headers->used;
    add_big(headers, 0x4500, 2);
    add_big(headers, (uint32_t)(40 + length), 2);
    add_big(headers, 0x00004000, 4); /* do not fragment */
    add_big(headers, 0x40060000, 4); /* 64 hops, TCP, checksum follows */
    add_big(headers, out ? 0xc0000201 : 0xc0000202, 4);
    add_big(headers, out ? 0xc0000202 : 0xc0000201, 4);
    const uint16_t sum = internet_checksum(headers->bytes + begin, 20);
    headers->bytes[begin + 10] = (uint8_t)(sum >> 8);
    headers->bytes[begin + 11] = (uint8_t)sum;
}

/* RFC 9293 section 3.1; the checksum stays 0, which Wireshark does not look at unless told to. */
static void add_tcp(struct pcapng *pcapng, struct buffer *headers, bool out, size_t length) {
    add_big(headers, out ? GATEWAY_PORT : MODBUS_PORT, 2);
    add_big(headers, out ? MODBUS_PORT : GATEWAY_PORT, 2);
    add_big(headers, pcapng->sequence[out], 4);
    add_big(headers, pcapng->sequence[!out], 4);
    add_big(headers, 0x5018, 2); /* 20 bytes; push, acknowledgement */
    add_big(headers, 0xffff, 2);
    add_big(headers, 0, 4);
    pcapng->sequence[out] += (uint32_t)length;
}

static void add_pdu_number(struct buffer *headers, uint32_t tag, uint32_t number) {
    add_big(headers, tag, 2);
    add_big(headers, 4, 2);
    add_big(headers, number, 4);
}

/* The ports tell the dissector which frames are requests. */
static void add_pdu(struct buffer *headers, enum pcapng_kind kind, bool out) {
    const char *dissector = kind == PCAPNG_MODBUS_RTU ? "mbrtu" : "data-text-lines";
    const uint32_t length = (uint32_t)(strlen(dissector) + 3) & ~3u;
    add_big(headers, PDU_DISSECTOR, 2);
    add_big(headers, length, 2);
    add(headers, dissector, strlen(dissector));
    pad(headers);
    add_pdu_number(headers, PDU_PORT_TYPE, PDU_PORT_TYPE_TCP);
    add_pdu_number(headers, PDU_SOURCE_PORT, out ? GATEWAY_PORT : MODBUS_PORT);
    add_pdu_number(headers, PDU_TARGET_PORT, out ? MODBUS_PORT : GATEWAY_PORT);
    add_big(headers, 0, 4);
}

enum fb_error pcapng_add(struct pcapng *pcapng, int64_t time_us, bool out, const uint8_t *bytes, size_t length,
                         struct fb_cause *cause) {
    static struct buffer block, headers;
    assert(length > 0 && length <= PCAPNG_FRAME_BYTES_MAX);
    headers.used = 0;
    if (pcapng->kind == PCAPNG_MODBUS_TCP) {
        add_ip(&headers, out, length);
        add_tcp(pcapng, &headers, out, length);
    } else {
        add_pdu(&headers, pcapng->kind, out);
    }
    const uint32_t all = (uint32_t)(headers.used + length);
    begin_block(&block, BLOCK_PACKET);
    add_native(&block, 0); /* the interface */
    add_native(&block, (uint32_t)((uint64_t)time_us >> 32));
    add_native(&block, (uint32_t)time_us);
    add_native(&block, all);
    add_native(&block, all);
    add(&block, headers.bytes, headers.used);
    add(&block, bytes, length);
    pad(&block);
    return end_block(pcapng, &block, cause);
}
