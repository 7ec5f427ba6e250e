// links: store/*.c gateway/common/*.c
/* test_store_crash.c - a process killed at any moment loses nothing that it had committed, and keeps nothing twice.
 * ABUSE=N: so many kills instead of 30. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"
#include "store_trail.h"

#define KILLS 30
#define SEED 20260801

/* Say which sequence is on disk, as core would to forebay-field. */
static void report(int pipe_end, uint64_t sequence) {
    if (write(pipe_end, &sequence, sizeof sequence) != sizeof sequence)
        _exit(3);
}

/* Append, commit and seal in odd steps until killed. */
static void work_until_killed(struct fixture *fixture, int pipe_end, unsigned seed) {
    fixture_open(fixture);
    if (fixture->opening.set_aside[0] != '\0')
        _exit(2);
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
    for (;;) {
        fixture_append(fixture, 1 + (size_t)rand_r(&seed) % 300);
        if (!trail_add(fixture))
            _exit(4);
        fixture_commit(fixture);
        report(pipe_end, fixture->sequence);
        if (rand_r(&seed) % 4 == 0)
            fixture_seal(fixture);
    }
}

static uint64_t last_reported(int pipe_end, uint64_t before) {
    uint64_t sequence, last = before;
    while (read(pipe_end, &sequence, sizeof sequence) == sizeof sequence)
        last = sequence;
    return last;
}

/* Kill it so many microseconds after its first commit; the last sequence that it said was on disk is returned. */
static uint64_t run_and_kill(struct fixture *fixture, unsigned seed, long after_us, uint64_t before) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        work_until_killed(fixture, ends[1], seed);
    }
    close(ends[1]);
    uint64_t first;
    assert_int_equal(read(ends[0], &first, sizeof first), sizeof first);
    const struct timespec wait = {.tv_nsec = after_us * 1000};
    nanosleep(&wait, NULL); /* the moment of the kill, not time given to anything */
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    const uint64_t last = last_reported(ends[0], first > before ? first : before);
    close(ends[0]);
    return last;
}

static unsigned kills(void) {
    const char *wanted = getenv("ABUSE");
    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : KILLS;
}

static void what_was_committed_is_there_once_after_many_kills(void **state) {
    struct fixture *fixture = *state;
    unsigned seed = SEED;
    uint64_t reported = 0;
    for (unsigned i = 0; i < kills(); i++) {
        reported = run_and_kill(fixture, SEED + i, (long)(rand_r(&seed) % 40000), reported);
        fixture_open(fixture);
        assert_string_equal(fixture->opening.set_aside, "");
        /* One commit may have been on disk before it could be reported. */
        assert_in_range(store_committed_cursor(fixture->store).sequence, reported, reported + 300);
        assert_int_equal(trail_check(fixture, "after a kill"), store_committed_cursor(fixture->store).sequence);
        fixture_close(fixture);
    }
    fixture_open(fixture);
    const uint64_t committed = store_committed_cursor(fixture->store).sequence;
    fixture_seal(fixture);
    const uint64_t batches = store_last_number(fixture->store);
    struct fixture_harvest harvest = fixture_harvest(fixture, committed + 1);
    for (size_t n = 1; n <= committed; n++)
        if (harvest.seen[n] != 1)
            fail_msg("seed %d: reading %zu came %u times", SEED, n, harvest.seen[n]);
    assert_int_equal(harvest.readings, committed);
    assert_int_equal(harvest.batches, batches); /* 1, 2, 3 ... without a gap, so the chain was checked at each */
    assert_int_equal(harvest.lost, 0);
    free(harvest.seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_committed_is_there_once_after_many_kills, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
