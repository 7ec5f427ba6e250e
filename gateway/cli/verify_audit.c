#include "gateway/cli/verify_audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/client.h"
#include "gateway/common/hex.h"
#include "store/record_chain.h"

#define TIMEOUT_MS 10000
#define AUDIT_KIND 1 /* STORE_RECORD_AUDIT, part of what is hashed */
#define HEAD_PREFIX "audit/"

struct walk {
    uint64_t first, last; /* numbers that were seen; 0: none */
    uint64_t suspect;     /* altered, unless it was the one behind it; 0: none */
    uint64_t pinned;      /* number of the head that was given; 0: none was */
    uint8_t hash[RECORD_HASH_BYTES], pinned_hash[RECORD_HASH_BYTES];
    char finding[160]; /* "": all good */
};

static void find(struct walk *walk, const char *text, uint64_t number) {
    if (walk->finding[0] == '\0')
        snprintf(walk->finding, sizeof walk->finding, "audit record %" PRIu64 " %s", number, text);
}

/* The record behind a suspect tells which of both it was: its own hash covers what it says of the one before. */
static void judge_suspect(struct walk *walk, bool fits) {
    if (walk->suspect != 0)
        find(walk, fits ? "was altered" : "or the one behind it was altered", walk->suspect);
}

static void add(struct walk *walk, uint64_t number, const uint8_t *previous) {
    const bool fits = memcmp(previous, walk->hash, RECORD_HASH_BYTES) == 0;
    if (walk->first == 0) {
        walk->first = number;
        return;
    }
    if (number != walk->last + 1) {
        judge_suspect(walk, true);
        find(walk, "is missing", walk->last + 1);
    }
    judge_suspect(walk, fits);
    if (!fits)
        walk->suspect = walk->last;
}

static bool take(struct walk *walk, const json_t *record) {
    uint8_t previous[RECORD_HASH_BYTES];
    const uint64_t number = (uint64_t)json_integer_value(json_object_get(record, "number"));
    const char *digits = json_string_value(json_object_get(record, "previous"));
    const json_t *body = json_object_get(record, "body");
    if (digits == NULL || !hex_decode(digits, previous, sizeof previous))
        return false;
    add(walk, number, previous);
    if (!json_is_string(body))
        find(walk, "was altered", number);
    else if (!record_hash(previous, AUDIT_KIND, number, json_integer_value(json_object_get(record, "time_ms")),
                          json_string_value(body), json_string_length(body), walk->hash))
        return false;
    walk->last = number;
    if (number == walk->pinned && memcmp(walk->hash, walk->pinned_hash, RECORD_HASH_BYTES) != 0)
        find(walk, "is not the one whose head was given: it or one before it was altered", number);
    return true;
}

/* What the store says its newest record is. */
static void judge_end(struct walk *walk, const json_t *answer) {
    uint8_t head[RECORD_HASH_BYTES];
    const char *digits = json_string_value(json_object_get(answer, "head"));
    const uint64_t last = (uint64_t)json_integer_value(json_object_get(answer, "last"));
    const bool fits = digits != NULL && hex_decode(digits, head, sizeof head) && walk->last == last &&
                      memcmp(head, walk->hash, sizeof head) == 0;
    judge_suspect(walk, fits);
    if (walk->last < last)
        find(walk, "is missing", walk->last + 1);
    if (walk->last < walk->pinned)
        find(walk, "is missing: it was there when the head was taken", walk->pinned);
    if (!fits && last > 0)
        find(walk, "was altered", last);
    if (walk->pinned != 0 && walk->pinned < walk->first)
        find(walk, "has given way to newer ones: the head that was given cannot be checked any more", walk->pinned);
}

static bool walk_all(struct walk *walk, const char *run) {
    json_t *answer = NULL;
    size_t count;
    do {
        struct fb_cause cause;
        json_decref(answer);
        json_t *request = json_pack("{s:s, s:I, s:b}", "call", "audit", "after", (json_int_t)walk->last, "exact", true);
        const enum fb_error error = client_request(run, request, TIMEOUT_MS, &answer, &cause);
        json_decref(request);
        if (error != FB_OK) {
            fprintf(stderr, "forebay verify: %s\n", cause.text);
            return false;
        }
        const json_t *records = json_object_get(answer, "records");
        count = json_array_size(records);
        for (size_t i = 0; i < count; i++)
            if (!take(walk, json_array_get(records, i))) {
                fputs("forebay verify: the gateway answered with something else\n", stderr);
                json_decref(answer);
                return false;
            }
    } while (count > 0);
    judge_end(walk, answer);
    json_decref(answer);
    return true;
}

static bool parse_head(struct walk *walk, const char *text) {
    char *end;
    if (strncmp(text, HEAD_PREFIX, strlen(HEAD_PREFIX)) != 0)
        return false;
    errno = 0;
    walk->pinned = strtoull(text + strlen(HEAD_PREFIX), &end, 10);
    return errno == 0 && walk->pinned > 0 && *end == '/' &&
           hex_decode(end + 1, walk->pinned_hash, sizeof walk->pinned_hash);
}

int verify_audit(const char *run, const char *head) {
    struct walk walk = {.first = 0};
    if (head != NULL && !parse_head(&walk, head)) {
        fprintf(stderr, "forebay verify: --head %s: it is audit/NUMBER/HASH, as forebay verify --audit prints it\n",
                head);
        return 2;
    }
    if (!walk_all(&walk, run))
        return EXIT_FAILURE;
    if (walk.finding[0] != '\0') {
        puts(walk.finding);
        return EXIT_FAILURE;
    }
    if (walk.last == 0) {
        puts("there are no audit records yet");
        return EXIT_SUCCESS;
    }
    char digits[2 * RECORD_HASH_BYTES + 1];
    hex_encode(walk.hash, sizeof walk.hash, digits);
    printf("audit records %" PRIu64 " to %" PRIu64 ": each carries the hash of the one before it\n"
           "head " HEAD_PREFIX "%" PRIu64 "/%s\n",
           walk.first, walk.last, walk.last, digits);
    return EXIT_SUCCESS;
}
