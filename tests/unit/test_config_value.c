// links: gateway/config/value.c gateway/config/address.c gateway/config/report.c gateway/common/error.c gateway/common/json.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* Single values of the configuration: what is taken, to the bit, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/config/address.h"
#include "gateway/config/report.h"
#include "gateway/config/value.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void decimals_keep_every_digit(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t mantissa;
        int exponent;
        double number;
    } decimals[] = {
        {"0", 0, 0, 0.0},
        {"-0.000", 0, 0, 0.0},
        {"0e9", 0, 0, 0.0},
        {"1", 1, 0, 1.0},
        {"1.0", 1, 0, 1.0},
        {"0.01", 1, -2, 0.01},
        {"-0.10", -1, -1, -0.1},
        {"1e-3", 1, -3, 0.001},
        {"2.5E+2", 250, 0, 250.0},
        {"1e12", INT64_C(1000000000000), 0, 1e12},
        {"0.000000000001", 1, -12, 1e-12},
        {"123456789012.345", INT64_C(123456789012345), -3, 123456789012.345},
        {"999999999999999", INT64_C(999999999999999), 0, 999999999999999.0},
        {"0.1e-11", 1, -12, 1e-12},
    };
    for (size_t i = 0; i < COUNT(decimals); i++) {
        struct plant_decimal decimal;
        assert_int_equal(value_decimal(decimals[i].text, &decimal, NULL), FB_OK);
        assert_int_equal(decimal.mantissa, decimals[i].mantissa);
        assert_int_equal(decimal.exponent, decimals[i].exponent);
        assert_true(value_decimal_number(decimal) == decimals[i].number);
    }
}

static void what_is_no_decimal_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        ".5",
        "5.",
        "+1",
        "01",
        "1e",
        "1e+",
        "1 ",
        " 1",
        "0x10",
        "inf",
        ".inf",
        ".nan",
        "1_000",
        "1,5",
        "--1",
        "1e99",
        "1e999",
        "0.0000000000001",
        "1234567890123456",
        "1e15",
        "1.0000000000000001",
        "1e-99999999999999999999",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct plant_decimal decimal = {7, 7};
        struct fb_cause cause;
        if (value_decimal(texts[i], &decimal, &cause) != FB_INVALID)
            fail_msg("%s was taken", texts[i]);
        assert_int_equal(decimal.mantissa, 7);
    }
}

static void numbers_keep_to_their_range(void **state) {
    (void)state;
    uint64_t number = 1;
    assert_int_equal(value_number("0", 0, 5, &number, NULL), FB_OK);
    assert_int_equal(number, 0);
    assert_int_equal(value_number("18446744073709551615", 0, UINT64_MAX / 100, &number, NULL), FB_INVALID);
    assert_int_equal(value_number("99999999999999999999999999", 0, UINT64_MAX / 100, &number, NULL), FB_INVALID);
    assert_int_equal(value_number("", 0, 5, &number, NULL), FB_INVALID);
    assert_int_equal(value_number("-", 0, 5, &number, NULL), FB_INVALID);
    assert_int_equal(value_number("00", 0, 5, &number, NULL), FB_INVALID);
    assert_int_equal(value_number("+1", 0, 5, &number, NULL), FB_INVALID);
    assert_int_equal(number, 0);
}

static void durations_and_sizes_have_units(void **state) {
    (void)state;
    uint64_t number = 0;
    assert_int_equal(value_duration("0ms", 0, 1000, &number, NULL), FB_OK);
    assert_int_equal(number, 0);
    assert_int_equal(value_duration("90min", 0, 86400000, &number, NULL), FB_OK);
    assert_int_equal(number, 5400000);
    assert_int_equal(value_duration("24h", 0, 86400000, &number, NULL), FB_OK);
    assert_int_equal(value_duration("86400001ms", 0, 86400000, &number, NULL), FB_INVALID);
    assert_int_equal(value_duration("1 s", 0, 86400000, &number, NULL), FB_INVALID);
    assert_int_equal(value_duration("1d", 0, 86400000, &number, NULL), FB_INVALID);
    assert_int_equal(value_duration("s", 0, 86400000, &number, NULL), FB_INVALID);
    assert_int_equal(value_size("1TB", 0, UINT64_C(1) << 44, &number, NULL), FB_OK);
    assert_int_equal(number, UINT64_C(1) << 40);
    assert_int_equal(value_size("17179869184GB", 0, UINT64_C(1) << 44, &number, NULL), FB_INVALID);
    assert_int_equal(value_size("1mb", 0, UINT64_C(1) << 44, &number, NULL), FB_INVALID);
}

