#include "drivers/line_port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/line_settings.h"
#include "drivers/rs485.h"

static void set_flags(const struct plant_bus *bus, struct termios *settings) {
    cfmakeraw(settings);
    settings->c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
    settings->c_cflag |=
        line_settings_flags(bus, bus->data_bits) | (bus->flow == PLANT_FLOW_RTSCTS ? CRTSCTS : 0) | CREAD | CLOCAL;
    /* A character with the wrong parity becomes a NUL, which no line may have. */
    settings->c_iflag |=
        (bus->parity != PLANT_PARITY_NONE ? INPCK : 0) | (bus->flow == PLANT_FLOW_XONXOFF ? IXON | IXOFF : 0);
    cfsetspeed(settings, line_settings_speed(bus));
}

enum fb_error line_port_open(const struct plant_bus *bus, int *ret_descriptor, struct fb_cause *cause) {
    const int descriptor = open(bus->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return fb_fail_errno(cause, errno == ENOENT ? FB_NOT_FOUND : FB_IO, errno, "%s", bus->device);
    struct termios settings;
    if (tcgetattr(descriptor, &settings) < 0) {
        const int error = errno;
        close(descriptor);
        return fb_fail_errno(cause, FB_IO, error, "%s is no serial port", bus->device);
    }
    set_flags(bus, &settings);
    if (tcsetattr(descriptor, TCSANOW, &settings) < 0) {
        const int error = errno;
        close(descriptor);
        return fb_fail_errno(cause, FB_IO, error, "%s does not take these settings", bus->device);
    }
    if (line_settings_check(descriptor, bus, bus->data_bits, cause) != FB_OK ||
        rs485_set(descriptor, bus, cause) != FB_OK) {
        close(descriptor);
        return FB_IO;
    }
    /* Last, since it outlives us where another holds the port, and would then refuse ourselves. */
    if (ioctl(descriptor, TIOCEXCL) < 0) {
        const int error = errno;
        close(descriptor);
        return fb_fail_errno(cause, FB_IO, error, "%s", bus->device);
    }
    *ret_descriptor = descriptor;
    return FB_OK;
}
