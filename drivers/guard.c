#include "drivers/guard.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/checksum.h"
#include "gateway/common/clock.h"

#define REQUEST_BYTES 6 /* unit, function, address, count */
#define TCP_HEADER_BYTES 6
#define CRC_BYTES 2

/* The most registers or bits of each function; 0: the function does not read. */
static const uint16_t most[] = {[1] = 2000, [2] = 2000, [3] = 125, [4] = 125};

static unsigned word(const uint8_t *bytes) {
    return (unsigned)(bytes[0] << 8 | bytes[1]);
}

static bool reads(const uint8_t *request) {
    const unsigned function = request[1], count = word(request + 4);
    return function < sizeof most / sizeof most[0] && count >= 1 && count <= most[function];
}

static bool tcp_allows(const uint8_t *bytes, size_t length) {
    return length == TCP_HEADER_BYTES + REQUEST_BYTES && word(bytes + 2) == 0 && word(bytes + 4) == REQUEST_BYTES &&
           reads(bytes + TCP_HEADER_BYTES);
}

static bool rtu_allows(const uint8_t *bytes, size_t length) {
    if (length != REQUEST_BYTES + CRC_BYTES || !reads(bytes))
        return false;
    /* The CRC travels low byte first. A wrong one could make a listener take the bytes for something else. */
    const unsigned crc = checksum_crc16(bytes, REQUEST_BYTES);
    return bytes[REQUEST_BYTES] == (crc & 0xff) && bytes[REQUEST_BYTES + 1] == crc >> 8;
}

bool guard_allows(enum guard_framing framing, const uint8_t *bytes, size_t length) {
    return framing == GUARD_TCP ? tcp_allows(bytes, length) : rtu_allows(bytes, length);
}

/* To a socket, or to a serial port. */
static ssize_t put_out(int descriptor, const uint8_t *bytes, size_t length) {
    const ssize_t sent = send(descriptor, bytes, length, MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent;
    return write(descriptor, bytes, length);
}

/* --- Grants */

/* Ids are remembered until a grant with them would have expired anyway. */
#define IDS_MAX 32

static struct {
    struct guard_grant grant; /* id 0: there is none */
    struct {
        uint64_t id;
        int64_t until_ms;
    } seen[IDS_MAX];
} granted;

/* Function 5: on or off; 6: any value; 16: two registers in four bytes. Unit 0 would be all of a line. */
static bool is_single_write(const uint8_t *bytes, size_t length) {
    if (length < REQUEST_BYTES || bytes[0] == 0)
        return false;
    const unsigned value = word(bytes + 4);
    if (bytes[1] == 5)
        return length == REQUEST_BYTES && (value == 0 || value == 0xff00);
    if (bytes[1] == 6)
        return length == REQUEST_BYTES;
    return bytes[1] == 16 && length == REQUEST_BYTES + 5 && value == 2 && bytes[6] == 4;
}

/* False when the id is known, or there is no place to remember it. */
static bool remember(uint64_t id, int64_t until_ms, int64_t now_ms) {
    size_t free_place = IDS_MAX;
    for (size_t i = 0; i < IDS_MAX; i++) {
        if (granted.seen[i].id == id)
            return false;
        if (granted.seen[i].until_ms <= now_ms)
            free_place = i;
    }
    if (free_place == IDS_MAX)
        return false;
    granted.seen[free_place].id = id;
    granted.seen[free_place].until_ms = until_ms;
    return true;
}

enum fb_error guard_take_grant(const struct guard_grant *grant, struct fb_cause *cause) {
    const int64_t now_ms = clock_monotonic_ms();
    guard_drop_grant();
    if (grant->expires_ms <= now_ms || grant->expires_ms - now_ms > GUARD_GRANT_MOST_MS)
        return fb_fail(cause, FB_DENIED, "the grant has expired, or lasts too long");
    if (grant->length > sizeof grant->bytes || !is_single_write(grant->bytes, grant->length))
        return fb_fail(cause, FB_DENIED, "the grant is not for one register or coil of one unit");
    if (grant->id == 0 || !remember(grant->id, now_ms + GUARD_GRANT_MOST_MS, now_ms))
        return fb_fail(cause, FB_DENIED, "the grant was used before");
    granted.grant = *grant;
    return FB_OK;
}

void guard_drop_grant(void) {
    granted.grant = (struct guard_grant){0};
}

/* The write inside the frame, NULL when the framing is wrong. */
static const uint8_t *unwrap(enum guard_framing framing, const uint8_t *bytes, size_t length, size_t *ret_length) {
    if (framing == GUARD_TCP) {
        if (length <= TCP_HEADER_BYTES || word(bytes + 2) != 0 || word(bytes + 4) != length - TCP_HEADER_BYTES)
            return NULL;
        *ret_length = length - TCP_HEADER_BYTES;
        return bytes + TCP_HEADER_BYTES;
    }
    if (length <= CRC_BYTES)
        return NULL;
    const unsigned crc = checksum_crc16(bytes, length - CRC_BYTES);
    *ret_length = length - CRC_BYTES;
    return bytes[length - 2] == (crc & 0xff) && bytes[length - 1] == crc >> 8 ? bytes : NULL;
}

/* True for the frame that the grant is for; it is spent before it goes out. */
static bool spend_grant(enum guard_framing framing, const uint8_t *bytes, size_t length) {
    const struct guard_grant grant = granted.grant;
    size_t inner_length = 0;
    const uint8_t *inner = unwrap(framing, bytes, length, &inner_length);
    if (grant.id == 0 || inner == NULL || inner_length != grant.length ||
        memcmp(inner, grant.bytes, grant.length) != 0 || clock_monotonic_ms() >= grant.expires_ms)
        return false;
    guard_drop_grant();
    return true;
}

ssize_t guard_send(int descriptor, enum guard_framing framing, const uint8_t *bytes, size_t length) {
    if (!guard_allows(framing, bytes, length) && !spend_grant(framing, bytes, length)) {
        errno = EPERM;
        return -1;
    }
    return put_out(descriptor, bytes, length);
}

/* One byte as it stands in a question: plain, or behind a backslash. Moves *text on; -1 for what cannot be. */
static int written_byte(const char **text) {
    static const char letters[] = "rnt\\", bytes[] = "\r\n\t\\";
    const char first = *(*text)++;
    if (first != '\\')
        return (unsigned char)first;
    const char kind = **text;
    const char *known = kind != '\0' ? strchr(letters, kind) : NULL;
    if (known != NULL) {
        ++*text;
        return (unsigned char)bytes[known - letters];
    }
    if (kind != 'x' || !isxdigit((unsigned char)(*text)[1]) || !isxdigit((unsigned char)(*text)[2]))
        return -1;
    const char digits[] = {(*text)[1], (*text)[2], '\0'};
    *text += 3;
    return (int)strtol(digits, NULL, 16);
}

/* The bytes are the question word for word, the first {unit} in it being the number. */
static bool is_question(const struct plant_instrument *instrument, const uint8_t *bytes, size_t length) {
    static const char mark[] = "{unit}";
    char number[4];
    bool marked = false;
    size_t at = 0;
    const size_t digits = (size_t)snprintf(number, sizeof number, "%u", instrument->unit);
    for (const char *text = instrument->lines.ask; *text != '\0';) {
        if (!marked && strncmp(text, mark, strlen(mark)) == 0) {
            if (digits > length - at || memcmp(bytes + at, number, digits) != 0)
                return false;
            at += digits;
            text += strlen(mark);
            marked = true;
        } else {
            if (at == length || written_byte(&text) != bytes[at])
                return false;
            at++;
        }
    }
    return at == length && length > 0;
}

/* A command that changes a sensor, anywhere in the bytes. */
static bool has_sdi12_change(const uint8_t *bytes, size_t length) {
    for (size_t end = 2; end < length; end++) {
        if (bytes[end] != '!')
            continue;
        if (end >= 3 && bytes[end - 2] == 'A' && (isalnum(bytes[end - 3]) || bytes[end - 3] == '?'))
            return true;
        for (size_t i = 1; i < end; i++)
            if (bytes[i] == 'X' && (isalnum(bytes[i - 1]) || bytes[i - 1] == '?'))
                return true;
    }
    return false;
}

static unsigned digit_value(uint8_t digit) {
    return (unsigned)(isdigit(digit) ? digit - '0' : toupper(digit) - 'A' + 10);
}

/* A colon, pairs of digits, the sum of all being 0: Modbus over serial line V1.02, section 2.5.2. */
static bool is_modbus_ascii(const uint8_t *colon, size_t length) {
    uint8_t sum = 0;
    size_t digits = 1;
    for (; digits + 1 < length && isxdigit(colon[digits]) && isxdigit(colon[digits + 1]); digits += 2)
        sum = (uint8_t)(sum + 16 * digit_value(colon[digits]) + digit_value(colon[digits + 1]));
    return digits > 6 && sum == 0;
}

static bool is_modbus(const uint8_t *bytes, size_t length) {
    if (length >= REQUEST_BYTES - 2 + CRC_BYTES) {
        const unsigned crc = checksum_crc16(bytes, length - CRC_BYTES);
        if (bytes[length - 2] == (crc & 0xff) && bytes[length - 1] == crc >> 8)
            return true;
    }
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == ':' && is_modbus_ascii(bytes + i, length - i))
            return true;
    return false;
}

