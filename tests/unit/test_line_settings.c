// links: drivers/line_settings.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <unistd.h>

#include "drivers/line_settings.h"

/* A pseudo terminal at 9600 8N2, which has no parity and no 7 bits. */
static int open_port(int *ret_other) {
    int port;
    struct termios settings;
    assert_int_equal(openpty(ret_other, &port, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(port, &settings), 0);
    cfmakeraw(&settings);
    settings.c_cflag |= CSTOPB;
    cfsetspeed(&settings, B9600);
    assert_int_equal(tcsetattr(port, TCSANOW, &settings), 0);
    return port;
}

static void what_a_port_has_not_taken_is_named(void **state) {
    (void)state;
    static const struct {
        uint32_t baud;
        uint8_t data_bits, stop_bits;
        enum plant_parity parity;
        const char *missing;
    } rows[] = {
        {9600, 8, 2, PLANT_PARITY_NONE, NULL},
        {4800, 8, 2, PLANT_PARITY_NONE, "this speed"},
        {9600, 7, 2, PLANT_PARITY_NONE, "this number of data bits"},
        {9600, 8, 1, PLANT_PARITY_NONE, "this number of stop bits"},
        {9600, 8, 2, PLANT_PARITY_EVEN, "this parity"},
        {9600, 8, 2, PLANT_PARITY_ODD, "this parity"},
    };
    int other;
    const int port = open_port(&other);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct plant_bus bus = {
            .device = "port", .baud = rows[i].baud, .stop_bits = rows[i].stop_bits, .parity = rows[i].parity};
        struct fb_cause cause = {0};
        const enum fb_error error = line_settings_check(port, &bus, rows[i].data_bits, &cause);
        assert_int_equal(error, rows[i].missing == NULL ? FB_OK : FB_IO);
        if (rows[i].missing != NULL)
            assert_non_null(strstr(cause.text, rows[i].missing));
    }
    close(port);
    close(other);
}

static void a_port_that_is_gone_is_told(void **state) {
    (void)state;
    const struct plant_bus bus = {.device = "port", .baud = 9600, .stop_bits = 1};
    struct fb_cause cause = {0};
    assert_int_equal(line_settings_check(-1, &bus, 8, &cause), FB_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_port_has_not_taken_is_named),
        cmocka_unit_test(a_port_that_is_gone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
