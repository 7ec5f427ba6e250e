/* pcapng.h - raw frames of a bus as a file for Wireshark. Used by `forebay trace`. After the pcapng draft
 * (draft-ietf-opsawg-pcapng) and the link types of tcpdump.org.
 *
 * Modbus TCP goes in with synthetic IPv4 and TCP headers (LINKTYPE_RAW, 101), gateway 192.0.2.1 and instrument
 * 192.0.2.2 port 502 whatever the real ones are; frames of a serial line as PDUs for a named dissector
 * (LINKTYPE_WIRESHARK_UPPER_PDU, 252). Nothing has to be set in Wireshark for either. */
#ifndef FB_CLI_PCAPNG_H
#define FB_CLI_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/common/error.h"

#define PCAPNG_FRAME_BYTES_MAX 4096
/* What a frame adds to the file at most: itself, synthetic headers, and the block around them. */
#define PCAPNG_BLOCK_BYTES_MAX (PCAPNG_FRAME_BYTES_MAX + 128)

enum pcapng_kind {
    PCAPNG_MODBUS_TCP,
    PCAPNG_MODBUS_RTU,
    PCAPNG_TEXT, /* lines of text */
};

struct pcapng {
    FILE *file; /* borrowed */
    enum pcapng_kind kind;
    uint32_t sequence[2]; /* of the synthetic TCP, by direction */
    uint64_t bytes;       /* written so far */
};

/* Begin a file. bus: its name, for the interface's description, borrowed for the call. FB_IO. */
enum fb_error pcapng_begin(struct pcapng *pcapng, FILE *file, enum pcapng_kind kind, const char *bus,
                           struct fb_cause *cause) FB_MUST_USE;

/* Add a frame. time_us: UTC since 1970. out: from the gateway. length: 1..PCAPNG_FRAME_BYTES_MAX. Flushed at once, so
 * that the file is whole whenever it is looked at. FB_IO. */
enum fb_error pcapng_add(struct pcapng *pcapng, int64_t time_us, bool out, const uint8_t *bytes, size_t length,
                         struct fb_cause *cause) FB_MUST_USE;

#endif
