// links: drivers/rs485.c drivers/line_settings.c drivers/line_port.c drivers/modbus_rtu_driver.c drivers/modbus_frame.c drivers/modbus_write.c drivers/guard.c drivers/checksum.c drivers/decode.c drivers/text_value.c drivers/recorder.c drivers/tcp_connect.c drivers/plan.c drivers/plan_split.c gateway/common/clock.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* RS-485 by the kernel: what is asked of the port, and what becomes of ports that cannot do it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/serial.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/line_port.h"
#include "drivers/rs485.h"

/* Stands before the system's: a serial port that can do RS-485, as none of a test machine can. */
static struct {
    bool active;
    unsigned calls;
    unsigned taken; /* flags that the port keeps */
    int error;
    struct serial_rs485 asked;
} port;

int ioctl(int descriptor, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request != TIOCSRS485 || !port.active)
        return (int)syscall(SYS_ioctl, descriptor, request, argument);
    port.calls++;
    memcpy(&port.asked, argument, sizeof port.asked);
    if (port.error != 0) {
        errno = port.error;
        return -1;
    }
    ((struct serial_rs485 *)argument)->flags &= port.taken;
    return 0;
}

static struct plant_bus make_bus(const char *device, enum plant_bus_kind kind) {
    struct plant_bus bus = {.kind = kind, .baud = 9600, .stop_bits = 1, .data_bits = 8, .timeout_ms = 100, .rs485 = 1};
    snprintf(bus.device, sizeof bus.device, "%s", device);
    return bus;
}

static void use_port(unsigned taken, int error) {
    memset(&port, 0, sizeof port);
    port.active = true;
    port.taken = taken;
    port.error = error;
}

static void the_port_is_told_what_the_bus_says(void **state) {
    (void)state;
    struct fb_cause cause;
    struct plant_bus bus = make_bus("/dev/ttyS1", PLANT_SERIAL);
    bus.rs485_delay_before_ms = 3;
    bus.rs485_delay_after_ms = 7;
    use_port(~0u, 0);
    assert_int_equal(rs485_set(0, &bus, &cause), FB_OK);
    assert_int_equal(port.asked.flags, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND);
    assert_int_equal(port.asked.delay_rts_before_send, 3);
    assert_int_equal(port.asked.delay_rts_after_send, 7);
    bus.rs485_rts = 1;
    assert_int_equal(rs485_set(0, &bus, &cause), FB_OK);
    assert_int_equal(port.asked.flags, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND);
    bus.rs485 = 0;
    use_port(~0u, 0);
    assert_int_equal(rs485_set(0, &bus, &cause), FB_OK);
    assert_int_equal(port.calls, 0);
}

static void a_port_that_takes_something_else_is_refused(void **state) {
    (void)state;
    struct fb_cause cause;
    struct plant_bus bus = make_bus("/dev/ttyS1", PLANT_SERIAL);
    bus.rs485_rts = 1;
    use_port(~(unsigned)SER_RS485_RTS_AFTER_SEND, 0);
    assert_int_equal(rs485_set(0, &bus, &cause), FB_IO);
    assert_string_equal(cause.text, "/dev/ttyS1 does not take rs485_rts: after-send; try the other one");
    use_port(~0u, EIO);
    assert_int_equal(rs485_set(0, &bus, &cause), FB_IO);
    assert_non_null(strstr(cause.text, "/dev/ttyS1: RS-485"));
}

static void both_drivers_set_it_when_they_open_the_port(void **state) {
    (void)state;
    int ours, theirs;
    char name[128];
    struct fb_cause cause;
    assert_int_equal(openpty(&ours, &theirs, name, NULL, NULL), 0);
    struct plant_bus bus = make_bus(name, PLANT_SERIAL);
    int descriptor;
    use_port(~0u, 0);
    assert_int_equal(line_port_open(&bus, &descriptor, &cause), FB_OK);
    assert_int_equal(port.calls, 1);
    /* The port is taken for one alone; give it back. */
    ioctl(descriptor, TIOCNXCL, NULL);
    close(descriptor);
    bus.kind = PLANT_MODBUS_RTU;
    struct driver_port *opened;
    assert_int_equal(modbus_rtu_driver.open(&bus, &opened, &cause), FB_OK);
    assert_int_equal(port.calls, 2);
    assert_int_equal(port.asked.flags, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND);
    modbus_rtu_driver.close(opened);
    close(ours);
    close(theirs);
}

static void a_port_that_cannot_says_so(void **state) {
    (void)state;
    int ours, theirs, descriptor;
    char name[128], words[256];
    struct fb_cause cause;
    struct driver_port *opened;
    assert_int_equal(openpty(&ours, &theirs, name, NULL, NULL), 0);
    snprintf(words, sizeof words,
             "%s cannot switch an RS-485 line by itself; remove rs485 if the adapter does, or use "
             "another port",
             name);
    port.active = false;
    struct plant_bus bus = make_bus(name, PLANT_MODBUS_RTU);
    assert_int_equal(modbus_rtu_driver.open(&bus, &opened, &cause), FB_IO);
    assert_string_equal(cause.text, words);
    bus.kind = PLANT_SERIAL;
    assert_int_equal(line_port_open(&bus, &descriptor, &cause), FB_IO);
    assert_string_equal(cause.text, words);
    close(ours);
    close(theirs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_port_is_told_what_the_bus_says),
        cmocka_unit_test(a_port_that_takes_something_else_is_refused),
        cmocka_unit_test(both_drivers_set_it_when_they_open_the_port),
        cmocka_unit_test(a_port_that_cannot_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
