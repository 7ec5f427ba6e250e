#include "drivers/guard.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/checksum.h"

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

ssize_t guard_send(int descriptor, enum guard_framing framing, const uint8_t *bytes, size_t length) {
    if (!guard_allows(framing, bytes, length)) {
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
        while (*form != '\0' && (*form == *at || (*form == '#' && isdigit((unsigned char)*at)))) {
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
