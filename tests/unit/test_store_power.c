// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c tests/unit/power_log.c
/* test_store_power.c - whenever the power goes, and whatever of the writes since the last fsync has reached the disk,
 * the store opens, and every reading that was committed is there once or named in a loss record, and the audit ends
 * with the last commit; also while the key is changed, with the old key or the next. ABUSE=N: so many cuts instead of
 * 60. */
#include "fault_vfs.h"
#include "power_log.h"
#include "store/store_rekey.h"
#include "store_account.h"
#include "store_trail.h"

#define CUTS 60
#define SEED 20261121
#define QUOTA_BYTES (1024 * 1024)
#define STEPS 300
#define STEP_READINGS_MAX 900
#define MOST (STEPS * STEP_READINGS_MAX)
#define HANDED_MAX 512
#define SWITCHES_MAX STEPS
#define AFTERMATH 8 /* moments, up to which something may still have to reach the disk */
/* So much that a slice ends by its bytes, the same in each run. */
#define SLICE_US 1000000

/* What the outside knew at a moment of the log. */
struct known {
    size_t moment;
    uint64_t committed; /* of what core has told forebay-field */
    size_t handed;      /* batches that the receiver has */
    unsigned key;       /* which is the right one, or perhaps the next */
    bool has_next;
};

/* From here to there in the log a copy under another key takes the store's place. */
struct change_over {
    size_t from, to;
};

struct work {
    struct fixture *fixture;
    struct known known[4 * STEPS + 1];
    size_t known_count;
    struct store_batch *handed; /* HANDED_MAX */
    size_t handed_count;
    uint64_t committed;
    bool changes_keys;
    struct store_rekey *rekey; /* under way */
    bool copied;
    unsigned key; /* the present one */
    struct change_over change_overs[SWITCHES_MAX];
    size_t change_over_count;
};

static void note(struct work *work) {
    work->known[work->known_count++] = (struct known){.moment = power_log_moments(),
                                                      .committed = work->committed,
                                                      .handed = work->handed_count,
                                                      .key = work->key,
                                                      .has_next = work->rekey != NULL};
}

static void key_of(unsigned number, uint8_t ret_key[static STORE_KEY_BYTES]) {
    memset(ret_key, 0x42 + (int)number % 100, STORE_KEY_BYTES);
}

/* As core does: the next key is on disk before the copy is begun, and takes the present one's place once the copy has
 * the store's. */
static void change_over(struct work *work, const uint8_t *next) {
    struct fixture *fixture = work->fixture;
    struct change_over *change_over = &work->change_overs[work->change_over_count++];
    change_over->from = power_log_moments();
    if (store_rekey_switch(work->rekey, next, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    change_over->to = power_log_moments();
    work->key++;
    while (!store_rekey_clear(work->rekey, 0)) {
    }
    store_rekey_end(work->rekey);
    work->rekey = NULL;
    work->copied = false;
    note(work);
}

static void change_key(struct work *work) {
    struct fixture *fixture = work->fixture;
    uint8_t next[STORE_KEY_BYTES];
    key_of(work->key + 1, next);
    if (work->copied) {
        change_over(work, next);
    } else if (work->rekey == NULL) {
        assert_int_equal(store_rekey_begin(fixture->store, next, &work->rekey, &fixture->cause), FB_OK);
        note(work);
    } else {
        assert_int_equal(store_rekey_step(work->rekey, SLICE_US, &work->copied, &fixture->cause), FB_OK);
    }
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
        if (work->changes_keys && rand_r(&seed) % 3 == 0)
            change_key(work);
    }
}

static const struct known *known_before(const struct work *work, size_t moment) {
    const struct known *known = &work->known[0];
    for (size_t i = 0; i < work->known_count && work->known[i].moment <= moment; i++)
        known = &work->known[i];
    return known;
}

/* As the next start does: with both keys, if there are two. */
static void open_after(struct fixture *after, const struct known *known, const char *label) {
    uint8_t next[STORE_KEY_BYTES];
    key_of(known->key, after->key);
    key_of(known->key + 1, next);
    const struct store_settings settings = {.path = after->path,
                                            .gateway = "plant-1",
                                            .quota_bytes = after->quota_bytes,
                                            .now_ms = FIXTURE_TIME_MS,
                                            .next_key = known->has_next ? next : NULL};
    if (store_open(&settings, after->key, &after->store, &after->opening, &after->cause) != FB_OK)
        fail_msg("%s: %s", label, after->cause.text);
    if (after->opening.set_aside[0] != '\0')
        fail_msg("%s: set aside: %s", label, after->opening.reason);
    assert_false(after->opening.created);
    assert_int_equal(store_number_tags(after->store, &after->plant, &after->cause), FB_OK);
    assert_int_equal(store_set_catalogue(after->store, &after->plant, FIXTURE_TIME_MS, &after->cause), FB_OK);
}

static void check_cut(const struct work *work, struct fixture *after, size_t moment, unsigned seed) {
    char label[64];
    snprintf(label, sizeof label, "seed %u, cut after %zu", seed, moment);
    const struct known *known = known_before(work, moment);
    struct account account = account_make(label, MOST);
    for (size_t i = 0; i < known->handed; i++)
        account_take(&account, &work->handed[i]);
    power_log_cut(moment, seed, after->path);
    open_after(after, known, label);
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

/* Every other one while a copy takes the store's place, if that happens. */
static size_t random_moment(const struct work *work, size_t moments, unsigned i, unsigned *seed) {
    if (work->change_over_count == 0 || i % 2 == 0)
        return (size_t)rand_r(seed) % (moments + 1);
    const struct change_over *at = &work->change_overs[(size_t)rand_r(seed) % work->change_over_count];
    const size_t to = at->to + AFTERMATH < moments ? at->to + AFTERMATH : moments;
    return at->from + (size_t)rand_r(seed) % (to - at->from + 1);
}

static void cut_often(struct work *work, struct fixture *after, size_t moments) {
    unsigned seed = SEED;
    for (unsigned i = 0; i < cuts(); i++) {
        const size_t moment = random_moment(work, moments, i, &seed);
        check_cut(work, after, moment, seed);
    }
    print_message("           %u cuts in %zu writes, truncations, fsyncs and changes of names\n", cuts(), moments);
}

static void survive_cuts(struct fixture *fixture, struct work *work) {
    struct fixture after = *fixture;
    work->fixture = fixture;
    work->handed = calloc(HANDED_MAX, sizeof *work->handed);
    snprintf(after.path, sizeof after.path, "%s/after.db", fixture->folder);
    after.instrument.tags = after.tags;
    after.plant.instruments = &after.instrument;
    fixture_open(fixture);
    power_log_start(fixture->path);
    note(work);
    work_on(work, SEED);
    store_rekey_end(work->rekey);
    fixture_close(fixture);
    const size_t moments = power_log_moments();
    fault_vfs_observe(NULL);
    cut_often(work, &after, moments);
    power_log_stop();
    free(work->handed);
}

static void every_committed_reading_survives_power_cuts(void **state) {
    static struct work work;
    survive_cuts(*state, &work);
}

static void every_committed_reading_survives_power_cuts_while_the_key_is_changed(void **state) {
    static struct work work = {.changes_keys = true};
    survive_cuts(*state, &work);
    assert_in_range(work.change_over_count, 5, SWITCHES_MAX);
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
        cmocka_unit_test_setup_teardown(every_committed_reading_survives_power_cuts_while_the_key_is_changed, set_up,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
