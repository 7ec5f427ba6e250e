// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c
/* test_store_rekey.c - the store under a new key: nothing is missing, nothing is twice, whenever it is cut off. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "fault_vfs.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "store/key.h"
#include "store/store_parked.h"
#include "store/store_records.h"
#include "store/store_rekey.h"
#include "store_account.h"

#define BATCHES 12
#define READINGS 500
#define STEPS_MOST 20000
#define SLICE_US 2000
#define FILE_BYTES_MAX (4 * 1024 * 1024)

/* These stand before the C library's: the process dies before its die_at-th step that reaches the disk. */
static unsigned steps_on_disk, die_at;

static void step_on_disk(void) {
    if (++steps_on_disk == die_at)
        raise(SIGKILL);
}

/* What a power cut would still take: the copy, its place, that the old log is gone. */
static bool copy_waits, place_waits, log_waits;
static bool has_space = true;

static bool ends_with(const char *path, const char *ending) {
    const size_t length = strlen(path), end = strlen(ending);
    return length >= end && strcmp(path + length - end, ending) == 0;
}

int rename(const char *from, const char *to) {
    step_on_disk();
    if (ends_with(from, ".rekey") && (copy_waits || log_waits))
        fail_msg("the copy takes its place before %s is on disk", copy_waits ? "it" : "the old log's end");
    if (ends_with(from, ".rekey") && ends_with(fault_vfs_failed_path(), ".rekey"))
        fail_msg("a copy that could not be written takes the store's place");
    if (ends_with(from, ".key.new") && place_waits)
        fail_msg("the key is confirmed before the copy's place is on disk");
    place_waits = place_waits || ends_with(from, ".rekey");
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path) {
    step_on_disk();
    log_waits = log_waits || ends_with(path, "-wal");
    return unlinkat(AT_FDCWD, path, 0);
}

int link(const char *from, const char *to) {
    step_on_disk();
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int descriptor) {
    struct stat status;
    step_on_disk();
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode))
        place_waits = log_waits = false;
    return fdatasync(descriptor);
}

int statvfs(const char *path, struct statvfs *ret_disk) {
    (void)path;
    *ret_disk = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1 << 20};
    ret_disk->f_bavail = has_space ? 1 << 19 : 16000; /* 66 MB */
    return 0;
}

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)bytes, (void)length, (void)offset, (void)user;
    copy_waits = copy_waits || ends_with(path, ".rekey");
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)size, (void)user;
    copy_waits = copy_waits || ends_with(path, ".rekey");
}

static void on_sync(const char *path, void *user) {
    (void)user;
    copy_waits = copy_waits && !ends_with(path, ".rekey");
}

static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};

