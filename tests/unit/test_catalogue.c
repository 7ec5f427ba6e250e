// links: store/catalogue.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* test_catalogue.c - the names of the tags come back as they were, and nothing else is taken for a catalogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/batch_frame.h"
#include "store/catalogue.h"

static uint8_t bytes[CATALOGUE_BYTES_MAX];

static struct catalogue example(size_t count) {
    struct catalogue catalogue = {.gateway = "plant-1", .revision = 3, .made_ms = INT64_C(1795293190000)};
    memset(catalogue.store_id, 0xa5, sizeof catalogue.store_id);
    catalogue.tags = calloc(count + 1, sizeof *catalogue.tags);
    catalogue.tag_count = count;
    for (size_t i = 0; i < count; i++) {
        struct catalogue_tag *tag = &catalogue.tags[i];
        tag->number = (uint32_t)(3 * i + 1);
        tag->kind = (enum reading_kind)(i % 4);
        snprintf(tag->instrument, sizeof tag->instrument, "analyser-%zu", i / 8);
        snprintf(tag->name, sizeof tag->name, "turbidity-%zu", i % 8);
        snprintf(tag->unit, sizeof tag->unit, "%s", i % 2 == 0 ? "°C" : "");
    }
    return catalogue;
}

static void assert_same(const struct catalogue *a, const struct catalogue *b) {
    assert_string_equal(a->gateway, b->gateway);
    assert_memory_equal(a->store_id, b->store_id, sizeof a->store_id);
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->made_ms, b->made_ms);
    assert_true(catalogue_same_tags(a, b));
}

static void every_number_of_tags_comes_back(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 23, 24, 1000, PLANT_TAGS_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct catalogue catalogue = example(counts[i]), back;
        size_t length;
        assert_int_equal(catalogue_encode(&catalogue, bytes, &length, NULL), FB_OK);
        assert_int_equal(catalogue_decode(bytes, length, &back, NULL), FB_OK);
        assert_same(&catalogue, &back);
        catalogue_done(&catalogue);
        catalogue_done(&back);
    }
}

static void the_longest_names_come_back(void **state) {
    (void)state;
    struct catalogue catalogue = example(1), back;
    size_t length;
    memset(catalogue.gateway, 'g', sizeof catalogue.gateway - 1);
    memset(catalogue.tags[0].instrument, 'i', PLANT_NAME_MAX - 1);
    memset(catalogue.tags[0].name, 'n', PLANT_NAME_MAX - 1);
    memset(catalogue.tags[0].unit, 'u', PLANT_UNIT_MAX - 1);
    catalogue.tags[0].number = UINT32_MAX;
    assert_int_equal(catalogue_encode(&catalogue, bytes, &length, NULL), FB_OK);
    assert_int_equal(catalogue_decode(bytes, length, &back, NULL), FB_OK);
    assert_same(&catalogue, &back);
    catalogue_done(&catalogue);
    catalogue_done(&back);
}

static void more_than_one_message_holds_is_refused(void **state) {
    (void)state;
    struct catalogue catalogue = example(PLANT_TAGS_MAX + 1);
    struct fb_cause cause;
    size_t length;
    assert_int_equal(catalogue_encode(&catalogue, bytes, &length, &cause), FB_LIMIT);
    catalogue.tag_count = PLANT_TAGS_MAX;
    uint32_t noise = 1;
    for (size_t i = 0; i < catalogue.tag_count; i++)
        for (size_t k = 0; k < PLANT_NAME_MAX - 1; k++) {
            noise = noise * 1664525 + 1013904223;
            catalogue.tags[i].name[k] = (char)('a' + (noise >> 24) % 26);
        }
    assert_int_equal(catalogue_encode(&catalogue, bytes, &length, &cause), FB_LIMIT);
    assert_non_null(strstr(cause.text, "too many tags, or their names are too long"));
    catalogue_done(&catalogue);
}

