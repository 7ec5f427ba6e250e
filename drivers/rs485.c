#include "drivers/rs485.h"

#include <errno.h>
#include <linux/serial.h>
#include <sys/ioctl.h>

/* Of plant_rs485_rts_words. */
static const unsigned rts_flags[] = {SER_RS485_RTS_ON_SEND, SER_RS485_RTS_AFTER_SEND};

enum fb_error rs485_set(int descriptor, const struct plant_bus *bus, struct fb_cause *cause) {
    if (!bus->rs485)
        return FB_OK;
    struct serial_rs485 settings = {.flags = SER_RS485_ENABLED | rts_flags[bus->rs485_rts],
                                    .delay_rts_before_send = bus->rs485_delay_before_ms,
                                    .delay_rts_after_send = bus->rs485_delay_after_ms};
    const unsigned wanted = settings.flags;
    if (ioctl(descriptor, TIOCSRS485, &settings) < 0) {
        if (errno != ENOTTY && errno != EINVAL && errno != EOPNOTSUPP)
            return fb_fail_errno(cause, FB_IO, errno, "%s: RS-485", bus->device);
        return fb_fail(
            cause, FB_IO,
            "%s cannot switch an RS-485 line by itself; remove rs485 if the adapter does, or use another port",
            bus->device);
    }
    /* The kernel writes back what the port really does. */
    if ((settings.flags & wanted) != wanted)
        return fb_fail(cause, FB_IO, "%s does not take rs485_rts: %s; try the other one", bus->device,
                       plant_rs485_rts_words[bus->rs485_rts]);
    return FB_OK;
}
