// links: gateway/core/expiry.c gateway/amqp/validity.c gateway/amqp/certificate.c gateway/common/*.c tests/unit/pki.c
/* Days that are left to certificates, and what is told of them when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gateway/common/clock.h"
#include "gateway/core/expiry.h"
#include "tests/unit/pki.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct desk {
    char folder[64];
    char page[128];
    sd_event *event;
    struct expiry *expiry;
    struct pki_authority authority;
    unsigned told;
    int level, days_left;
    char subject[64];
};

static void on_due(const json_t *certificate, int level_days, void *user) {
    struct desk *desk = user;
    desk->told++;
    desk->level = level_days;
    desk->days_left = (int)json_integer_value(json_object_get(certificate, "days_left"));
    snprintf(desk->subject, sizeof desk->subject, "%s", json_string_value(json_object_get(certificate, "subject")));
}

static void start(struct desk *desk) {
    struct fb_cause cause;
    assert_int_equal(expiry_new(desk->event, desk->folder, on_due, desk, &desk->expiry, &cause), FB_OK);
}

static int open_desk(void **state) {
    struct desk *desk = calloc(1, sizeof *desk);
    strcpy(desk->folder, "/tmp/forebay-test-XXXXXX");
    assert_non_null(mkdtemp(desk->folder));
    snprintf(desk->page, sizeof desk->page, "%s/page.pem", desk->folder);
    assert_true(sd_event_new(&desk->event) >= 0);
    desk->authority = pki_authority_make(desk->folder, "ca");
    start(desk);
    *state = desk;
    return 0;
}

static int close_desk(void **state) {
    struct desk *desk = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", desk->folder);
    assert_int_equal(system(command), 0);
    expiry_free(desk->expiry);
    pki_authority_done(&desk->authority);
    sd_event_unref(desk->event);
    free(desk);
    return 0;
}

static void make_page(struct desk *desk, int days) {
    const struct pki_request request = {.name = "page", .from_days = -400, .to_days = days};
    pki_issue(desk->folder, &desk->authority, &request);
}

static void expect_told(struct desk *desk, unsigned times, int level) {
    assert_int_equal(desk->told, times);
    if (times > 0)
        assert_int_equal(desk->level, level);
}

static void each_level_is_reached_at_its_day(void **state) {
    (void)state;
    const int64_t until_ms = 1000 * DAY_MS;
    static const struct {
        int64_t before_ms;
        int level;
    } cases[] = {
        {90 * DAY_MS + 1, -1},
        {90 * DAY_MS, 90},
        {30 * DAY_MS + 1, 90},
        {30 * DAY_MS, 30},
        {7 * DAY_MS, 7},
        {DAY_MS + 1, 7},
        {DAY_MS, 1},
        {1, 1},
        {0, 0},
        {-5 * DAY_MS, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(expiry_level(0, until_ms, false, until_ms - cases[i].before_ms), cases[i].level);
}

static void lists_that_live_for_days_are_told_late(void **state) {
    (void)state;
    const int64_t week_ms = 7 * DAY_MS;
    assert_int_equal(expiry_level(0, week_ms, true, 0), -1);
    assert_int_equal(expiry_level(0, week_ms, true, 6 * DAY_MS), 1);
    assert_int_equal(expiry_level(0, week_ms, true, week_ms), 0);
    assert_int_equal(expiry_level(0, 60 * DAY_MS, true, 40 * DAY_MS), 30);
    assert_int_equal(expiry_level(0, DAY_MS / 2, true, 0), -1);
}

static void a_level_is_told_once_even_over_a_restart(void **state) {
    struct desk *desk = *state;
    make_page(desk, 20);
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 1, 30);
    assert_int_equal(desk->days_left, 19);
    assert_string_equal(desk->subject, "page");
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 1, 30);
    expiry_free(desk->expiry);
    start(desk);
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 1, 30);
}

static void a_renewed_certificate_is_told_anew(void **state) {
    struct desk *desk = *state;
    make_page(desk, 5);
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 1, 7);
    make_page(desk, 300);
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 1, 7);
    make_page(desk, -3);
    expiry_configure(desk->expiry, false, desk->page);
    expect_told(desk, 2, 0);
    assert_int_equal(desk->days_left, -4); /* and some seconds, rounded down */
}

