#include "gateway/core/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "gateway/common/clock.h"
#include "gateway/common/hex.h"
#include "gateway/common/log.h"
#include "gateway/core/core.h"
#include "gateway/core/flood.h"
#include "store/batch.h"

#define ZSTD_LEVEL 9 /* a configuration is kept for years */
#define HASH_DIGITS (2 * BATCH_HASH_BYTES)

static const struct flood_limit audit_limit = {60, 60000};
static const struct flood_limit look_limit = {1, 600000};
static const struct flood_limit event_limit = {30, 60000};

static const char *const kind_words[STORE_RECORD_KINDS + 1] = {
    [STORE_RECORD_AUDIT] = "audit",      [STORE_RECORD_EVENT] = "events",
    [STORE_RECORD_ATTEMPT] = "attempts", [STORE_RECORD_CONFIGURATION] = "configurations",
    [STORE_RECORD_PROOF] = "proofs",
};
static const char *const severity_words[] = {"info", "warning", "alarm"};

struct records {
    struct store *store;
    struct intake *intake;
    sd_event_source *timer; /* while something is held */
    struct flood flood;
    uint64_t dropped;
    char reason[FB_CAUSE_MAX];       /* of the last that was dropped */
    char last_hash[HASH_DIGITS + 1]; /* of the last configuration; "": there is none */
};

enum store_record_kind records_kind(const char *word) {
    enum store_record_kind kind = STORE_RECORD_KINDS;
    while (kind > 0 && strcmp(kind_words[kind], word) != 0)
        kind--;
    return kind;
}

/* Logged when it begins; the status has the count. */
static void note_dropped(struct records *records, enum store_record_kind kind, const char *reason) {
    if (records->dropped++ == 0 || strcmp(records->reason, reason) != 0)
        log_event(LOG_LEVEL_ERROR, "record-dropped", "kind=%s %s", kind_words[kind], reason);
    snprintf(records->reason, sizeof records->reason, "%s", reason);
}

static void add_bytes(struct records *records, enum store_record_kind kind, const void *body, size_t length) {
    uint64_t number;
    struct fb_cause cause;
    if (store_record_add(records->store, kind, clock_utc_ms(), body, length, &number, &cause) != FB_OK)
        note_dropped(records, kind, cause.text);
    intake_note(records->intake);
}

/* Of a body that is too long the details are left out. */
static void add(struct records *records, enum store_record_kind kind, json_t *body) {
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text != NULL && kind != STORE_RECORD_PROOF && strlen(text) > STORE_RECORD_BYTES_MAX &&
        json_object_set_new(body, "details", json_string("too long to be kept")) == 0) {
        free(text);
        text = json_dumps(body, JSON_COMPACT);
    }
    if (text != NULL)
        add_bytes(records, kind, text, strlen(text));
    else
        note_dropped(records, kind, "not in UTF-8, or out of memory");
    free(text);
    json_decref(body);
}

static void add_ended(struct records *records, int64_t now_ms) {
    json_t *body;
    int kind;
    while ((body = flood_ended(&records->flood, now_ms, &kind)) != NULL)
        add(records, (enum store_record_kind)kind, body);
}

