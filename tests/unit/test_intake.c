// links: gateway/core/intake.c gateway/core/clock_watch.c gateway/core/damage.c store/*.c gateway/common/*.c
/* test_intake.c - what forebay-field says is committed once an interval, sealed in time, and never taken twice. */
#include <sqlite3.h>

#include "gateway/core/intake.h"
#include "store_fixture.h"

#define EPOCH 77
#define NEVER_MS 3600000
#define LIMIT_US 10000000

struct world {
    struct fixture *store; /* its own setup and teardown */
    sd_event *event;
    struct intake *intake;
    struct config config;
    unsigned commits;
    struct store_cursor committed;
    uint64_t longest; /* sequences that one commit took */
    unsigned seals;
    uint64_t sequence;
};

static void on_committed(struct store_cursor cursor, void *user) {
    struct world *world = user;
    world->commits++;
    if (cursor.sequence - world->committed.sequence > world->longest)
        world->longest = cursor.sequence - world->committed.sequence;
    world->committed = cursor;
}

static void on_sealed(void *user) {
    ((struct world *)user)->seals++;
}

static const struct intake_handlers handlers = {.committed = on_committed, .sealed = on_sealed};

static void start(struct world *world) {
    struct fb_cause cause;
    assert_int_equal(sd_event_new(&world->event), 0);
    assert_int_equal(intake_new(world->event, world->store->store, &handlers, world, &world->intake, &cause), FB_OK);
    intake_configure(world->intake, &world->config);
}

static void stop(struct world *world) {
    intake_free(world->intake);
    world->intake = NULL;
    world->event = sd_event_unref(world->event);
}

static struct world *open_world(void **state) {
    static struct world world;
    world = (struct world){
        .store = *state,
        .config = {.commit_interval_ms = 1, .forward_interval_ms = NEVER_MS, .forward_interval_offline_ms = NEVER_MS}};
    fixture_open(world.store);
    start(&world);
    intake_follow_epoch(world.intake, EPOCH);
    return &world;
}

/* The next count readings as one message. */
static bool take(struct world *world, uint64_t sequence, size_t count) {
    struct reading readings[1000];
    assert_true(count <= 1000);
    for (size_t i = 0; i < count; i++)
        readings[i] = fixture_reading(++world->store->sequence);
    return intake_take(world->intake, sequence, readings, count);
}

static void take_next(struct world *world, size_t count) {
    assert_true(take(world, ++world->sequence, count));
}

static void run_until(struct world *world, const unsigned *counter, unsigned wanted) {
    while (*counter < wanted)
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
}

/* A long tail is committed and sealed in parts. */
static void run_until_all_is_committed(struct world *world) {
    while (store_commit_waits(world->store->store))
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
}

static struct store_figures figures_of(const struct world *world) {
    struct store_figures figures;
    store_figures(world->store->store, &figures);
    return figures;
}

static void what_was_taken_is_committed_with_its_sequence(void **state) {
    struct world *world = open_world(state);
    take_next(world, 10);
    take_next(world, 5);
    assert_int_equal(world->commits, 0);
    run_until(world, &world->commits, 1);
    assert_int_equal(world->committed.epoch, EPOCH);
    assert_int_equal(world->committed.sequence, 2);
    assert_int_equal(store_committed_cursor(world->store->store).sequence, 2);
    assert_int_equal(intake_status(world->intake)->readings_taken, 15);
    assert_true(intake_status(world->intake)->last_commit_ms > 0);
    assert_int_equal(world->seals, 0);
    stop(world);
}

static void sequences_are_taken_once_and_without_a_gap(void **state) {
    struct world *world = open_world(state);
    assert_true(take(world, 1, 1));
    assert_true(take(world, 1, 1));
    assert_true(take(world, 0, 1));
    assert_false(take(world, 3, 1));
    assert_true(take(world, 2, 1));
    assert_int_equal(store_tail_readings(world->store->store), 2);
    assert_int_equal(intake_resume(world->intake, EPOCH), 2);
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 7, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    assert_false(intake_take_loss(world->intake, 4, &loss));
    assert_true(intake_take_loss(world->intake, 3, &loss));
    assert_true(intake_take_loss(world->intake, 3, &loss));
    assert_int_equal(figures_of(world).lost_readings, 7);
    assert_int_equal(intake_resume(world->intake, EPOCH), 3);
    stop(world);
}

