/* guard.h - the last thing before the wire: lets out requests that read, and nothing else. Every byte that a driver
 * sends passes it. It shares no code with what makes the requests, so that no fault there can make a write: one write
 * can start an analyser's cycle. */
#ifndef FB_DRIVERS_GUARD_H
#define FB_DRIVERS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/common/plant.h"

enum guard_framing { GUARD_TCP, GUARD_RTU };

/* True for exactly one whole frame of function 1, 2, 3 or 4 with a count the standard allows: Modbus application
 * protocol V1.1b3, sections 6.1 to 6.4. Pure. */
bool guard_allows(enum guard_framing framing, const uint8_t *bytes, size_t length);

/* Send the frame. Blocks as the descriptor does, raises no signal. Returns length, or -1 with errno: EPERM when the
 * guard refused, and nothing was sent. */
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
