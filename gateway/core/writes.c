#include "gateway/core/writes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "gateway/common/clock.h"
#include "gateway/common/hex.h"
#include "gateway/common/log.h"
#include "gateway/common/plant_write.h"
#include "gateway/core/caller.h"
#include "gateway/core/records.h"

#define GRANT_BYTES 8
#define OUTCOME_MAX 256

struct writes {
    struct core *core;
    sd_event_source *timer;
    uint64_t id; /* the question to forebay-field; 0: no write is under way */
    char who[CALLER_NAME_MAX];
    json_t *details; /* for the audit, of the one that is under way */
};

/* What is asked for, as far as it makes sense. */
struct wanted {
    const struct plant_instrument *instrument;
    const struct plant_write *write;
    double value;
    const char *reason;
};

static const struct plant_instrument *find_instrument(const struct plant *plant, const char *name) {
    for (size_t i = 0; name != NULL && i < plant->instrument_count; i++)
        if (strcmp(plant->instruments[i].name, name) == 0)
            return &plant->instruments[i];
    return NULL;
}

static enum fb_error find_register(const struct plant *plant, const json_t *request, struct wanted *wanted,
                                   struct fb_cause *cause) {
    const char *instrument = json_string_value(json_object_get(request, "instrument"));
    const char *name = json_string_value(json_object_get(request, "name"));
    wanted->instrument = find_instrument(plant, instrument);
    if (wanted->instrument == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "instrument: there is none of this name");
    wanted->write = name != NULL ? plant_write_find(wanted->instrument, name) : NULL;
    if (wanted->write == NULL)
        return fb_fail(cause, FB_DENIED, "name: the configuration opens no such register of %s for writing",
                       wanted->instrument->name);
    return FB_OK;
}

static enum fb_error read_request(const struct plant *plant, const json_t *request, struct wanted *wanted,
                                  struct fb_cause *cause) {
    const json_t *value = json_object_get(request, "value");
    wanted->reason = json_string_value(json_object_get(request, "reason"));
    if (wanted->reason == NULL || wanted->reason[0] == '\0' || strlen(wanted->reason) > WRITES_REASON_MAX)
        return fb_fail(cause, FB_INVALID, "reason: say why, in at most %d bytes", WRITES_REASON_MAX);
    if (!json_is_number(value))
        return fb_fail(cause, FB_INVALID, "value: a number is expected");
    wanted->value = json_number_value(value);
    const enum fb_error error = find_register(plant, request, wanted, cause);
    return error == FB_OK ? plant_write_check_value(wanted->write, wanted->value, cause) : error;
}

/* What it was about, and nothing else of the request. */
static json_t *make_details(const json_t *request) {
    static const char *const keys[] = {"instrument", "name", "value", "reason"};
    json_t *details = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(request, keys[i]) != NULL)
            json_object_set(details, keys[i], json_object_get(request, keys[i]));
    return details;
}

/* Only what is on disk counts: false when the audit could not be kept. */
static bool audit_durably(const struct writes *writes, json_t *details) {
    struct core *core = writes->core;
    struct store_records_figures before, after;
    intake_commit_now(core->intake);
    store_records_figures(core->store, STORE_RECORD_AUDIT, &before);
    records_audit(core, writes->who, "write", "asked", details);
    intake_commit_now(core->intake);
    store_records_figures(core->store, STORE_RECORD_AUDIT, &after);
    return after.last > before.last;
}

static bool draw_grant(char ret_digits[static 2 * GRANT_BYTES + 1]) {
    static const uint8_t none[GRANT_BYTES];
    uint8_t bytes[GRANT_BYTES];
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes ||
        memcmp(bytes, none, sizeof bytes) == 0)
        return false;
    hex_encode(bytes, sizeof bytes, ret_digits);
    return true;
}

