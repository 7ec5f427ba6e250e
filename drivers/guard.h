/* guard.h - the last thing before the wire: lets out requests that read, and nothing else but a write that core has
 * granted, once. Every byte that a driver
 * sends passes it. It shares no code with what makes the requests, so that no fault there can make a write: one write
 * can start an analyser's cycle. */
#ifndef FB_DRIVERS_GUARD_H
#define FB_DRIVERS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

enum guard_framing { GUARD_TCP, GUARD_RTU };

/* True for exactly one whole frame of function 1, 2, 3 or 4 with a count the standard allows: Modbus application
 * protocol V1.1b3, sections 6.1 to 6.4. Pure. */
bool guard_allows(enum guard_framing framing, const uint8_t *bytes, size_t length);

/* A write that core has allowed: one unit, one register or coil, one value, once, and soon. */
#define GUARD_WRITE_BYTES_MAX 11
#define GUARD_GRANT_MOST_MS 10000

struct guard_grant {
    uint64_t id;                          /* random, never the same twice; not 0 */
    int64_t expires_ms;                   /* monotonic, at most GUARD_GRANT_MOST_MS from now */
    uint8_t bytes[GUARD_WRITE_BYTES_MAX]; /* the write from the unit on, without CRC */
    size_t length;
};

/* Take a grant in place of the one before it, used or not. FB_DENIED with a cause: it has expired or lasts too long,
 * its id was there before, or it is none for function 5 or 6, or 16 with two registers, to one unit. */
enum fb_error guard_take_grant(const struct guard_grant *grant, struct fb_cause *cause) FB_MUST_USE;
/* Forget the grant, if there is one. */
void guard_drop_grant(void);

/* Send the frame: one that reads, or exactly that of the grant, which is spent with it. Blocks as the descriptor does,
 * raises no signal. Returns length, or -1 with errno: EPERM when the guard refused, and nothing was sent. */
ssize_t guard_send(int descriptor, enum guard_framing framing, const uint8_t *bytes, size_t length);

/* The same for instruments that speak in lines. True for exactly the question that the instrument's configuration has,
 * the unit's number in its place; for a sensor of SDI-12 exactly one command to it that measures or hands out values:
 * M, C, R, with checksum or without, and D (SDI-12 1.4, section 4.4). Never true for a command of SDI-12 that changes
 * an address or is the maker's own, nor for a frame of Modbus. Pure. */
bool guard_allows_line(const struct plant_instrument *instrument, const uint8_t *bytes, size_t length);

/* Send what is left of the line behind the first sent bytes, as far as the descriptor takes it now. Returns how much,
 * or -1 with errno: EPERM when the guard refused the line as a whole. */
ssize_t guard_send_line(int descriptor, const struct plant_instrument *instrument, const uint8_t *bytes, size_t length,
                        size_t sent);

#endif
