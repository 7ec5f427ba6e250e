// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c tests/unit/power_log.c
/* test_store_power.c - whenever the power goes, and whatever of the writes since the last fsync has reached the disk,
 * the store opens, and every reading that was committed is there once or named in a loss record, and the audit ends
 * with the last commit. ABUSE=N: so many cuts instead of 60. */
#include "fault_vfs.h"
#include "power_log.h"
#include "store_account.h"
#include "store_trail.h"

#define CUTS 60
#define SEED 20261121
#define QUOTA_BYTES (1024 * 1024)
#define STEPS 300
#define STEP_READINGS_MAX 900
#define MOST (STEPS * STEP_READINGS_MAX)
#define HANDED_MAX 512

/* What the outside knew at a moment of the log. */
struct known {
    size_t moment;
    uint64_t committed; /* of what core has told forebay-field */
    size_t handed;      /* batches that the receiver has */
};

struct work {
    struct fixture *fixture;
    struct known known[2 * STEPS + 1];
    size_t known_count;
    struct store_batch *handed; /* HANDED_MAX */
    size_t handed_count;
    uint64_t committed;
};

static void note(struct work *work) {
    work->known[work->known_count++] = (struct known){.moment = power_log_moments(),
                                                      .committed = work->committed,

                                                      .handed = work->handed_count};
}

static void hand_out(struct work *work) {
    struct fixture *fixture = work->fixture;
    struct store_batch *batch = &work->handed[work->handed_count];
    if (work->handed_count == HANDED_MAX || store_next(fixture->store, 1, UINT64_MAX, batch, &fixture->cause) != FB_OK)
        return;
    work->handed_count++;
    note(work); /* the receiver has it before the store knows */
    assert_int_equal(store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, &fixture->cause), FB_OK);
}

/* More is sealed than is sent, so that batches give way unsent, too. */
static void work_on(struct work *work, unsigned seed) {
    for (size_t i = 0; i < STEPS; i++) {
        fixture_append(work->fixture, 1 + (size_t)rand_r(&seed) % STEP_READINGS_MAX);
        assert_true(trail_add(work->fixture));
        fixture_commit(work->fixture);
        work->committed = work->fixture->sequence;
        note(work);
        if (rand_r(&seed) % 4 == 0)
            fixture_seal(work->fixture);
        if (rand_r(&seed) % 10 == 0)
            hand_out(work);
    }
}

static const struct known *known_before(const struct work *work, size_t moment) {
    const struct known *known = &work->known[0];
    for (size_t i = 0; i < work->known_count && work->known[i].moment <= moment; i++)
        known = &work->known[i];
    return known;
}

static void check_cut(const struct work *work, struct fixture *after, size_t moment, unsigned seed) {
    char label[64];
    snprintf(label, sizeof label, "seed %u, cut after %zu", seed, moment);
    const struct known *known = known_before(work, moment);
    struct account account = account_make(label, MOST);
    for (size_t i = 0; i < known->handed; i++)
        account_take(&account, &work->handed[i]);
    power_log_cut(moment, seed, after->path);
    fixture_open(after);
    if (after->opening.set_aside[0] != '\0')
        fail_msg("%s: set aside: %s", label, after->opening.reason);
    after->sequence = store_committed_cursor(after->store).sequence;
    if (after->sequence < known->committed)
        fail_msg("%s: %llu were promised, %llu are there", label, (unsigned long long)known->committed,
                 (unsigned long long)after->sequence);
    if (trail_check(after, label) != after->sequence) /* they were committed together */
        fail_msg("%s: the audit does not end with the last commit", label);
    account_take_all(&account, after);
    account_check(&account, after->sequence);
    fixture_close(after);
    account_done(&account);
}

static unsigned cuts(void) {
    const char *wanted = getenv("ABUSE");
    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : CUTS;
}

static void every_committed_reading_survives_power_cuts(void **state) {
    struct fixture *fixture = *state;
    struct fixture after = *fixture;
    static struct work work;
    work.fixture = fixture;
    work.handed = calloc(HANDED_MAX, sizeof *work.handed);
    snprintf(after.path, sizeof after.path, "%s/after.db", fixture->folder);
    after.instrument.tags = after.tags;
    after.plant.instruments = &after.instrument;
    fixture_open(fixture);
    power_log_start(fixture->path);
    note(&work);
    work_on(&work, SEED);
    fixture_close(fixture);
    const size_t moments = power_log_moments();
    fault_vfs_observe(NULL);
    unsigned seed = SEED;
    for (unsigned i = 0; i < cuts(); i++) {
        const size_t moment = (size_t)rand_r(&seed) % (moments + 1);
        check_cut(&work, &after, moment, seed);
    }
    print_message("           %u cuts in %zu writes, truncations and fsyncs\n", cuts(), moments);
    power_log_stop();
    free(work.handed);
}

static int set_up(void **state) {
    fault_vfs_install();
    if (account_setup(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    fixture->quota_bytes = QUOTA_BYTES;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_committed_reading_survives_power_cuts, set_up, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
