/* rs485.h - RS-485 lines whose direction the kernel switches with RTS. Used by the drivers that open serial ports. */
#ifndef FB_DRIVERS_RS485_H
#define FB_DRIVERS_RS485_H

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Set what the bus says; nothing when it says nothing. descriptor: an open serial port. FB_IO: the port cannot do it,
 * or did not take it; the cause says what to do. Source: the kernel's Documentation/driver-api/serial/serial-rs485. */
enum fb_error rs485_set(int descriptor, const struct plant_bus *bus, struct fb_cause *cause) FB_MUST_USE;

#endif
