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
 * holds tells the three apart. (SQLCipher 4 as store_database.c sets it: HMAC-SHA256 over cipher text, vector and page
 * number; its key by PBKDF2-HMAC-SHA512, two rounds, from the salt with each byte XOR 0x3a.) */
#define SALT_BYTES 16
#define BLOCK_BYTES 16
#define HMAC_BYTES 32
#define HMAC_ROUNDS 2
#define HMAC_SALT_MASK 0x3a
#define PAGES_LOOKED_AT 256
/* 4096 bytes that look random hold all 256 values but for one time in 30,000. */
#define RANDOM_VALUES_LEAST 250

struct sample {
    int fd;
    uint8_t hmac_key[STORE_KEY_BYTES];
    uint8_t page[STORE_PAGE_BYTES];
    uint64_t pages;      /* of the file */
    uint64_t pages_told; /* as its first page has it; 0: that cannot be read */
    size_t good, bad;
    bool first_good;
    bool looks_random;
    bool cannot_tell; /* OpenSSL failed */
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

/* One that was never written; SQLCipher takes it so, too. */
static bool is_unused(const uint8_t *page) {
    return page[0] == 0 && memcmp(page, page + 1, STORE_PAGE_BYTES - 1) == 0;
}

static bool page_holds(struct sample *sample, uint32_t number) {
    uint8_t text[STORE_PAGE_BYTES], hmac[HMAC_BYTES];
    const size_t from = number == 1 ? SALT_BYTES : 0;
    const size_t length = STORE_PAGE_BYTES - HMAC_BYTES - from;
    memcpy(text, sample->page + from, length);
    for (size_t i = 0; i < sizeof number; i++)
        text[length + i] = (uint8_t)(number >> 8 * i);
    if (HMAC(EVP_sha256(), sample->hmac_key, sizeof sample->hmac_key, text, length + sizeof number, hmac, NULL) ==
        NULL) {
        sample->cannot_tell = true;
        return false;
    }
    return memcmp(hmac, sample->page + STORE_PAGE_BYTES - HMAC_BYTES, sizeof hmac) == 0;
}

/* SQLite's header has the database's size at byte 28. Its first 16 bytes are not stored (the salt stands there), so
 * that is in the first block that is encrypted; the vector stands in front of the HMAC. */
static uint64_t pages_told(const struct sample *sample, const uint8_t key[static STORE_KEY_BYTES]) {
    const uint8_t *vector = sample->page + STORE_PAGE_BYTES - HMAC_BYTES - BLOCK_BYTES;
    uint8_t plain[2 * BLOCK_BYTES];
    int length = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, vector) == 1 &&
        EVP_CIPHER_CTX_set_padding(cipher, 0) == 1)
        EVP_DecryptUpdate(cipher, plain, &length, sample->page + SALT_BYTES, BLOCK_BYTES);
    EVP_CIPHER_CTX_free(cipher);
    const uint8_t *size = plain + 28 - SALT_BYTES;
    return length == BLOCK_BYTES
               ? (uint64_t)size[0] << 24 | (uint64_t)size[1] << 16 | (uint64_t)size[2] << 8 | (uint64_t)size[3]
               : 0;
}

static bool read_page(struct sample *sample, uint64_t number) {
    return pread(sample->fd, sample->page, STORE_PAGE_BYTES, (off_t)(number - 1) * STORE_PAGE_BYTES) ==
           STORE_PAGE_BYTES;
}

static void look_at(struct sample *sample, uint64_t number) {
    const bool good = read_page(sample, number) && (is_unused(sample->page) || page_holds(sample, (uint32_t)number));
    sample->good += good;
    sample->bad += !good;
    sample->first_good = sample->first_good || (good && number == 1);
}

/* The first page, the last, and others evenly between them. */
static void look(struct sample *sample) {
    const uint64_t count = sample->pages < PAGES_LOOKED_AT ? sample->pages : PAGES_LOOKED_AT;
    for (uint64_t i = 0; i < count; i++)
        look_at(sample, count == 1 ? 1 : 1 + i * (sample->pages - 1) / (count - 1));
}

static void add(char *reason, size_t size, const char *text) {
    const size_t used = strlen(reason);
    snprintf(reason + used, size - used, "%s", text);
}