static void any_difference_in_a_tag_makes_catalogues_differ(void **state) {
    (void)state;
    struct catalogue a = example(4), b = example(4);
    b.revision = 9;
    b.made_ms = 0;
    assert_true(catalogue_same_tags(&a, &b));
    b.tags[3].unit[0] = 'x';
    assert_false(catalogue_same_tags(&a, &b));
    memcpy(b.tags, a.tags, 4 * sizeof *b.tags);
    b.tags[0].kind = READING_BOOLEAN;
    assert_false(catalogue_same_tags(&a, &b));
    memcpy(b.tags, a.tags, 4 * sizeof *b.tags);
    b.tag_count = 3;
    assert_false(catalogue_same_tags(&a, &b));
    catalogue_done(&a);
    catalogue_done(&b);
}

static size_t plain_of(const struct catalogue *catalogue, uint8_t *ret_plain) {
    size_t length, plain_length;
    uint8_t *plain;
    assert_int_equal(catalogue_encode(catalogue, bytes, &length, NULL), FB_OK);
    assert_int_equal(batch_frame_unpack(bytes, length, CATALOGUE_PLAIN_BYTES_MAX, &plain, &plain_length, NULL), FB_OK);
    memcpy(ret_plain, plain, plain_length);
    free(plain);
    return plain_length;
}

static enum fb_error decode_plain(const uint8_t *plain, size_t plain_length) {
    size_t length;
    struct catalogue back;
    assert_int_equal(batch_frame_pack(plain, plain_length, bytes, sizeof bytes, &length, NULL), FB_OK);
    const enum fb_error error = catalogue_decode(bytes, length, &back, NULL);
    if (error == FB_OK)
        catalogue_done(&back);
    return error;
}

static void a_catalogue_that_is_cut_anywhere_is_refused(void **state) {
    (void)state;
    uint8_t plain[1024];
    struct catalogue catalogue = example(3);
    const size_t length = plain_of(&catalogue, plain);
    assert_int_equal(decode_plain(plain, length), FB_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(decode_plain(plain, cut), FB_INVALID);
    catalogue_done(&catalogue);
}

static void tags_out_of_order_and_bad_names_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"", "a\nb", "\x7f", "\xc2\x85", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82"};
    uint8_t plain[1024];
    struct catalogue catalogue = example(2);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(catalogue.tags[1].name, sizeof catalogue.tags[1].name, "%s", names[i]);
        assert_int_equal(decode_plain(plain, plain_of(&catalogue, plain)), FB_INVALID);
    }
    snprintf(catalogue.tags[1].name, sizeof catalogue.tags[1].name, "pH-\xce\xbc-\xf0\x9f\x92\xa7");
    assert_int_equal(decode_plain(plain, plain_of(&catalogue, plain)), FB_OK);
    catalogue.tags[1].number = catalogue.tags[0].number;
    assert_int_equal(decode_plain(plain, plain_of(&catalogue, plain)), FB_INVALID);
    catalogue_done(&catalogue);
}

static void a_batch_is_not_a_catalogue(void **state) {
    (void)state;
    const struct batch_info info = {.gateway = "plant-1", .number = 1};
    struct catalogue back;
    struct fb_cause cause;
    size_t length;
    assert_int_equal(batch_encode(&info, NULL, 0, bytes, &length, NULL), FB_OK);
    assert_int_equal(catalogue_decode(bytes, length, &back, &cause), FB_INVALID);
    assert_string_equal(cause.text, "catalogue: not the envelope of a catalogue");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_tags_comes_back),
        cmocka_unit_test(the_longest_names_come_back),
        cmocka_unit_test(more_than_one_message_holds_is_refused),
        cmocka_unit_test(any_difference_in_a_tag_makes_catalogues_differ),
        cmocka_unit_test(a_catalogue_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(tags_out_of_order_and_bad_names_are_refused),
        cmocka_unit_test(a_batch_is_not_a_catalogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