static void ranges_are_shown_in_the_largest_whole_unit(void **state) {
    (void)state;
    uint64_t number;
    struct fb_cause cause;
    assert_int_equal(value_duration("1ms", 1500, 7200000, &number, &cause), FB_INVALID);
    assert_string_equal(cause.text, "1ms is out of range; allowed are 1500ms to 2h");
    assert_int_equal(value_size("1TB", 1024, 1536 * 1024, &number, &cause), FB_INVALID);
    assert_string_equal(cause.text, "1TB is out of range; allowed are 1KB to 1536KB");
}

static void hosts_are_names_or_addresses(void **state) {
    (void)state;
    static const char *const good[] = {"a", "plc_1.example", "192.0.2.1", "::1", "2001:db8::1", "1a.example", "x.1"};
    static const char *const bad[] = {"",        "a b",          "a..b",  ".a",        "a.",
                                      "-a",      "a-",           "1.2.3", "1234",      "256.1.1.1",
                                      "1::2::3", "fe80::1%eth0", "a/b",   "amqps://a", "caf\303\251"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(value_host(good[i], NULL), FB_OK);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (value_host(bad[i], NULL) != FB_INVALID)
            fail_msg("%s was taken", bad[i]);
}

static void only_addresses_of_this_machine_are_loopback(void **state) {
    (void)state;
    assert_true(value_loopback("127.0.0.1"));
    assert_true(value_loopback("127.9.8.7"));
    assert_true(value_loopback("::1"));
    assert_false(value_loopback("0.0.0.0"));
    assert_false(value_loopback("::"));
    assert_false(value_loopback("128.0.0.1"));
    assert_false(value_loopback("localhost"));
}

static void addresses_are_read_as_the_manual_writes_them(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum address_notation notation;
        int table; /* -1: stays as it was */
        unsigned address;
    } addresses[] = {
        {"0", ADDRESS_BASE_0, -1, 0},
        {"65535", ADDRESS_BASE_0, -1, 65535},
        {"1", ADDRESS_BASE_1, -1, 0},
        {"65536", ADDRESS_BASE_1, -1, 65535},
        {"00001", ADDRESS_MODICON, PLANT_COIL, 0},
        {"09999", ADDRESS_MODICON, PLANT_COIL, 9998},
        {"10001", ADDRESS_MODICON, PLANT_DISCRETE, 0},
        {"30010", ADDRESS_MODICON, PLANT_INPUT, 9},
        {"49999", ADDRESS_MODICON, PLANT_HOLDING, 9998},
        {"410000", ADDRESS_MODICON, PLANT_HOLDING, 9999},
        {"465536", ADDRESS_MODICON, PLANT_HOLDING, 65535},
        {"000001", ADDRESS_MODICON, PLANT_COIL, 0},
    };
    for (size_t i = 0; i < COUNT(addresses); i++) {
        enum plant_table table = PLANT_INPUT;
        uint16_t address = 0;
        assert_int_equal(address_read(addresses[i].text, addresses[i].notation, &table, &address, NULL), FB_OK);
        assert_int_equal(table, addresses[i].table < 0 ? PLANT_INPUT : (enum plant_table)addresses[i].table);
        assert_int_equal(address, addresses[i].address);
    }
}

static void near_words_are_suggested_and_far_ones_are_not(void **state) {
    (void)state;
    static const char *const words[] = {"host", "port", "certificate"};
    assert_string_equal(report_nearest("hots", words, COUNT(words)), "host");
    assert_string_equal(report_nearest("PORT", words, COUNT(words)), "port");
    assert_string_equal(report_nearest("certifcate", words, COUNT(words)), "certificate");
    assert_null(report_nearest("prt1x", words, COUNT(words)));
    assert_null(report_nearest("", words, COUNT(words)));
    assert_null(report_nearest("x", words, COUNT(words)));
}

