/* line_port.h - the serial port of an instrument that speaks in lines. Used by line_driver. libserialport was tried: it
 * finds ports by their names in /sys/class/tty alone, so it opens neither /dev/serial/by-path/... nor a pseudo
 * terminal. */
#ifndef FB_DRIVERS_LINE_PORT_H
#define FB_DRIVERS_LINE_PORT_H

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Open the bus's device for this process alone, raw, with its settings. ret_descriptor: non-blocking; yours, close()
 * it. FB_NOT_FOUND, FB_IO: the cause says what to look at. */
enum fb_error line_port_open(const struct plant_bus *bus, int *ret_descriptor, struct fb_cause *cause) FB_MUST_USE;

#endif