static struct store_rekey *begin(struct fixture *fixture, const uint8_t *key) {
    struct store_rekey *rekey = NULL;
    if (store_rekey_begin(fixture->store, key, &rekey, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return rekey;
}

static void make_batches(struct fixture *fixture) {
    fixture_open(fixture);
    for (uint64_t number = 1; number <= BATCHES; number++) {
        fixture_batch_of(fixture, READINGS);
        if (number % 3 == 0)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
}

/* Whatever can change does so while the copy is made. */
static void disturb(struct fixture *fixture, unsigned round) {
    struct store_batch *batch = malloc(sizeof *batch);
    const struct store_refusal refusal = {.reason = "not now", .rejection = true, .now_ms = FIXTURE_TIME_MS};
    struct store_refused refused;
    if (round % 3 == 0)
        fixture_batch_of(fixture, 100);
    fixture_append(fixture, 3);
    fixture_commit(fixture);
    if (round % 5 == 0 && store_next(fixture->store, 1, UINT64_MAX, batch, NULL) == FB_OK)
        assert_int_equal(store_mark_refused(fixture->store, batch->number, &refusal, &refused, NULL), FB_OK);
    const struct batch_loss loss = {BATCH_LOSS_STORE_FULL, 1, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    if (round % 7 == 0)
        store_note_loss(fixture->store, &loss);
    free(batch);
}

static void assert_all_there(struct fixture *fixture, uint64_t unsent_before) {
    fixture_seal(fixture);
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 1);
    size_t there = 0;
    for (size_t n = 1; n <= fixture->sequence; n++) {
        assert_in_range(harvest.seen[n], 0, 1);
        there += harvest.seen[n];
    }
    assert_int_equal(there, unsent_before);
    free(harvest.seen);
}

static void a_rekeyed_store_has_all_that_came_while_it_was_copied(void **state) {
    struct fixture *fixture = *state;
    struct store_figures before, after;
    uint8_t next[STORE_KEY_BYTES], id[BATCH_STORE_ID_BYTES];
    bool ready = false;
    double reached = 0;
    memset(next, 0x77, sizeof next);
    make_batches(fixture);
    memcpy(id, store_id(fixture->store), sizeof id);
    struct store_rekey *rekey = begin(fixture, next);
    for (unsigned round = 0; !ready; round++) {
        assert_in_range(round, 0, STEPS_MOST);
        if (round < 60)
            disturb(fixture, round);
        assert_int_equal(store_rekey_step(rekey, 200, &ready, &fixture->cause), FB_OK);
        assert_true(store_rekey_done(rekey) >= reached && store_rekey_done(rekey) <= 1);
        reached = store_rekey_done(rekey);
    }
    assert_true(reached == 1);
    disturb(fixture, 35);
    store_figures(fixture->store, &before);
    if (store_rekey_switch(rekey, next, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    store_rekey_end(rekey);
    disturb(fixture, 3); /* it goes on at once */
    store_figures(fixture->store, &after);
    assert_int_equal(after.unsent_readings, before.unsent_readings + 103);
    fixture_close(fixture);
    memcpy(fixture->key, next, sizeof next);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_memory_equal(store_id(fixture->store), id, sizeof id);
    assert_all_there(fixture, after.unsent_readings);
}

static void a_copy_that_is_given_up_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    char copy[160];
    uint8_t next[STORE_KEY_BYTES] = {1};
    struct stat status;
    bool ready;
    make_batches(fixture);
    struct store_rekey *rekey = begin(fixture, next);
    assert_int_equal(store_rekey_step(rekey, 100, &ready, NULL), FB_OK);
    snprintf(copy, sizeof copy, "%s.rekey", fixture->path);
    assert_int_equal(stat(copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    store_rekey_end(rekey);
    assert_int_equal(access(copy, F_OK), -1);
    fixture_batch_of(fixture, 10);
}

static void rekey_all(struct fixture *fixture, const char *key_path) {
    struct key_ring *ring;
    bool ready = false;
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    fixture_open(fixture);
    assert_int_equal(key_make_next(ring, NULL), FB_OK);
    struct store_rekey *rekey = begin(fixture, ring->next);
    while (!ready) {
        fixture_append(fixture, 1);
        fixture_commit(fixture);
        assert_int_equal(store_rekey_step(rekey, 2000, &ready, NULL), FB_OK);
    }
    assert_int_equal(store_rekey_switch(rekey, ring->next, NULL), FB_OK);
    assert_int_equal(key_confirm_next(ring, NULL), FB_OK);
    while (!store_rekey_clear(rekey, 0))
        ;
    store_rekey_end(rekey);
    fixture_batch_of(fixture, 1);
    fixture_close(fixture);
    key_close(ring);
}

/* Open with what is on disk, as core does: one of the keys fits, and each reading of the batches is there. */
static void assert_opens(struct fixture *fixture, const char *key_path, uint64_t unsent_least) {
    struct key_ring *ring;
    struct store_figures figures;
    char old[160];
    assert_int_equal(key_open(key_path, &ring, &fixture->cause), FB_OK);
    assert_false(ring->created);
    const struct store_settings settings = {.path = fixture->path,
                                            .gateway = "plant-1",
                                            .quota_bytes = fixture->quota_bytes,
                                            .now_ms = FIXTURE_TIME_MS,
                                            .next_key = ring->has_next ? ring->next : NULL};
    if (store_open(&settings, ring->key, &fixture->store, &fixture->opening, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_string_equal(fixture->opening.set_aside, "");
    if (fixture->opening.next_key_fits)
        assert_int_equal(key_confirm_next(ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    snprintf(old, sizeof old, "%s.old", fixture->path);
    assert_int_equal(access(old, F_OK), -1);
    store_figures(fixture->store, &figures);
    assert_in_range(figures.unsent_readings, unsent_least, unsent_least + STEPS_MOST);
    fixture_close(fixture);
}

static bool dies(struct fixture *fixture, const char *key_path, unsigned at) {
    const pid_t child = fork();
    if (child == 0) {
        steps_on_disk = 0;
        die_at = at;
        rekey_all(fixture, key_path);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void killed_at_each_step_it_opens_with_one_of_the_keys(void **state) {
    struct fixture *fixture = *state;
    char key_path[128];
    struct store_figures figures;
    struct key_ring *ring;
    unsigned at = 1;
    snprintf(key_path, sizeof key_path, "%s/store.key", fixture->folder);
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    make_batches(fixture);
    store_figures(fixture->store, &figures);
    fixture_close(fixture);
    for (; dies(fixture, key_path, at); at++) {
        assert_in_range(at, 1, 500);
        assert_opens(fixture, key_path, figures.unsent_readings);
    }
    assert_in_range(at, 10, 500);
    assert_opens(fixture, key_path, figures.unsent_readings);
    fixture_open(fixture); /* the same batches still hold */
    free(fixture_harvest(fixture, STEPS_MOST).seen);
}

/* With every step's order the kills above would pass on a disk that never loses anything: this is what makes them hold
 * for a power cut. */
static void nothing_takes_its_place_before_it_is_on_disk(void **state) {
    struct fixture *fixture = *state;
    char key_path[128];
    struct key_ring *ring;
    snprintf(key_path, sizeof key_path, "%s/store.key", fixture->folder);
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    make_batches(fixture);
    fixture_close(fixture);
    fault_vfs_observe(&observer);
    rekey_all(fixture, key_path);
    fault_vfs_observe(NULL);
    assert_opens(fixture, key_path, (BATCHES - BATCHES / 3) * READINGS);
}

static void a_disk_without_room_for_the_copy_is_told_before_it_is_begun(void **state) {
    struct fixture *fixture = *state;
    const uint8_t next[STORE_KEY_BYTES] = {1};
    struct store_rekey *rekey = NULL;
    char copy[160];
    make_batches(fixture);
    has_space = false;
    const enum fb_error error = store_rekey_begin(fixture->store, next, &rekey, &fixture->cause);
    has_space = true;
    assert_int_equal(error, FB_FULL);
    assert_null(rekey);
    assert_non_null(strstr(fixture->cause.text, "MB free on the disk"));
    snprintf(copy, sizeof copy, "%s.rekey", fixture->path);
    assert_int_equal(access(copy, F_OK), -1);
    fixture_batch_of(fixture, READINGS); /* it goes on */
}

#define RECORDS_A_COMMIT 400
#define RECORDS 8800 /* more than the rekey notes */

static void add_records(struct fixture *fixture) {
    uint64_t number;
    for (size_t i = 0; i < RECORDS; i++) {
        assert_int_equal(
            store_record_add(fixture->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, "{}", 2, &number, &fixture->cause),
            FB_OK);
        if (i % RECORDS_A_COMMIT == RECORDS_A_COMMIT - 1)
            fixture_commit(fixture);
    }
}

static void copy_until_ready(struct fixture *fixture, struct store_rekey *rekey) {
    bool ready = false;
    for (unsigned round = 0; !ready; round++) {
        assert_in_range(round, 0, STEPS_MOST);
        assert_int_equal(store_rekey_step(rekey, 10000, &ready, &fixture->cause), FB_OK);
    }
}

static void what_changes_too_fast_is_copied_anew(void **state) {
    struct fixture *fixture = *state;
    struct store_figures before;
    struct store_records_figures records;
    uint8_t next[STORE_KEY_BYTES];
    bool ready;
    memset(next, 0x77, sizeof next);
    make_batches(fixture);
    struct store_rekey *rekey = begin(fixture, next);
    copy_until_ready(fixture, rekey);
    add_records(fixture);
    assert_int_equal(store_rekey_step(rekey, 10000, &ready, &fixture->cause), FB_AGAIN);
    store_rekey_end(rekey);
    rekey = begin(fixture, next);
    copy_until_ready(fixture, rekey);
    store_figures(fixture->store, &before);
    assert_int_equal(store_rekey_switch(rekey, next, &fixture->cause), FB_OK);
    store_rekey_end(rekey);
    store_records_figures(fixture->store, STORE_RECORD_EVENT, &records);
    assert_int_equal(records.last, RECORDS);
    assert_all_there(fixture, before.unsent_readings);
}

struct fault {
    enum fault_kind kind;
    int code;
    bool lasting;
    const char *name;
};

/* What cannot be committed now stays in memory and is tried again. */
static void commit_one(struct fixture *fixture) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence + 1};
    fixture_append(fixture, 1);
    const enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    assert_true(error == FB_OK || error == FB_FULL || error == FB_IO);
}

/* Readings are committed all the while, so that the log has something at the switch. Up to there the old key stays the
 * right one; a switch that fails closes the store. */
static bool rekey_with_fault(struct fixture *fixture, const uint8_t *next, const struct fault *fault, uint64_t n) {
    bool ready = false;
    struct store_rekey *rekey = NULL;
    copy_waits = place_waits = log_waits = false;
    fault_vfs_observe(&observer);
    fault_vfs_fail(fault->kind, n, fault->code, fault->lasting);
    enum fb_error error = store_rekey_begin(fixture->store, next, &rekey, &fixture->cause);
    while (error == FB_OK && !ready) {
        commit_one(fixture);
        error = store_rekey_step(rekey, SLICE_US, &ready, &fixture->cause);
    }
    commit_one(fixture);
    if (error == FB_OK)
        error = store_rekey_switch(rekey, next, &fixture->cause);
    const bool failed = fault_vfs_heal();
    fault_vfs_observe(NULL);
    store_rekey_end(rekey);
    if (error != FB_CLOSED) {
        fixture_append(fixture, 1);
        fixture_commit(fixture);
    }
    return failed;
}

/* As the next start does: with both keys. */
static bool opens_under_next(struct fixture *fixture, const uint8_t *next) {
    const struct store_settings settings = {.path = fixture->path,
                                            .gateway = "plant-1",
                                            .quota_bytes = fixture->quota_bytes,
                                            .now_ms = FIXTURE_TIME_MS,
                                            .next_key = next};
    if (store_open(&settings, fixture->key, &fixture->store, &fixture->opening, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_string_equal(fixture->opening.set_aside, "");
    return fixture->opening.next_key_fits;
}

static bool survives_nth(struct fixture *fixture, const struct fault *fault, uint64_t n) {
    static const uint8_t next[STORE_KEY_BYTES] = {1};
    struct store_figures before, after;
    fixture_open(fixture);
    const uint64_t sequence = fixture->sequence;
    store_figures(fixture->store, &before);
    const bool failed = rekey_with_fault(fixture, next, fault, n);
    const uint64_t committed = store_committed_cursor(fixture->store).sequence;
    fixture_close(fixture);
    const bool is_under_next = opens_under_next(fixture, next);
    if (!failed && !is_under_next)
        fail_msg("nothing failed, and the key is the old one");
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
    assert_true(fixture->sequence >= committed);
    store_figures(fixture->store, &after);
    assert_int_equal(after.unsent_readings, before.unsent_readings + fixture->sequence - sequence);
    assert_all_there(fixture, after.unsent_readings);
    fixture_close(fixture);
    return failed;
}

static void a_disk_that_fails_at_any_call_leaves_a_store_that_opens(void **state) {
    static const struct fault faults[] = {
        {FAULT_WRITE, SQLITE_FULL, true, "writes from then on"},
        {FAULT_WRITE, SQLITE_IOERR_WRITE, false, "a write"},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC, true, "fsyncs from then on"},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC, false, "an fsync"},
        {FAULT_OPEN, SQLITE_CANTOPEN, true, "opening from then on"},
    };
    struct fixture *fixture = *state;
    char *bytes = NULL;
    size_t length;
    make_batches(fixture);
    const uint64_t sequence = fixture->sequence;
    fixture_close(fixture);
    assert_int_equal(file_read(fixture->path, FILE_BYTES_MAX, &bytes, &length, NULL), FB_OK);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            assert_in_range(n, 0, STEPS_MOST);
            assert_int_equal(file_write(fixture->path, bytes, length, 0600, NULL), FB_OK);
            fixture->sequence = sequence;
            failed = survives_nth(fixture, &faults[i], n + 1);
        }
        assert_in_range(n, 2, STEPS_MOST);
        print_message("           %s: %llu failures survived\n", faults[i].name, (unsigned long long)n - 1);
    }
    free(bytes);
}

#define MAPPING_MOST (UINT64_C(64) * 1024 * 1024) /* larger ones are a sanitizer's own */
#define OTHERS 20

struct hits {
    size_t all;
    size_t unlocked; /* of them: in memory that may be swapped */
};

struct mapping {
    unsigned long from, to;
    bool writable, locked;
};

static bool next_mapping(FILE *smaps, struct mapping *mapping) {
    char line[1024];
    while (fgets(line, sizeof line, smaps) != NULL) {
        char *end;
        const unsigned long from = strtoul(line, &end, 16);
        if (end > line && *end == '-') { /* else it is a field of the mapping */
            const unsigned long to = strtoul(end + 1, &end, 16);
            *mapping = (struct mapping){from, to, strncmp(end, " rw", 3) == 0, false};
        }
        if (strncmp(line, "VmFlags:", 8) == 0) {
            mapping->locked = strstr(line, " lo") != NULL;
            return true;
        }
    }
    return false;
}

static size_t count_in_mapping(int memory, const struct mapping *mapping, const uint8_t *bytes, size_t length) {
    static uint8_t page[2 * 4096];
    size_t found = 0;
    for (unsigned long at = mapping->from; at < mapping->to; at += 4096) {
        if ((unsigned long)page >= at && (unsigned long)page < at + 8192)
            continue;
        const ssize_t got = pread(memory, page, sizeof page, (off_t)at);
        const uint8_t *end = page + (got > 0 ? got : 0), *hit = page;
        while ((hit = memmem(hit, (size_t)(end - hit), bytes, length)) != NULL && hit < page + 4096) {
            found++;
            hit++;
        }
        explicit_bzero(page, sizeof page);
    }
    return found;
}

/* Where the bytes stand in what this process can write to, the test's own copy included. */
static struct hits count_in_memory(const uint8_t *bytes, size_t length) {
    struct hits hits = {0};
    struct mapping mapping = {0};
    FILE *smaps = fopen("/proc/self/smaps", "r");
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (smaps == NULL || memory < 0)
        abort();
    while (next_mapping(smaps, &mapping)) {
        const bool is_ours = mapping.writable && mapping.to - mapping.from <= MAPPING_MOST;
        const size_t found = is_ours ? count_in_mapping(memory, &mapping, bytes, length) : 0;
        hits.all += found;
        hits.unlocked += mapping.locked ? 0 : found;
    }
    fclose(smaps);
    close(memory);
    return hits;
}

/* AddressSanitizer makes mlock() do nothing, and where the limit is 0 nobody can lock. */
static bool can_lock(void) {
    static const uint8_t text[] = "found in locked memory";
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    bool can = mlock(page, 4096) == 0;
    for (size_t i = 0; i < sizeof text; i++)
        page[i] = text[i] ^ 0x55;
    can = can && count_in_memory(page, sizeof text).unlocked == 0;
    munmap(page, 4096);
    return can;
}

/* The key, and its digits, are on the stack of this function alone. */
static void assert_held(const uint8_t masked[static STORE_KEY_BYTES], size_t least, size_t most, bool locked) {
    uint8_t key[STORE_KEY_BYTES];
    char digits[2 * STORE_KEY_BYTES + 1];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = masked[i] ^ 0xff;
    for (size_t i = 0; i < sizeof key; i++) {
        digits[2 * i] = "0123456789abcdef"[key[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
    }
    const struct hits keys = count_in_memory(key, sizeof key);
    const struct hits texts = count_in_memory((const uint8_t *)digits, sizeof digits - 1);
    explicit_bzero(key, sizeof key);
    explicit_bzero(digits, sizeof digits);
    assert_in_range(keys.all, 1 + least, 1 + most);
    assert_in_range(texts.all, 1, 1 + most);
    if (!locked)
        return;
    assert_int_equal(keys.unlocked, 1);
    assert_int_equal(texts.unlocked, 1);
}

/* SQLCipher takes memory for a key of its own beside what it already holds, and gives it back. */
static void open_and_close_another(void) {
    static const char other[] = "x'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'";
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_key(db, other, sizeof other - 1), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* SQLCipher keeps the key and its digits (the "key spec") twice, for reading and for writing, locked, and wipes them.
 * What we held is gone. */
static void nothing_but_sqlcipher_keeps_the_key(void **state) {
    struct fixture *fixture = *state;
    char key_path[128];
    struct key_ring *ring;
    uint8_t masked[STORE_KEY_BYTES];
    const bool locked = can_lock();
    if (!locked)
        print_message("           memory cannot be locked here\n");
    snprintf(key_path, sizeof key_path, "%s/store.key", fixture->folder);
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    for (size_t i = 0; i < sizeof masked; i++)
        masked[i] = ring->key[i] ^ 0xff;
    const struct store_settings settings = {
        .path = fixture->path, .gateway = "plant-1", .quota_bytes = fixture->quota_bytes, .now_ms = FIXTURE_TIME_MS};
    assert_int_equal(store_open(&settings, ring->key, &fixture->store, &fixture->opening, NULL), FB_OK);
    key_close(ring);
    assert_held(masked, 1, 2, locked);
    assert_int_equal(store_number_tags(fixture->store, &fixture->plant, NULL), FB_OK);
    assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, NULL), FB_OK);
    fixture_batch_of(fixture, READINGS);
    assert_held(masked, 1, 2, locked); /* nor does work unlock it */
    for (size_t i = 0; i < OTHERS; i++)
        open_and_close_another();
    assert_held(masked, 1, 2, locked); /* nor what is given back beside it */
    fixture_close(fixture);
    assert_held(masked, 0, 0, locked);
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rekeyed_store_has_all_that_came_while_it_was_copied, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_is_given_up_leaves_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(killed_at_each_step_it_opens_with_one_of_the_keys, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_takes_its_place_before_it_is_on_disk, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_without_room_for_the_copy_is_told_before_it_is_begun, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_changes_too_fast_is_copied_anew, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_at_any_call_leaves_a_store_that_opens, account_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_but_sqlcipher_keeps_the_key, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
