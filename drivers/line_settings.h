/* line_settings.h - what a serial port must be set to, and whether it is. Used by the drivers of serial ports. */
#ifndef FB_DRIVERS_LINE_SETTINGS_H
#define FB_DRIVERS_LINE_SETTINGS_H

#include <termios.h>

#include "gateway/common/plant.h"

/* The bus's speed; its configuration was checked, so there is one. */
speed_t line_settings_speed(const struct plant_bus *bus);
/* Data, stop and parity bits as flags of c_cflag. data_bits: 7 or 8. */
tcflag_t line_settings_flags(const struct plant_bus *bus, unsigned data_bits);

/* tcsetattr() succeeds as soon as one of its settings was taken (POSIX.1-2017, tcsetattr), and an adapter without
 * parity would give wrong values: compare what the port has with what the bus needs. FB_IO: the cause says what it does
 * not take. */
enum fb_error line_settings_check(int descriptor, const struct plant_bus *bus, unsigned data_bits,
                                  struct fb_cause *cause) FB_MUST_USE;

#endif