static void a_new_epoch_begins_at_one_and_an_old_one_is_not_known(void **state) {
    struct world *world = open_world(state);
    take_next(world, 1);
    assert_int_equal(intake_resume(world->intake, EPOCH + 1), 0);
    intake_follow_epoch(world->intake, EPOCH + 1);
    assert_true(take(world, 1, 1));
    assert_int_equal(intake_resume(world->intake, EPOCH), 0);
    assert_int_equal(intake_resume(world->intake, EPOCH + 1), 1);
    run_until(world, &world->commits, 1);
    assert_int_equal(world->committed.epoch, EPOCH + 1);
    assert_int_equal(store_tail_readings(world->store->store), 2);
    stop(world);
}

static void the_same_epoch_goes_on_where_it_was(void **state) {
    struct world *world = open_world(state);
    take_next(world, 1);
    intake_follow_epoch(world->intake, EPOCH);
    assert_int_equal(intake_resume(world->intake, EPOCH), 1);
    take_next(world, 1);
    stop(world);
}

static void a_restart_goes_on_from_what_was_committed(void **state) {
    struct world *world = open_world(state);
    take_next(world, 10);
    run_until(world, &world->commits, 1);
    take_next(world, 10);
    stop(world); /* commits the rest */
    assert_int_equal(world->commits, 2);
    fixture_close(world->store);
    fixture_open(world->store);
    start(world);
    assert_int_equal(intake_resume(world->intake, EPOCH), 2);
    assert_int_equal(store_tail_readings(world->store->store), 20);
    world->config.forward_interval_offline_ms = 0;
    intake_configure(world->intake, &world->config);
    run_until(world, &world->seals, 1); /* without a new reading */
    assert_int_equal(store_tail_readings(world->store->store), 0);
    stop(world);
}

static void batches_are_sealed_more_often_while_the_link_is_up(void **state) {
    struct world *world = open_world(state);
    world->config.forward_interval_ms = 0;
    intake_configure(world->intake, &world->config);
    take_next(world, 10);
    run_until(world, &world->commits, 1);
    assert_int_equal(world->seals, 0);
    intake_set_link(world->intake, true);
    run_until(world, &world->seals, 1);
    intake_set_link(world->intake, false);
    take_next(world, 10);
    run_until(world, &world->commits, 2);
    assert_int_equal(world->seals, 1);
    assert_int_equal(figures_of(world).unsent_batches, 1);
    stop(world);
}

static void a_full_tail_is_sealed_whatever_the_interval(void **state) {
    struct world *world = open_world(state);
    while (!store_tail_full(world->store->store))
        take_next(world, 1000);
    run_until(world, &world->seals, 1);
    run_until_all_is_committed(world);
    assert_false(store_tail_full(world->store->store));
    assert_int_equal(figures_of(world).readings, world->store->sequence);
    stop(world);
}

static void a_loss_goes_out_even_without_readings(void **state) {
    struct world *world = open_world(state);
    world->config.forward_interval_offline_ms = 0;
    intake_configure(world->intake, &world->config);
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 7, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    assert_true(intake_take_loss(world->intake, 1, &loss));
    run_until(world, &world->seals, 1);
    struct fixture_harvest harvest = fixture_harvest(world->store, 1);
    assert_int_equal(harvest.lost, 7);
    free(harvest.seen);
    stop(world);
}

static void sealing_now_leaves_an_empty_tail(void **state) {
    struct world *world = open_world(state);
    struct fb_cause cause;
    assert_int_equal(intake_seal_now(world->intake, &cause), FB_OK);
    assert_int_equal(world->seals, 0);
    take_next(world, 10);
    assert_int_equal(intake_seal_now(world->intake, &cause), FB_OK);
    assert_int_equal(world->commits, 1);
    assert_int_equal(world->seals, 1);
    assert_int_equal(store_tail_readings(world->store->store), 0);
    stop(world);
}

static void an_idle_intake_does_not_wake_up(void **state) {
    struct world *world = open_world(state);
    struct fb_cause cause;
    take_next(world, 1);
    assert_int_equal(intake_seal_now(world->intake, &cause), FB_OK);
    unsigned wakes = 0;
    while (sd_event_run(world->event, 20 * 1000) > 0)
        assert_true(wakes++ < 4);
    stop(world);
}

/* SQLite's own files, but for writes to the log that find the disk full while this is set. */
static bool disk_is_full;
static sqlite3_vfs small_vfs;
static sqlite3_io_methods real_methods, small_methods;

