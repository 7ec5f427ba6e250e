// links: store/*.c gateway/common/*.c
/* test_store_salvage.c - what was set aside comes back: tail and numbers at once, batches as they were, each once. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "gateway/common/file.h"
#include "store/store_salvage.h"
#include "store_fixture.h"

#define PAGE_BYTES 4096
#define BATCHES 20
#define SENT 10
#define READINGS 600 /* a batch */
#define TAIL 50

struct found {
    uint8_t *seen; /* by n, as fixture_reading() counts */
    size_t batches, readings;
    uint64_t lost;
};

static void take(struct fixture *fixture, const struct store_batch *batch, const uint8_t *old_id, struct found *found) {
    struct batch_info *info = malloc(sizeof *info);
    struct reading *readings = NULL;
    size_t units;
    assert_int_equal(batch_decode(batch->bytes, batch->length, info, &readings, &units, NULL), FB_OK);
    if (batch->number >= STORE_SALVAGED_FIRST)
        assert_memory_equal(info->store_id, old_id, BATCH_STORE_ID_BYTES);
    else
        assert_memory_equal(info->store_id, store_id(fixture->store), BATCH_STORE_ID_BYTES);
    for (size_t i = 0; i < units; i++)
        found->seen[readings[i].time_ms - FIXTURE_TIME_MS]++;
    for (size_t i = 0; i < info->loss_count; i++)
        found->lost += info->losses[i].readings;
    found->batches++;
    found->readings += units;
    free(readings);
    free(info);
}

