// links: store/*.c gateway/common/*.c
/* test_store_any_page.c - a bit turns over in a page of the file, in each in turn, while the gateway is off: the store
 * goes on, at once or after the restart that its damage asks for, and each reading comes, or is told as lost. */
#include <fcntl.h>
#include <sys/stat.h>

#include "gateway/common/file.h"
#include "store/store_salvage.h"
#include "store_account.h"
#include "store_trail.h"

#define PAGE_BYTES 4096
#define BATCHES 20
#define SENT 5
#define READINGS 600 /* a batch */
#define TAIL 1000    /* several pages */
#define FRESH 100
#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define OPENINGS_MOST 4 /* damage is believed when it was met twice, or found */

struct original {
    char *bytes;
    size_t length;
};

/* All kinds of pages: history, unsent batches, a tail, losses, an audit. */
static struct original make_original(struct fixture *fixture) {
    struct original original;
    fixture_open(fixture);
    for (uint64_t number = 1; number <= BATCHES; number++) {
        for (size_t i = 0; i < 5; i++)
            assert_true(trail_add(fixture));
        fixture_batch_of(fixture, READINGS);
        if (number <= SENT)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    fixture_append(fixture, TAIL);
    fixture_commit(fixture);
    fixture_close(fixture);
    assert_int_equal(file_read(fixture->path, FILE_BYTES_MAX, &original.bytes, &original.length, NULL), FB_OK);
    return original;
}

static void put_back(const struct fixture *fixture, const struct original *original, size_t flipped) {
    char command[160];
    snprintf(command, sizeof command, "rm -f '%s'*", fixture->path);
    assert_int_equal(system(command), 0);
    original->bytes[flipped] ^= 0x10;
    assert_int_equal(file_write(fixture->path, original->bytes, original->length, 0600, NULL), FB_OK);
    original->bytes[flipped] ^= 0x10;
}

struct outcome {
    uint8_t *seen;       /* by n, as fixture_reading() counts */
    uint64_t told;       /* as lost */
    bool told_uncounted; /* a loss of nobody knows how many */
    size_t openings;
    bool set_aside, inherited;
};

static enum fb_error take_unsent(struct fixture *fixture, struct outcome *outcome) {
    static struct store_batch batch;
    static struct batch_info info;
    enum fb_error error;
    while ((error = store_next(fixture->store, 1, UINT64_MAX, &batch, &fixture->cause)) == FB_OK) {
        struct reading *readings = NULL;
        size_t count;
        assert_int_equal(batch_decode(batch.bytes, batch.length, &info, &readings, &count, NULL), FB_OK);
        error = store_mark_sent(fixture->store, &batch.number, 1, FIXTURE_TIME_MS, &fixture->cause);
        for (size_t i = 0; i < count && error == FB_OK; i++)
            outcome->seen[readings[i].time_ms - FIXTURE_TIME_MS]++;
        for (size_t i = 0; i < info.loss_count && error == FB_OK; i++) {
            outcome->told += info.losses[i].readings;
            outcome->told_uncounted |= info.losses[i].readings == 0;
        }
        free(readings);
        if (error != FB_OK)
            return error;
    }
    return error == FB_NOT_FOUND ? FB_OK : error;
}

static enum fb_error salvage(struct fixture *fixture) {
    char path[1024];
    struct store_salvage *salvage;
    bool done = false;
    while (store_salvage_unfinished(fixture->store, path, sizeof path, &fixture->cause) == FB_OK) {
        enum fb_error error =
            store_salvage_begin(fixture->store, path, STORE_SALVAGE_UNSENT, fixture->key, &salvage, &fixture->cause);
        if (error != FB_OK)
            return store_salvage_give_up(fixture->store, path, &fixture->cause);
        while (error == FB_OK && !done)
            error = store_salvage_step(salvage, 1000, &done, &fixture->cause);
        store_salvage_end(salvage);
        if (error != FB_OK)
            return error;
    }
    return FB_OK;
}

/* A beat of core's: what fails with damage ends the run. */
static enum fb_error work(struct fixture *fixture, struct outcome *outcome) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence};
    size_t sealed = 1;
    enum fb_error error = salvage(fixture);
    if (error == FB_OK && !trail_add(fixture))
        error = FB_FULL;
    if (error == FB_OK)
        error = store_commit(fixture->store, cursor, &fixture->cause);
    while (error == FB_OK && sealed > 0) {
        error = store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause);
        if (error == FB_OK)
            error = take_unsent(fixture, outcome);
    }
    return error;
}

/* As core and its supervisor do. Readings that were not committed are given again, as forebay-field does. */
static struct outcome run(struct fixture *fixture, size_t page) {
    struct outcome outcome = {.seen = calloc(fixture->sequence + FRESH + 2, 1)};
    enum fb_error error = FB_CORRUPT;
    const uint64_t last = fixture->sequence + FRESH;
    while (error == FB_CORRUPT && outcome.openings < OPENINGS_MOST) {
        fixture_open(fixture);
        outcome.openings++;
        outcome.set_aside |= fixture->opening.set_aside[0] != '\0';
        outcome.inherited |= fixture->opening.inherited;
        fixture->sequence = store_committed_cursor(fixture->store).sequence;
        if (fixture->sequence < last - FRESH)
            fixture->sequence = last - FRESH;
        fixture_append(fixture, last - fixture->sequence);
        error = work(fixture, &outcome);
        fixture_close(fixture);
    }
    if (error != FB_OK)
        fail_msg("page %zu: after %zu openings: %s", page, outcome.openings, fixture->cause.text);
    return outcome;
}

static void whatever_page_is_hit_the_store_goes_on_and_tells(void **state) {
    struct fixture *fixture = *state;
    struct original original = make_original(fixture);
    const uint64_t last = fixture->sequence;
    const size_t pages = original.length / PAGE_BYTES;
    size_t aside = 0, restarts = 0, losing = 0, blind = 0;
    for (size_t page = 0; page < pages; page++) {
        put_back(fixture, &original, page * PAGE_BYTES + 1234);
        fixture->sequence = last;
        struct outcome outcome = run(fixture, page);
        uint64_t missing = 0;
        for (uint64_t n = SENT * READINGS + 1; n <= fixture->sequence; n++) {
            if (outcome.seen[n] > 1 && !outcome.set_aside)
                fail_msg("page %zu: reading %llu came twice", page, (unsigned long long)n);
            missing += outcome.seen[n] == 0;
        }
        for (uint64_t n = last + 1; n <= fixture->sequence; n++)
            if (outcome.seen[n] == 0)
                fail_msg("page %zu: reading %llu, which came later, is not there", page, (unsigned long long)n);
        const bool is_blind = outcome.set_aside && !outcome.inherited;
        if (missing > outcome.told && !outcome.told_uncounted && !is_blind)
            fail_msg("page %zu: %llu missing, %llu told", page, (unsigned long long)missing,
                     (unsigned long long)outcome.told);
        aside += outcome.set_aside;
        restarts += outcome.openings - 1;
        losing += missing > 0;
        blind += is_blind;
        free(outcome.seen);
    }
    print_message("%zu pages: %zu times set aside, %zu restarts, %zu times something lost, %zu times blindly\n", pages,
                  aside, restarts, losing, blind);
    assert_in_range(losing, BATCHES - SENT, pages - 1);
    assert_in_range(aside, 1, pages / 2);
    assert_in_range(blind, 0, 4);
    free(original.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_page_is_hit_the_store_goes_on_and_tells, account_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
