#include "gateway/receive/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "gateway/common/file.h"
#include "gateway/receive/event.h"
#include "gateway/receive/keep.h"
#include "gateway/receive/ledger_json.h"
#include "gateway/receive/names.h"
#include "gateway/receive/sink.h"
#include "store/batch_correct.h"

#define STATE_VERSION 1

struct receiver {
    char state_path[PATH_MAX];
    const char *keep; /* the folder for batches as they came; NULL: none */
    int folder_lock;
    struct ledger ledger;
    struct names *names;
    struct sink *sink;
    struct sink_place place; /* as of the last commit */
    char events_path[PATH_MAX];
    struct sink *events; /* NULL until one has come */
    struct sink_place events_place;
    bool events_changed; /* since the last commit */
    bool changed;        /* since the last commit */
};

static enum fb_error lock_folder(struct receiver *receiver, const char *folder, struct fb_cause *cause) {
    receiver->folder_lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (receiver->folder_lock < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", folder);
    if (flock(receiver->folder_lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? fb_fail(cause, FB_DENIED,
                                              "%s: another forebay receive uses it; end that one or name another "
                                              "--state folder",
                                              folder)
                                    : fb_fail_errno(cause, FB_IO, errno, "%s", folder);
    return FB_OK;
}

static enum fb_error place_from_json(const json_t *json, struct sink_place *ret_place, struct fb_cause *cause) {
    const char *path = json_string_value(json_object_get(json, "path"));
    const char *word = json_string_value(json_object_get(json, "format"));
    const json_t *offset = json_object_get(json, "offset");
    const int format = word != NULL ? lines_format_from_word(word) : -1;
    if (path == NULL || strlen(path) >= sizeof ret_place->path || format < 0 || !json_is_integer(offset) ||
        json_integer_value(offset) < 0)
        return fb_fail(cause, FB_CORRUPT, "no output");
    memcpy(ret_place->path, path, strlen(path) + 1);
    ret_place->format = (enum lines_format)format;
    ret_place->offset = (uint64_t)json_integer_value(offset);
    return FB_OK;
}

static enum fb_error state_from_json(struct receiver *receiver, const json_t *json, struct fb_cause *cause) {
    const json_int_t version = json_integer_value(json_object_get(json, "version"));
    if (version > STATE_VERSION)
        return fb_fail(cause, FB_VERSION, "written by a newer forebay (version %lld)", (long long)version);
    if (version != STATE_VERSION)
        return fb_fail(cause, FB_CORRUPT, "no version");
    enum fb_error error = place_from_json(json_object_get(json, "output"), &receiver->place, cause);
    const json_t *events = json_object_get(json, "events");
    if (error == FB_OK && events != NULL)
        error = place_from_json(events, &receiver->events_place, cause);
    return error == FB_OK ? ledger_from_json(json_object_get(json, "received"), &receiver->ledger, cause) : error;
}

static enum fb_error read_state(struct receiver *receiver, struct fb_cause *cause) {
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length = 0;
    enum fb_error error = file_read(receiver->state_path, RECEIVER_STATE_BYTES_MAX, &text, &length, cause);
    if (error != FB_OK)
        return error == FB_NOT_FOUND ? FB_OK : error; /* the first start */
    json_error_t where;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL)
        error = fb_fail(cause, FB_CORRUPT, "line %d: %s", where.line, where.text);
    else
        error = state_from_json(receiver, json, cause);
    json_decref(json);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "%s", receiver->state_path);
}

static json_t *place_to_json(const struct sink_place *place) {
    return json_pack("{ss, ss, sI}", "path", place->path, "format", lines_format_word(place->format), "offset",
                     (json_int_t)place->offset);
}

static enum fb_error write_state(struct receiver *receiver, struct fb_cause *cause) {
    const struct ledger_totals totals = ledger_sum(&receiver->ledger);
    json_t *json = json_pack("{si, so, so, so}", "version", STATE_VERSION, "output", place_to_json(&receiver->place),
                             "totals", ledger_totals_to_json(&totals), "received", ledger_to_json(&receiver->ledger));
    if (json != NULL && receiver->events_place.path[0] != '\0')
        json_object_set_new(json, "events", place_to_json(&receiver->events_place));
    FB_CLEANUP(file_free) char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL)
        return fb_fail(cause, FB_MEMORY, "%s: out of memory", receiver->state_path);
    return file_write(receiver->state_path, text, strlen(text), 0640, cause);
}

