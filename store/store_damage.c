#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

/* SQLCipher says "not a database" of a wrong key, of a foreign file and of a damaged first page. But each page carries
 * its own HMAC, made with a key that follows from ours and the salt in the first 16 bytes of the file: whether any page
 * holds tells the three apart. (SQLCipher 4: HMAC-SHA512 over cipher text, vector and page number; its key by
 * PBKDF2-HMAC-SHA512, two rounds, from the salt with each byte XOR 0x3a.) */
#define SALT_BYTES 16
#define HMAC_BYTES 64
#define HMAC_ROUNDS 2
#define HMAC_SALT_MASK 0x3a
#define PAGES_LOOKED_AT 256
/* 4096 bytes that look random hold all 256 values but for one time in 30,000. */
#define RANDOM_VALUES_LEAST 250

struct sample {
    int fd;
    uint8_t hmac_key[STORE_KEY_BYTES];
    uint8_t page[STORE_PAGE_BYTES];
    uint64_t pages; /* of the file */
    size_t good, bad;
    bool first_good;
    bool looks_random;
};

static bool is_plain_sqlite(const uint8_t *page) {
    static const char head[] = "SQLite format 3";
    return memcmp(page, head, sizeof head) == 0;
}

static bool looks_random(const uint8_t *page) {
    bool seen[256] = {false};
    size_t values = 0;
    for (size_t i = 0; i < STORE_PAGE_BYTES; i++) {
        values += !seen[page[i]];
        seen[page[i]] = true;
    }
    return values >= RANDOM_VALUES_LEAST;
}

static bool derive(struct sample *sample, const uint8_t key[static STORE_KEY_BYTES]) {
    uint8_t salt[SALT_BYTES];
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = sample->page[i] ^ HMAC_SALT_MASK;
    return PKCS5_PBKDF2_HMAC((const char *)key, STORE_KEY_BYTES, salt, sizeof salt, HMAC_ROUNDS, EVP_sha512(),
                             sizeof sample->hmac_key, sample->hmac_key) == 1;
}

static bool page_holds(const struct sample *sample, uint32_t number) {
    uint8_t text[STORE_PAGE_BYTES], hmac[HMAC_BYTES];
    const size_t from = number == 1 ? SALT_BYTES : 0;
    const size_t length = STORE_PAGE_BYTES - HMAC_BYTES - from;
    memcpy(text, sample->page + from, length);
    for (size_t i = 0; i < sizeof number; i++)
        text[length + i] = (uint8_t)(number >> 8 * i);
    if (HMAC(EVP_sha512(), sample->hmac_key, sizeof sample->hmac_key, text, length + sizeof number, hmac, NULL) == NULL)
        return false;
    return memcmp(hmac, sample->page + STORE_PAGE_BYTES - HMAC_BYTES, sizeof hmac) == 0;
}

static bool read_page(struct sample *sample, uint64_t number) {
    return pread(sample->fd, sample->page, STORE_PAGE_BYTES, (off_t)(number - 1) * STORE_PAGE_BYTES) ==
           STORE_PAGE_BYTES;
}

/* The first page, the last, and others evenly between them. */
static void look(struct sample *sample) {
    const uint64_t count = sample->pages < PAGES_LOOKED_AT ? sample->pages : PAGES_LOOKED_AT;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = count == 1 ? 1 : 1 + i * (sample->pages - 1) / (count - 1);
        const bool good = read_page(sample, number) && page_holds(sample, (uint32_t)number);
        sample->good += good;
        sample->bad += !good;
        sample->first_good = sample->first_good || (good && number == 1);
    }
}

static void add(char *reason, size_t size, const char *text) {
    const size_t used = strlen(reason);
    snprintf(reason + used, size - used, "%s", text);
}

static void conclude(const struct sample *sample, char *reason, size_t size) {
    const size_t all = sample->good + sample->bad;
    char more[96];
    if (sample->good == 0 && !sample->looks_random)
        snprintf(reason, size, "foreign: not a database of Forebay");
    else if (sample->good == 0)
        snprintf(reason, size, "wrong key, or not a database of Forebay: none of %zu pages fits the key", all);
    else if (!sample->first_good)
        snprintf(reason, size, "damaged: its first page, though the key is right");
    if (sample->good > 0 && sample->bad > 0) {
        if (strstr(reason, "damaged") == NULL)
            snprintf(reason, size, "damaged: the file");
        snprintf(more, sizeof more, " (of %zu pages looked at %zu are damaged)", all, sample->bad);
        add(reason, size, more);
    }
}

void store_damage_explain(const char *path, const uint8_t key[static STORE_KEY_BYTES], char *reason, size_t size) {
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    struct sample sample = {.fd = fd};
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size == 0)
        return;
    sample.pages = (uint64_t)status.st_size / STORE_PAGE_BYTES;
    if (sample.pages == 0 || !read_page(&sample, 1)) {
        snprintf(reason, size, "foreign or cut off: %lld bytes, not a database of Forebay", (long long)status.st_size);
    } else if (is_plain_sqlite(sample.page)) {
        snprintf(reason, size, "foreign: an SQLite file without encryption, not a database of Forebay");
    } else if (derive(&sample, key)) {
        sample.looks_random = looks_random(sample.page);
        look(&sample);
        conclude(&sample, reason, size);
        if (status.st_size % STORE_PAGE_BYTES != 0)
            add(reason, size, " (cut off in the middle of a page)");
    }
    OPENSSL_cleanse(sample.hmac_key, sizeof sample.hmac_key);
}
