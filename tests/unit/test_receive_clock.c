// links: gateway/receive/receiver.c gateway/receive/keep.c gateway/receive/ledger.c gateway/receive/ledger_json.c gateway/receive/lines.c gateway/receive/names.c gateway/receive/sink.c gateway/common/hex.c store/batch*.c store/catalogue.c gateway/common/error.c gateway/common/file.c gateway/common/quality.c gateway/common/reading.c gateway/receive/event.c gateway/common/number_text.c
/* test_receive_clock.c - readings from before the clock was set get their true times as soon as a batch has told them,
 * over a restart of the receiver, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/common/quality.h"
#include "gateway/receive/receiver.h"
#include "store/batch_correct.h"

#define TRUE_MS INT64_C(1795293190000)
#define OUTPUT_BYTES_MAX 65536

static char folder[64], state_folder[96], output[96];
static struct receiver *receiver;

static void open_receiver(void) {
    const struct receiver_settings settings = {.folder = state_folder, .output = output, .format = LINES_CSV};
    struct fb_cause cause;
    if (receiver_open(&settings, &receiver, &cause) != FB_OK)
        fail_msg("%s", cause.text);
}

static struct batch_info info;

/* info, with one reading of the second at_ms of a clock that began at 0. */
static void take_info(int64_t at_ms, struct receiver_result *ret_result) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    size_t length;
    struct fb_cause cause;
    const struct reading reading = reading_integer(1, at_ms, QUALITY_CLOCK_NOT_SET, (int64_t)info.number);
    if (info.number > 1)
        info.previous[0] = 1; /* only neighbours are compared, and none are given */
    assert_int_equal(batch_encode(&info, &reading, 1, bytes, &length, &cause), FB_OK);
    assert_int_equal(receiver_take(receiver, "batch", bytes, length, ret_result, &cause), FB_OK);
    assert_int_equal(ret_result->verdict, RECEIVER_ACCEPT);
    assert_int_equal(receiver_commit(receiver, &cause), FB_OK);
}

/* With or without what is known of the clock later. */
static void take(uint64_t number, int64_t at_ms, bool corrects, struct receiver_result *ret_result) {
    info = (struct batch_info){.gateway = "works-1", .store_id = {7}, .number = number, .correction_count = corrects};
    info.corrections[0] = (struct batch_correction){
        .first_batch = 2, .last_batch = number, .from_ms = 0, .to_ms = 60000, .right_ms = TRUE_MS};
    take_info(at_ms, ret_result);
}

static bool has_line(const char *text) {
    char *data = NULL;
    size_t length;
    assert_int_equal(file_read(output, OUTPUT_BYTES_MAX, &data, &length, NULL), FB_OK);
    const bool found = strstr(data, text) != NULL;
    free(data);
    return found;
}

static void late_batches_get_true_times_and_the_log_tells(void **state) {
    (void)state;
    struct receiver_result result;
    open_receiver();
    take(9, 5000, true, &result);
    assert_non_null(strstr(result.why.text, "corrects times"));
    assert_true(has_line(",1795293195000,9,"));
    take(2, 1000, false, &result);
    assert_true(has_line(",1795293191000,2,"));
    receiver_close(receiver);
    open_receiver();
    take(5, 2000, false, &result);
    assert_true(has_line(",1795293192000,5,"));
    take(7, 60001, false, &result); /* another clock's reading */
    assert_true(has_line(",60001,7,"));
    take(11, 3000, false, &result); /* another start of the machine */
    assert_true(has_line(",3000,11,"));
    receiver_close(receiver);
}

static void what_a_new_store_tells_of_the_one_set_aside_corrects_its_batches(void **state) {
    (void)state;
    struct receiver_result result;
    open_receiver();
    info = (struct batch_info){.gateway = "works-1", .store_id = {8}, .number = 3, .correction_count = 1};
    info.corrections[0] = (struct batch_correction){2, 900, 0, 60000, TRUE_MS, {7}};
    take_info(4000, &result); /* its own clock was never known */
    assert_true(has_line(",4000,3,"));
    receiver_close(receiver);
    open_receiver();
    take(900, 5000, false, &result);
    assert_true(has_line(",1795293195000,900,"));
    take(901, 6000, false, &result);
    assert_true(has_line(",6000,901,"));
    receiver_close(receiver);
}

/* Of two records, for a batch of a store whose identity is all 0. */
static int64_t true_ms(const struct batch_correction records[2], uint64_t number, int64_t time_ms) {
    static const uint8_t id[BATCH_STORE_ID_BYTES];
    const struct batch_place place = {id, number, time_ms};
    return batch_true_ms(records, 2, &place);
}

static void a_record_of_another_store_says_nothing_of_this_one(void **state) {
    (void)state;
    static const struct batch_correction records[] = {{1, 4, 100, 200, 1100, {1}}, {3, 9, 100, 300, 5100}};
    assert_int_equal(true_ms(records, 2, 150), 150);
    assert_int_equal(true_ms(records, 4, 200), 5200);
}

static void the_first_record_that_fits_counts(void **state) {
    (void)state;
    static const struct batch_correction records[] = {{1, 4, 100, 200, 1100}, {3, 9, 100, 300, 5100}};
    assert_int_equal(true_ms(records, 2, 150), 1150);
    assert_int_equal(true_ms(records, 4, 200), 1200);
    assert_int_equal(true_ms(records, 4, 201), 5201);
    assert_int_equal(true_ms(records, 9, 100), 5100);
    assert_int_equal(true_ms(records, 10, 100), 100);
    assert_int_equal(true_ms(records, 3, 99), 99);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_receive.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(state_folder, sizeof state_folder, "%s/state", folder);
    snprintf(output, sizeof output, "%s/out.csv", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(late_batches_get_true_times_and_the_log_tells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_new_store_tells_of_the_one_set_aside_corrects_its_batches, set_up,
                                        tear_down),
        cmocka_unit_test(the_first_record_that_fits_counts),
        cmocka_unit_test(a_record_of_another_store_says_nothing_of_this_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
