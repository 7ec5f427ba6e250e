// links: gateway/cli/pcapng.c gateway/common/error.c
/* The blocks of a trace, taken apart again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cli/pcapng.h"

static char *text;
static size_t length;

static uint32_t word(size_t at) {
    uint32_t number;
    memcpy(&number, text + at, sizeof number);
    return number;
}

/* Where the block with this index begins; each must end with the length it began with. */
static size_t block(unsigned index) {
    size_t at = 0;
    for (unsigned i = 0;; i++) {
        assert_in_range(at, 0, length - 12);
        const uint32_t size = word(at + 4);
        assert_int_equal(size % 4, 0);
        assert_in_range(size, 12, length - at);
        assert_int_equal(word(at + size - 4), size);
        if (i == index)
            return at;
        at += size;
    }
}

static void write_two(enum pcapng_kind kind) {
    struct pcapng pcapng;
    struct fb_cause cause;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    assert_int_equal(pcapng_begin(&pcapng, file, kind, "line-1", &cause), FB_OK);
    assert_int_equal(pcapng_add(&pcapng, INT64_C(0x123456789a), true, (const uint8_t *)"abcde", 5, &cause), FB_OK);
    assert_int_equal(pcapng_add(&pcapng, INT64_C(0x123456789b), false, (const uint8_t *)"xyz", 3, &cause), FB_OK);
    fclose(file);
    assert_int_equal(pcapng.bytes, length);
}

static void a_file_has_a_section_an_interface_and_the_frames(void **state) {
    (void)state;
    write_two(PCAPNG_MODBUS_RTU);
    assert_int_equal(word(block(0)), 0x0a0d0d0a);
    assert_int_equal(word(block(1)), 1);
    assert_int_equal(word(block(1) + 8) & 0xffff, 252);
    assert_int_equal(word(block(2)), 6);
    assert_int_equal(word(block(2) + 12), 0x12);
    assert_int_equal(word(block(2) + 16), 0x3456789a);
    const uint32_t size = word(block(2) + 20);
    assert_int_equal(word(block(2) + 24), size);
    assert_memory_equal(text + block(2) + 28 + size - 5, "abcde", 5);
    free(text);
}

static void tcp_frames_follow_each_other(void **state) {
    (void)state;
    write_two(PCAPNG_MODBUS_TCP);
    assert_int_equal(word(block(1) + 8) & 0xffff, 101);
    const unsigned char *out = (const unsigned char *)text + block(2) + 28;
    const unsigned char *in = (const unsigned char *)text + block(3) + 28;
    assert_int_equal(out[3], 45); /* the packet's length */
    assert_int_equal(out[22] << 8 | out[23], 502);
    assert_int_equal(in[20] << 8 | in[21], 502);
    assert_int_equal(in[31], out[27] + 5); /* acknowledges what went out */
    assert_memory_equal(in + 40, "xyz", 3);
    uint32_t sum = 0;
    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)out[i] << 8 | out[i + 1];
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    free(text);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct pcapng pcapng;
    struct fb_cause cause;
    FILE *file = fopen("/dev/full", "w");
    assert_non_null(file);
    assert_int_equal(pcapng_begin(&pcapng, file, PCAPNG_TEXT, "b", &cause), FB_IO);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_a_section_an_interface_and_the_frames),
        cmocka_unit_test(tcp_frames_follow_each_other),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
