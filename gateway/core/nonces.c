#include "gateway/core/nonces.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/common/hex.h"
#include "gateway/core/claims.h"

/* "forebay-nonces 1 SECONDS SECONDS", then a line each: hash and expiry; "end". */
#define HEAD "forebay-nonces 1 "
#define DIGITS (2 * SHA256_DIGEST_LENGTH)
#define LINE_BYTES_MAX 128
#define FILE_BYTES_MAX ((NONCES_MAX + 1) * LINE_BYTES_MAX)
#define FILE_MODE 0600

struct used {
    char hash[DIGITS + 1];
    int64_t expires_s;
};

struct nonces {
    char *path;
    int64_t issued_from_s; /* what was issued before is refused */
    int64_t expired_to_s;  /* and what expires no later */
    size_t count;
    struct used used[NONCES_MAX];
};

/* Digits up to the character that ends them. */
static bool read_number(const char *text, char end, int64_t *ret_number, const char **ret_rest) {
    char *rest;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtoll(text, &rest, 10);
    *ret_rest = rest + 1;
    return errno == 0 && *rest == end;
}

static bool read_line(const char *line, struct used *ret_used) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    const char *rest;
    if (strlen(line) < DIGITS + 2 || line[DIGITS] != ' ')
        return false;
    memcpy(ret_used->hash, line, DIGITS);
    ret_used->hash[DIGITS] = '\0';
    return hex_decode(ret_used->hash, hash, sizeof hash) &&
           read_number(line + DIGITS + 1, '\0', &ret_used->expires_s, &rest);
}

static bool read_head(const char *line, struct nonces *nonces) {
    const char *rest;
    return strncmp(line, HEAD, strlen(HEAD)) == 0 &&
           read_number(line + strlen(HEAD), ' ', &nonces->issued_from_s, &rest) &&
           read_number(rest, '\0', &nonces->expired_to_s, &rest);
}

/* The last line is "end": a file that was cut off is damaged. */
static bool read_all(char *text, struct nonces *nonces) {
    char *rest = NULL;
    const char *line = strtok_r(text, "\n", &rest);
    if (line == NULL || !read_head(line, nonces))
        return false;
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL && strcmp(line, "end") != 0) {
        if (nonces->count == NONCES_MAX || !read_line(line, &nonces->used[nonces->count]))
            return false;
        nonces->count++;
    }
    return line != NULL && strtok_r(NULL, "\n", &rest) == NULL;
}

static void begin(struct nonces *nonces, int64_t now_ms) {
    nonces->issued_from_s = now_ms / 1000;
    nonces->expired_to_s = 0;
    nonces->count = 0;
}

enum fb_error nonces_open(const char *path, int64_t now_ms, struct nonces **ret_nonces, struct fb_cause *ret_begun,
                          struct fb_cause *cause) {
    struct nonces *nonces = calloc(1, sizeof *nonces);
    if (nonces == NULL || (nonces->path = strdup(path)) == NULL) {
        free(nonces);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length;
    ret_begun->text[0] = '\0';
    if (file_read(path, FILE_BYTES_MAX, &text, &length, ret_begun) != FB_OK) {
        begin(nonces, now_ms);
    } else if (strlen(text) != length || !read_all(text, nonces)) {
        fb_cause_write(ret_begun, "%s is damaged", path);
        begin(nonces, now_ms);
    }
    *ret_nonces = nonces;
    return FB_OK;
}

void nonces_close(struct nonces *nonces) {
    if (nonces == NULL)
        return;
    free(nonces->path);
    free(nonces);
}

static enum fb_error save(const struct nonces *nonces, struct fb_cause *cause) {
    FB_CLEANUP(file_free) char *text = malloc(FILE_BYTES_MAX);
    if (text == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    int used = snprintf(text, LINE_BYTES_MAX, HEAD "%lld %lld\n", (long long)nonces->issued_from_s,
                        (long long)nonces->expired_to_s);
    for (size_t i = 0; i < nonces->count; i++)
        used += snprintf(text + used, LINE_BYTES_MAX, "%s %lld\n", nonces->used[i].hash,
                         (long long)nonces->used[i].expires_s);
    used += snprintf(text + used, LINE_BYTES_MAX, "end\n");
    return file_write(nonces->path, text, (size_t)used, FILE_MODE, cause);
}

/* A clock that was far ahead for a while must not make a dropped command good again. */
static void drop_expired(struct nonces *nonces, int64_t now_ms) {
    for (size_t i = 0; i < nonces->count;) {
        const int64_t expires_s = nonces->used[i].expires_s;
        if (expires_s + CLAIMS_SKEW_S >= now_ms / 1000) {
            i++;
            continue;
        }
        if (expires_s > nonces->expired_to_s)
            nonces->expired_to_s = expires_s;
        nonces->used[i] = nonces->used[--nonces->count];
    }
}

static bool is_used(const struct nonces *nonces, const char *hash) {
    for (size_t i = 0; i < nonces->count; i++)
        if (strcmp(nonces->used[i].hash, hash) == 0)
            return true;
    return false;
}

static enum refusal judge(const struct nonces *nonces, const char *hash, int64_t issued_s, int64_t expires_s,
                          struct fb_cause *cause) {
    if (is_used(nonces, hash)) {
        fb_cause_write(cause, "its nonce was used before; each command needs one of its own");
        return REFUSAL_REPLAYED;
    }
    if (issued_s < nonces->issued_from_s || expires_s <= nonces->expired_to_s) {
        fb_cause_write(cause, "it is older than the nonces that this gateway remembers; sign it anew");
        return REFUSAL_LATE;
    }
    if (nonces->count == NONCES_MAX) {
        fb_cause_write(cause, "%d commands are remembered already; wait until they have expired", NONCES_MAX);
        return REFUSAL_TOO_MANY;
    }
    return REFUSAL_NONE;
}

enum refusal nonces_use(struct nonces *nonces, const char *nonce, int64_t issued_s, int64_t expires_s, int64_t now_ms,
                        struct fb_cause *cause) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct used used = {.expires_s = expires_s};
    SHA256((const unsigned char *)nonce, strlen(nonce), hash);
    hex_encode(hash, sizeof hash, used.hash);
    drop_expired(nonces, now_ms);
    const enum refusal refusal = judge(nonces, used.hash, issued_s, expires_s, cause);
    if (refusal != REFUSAL_NONE)
        return refusal;
    nonces->used[nonces->count++] = used;
    if (save(nonces, cause) == FB_OK)
        return REFUSAL_NONE;
    nonces->count--;
    return REFUSAL_FAILED;
}
