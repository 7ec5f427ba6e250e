// links: store/*.c gateway/common/*.c
/* test_store_crash.c - a process killed at any moment loses nothing that it had committed, and keeps nothing twice;
 * what its full store had to thin or drop is named in loss records. ABUSE=N: so many kills instead of 30. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "store_account.h"
#include "store_trail.h"

#define KILLS 30
#define SEED 20260801
#define QUOTA_BYTES (1024 * 1024)
#define FULL_READINGS 150000 /* more than that takes */
#define STEP_READINGS_MAX 900
#define READINGS_MOST 50000000 /* some thousand kills */

/* What the child tells: how far readings are on disk, as core would tell forebay-field; or, followed by the batch, that
 * the receiver has one, of which the store does not know yet. */
struct told {
    uint64_t sequence;
    uint64_t audited; /* so far in the audit, which waits while the file is full */
    bool has_batch;
};

static void report(int pipe_end, const void *what, size_t length) {
    const uint8_t *bytes = what;
    for (size_t done = 0; done < length;) {
        const ssize_t written = write(pipe_end, bytes + done, length - done);
        if (written <= 0)
            _exit(3);
        done += (size_t)written;
    }
}

static void hand_out(struct fixture *fixture, int pipe_end) {
    static struct store_batch batch;
    const struct told told = {.has_batch = true};
    if (store_next(fixture->store, 1, UINT64_MAX, &batch, &fixture->cause) != FB_OK)
        return;
    report(pipe_end, &told, sizeof told);
    report(pipe_end, &batch, sizeof batch);
    if (store_mark_sent(fixture->store, &batch.number, 1, FIXTURE_TIME_MS, &fixture->cause) != FB_OK)
        _exit(5);
}

/* Append, commit, seal and send in odd steps until killed; more is sealed than is sent. */
static void work_until_killed(struct fixture *fixture, int pipe_end, unsigned seed) {
    fixture_open(fixture);
    if (fixture->opening.set_aside[0] != '\0')
        _exit(2);
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
    uint64_t audited = 0;
    for (;;) {
        fixture_append(fixture, 1 + (size_t)rand_r(&seed) % STEP_READINGS_MAX);
        if (!trail_add(fixture))
            _exit(4);
        fixture_commit(fixture);
        if (store_records_waiting(fixture->store) == 0)
            audited = fixture->sequence;
        const struct told told = {.sequence = fixture->sequence, .audited = audited};
        report(pipe_end, &told, sizeof told);
        if (rand_r(&seed) % 4 == 0)
            fixture_seal(fixture);
        if (rand_r(&seed) % 10 == 0)
            hand_out(fixture, pipe_end);
    }
}

static bool receive(int pipe_end, void *ret_what, size_t length) {
    uint8_t *bytes = ret_what;
    for (size_t done = 0; done < length;) {
        const ssize_t got = read(pipe_end, bytes + done, length - done);
        if (got <= 0)
            return false; /* what the kill cut off was not told */
        done += (size_t)got;
    }
    return true;
}

/* The next, or all that there are until the child has ended; last: what was told before. */
static void take_told(int pipe_end, struct account *account, struct told *last, bool all) {
    static struct store_batch batch;
    struct told told;
    do {
        if (!receive(pipe_end, &told, sizeof told))
            break;
        if (!told.has_batch)
            *last = told;
        else if (receive(pipe_end, &batch, sizeof batch))
            account_take(account, &batch);
    } while (all);
}

/* It works without waiting for anybody; the kill comes so many microseconds after its first commit. */
static void run_and_kill(struct fixture *fixture, struct account *account, unsigned seed, long after_us,
                         struct told *last) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        work_until_killed(fixture, ends[1], seed);
    }
    close(ends[1]);
    take_told(ends[0], account, last, false);
    const int64_t until_us = clock_monotonic_us() + after_us;
    struct pollfd pipe_end = {.fd = ends[0], .events = POLLIN};
    for (int64_t left_us; (left_us = until_us - clock_monotonic_us()) > 0;)
        if (poll(&pipe_end, 1, (int)(left_us / 1000)) > 0)
            take_told(ends[0], account, last, false);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    take_told(ends[0], account, last, true);
    close(ends[0]);
}

static unsigned kills(void) {
    const char *wanted = getenv("ABUSE");
    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : KILLS;
}

/* So that batches are thinned and dropped from the first kill on. */
static void make_full(struct fixture *fixture) {
    fixture_open(fixture);
    while (fixture->sequence < FULL_READINGS)
        fixture_batch_of(fixture, 400 + fixture->sequence % 5000);
    fixture_close(fixture);
}

static void what_was_committed_is_there_once_after_many_kills(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    unsigned seed = SEED;
    fixture->quota_bytes = QUOTA_BYTES;
    make_full(fixture);
    struct told told = {.sequence = fixture->sequence};
    struct account account = account_make("after the kills", READINGS_MOST);
    for (unsigned i = 0; i < kills(); i++) {
        run_and_kill(fixture, &account, SEED + i, (long)(rand_r(&seed) % 40000), &told);
        fixture_open(fixture);
        assert_string_equal(fixture->opening.set_aside, "");
        /* One commit may have been on disk before it could be reported. */
        fixture->sequence = store_committed_cursor(fixture->store).sequence;
        assert_in_range(fixture->sequence, told.sequence, told.sequence + STEP_READINGS_MAX);
        assert_in_range(trail_check(fixture, "after a kill"), told.audited, fixture->sequence);
        fixture_close(fixture);
    }
    fixture_open(fixture);
    store_figures(fixture->store, &figures);
    assert_in_range(figures.lost_readings, 1, fixture->sequence);
    account_take_all(&account, fixture);
    account_check(&account, fixture->sequence);
    print_message("           %u kills: %llu readings, of which %llu came and the others are named as lost\n", kills(),
                  (unsigned long long)fixture->sequence, (unsigned long long)account.readings);
    account_done(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_committed_is_there_once_after_many_kills, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