static void arm(struct records *records) {
    const int64_t next_ms = flood_next_ms(&records->flood);
    if (next_ms == 0)
        return;
    sd_event_source_set_time(records->timer, (uint64_t)next_ms * 1000);
    sd_event_source_set_enabled(records->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct records *records = user;
    add_ended(records, clock_monotonic_ms());
    arm(records);
    return 0;
}

static void add_unless_flooded(struct records *records, enum store_record_kind kind, const char *key,
                               const struct flood_limit *limit, json_t *body) {
    if (body == NULL || flood_pass(&records->flood, key, limit, clock_monotonic_ms(), body, (int)kind))
        add(records, kind, body);
    else
        arm(records);
}

/* Takes the reference to details, which may be NULL. */
static json_t *with_details(json_t *body, json_t *details) {
    if (details == NULL || json_object_set_new(body, "details", details) == 0)
        return body;
    json_decref(body);
    return NULL;
}

static void audit(struct core *core, const char *key, const struct flood_limit *limit, json_t *body, json_t *details) {
    if (core->records != NULL)
        add_unless_flooded(core->records, STORE_RECORD_AUDIT, key, limit, with_details(body, details));
    else
        json_decref(with_details(body, details));
}

static json_t *audit_body(const char *who, const char *action, const char *outcome) {
    return json_pack("{s:s, s:s, s:s}", "who", who, "action", action, "outcome", outcome);
}

void records_audit(struct core *core, const char *who, const char *action, const char *outcome, json_t *details) {
    char key[FLOOD_KEY_MAX];
    snprintf(key, sizeof key, "%.40s %.40s %s", who, action, strcmp(outcome, "done") == 0 ? "done" : "not");
    audit(core, key, &audit_limit, audit_body(who, action, outcome), details);
}

void records_audit_look(struct core *core, const char *who, const char *action, const char *subject,
                        const char *outcome, json_t *details) {
    char key[FLOOD_KEY_MAX];
    snprintf(key, sizeof key, "%.40s %.20s %.40s %s", who, action, subject,
             strcmp(outcome, "done") == 0 ? "done" : "not");
    audit(core, key, &look_limit, audit_body(who, action, outcome), details);
}

void records_event(struct core *core, enum records_severity severity, const char *event, json_t *details) {
    if (core->records == NULL) {
        json_decref(details);
        return;
    }
    json_t *body = json_pack("{s:s, s:s}", "severity", severity_words[severity], "event", event);
    add_unless_flooded(core->records, STORE_RECORD_EVENT, event, &event_limit, with_details(body, details));
}

void records_attempt(struct core *core, json_t *attempt) {
    if (core->records != NULL)
        add(core->records, STORE_RECORD_ATTEMPT, attempt);
    else
        json_decref(attempt);
}

void records_proof(struct core *core, uint32_t tag, json_t *proof) {
    if (core->records != NULL && json_object_set_new(proof, "tag", json_integer(tag)) == 0)
        add(core->records, STORE_RECORD_PROOF, proof);
    else
        json_decref(proof);
}

/* The header as JSON, a line feed, the document in zstd. */
static enum fb_error add_configuration(struct records *records, const char *header, const char *document, size_t length,
                                       uint64_t *ret_number, struct fb_cause *cause) {
    const size_t head = strlen(header), most = head + 1 + ZSTD_compressBound(length);
    char *body = malloc(most);
    if (body == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    memcpy(body, header, head);
    body[head] = '\n';
    const size_t packed = ZSTD_compress(body + head + 1, most - head - 1, document, length, ZSTD_LEVEL);
    enum fb_error error = FB_OK;
    if (ZSTD_isError(packed))
        error = fb_fail(cause, FB_INVALID, "%s", ZSTD_getErrorName(packed));
    else
        error = store_record_add(records->store, STORE_RECORD_CONFIGURATION, clock_utc_ms(), body, head + 1 + packed,
                                 ret_number, cause);
    free(body);
    intake_note(records->intake);
    return error;
}

static void hash_document(const char *document, size_t length, char ret_digits[static HASH_DIGITS + 1]) {
    uint8_t hash[BATCH_HASH_BYTES];
    batch_hash((const uint8_t *)document, length, hash);
    hex_encode(hash, sizeof hash, ret_digits);
}

/* header: the reference is taken; NULL is no UTF-8. */
static enum fb_error keep_configuration(struct records *records, json_t *header, const char *document, size_t length,
                                        uint64_t *ret_number, struct fb_cause *cause) {
    char *text = header != NULL ? json_dumps(header, JSON_COMPACT) : NULL;
    const enum fb_error error = text != NULL ? add_configuration(records, text, document, length, ret_number, cause)
                                             : fb_fail(cause, FB_INVALID, "not in UTF-8, or out of memory");
    json_decref(header);
    free(text);
    return error;
}

void records_configuration(struct core *core, const char *author, const char *reason, const char *document,
                           size_t length) {
    struct records *records = core->records;
    char digits[HASH_DIGITS + 1];
    uint64_t number;
    struct fb_cause cause;
    hash_document(document, length, digits);
    if (records == NULL || strcmp(records->last_hash, digits) == 0)
        return;
    json_t *header = json_pack("{s:s, s:s, s:s, s:I}", "author", author, "reason", reason, "hash", digits, "bytes",
                               (json_int_t)length);
    if (keep_configuration(records, header, document, length, &number, &cause) == FB_OK)
        memcpy(records->last_hash, digits, sizeof digits);
    else
        note_dropped(records, STORE_RECORD_CONFIGURATION, cause.text);
}

enum fb_error records_proposal(struct core *core, const char *author, const char *reason, const char *document,
                               size_t length, uint64_t *ret_number, struct fb_cause *cause) {
    char digits[HASH_DIGITS + 1];
    hash_document(document, length, digits);
    json_t *header = json_pack("{s:s, s:s, s:s, s:I, s:b}", "author", author, "reason", reason, "hash", digits, "bytes",
                               (json_int_t)length, "proposed", 1);
    return keep_configuration(core->records, header, document, length, ret_number, cause);
}

static bool take_last_hash(const struct store_record *record, void *user) {
    struct records *records = user;
    const char *end = memchr(record->body, '\n', record->length);
    const size_t head = end != NULL ? (size_t)(end - (const char *)record->body) : 0;
    json_t *header = json_loadb((const char *)record->body, head, 0, NULL);
    const char *hash = json_string_value(json_object_get(header, "hash"));
    /* After a proposal the one in force is kept once more. */
    if (hash != NULL && !json_is_true(json_object_get(header, "proposed")))
        snprintf(records->last_hash, sizeof records->last_hash, "%s", hash);
    json_decref(header);
    return true;
}

enum fb_error records_new(sd_event *event, struct store *store, struct intake *intake, struct records **ret_records,
                          struct fb_cause *cause) {
    struct records *records = calloc(1, sizeof *records);
    if (records == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *records = (struct records){.store = store, .intake = intake};
    const int timer = sd_event_add_time(event, &records->timer, CLOCK_MONOTONIC, 0, 0, on_timer, records);
    if (timer < 0) {
        free(records);
        return fb_fail_errno(cause, FB_IO, -timer, "event loop");
    }
    sd_event_source_set_enabled(records->timer, SD_EVENT_OFF);
    struct store_records_figures figures;
    struct fb_cause why;
    store_records_figures(store, STORE_RECORD_CONFIGURATION, &figures);
    if (figures.last > 0 && store_records_read(store, STORE_RECORD_CONFIGURATION, figures.last - 1, 1, take_last_hash,
                                               records, &why) != FB_OK)
        note_dropped(records, STORE_RECORD_CONFIGURATION, why.text);
    *ret_records = records;
    return FB_OK;
}

void records_free(struct records *records) {
    if (records == NULL)
        return;
    add_ended(records, INT64_MAX);
    sd_event_source_disable_unref(records->timer);
    free(records);
}

json_t *records_to_json(const struct records *records) {
    json_t *reason = json_string(records->reason);
    json_t *json = json_pack("{s:I, s:I, s:o}", "waiting", (json_int_t)store_records_waiting(records->store), "dropped",
                             (json_int_t)records->dropped, "reason", reason != NULL ? reason : json_string(""));
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++) {
        struct store_records_figures figures;
        char head[2 * RECORD_HASH_BYTES + 1];
        store_records_figures(records->store, kind, &figures);
        hex_encode(figures.head, sizeof figures.head, head);
        json_object_set_new(json, kind_words[kind],
                            json_pack("{s:I, s:I, s:I, s:I, s:s}", "first", (json_int_t)figures.first, "last",
                                      (json_int_t)figures.last, "bytes", (json_int_t)figures.bytes, "quota_bytes",
                                      (json_int_t)figures.quota_bytes, "head", head));
    }
    return json;
}