static bool is_cut_off(const struct sample *sample) {
    return sample->pages_told > sample->pages;
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
    if (is_cut_off(sample)) {
        if (strstr(reason, "damaged: ") == NULL)
            snprintf(reason, size, "damaged: the file");
        snprintf(more, sizeof more, " (cut off: of %llu pages %llu are missing)",
                 (unsigned long long)sample->pages_told, (unsigned long long)(sample->pages_told - sample->pages));
        add(reason, size, more);
    }
}

static bool open_sample(const char *path, struct sample *ret_sample, off_t *ret_size) {
    struct stat status;
    *ret_sample = (struct sample){.fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (ret_sample->fd < 0 || fstat(ret_sample->fd, &status) < 0)
        return false;
    *ret_size = status.st_size;
    ret_sample->pages = (uint64_t)status.st_size / STORE_PAGE_BYTES;
    return status.st_size > 0;
}

static void close_sample(struct sample *sample) {
    OPENSSL_cleanse(sample->hmac_key, sizeof sample->hmac_key);
    file_close_descriptor(&sample->fd);
}

static enum fb_error explain(struct sample *sample, off_t size_bytes, const uint8_t key[static STORE_KEY_BYTES],
                             char *reason, size_t size) {
    if (sample->pages == 0 || !read_page(sample, 1)) {
        snprintf(reason, size, "foreign or cut off: %lld bytes, not a database of Forebay", (long long)size_bytes);
        return FB_OK;
    }
    if (is_plain_sqlite(sample->page)) {
        snprintf(reason, size, "foreign: an SQLite file without encryption, not a database of Forebay");
        return FB_OK;
    }
    if (!derive(sample, key))
        return FB_MEMORY;
    sample->looks_random = looks_random(sample->page);
    if (page_holds(sample, 1))
        sample->pages_told = pages_told(sample, key);
    look(sample);
    if (sample->cannot_tell)
        return FB_MEMORY;
    conclude(sample, reason, size);
    if (size_bytes % STORE_PAGE_BYTES != 0 && !is_cut_off(sample))
        add(reason, size, " (cut off in the middle of a page)");
    return sample->bad > 0 || is_cut_off(sample) || size_bytes % STORE_PAGE_BYTES != 0 ? FB_OK : FB_NOT_FOUND;
}

enum fb_error store_damage_explain(const char *path, const uint8_t key[static STORE_KEY_BYTES], char *reason,
                                   size_t size) {
    struct sample sample;
    off_t size_bytes;
    enum fb_error error = FB_NOT_FOUND;
    if (open_sample(path, &sample, &size_bytes))
        error = explain(&sample, size_bytes, key, reason, size);
    close_sample(&sample);
    return error;
}

/* What the log has goes into the file before: pages there may wait for it, half written. */
enum fb_error store_damage_search(struct store *store, const uint8_t key[static STORE_KEY_BYTES], int64_t budget_us,
                                  struct fb_cause *cause) {
    const int64_t until_us = clock_monotonic_us() + budget_us;
    struct sample sample;
    off_t size_bytes;
    sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    const bool can_tell =
        open_sample(store->path, &sample, &size_bytes) && read_page(&sample, 1) && derive(&sample, key);
    for (uint64_t number = 1; can_tell && number <= sample.pages && clock_monotonic_us() < until_us; number++)
        look_at(&sample, number);
    close_sample(&sample);
    if (!can_tell || sample.cannot_tell)
        return fb_fail(cause, FB_MEMORY, "out of memory for OpenSSL");
    return sample.bad == 0
               ? FB_OK
               : fb_fail(cause, FB_CORRUPT, "damaged: %zu page%s of the file", sample.bad, sample.bad == 1 ? "" : "s");
}

bool store_damage_can_tell(void) {
    static const uint8_t key[STORE_KEY_BYTES];
    uint8_t hmac[HMAC_BYTES];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    const bool works = cipher != NULL && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, key, 1) == 1 &&
                       HMAC(EVP_sha256(), key, sizeof key, key, sizeof key, hmac, NULL) != NULL;
    EVP_CIPHER_CTX_free(cipher);
    return works;
}
