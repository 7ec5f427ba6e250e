// links: store/*.c gateway/common/*.c
/* test_store_key_memory.c - where the store's key stands in memory: nowhere but in SQLCipher's own, which is locked. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>

#include "store/key.h"
#include "store_fixture.h"

#define READINGS 500
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_but_sqlcipher_keeps_the_key, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