/* Behind the address: M, M1..M9, C.., with C behind it for a checksum; R0..R9, RC0..RC9; D0..D9. */
static bool is_measurement(const char *command) {
    static const char *const forms[] = {"M", "M#", "MC", "MC#", "C", "C#", "CC", "CC#", "R#", "RC#", "D#"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *form = forms[i], *at = command;
        while (*form != '\0' && (*form == '#' ? isdigit((unsigned char)*at) != 0 : *form == *at)) {
            form++;
            at++;
        }
        if (*form == '\0' && *at == '\0')
            return true;
    }
    return false;
}

static bool is_sdi12(const struct plant_instrument *instrument, const uint8_t *bytes, size_t length) {
    char command[4] = "";
    const unsigned unit = instrument->unit;
    if (length < 3 || length > sizeof command - 1 + 2 || bytes[length - 1] != '!' ||
        bytes[0] != (unit <= 9 ? '0' + unit : unit) || !isalnum(bytes[0]))
        return false;
    memcpy(command, bytes + 1, length - 2);
    return is_measurement(command);
}

bool guard_allows_line(const struct plant_instrument *instrument, const uint8_t *bytes, size_t length) {
    if (instrument->lines.protocol == PLANT_SDI12)
        return is_sdi12(instrument, bytes, length);
    return instrument->lines.protocol == PLANT_LINES && is_question(instrument, bytes, length) &&
           !has_sdi12_change(bytes, length) && !is_modbus(bytes, length);
}

ssize_t guard_send_line(int descriptor, const struct plant_instrument *instrument, const uint8_t *bytes, size_t length,
                        size_t sent) {
    if (sent > length || !guard_allows_line(instrument, bytes, length)) {
        errno = EPERM;
        return -1;
    }
    return put_out(descriptor, bytes + sent, length - sent);
}
