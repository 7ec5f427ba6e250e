// links: drivers/subject.c drivers/pulse.c drivers/patience.c drivers/health.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* What a worker concludes about an instrument from its replies and their absence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/subject.h"
#include "gateway/common/quality.h"

#define TIME_MS INT64_C(1795293200000)

static const struct plant_bus bus = {.timeout_ms = 500};
static const struct plant_instrument instrument = {.heartbeat = {PLANT_HOLDING, 0, 0xffff, 1000},
                                                   .service = {PLANT_HOLDING, 1, 0x0001, 1000}};
static const struct plan_request request = {
    .instrument = &instrument, .table = PLANT_HOLDING, .count = 2, .watches = PLAN_HEARTBEAT | PLAN_SERVICE};

static uint8_t judged(const struct subject *subject, uint8_t quality) {
    struct reading reading = reading_integer(1, TIME_MS, QUALITY_GOOD, 42);
    if (quality_class(quality) == QUALITY_CLASS_BAD)
        reading = reading_bad(1, READING_INTEGER, TIME_MS, quality, 0);
    reading.quality = quality;
    pulse_judge(&subject->pulse, &reading, 1);
    assert_true(reading_valid(&reading));
    return reading.quality;
}

static void hear(struct subject *subject, uint8_t heartbeat, uint8_t service) {
    const uint8_t data[] = {0, heartbeat, 0, service};
    subject_watch(subject, &request, QUALITY_GOOD, data);
}

static void a_heartbeat_that_stands_still_makes_every_reading_stale(void **state) {
    (void)state;
    struct subject subject = {0};
    hear(&subject, 7, 0);
    for (int i = 0; i < PLANT_HEARTBEAT_MISSES; i++) {
        assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_GOOD);
        hear(&subject, 7, 0);
    }
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_STALE_HEARTBEAT);
    assert_int_equal(judged(&subject, QUALITY_ABOVE_RANGE), QUALITY_STALE_HEARTBEAT);
    assert_int_equal(judged(&subject, QUALITY_TIMEOUT), QUALITY_TIMEOUT);
    hear(&subject, 8, 0);
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_GOOD);
}

static void a_text_goes_with_its_place_and_the_others_stay_whole(void **state) {
    (void)state;
    struct subject subject = {0};
    struct reading units[READING_UNITS_MAX + 2];
    units[0] = reading_integer(1, TIME_MS, QUALITY_GOOD, 42);
    size_t used = 1 + reading_make_text(2, TIME_MS, QUALITY_GOOD, "a text of some length", 21, units + 1);
    units[used++] = reading_bad(3, READING_TEXT, TIME_MS, QUALITY_TIMEOUT, 0);
    assert_int_equal(pulse_judge(&subject.pulse, units, used), used);
    hear(&subject, 7, 1);
    assert_int_equal(pulse_judge(&subject.pulse, units, used), used);
    assert_int_equal(units[1].quality, QUALITY_MAINTENANCE);
    assert_memory_equal(reading_text(&units[1]), "a text", 6);
    for (int i = 0; i < PLANT_HEARTBEAT_MISSES; i++)
        hear(&subject, 7, 1);
    assert_int_equal(pulse_judge(&subject.pulse, units, used), 3);
    assert_true(readings_valid(units, 3));
    assert_int_equal(units[1].quality, QUALITY_STALE_HEARTBEAT);
    assert_int_equal(units[2].tag, 3);
    assert_int_equal(units[2].quality, QUALITY_TIMEOUT);
}

static void a_heartbeat_that_cannot_be_read_is_a_stopped_one(void **state) {
    (void)state;
    struct subject subject = {0};
    for (int i = 0; i < PLANT_HEARTBEAT_MISSES; i++)
        subject_watch(&subject, &request, QUALITY_EXCEPTION, NULL);
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_STALE_HEARTBEAT);
    hear(&subject, 0, 0);
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_GOOD);
}

static void a_lost_connection_says_nothing_of_the_heartbeat(void **state) {
    (void)state;
    struct subject subject = {0};
    for (int i = 0; i < 10; i++)
        subject_watch(&subject, &request, QUALITY_NOT_CONNECTED, NULL);
    assert_false(pulse_stopped(&subject.pulse));
}