static void quotes_are_cut_between_characters(void **state) {
    (void)state;
    char text[200] = "a", quote[REPORT_QUOTE_MAX];
    for (int i = 0; i < 60; i++)
        strcat(text, "\303\251");
    report_quote(text, quote);
    assert_int_equal(strlen(quote), 1 + 29 * 2 + 3);
    assert_string_equal(quote + strlen(quote) - 5, "\303\251...");
    assert_string_equal(report_quote("short", quote), "short");
}

static void bits_are_decimal_or_hexadecimal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t max, bits;
    } good[] = {
        {"0", 0xffff, 0},
        {"65535", 0xffff, 0xffff},
        {"0xFFFF", 0xffff, 0xffff},
        {"0x00ff", 0xffff, 0xff},
        {"0xffffffffffffffff", UINT64_MAX, UINT64_MAX},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
    };
    static const char *const bad[] = {
        "", "-1", "65536", "0x10000", "0x", "0xg", "FFFFh", "010", "18446744073709551616"};
    uint64_t bits;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(value_bits(good[i].text, good[i].max, &bits, NULL), FB_OK);
        assert_true(bits == good[i].bits);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(value_bits(bad[i], 0xffff, &bits, NULL), FB_INVALID);
    assert_int_equal(value_bits("18446744073709551616", UINT64_MAX, &bits, NULL), FB_INVALID);
    assert_int_equal(value_bits("0x10000000000000000", UINT64_MAX, &bits, NULL), FB_INVALID);
}

static void ranges_of_bits_have_a_first_and_a_last(void **state) {
    (void)state;
    static const char *const bad[] = {"", "..", "4..", "..7", "7..4", "4...7", "4-7", "16", "0..16", "a", "4..7 "};
    unsigned first, last;
    assert_int_equal(value_bit_range("4..7", 15, &first, &last, NULL), FB_OK);
    assert_true(first == 4 && last == 7);
    assert_int_equal(value_bit_range("15", 15, &first, &last, NULL), FB_OK);
    assert_true(first == 15 && last == 15);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(value_bit_range(bad[i], 15, &first, &last, NULL), FB_INVALID);
}

static void rates_have_a_unit_and_a_range(void **state) {
    (void)state;
    struct fb_cause cause;
    uint64_t rate = 0;
    assert_int_equal(value_rate("20KB/s", 1024, 1 << 30, &rate, &cause), FB_OK);
    assert_int_equal(rate, 20 * 1024);
    assert_int_equal(value_rate("1MB/s", 1024, 1 << 30, &rate, &cause), FB_OK);
    assert_int_equal(rate, 1 << 20);
    static const char *const wrong[] = {"20kB/s", "20KB", "20", "0KB/s", "2GB/s", "1.5MB/s", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(value_rate(wrong[i], 1024, 1 << 30, &rate, &cause), FB_INVALID);
        assert_non_null(strstr(cause.text, "1KB/s to 1GB/s"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_have_a_unit_and_a_range),
        cmocka_unit_test(decimals_keep_every_digit),
        cmocka_unit_test(what_is_no_decimal_is_refused),
        cmocka_unit_test(numbers_keep_to_their_range),
        cmocka_unit_test(durations_and_sizes_have_units),
        cmocka_unit_test(ranges_are_shown_in_the_largest_whole_unit),
        cmocka_unit_test(hosts_are_names_or_addresses),
        cmocka_unit_test(only_addresses_of_this_machine_are_loopback),
        cmocka_unit_test(addresses_are_read_as_the_manual_writes_them),
        cmocka_unit_test(near_words_are_suggested_and_far_ones_are_not),
        cmocka_unit_test(bits_are_decimal_or_hexadecimal),
        cmocka_unit_test(ranges_of_bits_have_a_first_and_a_last),
        cmocka_unit_test(quotes_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
