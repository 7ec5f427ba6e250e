// links: drivers/recorder.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/recorder.h"

#define HEADER_BYTES 16

static struct recorder *recorder;
static struct recorder_cut cut;

static int set_up(void **state) {
    (void)state;
    return recorder_new(&recorder) == FB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    recorder_use(NULL);
    recorder_free(recorder);
    return 0;
}

static void frames_come_back_in_order_and_whole(void **state) {
    (void)state;
    struct recorder_frame frame;
    recorder_add(recorder, 5, RECORDER_OUT, "ask", 3);
    recorder_add(recorder, 7, RECORDER_IN, "answer", 6);
    recorder_read(recorder, 0, &cut);
    assert_true(recorder_next(&cut, &frame));
    assert_int_equal(frame.time_us, 5);
    assert_int_equal(frame.direction, RECORDER_OUT);
    assert_memory_equal(frame.bytes, "ask", 3);
    assert_true(recorder_next(&cut, &frame));
    assert_int_equal(frame.direction, RECORDER_IN);
    assert_int_equal(frame.length, 6);
    assert_false(recorder_next(&cut, &frame));
}

static void reading_goes_on_where_it_stopped(void **state) {
    (void)state;
    struct recorder_frame frame;
    recorder_add(recorder, 1, RECORDER_OUT, "one", 3);
    recorder_read(recorder, 0, &cut);
    const uint64_t next = cut.next;
    recorder_read(recorder, next, &cut);
    assert_false(recorder_next(&cut, &frame));
    recorder_add(recorder, 2, RECORDER_OUT, "two", 3);
    recorder_read(recorder, next, &cut);
    assert_true(recorder_next(&cut, &frame));
    assert_memory_equal(frame.bytes, "two", 3);
    assert_int_equal(cut.lost, 0);
}

static void what_was_overwritten_is_counted(void **state) {
    (void)state;
    struct recorder_frame frame;
    uint8_t bytes[300];
    recorder_add(recorder, 0, RECORDER_OUT, "first", 5);
    recorder_read(recorder, 0, &cut);
    const uint64_t next = cut.next;
    for (int i = 1; i <= 1000; i++) {
        memset(bytes, i & 0xff, sizeof bytes);
        recorder_add(recorder, i, RECORDER_IN, bytes, (size_t)(1 + i % 300));
    }
    recorder_read(recorder, next, &cut);
    assert_true(cut.lost > 0);
    int64_t last = 0;
    size_t kept = 0;
    while (recorder_next(&cut, &frame)) {
        assert_true(last == 0 || frame.time_us == last + 1);
        last = frame.time_us;
        assert_int_equal(frame.length, 1 + last % 300);
        assert_int_equal(frame.bytes[frame.length - 1], last & 0xff);
        kept += frame.length + HEADER_BYTES;
    }
    assert_int_equal(last, 1000);
    assert_true(kept > RECORDER_RING_BYTES - 512);
}

static void a_frame_too_long_is_cut(void **state) {
    (void)state;
    struct recorder_frame frame;
    static const uint8_t bytes[RECORDER_FRAME_BYTES_MAX + 100];
    recorder_add(recorder, 1, RECORDER_IN, bytes, sizeof bytes);
    recorder_read(recorder, 0, &cut);
    assert_true(recorder_next(&cut, &frame));
    assert_int_equal(frame.length, RECORDER_FRAME_BYTES_MAX);
}

static void nonsense_in_the_ring_ends_the_reading(void **state) {
    (void)state;
    struct recorder_frame frame;
    recorder_add(recorder, 1, RECORDER_IN, "abc", 3);
    recorder_read(recorder, 0, &cut);
    cut.bytes[8] = 0xff; /* its length */
    assert_false(recorder_next(&cut, &frame));
    recorder_read(recorder, 3, &cut); /* no frame begins there */
    while (recorder_next(&cut, &frame))
        assert_true(frame.length <= RECORDER_FRAME_BYTES_MAX);
}

static void a_worker_leaves_its_last_frames_behind(void **state) {
    (void)state;
    struct recorder_frame frame;
    recorder_share(recorder, true);
    const pid_t child = fork();
    if (child == 0) {
        recorder_use(recorder);
        recorder_note(RECORDER_OUT, "last words", 10);
        _exit(0);
    }
    recorder_share(recorder, false);
    assert_int_equal(waitpid(child, NULL, 0), child);
    recorder_read(recorder, 0, &cut);
    assert_true(recorder_next(&cut, &frame));
    assert_memory_equal(frame.bytes, "last words", 10);
}

static void turns_count_beside_the_frames(void **state) {
    (void)state;
    recorder_turn(); /* nobody's */
    assert_int_equal(recorder_turns(recorder), 0);
    recorder_use(recorder);
    recorder_turn();
    recorder_turn();
    assert_int_equal(recorder_turns(recorder), 2);
    assert_int_equal(recorder_position(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_come_back_in_order_and_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_goes_on_where_it_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_overwritten_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_too_long_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_in_the_ring_ends_the_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_leaves_its_last_frames_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_count_beside_the_frames, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
