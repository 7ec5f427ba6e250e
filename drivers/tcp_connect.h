/* tcp_connect.h - the TCP connection to a Modbus TCP server or a serial server. Used by the drivers. */
#ifndef FB_DRIVERS_TCP_CONNECT_H
#define FB_DRIVERS_TCP_CONNECT_H

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Connect to the bus's host and port; blocks for the bus's time-out for each of the host's addresses.
 * ret_descriptor: a blocking socket whose writes take no longer than the time-out either; yours, close() it.
 * FB_NOT_FOUND, FB_TIMEOUT, FB_IO, FB_MEMORY: the cause says what to look at. */
enum fb_error tcp_connect(const struct plant_bus *bus, int *ret_descriptor, struct fb_cause *cause) FB_MUST_USE;

#endif