static json_t *message_of(int days, const char *hash) {
    const int64_t now_ms = clock_utc_ms();
    return json_pack("{s:[{s:s, s:n, s:s, s:s, s:I, s:I, s:s}]}", "certificates", "use", "broker", "file", "subject",
                     "broker.example", "sha256", hash, "from_ms", (json_int_t)(now_ms - 400 * DAY_MS), "until_ms",
                     (json_int_t)(now_ms + days * DAY_MS + DAY_MS / 2), "error", "");
}

static void told(struct desk *desk, int days, const char *hash) {
    json_t *message = message_of(days, hash);
    assert_true(expiry_link(desk->expiry, message));
    json_decref(message);
}

static void the_links_certificates_are_told_as_their_days_go_by(void **state) {
    struct desk *desk = *state;
    told(desk, 200, "aa");
    expect_told(desk, 0, 0);
    told(desk, 80, "aa");
    expect_told(desk, 1, 90);
    told(desk, 2, "aa");
    expect_told(desk, 2, 7);
    told(desk, 1, "aa");
    expect_told(desk, 2, 7);
    told(desk, -1, "aa");
    expect_told(desk, 3, 0);
}

static void a_clock_that_was_wrong_takes_no_warning_away(void **state) {
    struct desk *desk = *state;
    told(desk, -300, "aa"); /* as a clock would see it that is a year ahead */
    expect_told(desk, 1, 0);
    told(desk, 65, "aa");
    expect_told(desk, 1, 0);
    told(desk, 20, "aa");
    expect_told(desk, 2, 30);
}

static void the_status_has_all_of_them_with_their_days(void **state) {
    struct desk *desk = *state;
    told(desk, 80, "aa");
    make_page(desk, 300);
    expiry_configure(desk->expiry, true, desk->page);
    json_t *all = expiry_to_json(desk->expiry);
    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 0), "days_left")), 80);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "use")), "page");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 1), "days_left")), 299);
    json_decref(all);
    expiry_configure(desk->expiry, false, "/nowhere/page.pem");
    all = expiry_to_json(desk->expiry);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "error")),
                        "/nowhere/page.pem: No such file or directory");
    assert_true(json_is_null(json_object_get(json_array_get(all, 0), "days_left")));
    json_decref(all);
}

static void a_damaged_note_of_what_was_told_costs_an_event_only(void **state) {
    struct desk *desk = *state;
    static const char *const damaged[] = {"", "[1]", "{\"aa\": \"x\"}", "{\"aa\": {}}", "{\"aa\": -7}", "nonsense"};
    char path[128];
    snprintf(path, sizeof path, "%s/certificates.json", desk->folder);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        FILE *file = fopen(path, "we");
        fputs(damaged[i], file);
        fclose(file);
        expiry_free(desk->expiry);
        start(desk);
        told(desk, 20, "aa");
        assert_int_equal(desk->told, i + 1);
    }
}

static void what_forebay_cloud_may_not_say_is_refused(void **state) {
    struct desk *desk = *state;
    static const char *const wrong[] = {
        "{}",
        "[]",
        "{\"certificates\": {}}",
        "{\"certificates\": [1]}",
        "{\"certificates\": [{}]}",
        "{\"certificates\": [], \"more\": 1}",
        "{\"certificates\": [{\"use\": 1, \"file\": null, \"subject\": null, \"sha256\": null, \"from_ms\": null, "
        "\"until_ms\": null, \"error\": \"\"}]}",
        "{\"certificates\": [{\"use\": \"crl\", \"file\": null, \"subject\": null, \"sha256\": null, \"from_ms\": "
        "\"a\", "
        "\"until_ms\": null, \"error\": \"\"}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *message = json_loads(wrong[i], 0, NULL);
        assert_non_null(message);
        assert_false(expiry_link(desk->expiry, message));
        json_decref(message);
    }
    assert_int_equal(desk->told, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_is_reached_at_its_day),
        cmocka_unit_test(lists_that_live_for_days_are_told_late),
        TEST(a_level_is_told_once_even_over_a_restart),
        TEST(a_renewed_certificate_is_told_anew),
        TEST(the_links_certificates_are_told_as_their_days_go_by),
        TEST(a_clock_that_was_wrong_takes_no_warning_away),
        TEST(the_status_has_all_of_them_with_their_days),
        TEST(a_damaged_note_of_what_was_told_costs_an_event_only),
        TEST(what_forebay_cloud_may_not_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
