#include "drivers/line_settings.h"

#include <errno.h>

#define FRAME_FLAGS ((tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD))

static const struct {
    uint32_t baud;
    speed_t speed;
} speeds[] = {{1200, B1200},   {2400, B2400},   {4800, B4800},   {9600, B9600},
              {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200}};

speed_t line_settings_speed(const struct plant_bus *bus) {
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].baud == bus->baud)
            return speeds[i].speed;
    return B9600;
}

tcflag_t line_settings_flags(const struct plant_bus *bus, unsigned data_bits) {
    static const tcflag_t parities[] = {
        [PLANT_PARITY_NONE] = 0, [PLANT_PARITY_EVEN] = PARENB, [PLANT_PARITY_ODD] = PARENB | PARODD};
    return (data_bits == 7 ? CS7 : CS8) | (bus->stop_bits == 2 ? CSTOPB : 0) | parities[bus->parity];
}

enum fb_error line_settings_check(int descriptor, const struct plant_bus *bus, unsigned data_bits,
                                  struct fb_cause *cause) {
    struct termios settings;
    if (tcgetattr(descriptor, &settings) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", bus->device);
    const tcflag_t wrong = (settings.c_cflag ^ line_settings_flags(bus, data_bits)) & FRAME_FLAGS;
    const char *what = NULL;
    if (cfgetospeed(&settings) != line_settings_speed(bus))
        what = "speed";
    else if ((wrong & CSIZE) != 0)
        what = "number of data bits";
    else if ((wrong & CSTOPB) != 0)
        what = "number of stop bits";
    else if (wrong != 0)
        what = "parity";
    return what == NULL ? FB_OK : fb_fail(cause, FB_IO, "%s does not take this %s", bus->device, what);
}
