// links: store/*.c gateway/common/*.c
/* test_store_aside.c - a store is set aside and a new one takes its place: cut off at any step, or failing at any, all
 * that was committed is there once. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gateway/common/file.h"
#include "store/store_salvage.h"
#include "store_fixture.h"

#define BATCHES 8
#define READINGS 300
#define TAIL 40
#define ALL (BATCHES * READINGS + TAIL)
#define STEPS_MOST 500

/* These stand before the C library's: before its trouble_at-th step that reaches the disk the process dies, or the step
 * fails. */
static unsigned steps_on_disk, trouble_at;
static bool steps_fail;

static bool step_on_disk(void) {
    if (++steps_on_disk != trouble_at)
        return true;
    if (!steps_fail)
        raise(SIGKILL);
    errno = ENOSPC;
    return false;
}

int rename(const char *from, const char *to) {
    return step_on_disk() ? renameat(AT_FDCWD, from, AT_FDCWD, to) : -1;
}

int unlink(const char *path) {
    return step_on_disk() ? unlinkat(AT_FDCWD, path, 0) : -1;
}

int link(const char *from, const char *to) {
    return step_on_disk() ? linkat(AT_FDCWD, from, AT_FDCWD, to, 0) : -1;
}

int fsync(int descriptor) {
    return step_on_disk() ? (int)syscall(SYS_fsync, descriptor) : -1;
}

int fdatasync(int descriptor) {
    return step_on_disk() ? (int)syscall(SYS_fsync, descriptor) : -1;
}

static void run(const struct fixture *fixture, const char *commands) {
    char text[512];
    snprintf(text, sizeof text, "cd '%s' && %s", fixture->folder, commands);
    assert_int_equal(system(text), 0);
}

/* As a killed process leaves it: the newest batches and the tail stand in the log alone. Kept beside, to begin anew. */
static void make_damaged_store(struct fixture *fixture) {
    fixture_open(fixture);
    for (size_t i = 0; i < BATCHES; i++)
        fixture_batch_of(fixture, READINGS);
    fixture_append(fixture, TAIL);
    fixture_commit(fixture);
    run(fixture, "mkdir kept && cp store.db store.db-wal kept/");
    fixture_close(fixture);
    run(fixture, "printf 'damaged: as the test says\\ntwice\\n' > kept/store.db.failed");
}

static void begin_anew(struct fixture *fixture) {
    run(fixture, "rm -f store.db* && cp kept/* .");
}

static void salvage_what_waits(struct fixture *fixture) {
    char path[1024];
    struct store_salvage *salvage;
    bool done = false;
    assert_int_equal(store_salvage_unfinished(fixture->store, path, sizeof path, NULL), FB_OK);
    if (store_salvage_begin(fixture->store, path, STORE_SALVAGE_UNSENT, fixture->key, &salvage, &fixture->cause) !=
        FB_OK)
        fail_msg("%s", fixture->cause.text);
    while (!done)
        assert_int_equal(store_salvage_step(salvage, 10000, &done, &fixture->cause), FB_OK);
    store_salvage_end(salvage);
}

/* After whatever happened, the store opens, and each reading comes once, be it from the new one's tail. */
static void assert_all_there(struct fixture *fixture, unsigned at) {
    uint8_t seen[ALL + 1] = {0};
    struct store_batch *batch = malloc(sizeof *batch);
    struct batch_info *info = malloc(sizeof *info);
    steps_on_disk = trouble_at = 0;
    fixture_open(fixture);
    salvage_what_waits(fixture);
    fixture_seal(fixture);
    while (store_next(fixture->store, 1, UINT64_MAX, batch, &fixture->cause) == FB_OK) {
        struct reading *readings;
        size_t units;
        assert_int_equal(batch_decode(batch->bytes, batch->length, info, &readings, &units, NULL), FB_OK);
        for (size_t i = 0; i < units; i++)
            seen[readings[i].time_ms - FIXTURE_TIME_MS]++;
        free(readings);
        assert_int_equal(info->loss_count, 0);
        assert_int_equal(store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    for (size_t n = 1; n <= ALL; n++)
        if (seen[n] != 1)
            fail_msg("step %u: reading %zu came %d times", at, n, seen[n]);
    fixture_close(fixture);
    free(info);
    free(batch);
}

/* Whether it came that far. */
static bool dies(struct fixture *fixture, unsigned at) {
    const pid_t child = fork();
    if (child == 0) {
        steps_on_disk = 0;
        trouble_at = at;
        _exit(fixture_try_open(fixture) == FB_OK ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void killed_at_each_step_all_is_there_once(void **state) {
    struct fixture *fixture = *state;
    unsigned at = 1;
    make_damaged_store(fixture);
    for (begin_anew(fixture); dies(fixture, at); at++) {
        assert_in_range(at, 1, STEPS_MOST);
        assert_all_there(fixture, at);
        begin_anew(fixture);
    }
    assert_in_range(at, 8, STEPS_MOST);
    assert_all_there(fixture, at);
}

/* What fails is tried again by the next start; what could not be kept is never left behind for that. */
static void failing_at_each_step_all_is_there_once(void **state) {
    struct fixture *fixture = *state;
    unsigned at = 0, failed = 0;
    make_damaged_store(fixture);
    do {
        begin_anew(fixture);
        steps_on_disk = 0;
        steps_fail = true;
        trouble_at = ++at;
        assert_in_range(at, 1, STEPS_MOST);
        if (fixture_try_open(fixture) == FB_OK)
            fixture_close(fixture);
        else
            failed++;
        steps_fail = false;
        const bool was_reached = steps_on_disk >= at;
        assert_all_there(fixture, at);
        if (!was_reached)
            break;
    } while (true);
    assert_in_range(failed, 3, at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_each_step_all_is_there_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failing_at_each_step_all_is_there_once, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