/* Everything unsent, as it would be forwarded; marks it as sent. */
static struct found harvest(struct fixture *fixture, const uint8_t *old_id) {
    struct found found = {.seen = calloc(fixture->sequence + 1000, 1)};
    struct store_batch *batch = malloc(sizeof *batch);
    while (store_next(fixture->store, 1, UINT64_MAX, batch, &fixture->cause) == FB_OK) {
        take(fixture, batch, old_id, &found);
        assert_int_equal(store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    free(batch);
    return found;
}

/* Batches 1 to 10 sent, 11 to 20 not, and a tail; closed. */
static void make_store(struct fixture *fixture, uint8_t ret_id[static BATCH_STORE_ID_BYTES]) {
    fixture_open(fixture);
    for (uint64_t number = 1; number <= BATCHES; number++) {
        fixture_batch_of(fixture, READINGS);
        if (number <= SENT)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    fixture_append(fixture, TAIL);
    fixture_commit(fixture);
    memcpy(ret_id, store_id(fixture->store), BATCH_STORE_ID_BYTES);
    fixture_close(fixture);
}

static void mark_as_damaged(struct fixture *fixture) {
    char name[160];
    snprintf(name, sizeof name, "%s.failed", fixture->path);
    assert_int_equal(file_write(name, "damaged: as the test says\ntwice\n", 32, 0600, NULL), FB_OK);
}

/* path: a copy, for each opening of the store writes another one. */
static struct store_salvage *begin_of(struct fixture *fixture, const char *path, enum store_salvage_kind kind,
                                      const uint8_t *key) {
    struct store_salvage *salvage = NULL;
    if (store_salvage_begin(fixture->store, path, kind, key, &salvage, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return salvage;
}

static struct store_salvage *begin(struct fixture *fixture, enum store_salvage_kind kind) {
    return begin_of(fixture, fixture->opening.set_aside, kind, fixture->key);
}

/* Its progress never falls, and ends at 1. */
static struct store_salvage_figures step_to_the_end(struct fixture *fixture, struct store_salvage *salvage) {
    struct store_salvage_figures figures;
    double reached = 0;
    bool done = false;
    while (!done) {
        if (store_salvage_step(salvage, 1000, &done, &fixture->cause) != FB_OK)
            fail_msg("%s", fixture->cause.text);
        store_salvage_figures(salvage, &figures);
        assert_true(figures.done >= reached && figures.done <= 1);
        reached = figures.done;
    }
    assert_true(reached == 1);
    store_salvage_end(salvage);
    return figures;
}

static struct store_salvage_figures salvage_all(struct fixture *fixture, enum store_salvage_kind kind) {
    return step_to_the_end(fixture, begin(fixture, kind));
}

static void set_aside(struct fixture *fixture, uint8_t ret_id[static BATCH_STORE_ID_BYTES]) {
    make_store(fixture, ret_id);
    mark_as_damaged(fixture);
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    assert_true(fixture->opening.inherited);
}

static void the_new_store_goes_on_where_the_old_one_stood(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    make_store(fixture, id);
    mark_as_damaged(fixture);
    for (uint32_t i = 0; i < FIXTURE_TAGS; i++)
        fixture->tags[i].number = 0;
    const struct plant_tag first = fixture->tags[0];
    fixture->tags[0] = fixture->tags[9]; /* other numbers, if they were given anew */
    fixture->tags[9] = first;
    assert_int_equal(fixture_try_open(fixture), FB_OK);
    assert_true(fixture->opening.inherited);
    assert_int_equal(store_number_tags(fixture->store, &fixture->plant, NULL), FB_OK);
    assert_int_equal(fixture->tags[0].number, 10);
    assert_int_equal(fixture->tags[9].number, 1);
    assert_int_equal(store_tail_readings(fixture->store), TAIL);
    assert_int_equal(store_committed_cursor(fixture->store).epoch, 1);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, BATCHES * READINGS + TAIL);
    assert_memory_not_equal(store_id(fixture->store), id, sizeof id);
    assert_int_equal(fixture_seal(fixture), 1);
    struct found found = harvest(fixture, id);
    assert_int_equal(found.readings, TAIL);
    assert_int_equal(found.lost, 0);
    free(found.seen);
}

static void unsent_batches_come_once_under_their_own_identity(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char path[1024];
    set_aside(fixture, id);
    assert_int_equal(store_salvage_unfinished(fixture->store, path, sizeof path, NULL), FB_OK);
    assert_string_equal(path, fixture->opening.set_aside);
    const struct store_salvage_figures figures = salvage_all(fixture, STORE_SALVAGE_UNSENT);
    assert_int_equal(figures.batches, BATCHES - SENT);
    assert_int_equal(figures.readings, (BATCHES - SENT) * READINGS);
    assert_int_equal(figures.unreadable, 0);
    assert_int_equal(store_salvage_unfinished(fixture->store, path, sizeof path, NULL), FB_NOT_FOUND);
    assert_int_equal(salvage_all(fixture, STORE_SALVAGE_UNSENT).batches, BATCHES - SENT); /* none a second time */
    assert_int_equal(fixture_seal(fixture), 1);
    struct found found = harvest(fixture, id);
    for (size_t n = 1; n <= BATCHES * READINGS + TAIL; n++)
        assert_int_equal(found.seen[n], n > SENT * READINGS);
    free(found.seen);
}

static void a_salvaged_batch_has_the_catalogue_it_names(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    uint64_t revision;
    size_t length;
    struct catalogue catalogue;
    struct store_batch *batch = malloc(sizeof *batch);
    set_aside(fixture, id);
    salvage_all(fixture, STORE_SALVAGE_UNSENT);
    assert_int_equal(store_next(fixture->store, STORE_SALVAGED_FIRST, UINT64_MAX, batch, NULL), FB_OK);
    assert_int_equal(store_read_catalogue(fixture->store, batch->catalogue, &revision, bytes, &length, NULL), FB_OK);
    assert_int_equal(catalogue_decode(bytes, length, &catalogue, NULL), FB_OK);
    assert_memory_equal(catalogue.store_id, id, sizeof id);
    catalogue_done(&catalogue);
    fixture_close(fixture);
    fixture_open(fixture); /* it is not taken for the current one */
    fixture_batch_of(fixture, 10);
    assert_int_equal(store_next(fixture->store, 1, 1, batch, NULL), FB_OK);
    free(batch);
}

static void history_is_brought_when_asked_for_and_not_forwarded(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    struct store_figures figures;
    set_aside(fixture, id);
    salvage_all(fixture, STORE_SALVAGE_UNSENT);
    assert_int_equal(salvage_all(fixture, STORE_SALVAGE_HISTORY).batches, SENT);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.batches, BATCHES);
    assert_int_equal(figures.unsent_batches, BATCHES - SENT);
    assert_int_equal(figures.readings, BATCHES * READINGS + TAIL);
}

static void a_salvage_that_is_cut_off_goes_on_where_it_was(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char path[1024];
    set_aside(fixture, id);
    snprintf(path, sizeof path, "%s", fixture->opening.set_aside);
    bool done = false;
    for (int rounds = 0; !done; rounds++) {
        assert_in_range(rounds, 0, 200);
        snprintf(fixture->opening.set_aside, sizeof fixture->opening.set_aside, "%s", path);
        struct store_salvage *salvage = begin(fixture, STORE_SALVAGE_UNSENT);
        assert_int_equal(store_salvage_step(salvage, 1, &done, NULL), FB_OK);
        store_salvage_end(salvage);
        fixture_close(fixture);
        fixture_open(fixture);
    }
    fixture_seal(fixture);
    struct found found = harvest(fixture, id);
    for (size_t n = 1; n <= BATCHES * READINGS + TAIL; n++)
        assert_int_equal(found.seen[n], n > SENT * READINGS);
    free(found.seen);
}

/* With the tail and with a loss that the old store had not told yet. Returns under which name it is. */
static char *set_aside_by_a_wrong_key(struct fixture *fixture, uint8_t ret_id[static BATCH_STORE_ID_BYTES]) {
    make_store(fixture, ret_id);
    fixture_open(fixture);
    const struct batch_loss loss = {BATCH_LOSS_QUOTA, 77, FIXTURE_TIME_MS, FIXTURE_TIME_MS + 5, 3, 4};
    store_note_loss(fixture->store, &loss);
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture->key[0] ^= 1;
    fixture_open(fixture);
    assert_false(fixture->opening.inherited);
    return strdup(fixture->opening.set_aside);
}

static struct store_salvage_figures salvage_by_hand(struct fixture *fixture, const char *path) {
    uint8_t key[STORE_KEY_BYTES];
    memcpy(key, fixture->key, sizeof key);
    key[0] ^= 1;
    return step_to_the_end(fixture, begin_of(fixture, path, STORE_SALVAGE_UNSENT, key));
}

static void tail_and_losses_of_a_file_found_by_hand_come_as_its_last_batch(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char *path = set_aside_by_a_wrong_key(fixture, id);
    const struct store_salvage_figures figures = salvage_by_hand(fixture, path);
    assert_int_equal(figures.batches, BATCHES - SENT + 1);
    assert_int_equal(figures.readings, (BATCHES - SENT) * READINGS + TAIL);
    struct found found = harvest(fixture, id);
    for (size_t n = 1; n <= BATCHES * READINGS + TAIL; n++)
        assert_int_equal(found.seen[n], n > SENT * READINGS);
    assert_int_equal(found.lost, 77);
    free(found.seen);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(salvage_by_hand(fixture, path).batches, BATCHES - SENT + 1); /* none a second time */
    assert_int_equal(store_next(fixture->store, STORE_SALVAGED_FIRST, UINT64_MAX, &(struct store_batch){0}, NULL),
                     FB_NOT_FOUND);
    free(path);
}

static void the_tail_s_batch_goes_on_in_the_chain_of_its_store(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES], hash[BATCH_HASH_BYTES];
    struct store_batch *batch = malloc(sizeof *batch);
    struct batch_info *info = malloc(sizeof *info);
    struct reading *readings = NULL;
    size_t units;
    char *path = set_aside_by_a_wrong_key(fixture, id);
    salvage_by_hand(fixture, path);
    for (uint64_t i = 0; i <= BATCHES - SENT; i++) {
        if (i > 0)
            batch_hash(batch->bytes, batch->length, hash);
        assert_int_equal(store_next(fixture->store, STORE_SALVAGED_FIRST + i, UINT64_MAX, batch, NULL), FB_OK);
    }
    assert_int_equal(batch_decode(batch->bytes, batch->length, info, &readings, &units, NULL), FB_OK);
    assert_int_equal(info->number, BATCHES + 1);
    assert_memory_equal(info->store_id, id, sizeof id);
    assert_memory_equal(info->previous, hash, sizeof hash);
    assert_int_equal(units, TAIL);
    assert_int_equal(info->loss_count, 1);
    assert_int_equal(info->losses[0].first_batch, 3);
    assert_int_equal(info->losses[0].last_batch, 4);
    free(readings);
    free(info);
    free(batch);
    free(path);
}

/* The salvage that was under way goes on in the store that comes after the next, from both files. */
static void a_store_set_aside_in_the_middle_of_its_salvage_passes_it_on(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char path[1024];
    bool done = false;
    set_aside(fixture, id);
    struct store_salvage *salvage = begin(fixture, STORE_SALVAGE_UNSENT);
    assert_int_equal(store_salvage_step(salvage, 1, &done, NULL), FB_OK);
    assert_false(done);
    store_salvage_end(salvage);
    fixture_close(fixture);
    mark_as_damaged(fixture);
    fixture_open(fixture);
    assert_true(fixture->opening.inherited);
    for (int files = 0; store_salvage_unfinished(fixture->store, path, sizeof path, NULL) == FB_OK; files++) {
        assert_in_range(files, 0, 1);
        step_to_the_end(fixture, begin_of(fixture, path, STORE_SALVAGE_UNSENT, fixture->key));
    }
    fixture_seal(fixture);
    struct found found = harvest(fixture, id);
    for (size_t n = 1; n <= BATCHES * READINGS + TAIL; n++)
        assert_int_equal(found.seen[n], n > SENT * READINGS);
    free(found.seen);
}

static void flip(const char *path, size_t at) {
    const int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Whatever page is hit, beside those that nothing opens without: each unsent reading comes, or is told as lost, or the
 * salvage says that there was something it could not read. */
static void what_cannot_be_read_is_told_as_lost(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char command[1200];
    struct stat status;
    size_t lost = 0, salvaged = 0;
    make_store(fixture, id);
    assert_int_equal(stat(fixture->path, &status), 0);
    snprintf(command, sizeof command, "cp '%s' '%s/copy'", fixture->path, fixture->folder);
    assert_int_equal(system(command), 0);
    const size_t pages = (size_t)status.st_size / PAGE_BYTES;
    for (size_t page = 1; page < pages; page++) {
        snprintf(command, sizeof command, "rm -f '%s'* && cp '%s/copy' '%s'", fixture->path, fixture->folder,
                 fixture->path);
        assert_int_equal(system(command), 0);
        flip(fixture->path, page * PAGE_BYTES + 99);
        mark_as_damaged(fixture);
        fixture_open(fixture);
        if (fixture->opening.inherited) {
            const struct store_salvage_figures figures = salvage_all(fixture, STORE_SALVAGE_UNSENT);
            fixture_batch_of(fixture, 1); /* tells the losses */
            struct found found = harvest(fixture, id);
            size_t missing = 0;
            for (size_t n = SENT * READINGS + 1; n <= BATCHES * READINGS; n++)
                missing += found.seen[n] == 0;
            if (missing != found.lost && figures.unreadable == 0)
                fail_msg("page %zu: %zu missing, %lu told", page, missing, found.lost);
            lost += missing > 0;
            salvaged++;
            free(found.seen);
        }
        fixture_close(fixture);
    }
    assert_in_range(lost, 5, pages);
    assert_in_range(salvaged, pages / 2, pages);
}

static void the_quota_is_not_broken_by_a_salvage(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    struct store_figures figures;
    bool done = false;
    make_store(fixture, id);
    mark_as_damaged(fixture);
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    while (store_figures(fixture->store, &figures), figures.lost_readings == 0)
        fixture_batch_of(fixture, READINGS);
    struct store_salvage *salvage = begin(fixture, STORE_SALVAGE_UNSENT);
    enum fb_error error = FB_OK;
    while (error == FB_OK && !done)
        error = store_salvage_step(salvage, 1000, &done, &fixture->cause);
    assert_int_equal(error, FB_FULL);
    free(harvest(fixture, id).seen); /* what was sent gives way */
    while (!done)
        assert_int_equal(store_salvage_step(salvage, 1000, &done, NULL), FB_OK);
    store_salvage_end(salvage);
    store_figures(fixture->store, &figures);
    assert_in_range(figures.bytes, 1, STORE_QUOTA_MIN);
}

static void a_copy_of_the_store_in_use_is_refused(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    char command[400], copy[128];
    struct store_salvage *salvage;
    make_store(fixture, id);
    snprintf(copy, sizeof copy, "%s/copy", fixture->folder);
    snprintf(command, sizeof command, "cp '%s' '%s'", fixture->path, copy);
    assert_int_equal(system(command), 0);
    fixture_open(fixture);
    assert_int_equal(
        store_salvage_begin(fixture->store, copy, STORE_SALVAGE_UNSENT, fixture->key, &salvage, &fixture->cause),
        FB_INVALID);
    assert_non_null(strstr(fixture->cause.text, "copy of the store in use"));
    uint8_t other[STORE_KEY_BYTES] = {1};
    assert_int_equal(store_salvage_begin(fixture->store, copy, STORE_SALVAGE_UNSENT, other, &salvage, &fixture->cause),
                     FB_DENIED);
    assert_int_equal(
        store_salvage_begin(fixture->store, "/nowhere", STORE_SALVAGE_UNSENT, other, &salvage, &fixture->cause),
        FB_NOT_FOUND);
}

/* The files as they are on disk while the store is open: what a kill leaves. */
static void copy_while_open(struct fixture *fixture, const char *to) {
    char command[600];
    snprintf(command, sizeof command, "cp '%s' '%s' && cp '%s-wal' '%s-wal'", fixture->path, to, fixture->path, to);
    assert_int_equal(system(command), 0);
}

static void damage_inside_the_log_is_not_taken_for_its_end(void **state) {
    struct fixture *fixture = *state;
    char copy[128], wal[160];
    struct stat status;
    fixture_open(fixture);
    for (size_t i = 0; i < 8; i++)
        fixture_batch_of(fixture, READINGS);
    snprintf(copy, sizeof copy, "%s/killed", fixture->folder);
    copy_while_open(fixture, copy);
    fixture_close(fixture);
    snprintf(fixture->path, sizeof fixture->path, "%s", copy);
    snprintf(wal, sizeof wal, "%s-wal", copy);
    assert_int_equal(stat(wal, &status), 0);
    flip(wal, (size_t)status.st_size / 2);
    fixture_open(fixture);
    assert_non_null(strstr(fixture->opening.reason, "its log"));
    assert_true(fixture->opening.inherited);
    assert_true(salvage_all(fixture, STORE_SALVAGE_UNSENT).batches > 0);
}

static void a_log_that_ends_in_a_torn_commit_is_no_damage(void **state) {
    struct fixture *fixture = *state;
    char copy[128], wal[160];
    struct stat status;
    fixture_open(fixture);
    for (size_t i = 0; i < 8; i++)
        fixture_batch_of(fixture, READINGS);
    fixture_append(fixture, 10);
    fixture_commit(fixture);
    snprintf(copy, sizeof copy, "%s/killed", fixture->folder);
    copy_while_open(fixture, copy);
    fixture_close(fixture);
    snprintf(fixture->path, sizeof fixture->path, "%s", copy);
    snprintf(wal, sizeof wal, "%s-wal", copy);
    assert_int_equal(stat(wal, &status), 0);
    flip(wal, (size_t)status.st_size - 100);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_int_equal(store_last_number(fixture->store), 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_new_store_goes_on_where_the_old_one_stood, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(unsent_batches_come_once_under_their_own_identity, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_salvaged_batch_has_the_catalogue_it_names, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(history_is_brought_when_asked_for_and_not_forwarded, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_salvage_that_is_cut_off_goes_on_where_it_was, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(tail_and_losses_of_a_file_found_by_hand_come_as_its_last_batch, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_tail_s_batch_goes_on_in_the_chain_of_its_store, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_set_aside_in_the_middle_of_its_salvage_passes_it_on, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told_as_lost, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_quota_is_not_broken_by_a_salvage, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_copy_of_the_store_in_use_is_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damage_inside_the_log_is_not_taken_for_its_end, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_log_that_ends_in_a_torn_commit_is_no_damage, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