static enum fb_error ask_field(struct writes *writes, const struct wanted *wanted, const char *grant, uint64_t id,
                               struct fb_cause *cause) {
    const json_int_t expires_ms = clock_monotonic_ms() + WRITES_GRANT_MS;
    const char *bus = writes->core->config.plant.buses[wanted->instrument->bus].name;
    json_t *question = json_pack("{s:s, s:s, s:s, s:s, s:f, s:s, s:I}", "call", "write", "bus", bus, "instrument",
                                 wanted->instrument->name, "name", wanted->write->name, "value", wanted->value, "grant",
                                 grant, "expires_ms", expires_ms);
    char *text = question != NULL ? json_dumps(question, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(question);
    if (text == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const enum fb_error error = field_peer_ask(writes->core->field, id, text, strlen(text), cause);
    free(text);
    return error;
}

/* The one that is under way has ended so. Takes the reference to the details. */
static void conclude(struct writes *writes, const char *outcome, json_t *details) {
    log_event(LOG_LEVEL_NOTICE, "write-ended", "who=%s instrument=%s name=%s outcome=\"%s\"", writes->who,
              json_string_value(json_object_get(details, "instrument")),
              json_string_value(json_object_get(details, "name")), outcome);
    records_audit(writes->core, writes->who, "write", outcome, details);
    writes->details = NULL;
    writes->id = 0;
    sd_event_source_set_enabled(writes->timer, SD_EVENT_OFF);
}

static enum fb_error grant(struct writes *writes, const struct wanted *wanted, uint64_t id, struct fb_cause *cause) {
    char digits[2 * GRANT_BYTES + 1];
    if (!draw_grant(digits))
        return fb_fail(cause, FB_AGAIN, "the system has no random numbers yet; try again");
    json_object_set_new(writes->details, "grant", json_string(digits));
    if (!audit_durably(writes, json_copy(writes->details)))
        return fb_fail(cause, FB_FULL, "the audit cannot be kept now, so nothing is written");
    return ask_field(writes, wanted, digits, id, cause);
}

enum fb_error writes_begin(struct writes *writes, const json_t *request, uint64_t id, struct fb_cause *cause) {
    struct wanted wanted;
    if (writes->id != 0)
        return fb_fail(cause, FB_AGAIN, "another write is under way; try again");
    snprintf(writes->who, sizeof writes->who, "%s", writes->core->caller);
    enum fb_error error = read_request(&writes->core->config.plant, request, &wanted, cause);
    json_t *details = make_details(request);
    writes->details = details;
    if (error == FB_OK)
        error = grant(writes, &wanted, id, cause);
    if (error != FB_OK) {
        conclude(writes, cause->text, details);
        return error;
    }
    writes->id = id;
    sd_event_source_set_time_relative(writes->timer, WRITES_ANSWER_MS * UINT64_C(1000));
    sd_event_source_set_enabled(writes->timer, SD_EVENT_ONESHOT);
    return FB_OK;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* What an answer of forebay-field means, in the words of the audit. */
static void name_outcome(const json_t *answer, char ret_outcome[static OUTCOME_MAX]) {
    const json_t *result = json_object_get(answer, "result");
    const json_int_t exception = json_integer_value(json_object_get(result, "exception"));
    const char *quality = text_of(result, "quality"), *reason = text_of(result, "reason");
    if (!json_is_true(json_object_get(answer, "ok")))
        snprintf(ret_outcome, OUTCOME_MAX, "not sent: %.200s", text_of(answer, "cause"));
    else if (strcmp(quality, "good") == 0)
        snprintf(ret_outcome, OUTCOME_MAX, "done");
    else if (exception != 0)
        snprintf(ret_outcome, OUTCOME_MAX, "refused by the instrument: exception %d", (int)exception);
    else if (text_of(result, "sent")[0] == '\0')
        snprintf(ret_outcome, OUTCOME_MAX, "not sent: %.100s, %.100s", quality, reason);
    else
        snprintf(ret_outcome, OUTCOME_MAX, "not confirmed, may be done: %.100s, %.100s", quality, reason);
}

void writes_told(struct writes *writes, uint64_t id, const char *text, size_t length) {
    char outcome[OUTCOME_MAX];
    if (id == 0 || id != writes->id)
        return;
    json_t *answer = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *result = json_object_get(answer, "result");
    json_t *details = writes->details;
    name_outcome(answer, outcome);
    json_object_set_new(details, "sent", json_string(text_of(result, "sent")));
    json_object_set_new(details, "received", json_string(text_of(result, "received")));
    json_decref(answer);
    conclude(writes, outcome, details);
}

static int on_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct writes *writes = user;
    if (writes->id != 0)
        conclude(writes, "not known: no answer", writes->details);
    return 0;
}

enum fb_error writes_new(struct core *core, struct writes **ret_writes, struct fb_cause *cause) {
    struct writes *writes = calloc(1, sizeof *writes);
    if (writes == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    writes->core = core;
    const int error =
        sd_event_add_time_relative(core->event, &writes->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, writes);
    if (error < 0) {
        free(writes);
        return fb_fail_errno(cause, FB_IO, -error, "event loop");
    }
    sd_event_source_set_enabled(writes->timer, SD_EVENT_OFF);
    *ret_writes = writes;
    return FB_OK;
}

void writes_free(struct writes *writes) {
    if (writes == NULL)
        return;
    if (writes->id != 0)
        conclude(writes, "not known: the gateway ended", writes->details);
    sd_event_source_disable_unref(writes->timer);
    free(writes);
}