static void readings_in_service_mode_are_uncertain(void **state) {
    (void)state;
    struct subject subject = {0};
    hear(&subject, 1, 3);
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_MAINTENANCE);
    assert_int_equal(judged(&subject, QUALITY_SENTINEL), QUALITY_SENTINEL);
    hear(&subject, 2, 2);
    assert_int_equal(judged(&subject, QUALITY_GOOD), QUALITY_GOOD);
}

static void answer(struct subject *subject, uint64_t took_us) {
    const struct connection_result result = {.quality = QUALITY_GOOD, .sent = true};
    subject_note(subject, &result, &bus, true, (struct subject_times){0, 0, took_us});
}

static void the_time_out_follows_the_replies(void **state) {
    (void)state;
    struct subject subject = {0};
    assert_int_equal(subject_timeout_ms(&subject, &bus, true), 500);
    answer(&subject, 2000);
    assert_int_equal(subject_timeout_ms(&subject, &bus, true), 500 / PATIENCE_LEAST_PART);
    answer(&subject, 60000);
    assert_int_equal(subject_timeout_ms(&subject, &bus, true), 250);
    for (int i = 0; i < 50; i++)
        answer(&subject, 2000);
    assert_in_range(subject_timeout_ms(&subject, &bus, true), 101, 200);
    answer(&subject, 400000);
    assert_int_equal(subject_timeout_ms(&subject, &bus, true), 500);
}

static void a_quick_instrument_keeps_a_part_of_what_is_configured(void **state) {
    (void)state;
    struct subject subject = {0};
    struct plant_bus patient = bus, hasty = bus;
    patient.timeout_ms = 4000;
    hasty.timeout_ms = 60;
    answer(&subject, 2000);
    assert_int_equal(subject_timeout_ms(&subject, &patient, true), 1000);
    assert_int_equal(subject_timeout_ms(&subject, &hasty, true), 60);
    subject.health.probes = 0;
    assert_int_equal(subject_probe_ms(&subject, &patient, 0), PATIENCE_LEAST_MS);
}

static void alone_on_its_bus_it_gets_all_the_time(void **state) {
    (void)state;
    struct subject subject = {0};
    answer(&subject, 2000);
    assert_int_equal(subject_timeout_ms(&subject, &bus, false), 500);
}

static void after_a_time_out_it_gets_all_the_time_again(void **state) {
    (void)state;
    struct subject subject = {0};
    const struct connection_result silent = {.quality = QUALITY_TIMEOUT, .sent = true};
    answer(&subject, 2000);
    subject_note(&subject, &silent, &bus, true, (struct subject_times){1, 1, 100000});
    assert_int_equal(subject_timeout_ms(&subject, &bus, true), 500);
    assert_int_equal(subject_spared(&subject).quality, QUALITY_TIMEOUT);
    assert_int_equal(health_advice(&subject.health, 599), HEALTH_SPARE);
    assert_int_equal(health_advice(&subject.health, 600), HEALTH_ASK);
}

static uint32_t probe_ms(struct subject *subject, uint32_t probes, uint32_t gap_ms) {
    subject->health.probes = probes;
    return subject_probe_ms(subject, &bus, gap_ms);
}

static void a_probe_waits_as_long_as_the_instrument_was_wont_to_need(void **state) {
    (void)state;
    struct subject subject = {0};
    const struct connection_result silent = {.quality = QUALITY_TIMEOUT, .sent = true};
    answer(&subject, 60000);
    subject_note(&subject, &silent, &bus, true, (struct subject_times){1, 1, 100000});
    assert_int_equal(probe_ms(&subject, 0, 40), 250);
    assert_int_equal(probe_ms(&subject, 0, 300), 300);
    assert_int_equal(probe_ms(&subject, 0, 10000), 500);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(probe_ms(&subject, i, 0),
                         i % PATIENCE_FULL_TURN_KNOWN == PATIENCE_FULL_TURN_KNOWN - 1 ? 500 : 250);
}

static void every_second_probe_of_one_that_never_answered_has_all_the_time(void **state) {
    (void)state;
    struct subject subject = {0};
    assert_int_equal(probe_ms(&subject, 0, 40), PATIENCE_LEAST_MS);
    assert_int_equal(probe_ms(&subject, 1, 40), 500);
    assert_int_equal(probe_ms(&subject, 2, 40), PATIENCE_LEAST_MS);
}