/* Only once there is one: most receivers of old batches never see any. */
static enum fb_error open_events(struct receiver *receiver, struct fb_cause *cause) {
    if (receiver->events != NULL)
        return FB_OK;
    return sink_open(receiver->events_path, LINES_NDJSON, &receiver->events_place, &receiver->events, cause);
}

static enum fb_error name_events(struct receiver *receiver, const struct receiver_settings *settings,
                                 struct fb_cause *cause) {
    if (settings->events == NULL)
        return file_join(settings->folder, RECEIVER_EVENTS, receiver->events_path, sizeof receiver->events_path, cause);
    return file_join(".", settings->events, receiver->events_path, sizeof receiver->events_path, cause);
}

static enum fb_error open_parts(struct receiver *receiver, const struct receiver_settings *settings,
                                struct fb_cause *cause) {
    char catalogues[PATH_MAX];
    enum fb_error error = file_make_folder(settings->folder, cause);
    if (error == FB_OK)
        error = lock_folder(receiver, settings->folder, cause);
    if (error == FB_OK)
        error =
            file_join(settings->folder, RECEIVER_STATE_FILE, receiver->state_path, sizeof receiver->state_path, cause);
    if (error == FB_OK)
        error = file_join(settings->folder, RECEIVER_CATALOGUES, catalogues, sizeof catalogues, cause);
    if (error == FB_OK)
        error = read_state(receiver, cause);
    if (error == FB_OK)
        error = names_open(catalogues, &receiver->names, cause);
    if (error == FB_OK)
        error = sink_open(settings->output, settings->format, &receiver->place, &receiver->sink, cause);
    if (error == FB_OK)
        error = name_events(receiver, settings, cause);
    if (error == FB_OK && receiver->events_place.path[0] != '\0')
        error = open_events(receiver, cause);
    return error;
}

enum fb_error receiver_open(const struct receiver_settings *settings, struct receiver **ret_receiver,
                            struct fb_cause *cause) {
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    receiver->folder_lock = -1;
    receiver->keep = settings->keep;
    enum fb_error error = open_parts(receiver, settings, cause);
    /* From now on the state must know this output, or a kill before the first batch would leave a file that it
     * disowns. */
    receiver->changed = true;
    if (error == FB_OK)
        error = receiver_commit(receiver, cause);
    if (error == FB_OK)
        *ret_receiver = receiver;
    else
        receiver_close(receiver);
    return error;
}

void receiver_close(struct receiver *receiver) {
    if (receiver == NULL)
        return;
    sink_close(receiver->sink);
    sink_close(receiver->events);
    names_close(receiver->names);
    ledger_done(&receiver->ledger);
    if (receiver->folder_lock >= 0)
        close(receiver->folder_lock);
    free(receiver);
}

static enum fb_error refuse(struct receiver *receiver, struct receiver_result *result, enum receiver_verdict verdict) {
    result->verdict = verdict;
    receiver->ledger.rejected += verdict == RECEIVER_REJECT;
    receiver->changed = true;
    return FB_OK;
}

static void write_lines(struct receiver *receiver, const struct batch_info *info, const struct reading *readings,
                        size_t units, struct ledger_store *store) {
    const struct catalogue *catalogue = names_find(receiver->names, info);
    struct lines_tag tag;
    const struct catalogue_tag *names = NULL;
    uint32_t tag_before = 0; /* no tag has this number */
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        if (readings[i].tag != tag_before) {
            tag_before = readings[i].tag;
            names = names_tag(catalogue, readings[i].tag);
            lines_begin_tag(receiver->place.format, info, readings[i].tag, names, &tag);
        }
        sink_put(receiver->sink, lines_reading(&tag, &readings[i], sink_room(receiver->sink)));
        store->unnamed_readings += names == NULL;
    }
}

static void remark_losses(const struct batch_info *info, struct fb_cause *why) {
    const uint64_t readings = info->losses[info->loss_count - 1].readings;
    if (readings > 0)
        fb_cause_write(why, "gateway %s batch %" PRIu64 " names %zu losses, the last of %" PRIu64 " readings",
                       info->gateway, info->number, info->loss_count, readings);
    else
        fb_cause_write(why, "gateway %s batch %" PRIu64 " names %zu losses, the last of an unknown number of readings",
                       info->gateway, info->number, info->loss_count);
}

