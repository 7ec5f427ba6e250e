#include "drivers/guard.h"

#include <errno.h>
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

ssize_t guard_send(int descriptor, enum guard_framing framing, const uint8_t *bytes, size_t length) {
    if (!guard_allows(framing, bytes, length)) {
        errno = EPERM;
        return -1;
    }
    const ssize_t sent = send(descriptor, bytes, length, MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent;
    return write(descriptor, bytes, length);
}