static void only_refusals_of_addresses_split_a_request(void **state) {
    (void)state;
    struct plan_request asked = request;
    for (uint16_t code = 1; code < 12; code++) {
        const struct connection_result result = {.quality = QUALITY_EXCEPTION, .detail = code, .sent = true};
        assert_int_equal(subject_lacks_registers(&asked, &result), code == 2 || code == 3);
    }
    const struct connection_result good = {.quality = QUALITY_GOOD, .detail = 2};
    assert_false(subject_lacks_registers(&asked, &good));
}

static void so_do_short_replies_that_no_whole_one_interrupts(void **state) {
    (void)state;
    const struct connection_result too_short = {.quality = QUALITY_BAD_REPLY, .sent = true, .is_short = true};
    const struct connection_result others[] = {{.quality = QUALITY_BAD_REPLY, .sent = true},
                                               {.quality = QUALITY_TIMEOUT, .sent = true},
                                               {.quality = QUALITY_NOT_CONNECTED}};
    const struct connection_result good = {.quality = QUALITY_GOOD, .sent = true};
    struct plan_request asked = request;
    for (int i = 1; i < SUBJECT_SHORT_REPLIES; i++) {
        assert_false(subject_lacks_registers(&asked, &too_short));
        assert_false(subject_lacks_registers(&asked, &others[i % 3]));
    }
    assert_false(subject_lacks_registers(&asked, &good));
    for (int i = 1; i < SUBJECT_SHORT_REPLIES; i++)
        assert_false(subject_lacks_registers(&asked, &too_short));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(subject_lacks_registers(&asked, &others[i]));
    assert_true(subject_lacks_registers(&asked, &too_short));
    assert_true(subject_lacks_registers(&asked, &too_short)); /* a part of it, which has inherited the count */
}

static void who_answers_with_less_is_alive(void **state) {
    (void)state;
    const struct connection_result too_short = {.quality = QUALITY_BAD_REPLY, .sent = true, .is_short = true};
    struct subject subject = {0};
    for (uint64_t i = 1; i < 10; i++)
        subject_note(&subject, &too_short, &bus, true, (struct subject_times){i, i * 10000000, i * 10000000 + 5000});
    assert_int_equal(health_advice(&subject.health, 100000), HEALTH_ASK);
}

static void the_dead_one_that_has_waited_longest_is_probed_first(void **state) {
    (void)state;
    struct subject subjects[3] = {0};
    assert_null(subject_next_probe(subjects, 3));
    for (int i = 1; i < 3; i++) {
        health_failed(&subjects[i].health, 1, 0, true, 10000);
        health_failed(&subjects[i].health, 2, 0, true, 20000 - i);
    }
    assert_ptr_equal(subject_next_probe(subjects, 3), &subjects[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_that_stands_still_makes_every_reading_stale),
        cmocka_unit_test(a_text_goes_with_its_place_and_the_others_stay_whole),
        cmocka_unit_test(a_heartbeat_that_cannot_be_read_is_a_stopped_one),
        cmocka_unit_test(a_lost_connection_says_nothing_of_the_heartbeat),
        cmocka_unit_test(readings_in_service_mode_are_uncertain),
        cmocka_unit_test(the_time_out_follows_the_replies),
        cmocka_unit_test(a_quick_instrument_keeps_a_part_of_what_is_configured),
        cmocka_unit_test(alone_on_its_bus_it_gets_all_the_time),
        cmocka_unit_test(after_a_time_out_it_gets_all_the_time_again),
        cmocka_unit_test(a_probe_waits_as_long_as_the_instrument_was_wont_to_need),
        cmocka_unit_test(every_second_probe_of_one_that_never_answered_has_all_the_time),
        cmocka_unit_test(only_refusals_of_addresses_split_a_request),
        cmocka_unit_test(so_do_short_replies_that_no_whole_one_interrupts),
        cmocka_unit_test(who_answers_with_less_is_alive),
        cmocka_unit_test(the_dead_one_that_has_waited_longest_is_probed_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
