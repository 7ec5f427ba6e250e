#include "drivers/line_port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/rs485.h"

static const struct {
    uint32_t baud;
    speed_t speed;
} speeds[] = {{1200, B1200},   {2400, B2400},   {4800, B4800},   {9600, B9600},
              {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200}};

static speed_t speed_of(uint32_t baud) {
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].baud == baud)
            return speeds[i].speed;
    return B9600; /* no such speed passes the check of the configuration */
}

static void set_flags(const struct plant_bus *bus, struct termios *settings) {
    static const tcflag_t parities[] = {
        [PLANT_PARITY_NONE] = 0, [PLANT_PARITY_EVEN] = PARENB, [PLANT_PARITY_ODD] = PARENB | PARODD};
    cfmakeraw(settings);
    settings->c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
    settings->c_cflag |= (bus->data_bits == 7 ? CS7 : CS8) | (bus->stop_bits == 2 ? CSTOPB : 0) |
                         parities[bus->parity] | (bus->flow == PLANT_FLOW_RTSCTS ? CRTSCTS : 0) | CREAD | CLOCAL;
    /* A character with the wrong parity becomes a NUL, which no line may have. */
    settings->c_iflag |=
        (bus->parity != PLANT_PARITY_NONE ? INPCK : 0) | (bus->flow == PLANT_FLOW_XONXOFF ? IXON | IXOFF : 0);
    cfsetspeed(settings, speed_of(bus->baud));
}

enum fb_error line_port_open(const struct plant_bus *bus, int *ret_descriptor, struct fb_cause *cause) {
    const int descriptor = open(bus->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return fb_fail_errno(cause, errno == ENOENT ? FB_NOT_FOUND : FB_IO, errno, "%s", bus->device);
    struct termios settings;
    if (ioctl(descriptor, TIOCEXCL) < 0 || tcgetattr(descriptor, &settings) < 0) {
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
    if (rs485_set(descriptor, bus, cause) != FB_OK) {
        close(descriptor);
        return FB_IO;
    }
    *ret_descriptor = descriptor;
    return FB_OK;
}