static int write_or_full(sqlite3_file *file, const void *data, int length, sqlite3_int64 at) {
    return disk_is_full ? SQLITE_FULL : real_methods.xWrite(file, data, length, at);
}

static int open_small(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags) {
    sqlite3_vfs *real = vfs->pAppData;
    const int code = real->xOpen(real, name, file, flags, ret_flags);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        real_methods = small_methods = *file->pMethods;
        small_methods.xWrite = write_or_full;
        file->pMethods = &small_methods;
    }
    return code;
}

static void make_disk_small(void) {
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    small_vfs = *real;
    small_vfs.zName = "small";
    small_vfs.pAppData = real;
    small_vfs.xOpen = open_small;
    assert_int_equal(sqlite3_vfs_register(&small_vfs, 1), SQLITE_OK);
}

static void run_until_state(struct world *world, enum fb_error wanted) {
    while (intake_status(world->intake)->error != wanted)
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
}

static void a_full_disk_is_a_state_that_ends(void **state) {
    make_disk_small();
    struct world *world = open_world(state);
    disk_is_full = true;
    take_next(world, 10);
    run_until_state(world, FB_FULL);
    assert_string_not_equal(intake_status(world->intake)->reason, "");
    assert_int_equal(world->commits, 0);
    take_next(world, 10);
    disk_is_full = false;
    run_until_state(world, FB_OK);
    assert_string_equal(intake_status(world->intake)->reason, "");
    assert_int_equal(world->committed.sequence, 2);
    assert_int_equal(store_tail_readings(world->store->store), 20);
    stop(world);
    fixture_close(world->store);
    sqlite3_vfs_unregister(&small_vfs);
}

static void what_memory_cannot_hold_while_the_disk_is_full_is_a_loss_that_is_told(void **state) {
    make_disk_small();
    struct world *world = open_world(state);
    disk_is_full = true;
    for (int i = 0; i < STORE_TAIL_MAX / 1000 + 50; i++)
        take_next(world, 1000);
    const uint64_t refused = intake_status(world->intake)->readings_refused;
    assert_int_equal(refused + intake_status(world->intake)->readings_taken, world->store->sequence);
    assert_in_range(refused, 49000, 51000);
    disk_is_full = false;
    run_until_all_is_committed(world);
    assert_int_equal(world->committed.sequence, world->sequence);
    assert_in_range(world->seals, STORE_TAIL_MAX / STORE_COMMIT_UNITS - 2, 1000);
    assert_in_range(world->longest, 1, STORE_COMMIT_UNITS / 1000 + 50); /* the refused ones come with the last part */
    struct fb_cause cause;
    assert_int_equal(intake_seal_now(world->intake, &cause), FB_OK);
    struct fixture_harvest harvest = fixture_harvest(world->store, world->store->sequence + 1);
    assert_int_equal(harvest.lost, refused);
    assert_int_equal(harvest.readings + harvest.lost, world->store->sequence);
    free(harvest.seen);
    stop(world);
    fixture_close(world->store);
    sqlite3_vfs_unregister(&small_vfs);
}

/* The smallest store under a tail that would rather grow: sealing makes the room that committing wants. */
static void a_full_quota_never_stops_the_intake(void **state) {
    ((struct fixture *)*state)->quota_bytes = STORE_QUOTA_MIN;
    struct world *world = open_world(state);
    struct fb_cause cause;
    for (unsigned i = 0; i < 200; i++) {
        take_next(world, 1000);
        run_until(world, &world->commits, i + 1);
        assert_int_equal(intake_status(world->intake)->error, FB_OK);
    }
    assert_int_equal(intake_seal_now(world->intake, &cause), FB_OK);
    const struct store_figures figures = figures_of(world);
    assert_true(figures.lost_readings > 0);
    assert_int_equal(figures.unsent_readings + figures.lost_readings, world->store->sequence);
    stop(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_taken_is_committed_with_its_sequence, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sequences_are_taken_once_and_without_a_gap, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_begins_at_one_and_an_old_one_is_not_known, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_same_epoch_goes_on_where_it_was, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_from_what_was_committed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(batches_are_sealed_more_often_while_the_link_is_up, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_tail_is_sealed_whatever_the_interval, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_loss_goes_out_even_without_readings, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sealing_now_leaves_an_empty_tail, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_idle_intake_does_not_wake_up, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_a_state_that_ends, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_memory_cannot_hold_while_the_disk_is_full_is_a_loss_that_is_told,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_quota_never_stops_the_intake, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