/* Say what a person should know about a batch that was taken; the last remark wins. */
static void remark(const struct batch_info *info, const struct ledger_entry *entry, uint64_t unnamed,
                   struct fb_cause *why) {
    if (info->loss_count > 0)
        remark_losses(info, why);
    if (unnamed > 0)
        fb_cause_write(why, "gateway %s batch %" PRIu64 ": no catalogue names the tags of %" PRIu64 " readings",
                       info->gateway, info->number, unnamed);
    if (info->correction_count > 0) {
        const struct batch_correction *record = &info->corrections[info->correction_count - 1];
        fb_cause_write(why,
                       "gateway %s batch %" PRIu64 " corrects times from before the clock was set: %" PRId64
                       " to %" PRId64 " in batches %" PRIu64 " to %" PRIu64 " were %" PRId64 " in truth",
                       info->gateway, info->number, record->from_ms, record->to_ms, record->first_batch,
                       record->last_batch, record->right_ms);
    }
    if (entry->chain_broken)
        fb_cause_write(why, "gateway %s batch %" PRIu64 ": its hash and that of its neighbour do not fit together",
                       info->gateway, info->number);
}

/* A batch that has come, as bytes and taken apart. */
struct arrived {
    const uint8_t *body;
    size_t length;
    uint8_t hash[BATCH_HASH_BYTES];
    struct batch_info info;
    struct reading *readings;
    size_t units;
};

/* What the store's batches have told so far; lines that were written before stay as they are. */
static void set_true_times(const struct ledger_store *store, const struct arrived *arrived) {
    for (size_t i = 0; i < arrived->units; i += reading_units(&arrived->readings[i])) {
        int64_t *time_ms = &arrived->readings[i].time_ms;
        const struct batch_place place = {store->id, arrived->info.number, *time_ms};
        *time_ms = batch_true_ms(store->corrections, store->correction_count, &place);
    }
}

/* Kept before its lines are committed: what was accepted is there in both forms. */
static enum fb_error take_new(struct receiver *receiver, const struct arrived *arrived,
                              const struct ledger_entry *entry, struct receiver_result *result,
                              struct fb_cause *cause) {
    if (receiver->keep != NULL) {
        const enum fb_error error = keep_batch(receiver->keep, &arrived->info, arrived->body, arrived->length, cause);
        if (error != FB_OK)
            return error;
    }
    const uint64_t unnamed_before = entry->store->unnamed_readings;
    set_true_times(entry->store, arrived);
    write_lines(receiver, &arrived->info, arrived->readings, arrived->units, entry->store);
    result->readings = readings_count(arrived->readings, arrived->units);
    remark(&arrived->info, entry, entry->store->unnamed_readings - unnamed_before, &result->why);
    return FB_OK;
}

static enum fb_error take_decoded(struct receiver *receiver, const struct arrived *arrived,
                                  struct receiver_result *result, struct fb_cause *cause) {
    const struct batch_info *info = &arrived->info;
    struct ledger_entry entry;
    const size_t readings = readings_count(arrived->readings, arrived->units);
    switch (ledger_add(&receiver->ledger, info, arrived->hash, readings, &entry)) {
    case LEDGER_NEW:
        return take_new(receiver, arrived, &entry, result, cause);
    case LEDGER_REPEATED:
        return FB_OK;
    case LEDGER_CONTRADICTS:
        fb_cause_write(&result->why,
                       "gateway %s batch %" PRIu64
                       " came before with other content; was its store restored from a copy?",
                       info->gateway, info->number);
        return refuse(receiver, result, RECEIVER_REJECT);
    case LEDGER_NO_NUMBER:
        fb_cause_write(&result->why, "gateway %s: %" PRIu64 " is not the number of a batch", info->gateway,
                       info->number);
        return refuse(receiver, result, RECEIVER_REJECT);
    case LEDGER_NO_ROOM:
        fb_cause_write(&result->why,
                       "gateway %s batch %" PRIu64
                       ": more than %d gaps or %d stores; receive it with another --state folder",
                       info->gateway, info->number, LEDGER_RUNS_MAX, LEDGER_STORES_MAX);
        return refuse(receiver, result, RECEIVER_RELEASE);
    case LEDGER_NO_MEMORY:
        break;
    }
    return fb_fail(cause, FB_MEMORY, "out of memory");
}

static enum fb_error take_batch(struct receiver *receiver, const uint8_t *body, size_t length,
                                struct receiver_result *result, struct fb_cause *cause) {
    struct arrived arrived = {.body = body, .length = length};
    enum fb_error error = batch_decode(body, length, &arrived.info, &arrived.readings, &arrived.units, &result->why);
    if (error == FB_MEMORY)
        return fb_fail(cause, error, "out of memory");
    if (error != FB_OK)
        return refuse(receiver, result, RECEIVER_REJECT);
    batch_hash(body, length, arrived.hash);
    error = take_decoded(receiver, &arrived, result, cause);
    free(arrived.readings);
    return error;
}

static enum fb_error take_catalogue(struct receiver *receiver, const uint8_t *body, size_t length,
                                    struct receiver_result *result, struct fb_cause *cause) {
    bool fresh;
    const enum fb_error error = names_add(receiver->names, body, length, &fresh, &result->why);
    if (error == FB_OK)
        return FB_OK;
    if (error == FB_FULL)
        return refuse(receiver, result, RECEIVER_RELEASE);
    if (error != FB_IO && error != FB_MEMORY)
        return refuse(receiver, result, RECEIVER_REJECT);
    *cause = result->why;
    return error;
}

static enum fb_error write_event(struct receiver *receiver, const struct event *event, struct fb_cause *cause) {
    const enum fb_error error = open_events(receiver, cause);
    for (size_t at = 0; error == FB_OK && at < event->length;) {
        const size_t left = event->length - at, piece = left < LINES_BYTES_MAX ? left : LINES_BYTES_MAX;
        memcpy(sink_room(receiver->events), event->line + at, piece);
        sink_put(receiver->events, piece);
        at += piece;
    }
    receiver->events_changed = true;
    return error;
}

static enum fb_error take_event(struct receiver *receiver, const uint8_t *body, size_t length,
                                struct receiver_result *result, struct fb_cause *cause) {
    struct event event;
    enum fb_error error = event_read(body, length, &event, &result->why);
    if (error == FB_MEMORY)
        return fb_fail(cause, error, "out of memory");
    if (error != FB_OK)
        return refuse(receiver, result, RECEIVER_REJECT);
    const enum ledger_verdict verdict =
        ledger_add_event(&receiver->ledger, event.store_id, event.gateway, event.number);
    if (verdict == LEDGER_NEW)
        error = write_event(receiver, &event, cause);
    else if (verdict == LEDGER_NO_MEMORY)
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    event_done(&event);
    if (verdict != LEDGER_NO_ROOM)
        return error;
    fb_cause_write(&result->why, "an event of more than %d stores; receive it with another --state folder",
                   LEDGER_STORES_MAX);
    return refuse(receiver, result, RECEIVER_RELEASE);
}

enum fb_error receiver_take(struct receiver *receiver, const char *subject, const uint8_t *body, size_t length,
                            struct receiver_result *ret_result, struct fb_cause *cause) {
    static const struct kind {
        const char *subject;
        enum fb_error (*take)(struct receiver *, const uint8_t *, size_t, struct receiver_result *, struct fb_cause *);
    } kinds[] = {{"batch", take_batch}, {"catalogue", take_catalogue}, {"event", take_event}};
    *ret_result = (struct receiver_result){.verdict = RECEIVER_ACCEPT};
    receiver->changed = true;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (subject != NULL && strcmp(subject, kinds[i].subject) == 0)
            return kinds[i].take(receiver, body, length, ret_result, cause);
    fb_cause_write(&ret_result->why, "a message with the subject \"%.64s\" is no batch, catalogue or event",
                   subject != NULL ? subject : "");
    return refuse(receiver, ret_result, RECEIVER_REJECT);
}

enum fb_error receiver_commit(struct receiver *receiver, struct fb_cause *cause) {
    if (!receiver->changed)
        return FB_OK;
    struct sink_place place, events_place = receiver->events_place;
    enum fb_error error = sink_commit(receiver->sink, &place, cause);
    if (error == FB_OK && receiver->events_changed)
        error = sink_commit(receiver->events, &events_place, cause);
    if (error != FB_OK)
        return error;
    receiver->place = place;
    receiver->events_place = events_place;
    receiver->events_changed = false;
    error = write_state(receiver, cause);
    receiver->changed = error != FB_OK;
    return error;
}

struct ledger_totals receiver_totals(const struct receiver *receiver) {
    return ledger_sum(&receiver->ledger);
}
