#include "gateway/core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/core/cloud_commands.h"
#include "gateway/core/control.h"
#include "gateway/core/expiry.h"
#include "gateway/core/proofs.h"
#include "gateway/core/records.h"
#include "gateway/core/upkeep.h"
#include "gateway/core/watch.h"
#include "gateway/core/web.h"
#include "store/key.h"

#define STORE_FILE "store.db"
#define KEY_FILE "store.key"
#define LOCK_FILE "store.lock"
#define LOCK_LIMIT_MS 10000
#define LOCK_PAUSE_MS 10
#define ROOM_RETRY_S 2

static void on_committed(struct store_cursor cursor, void *user) {
    struct core *core = user;
    wear_note(&core->wear, clock_monotonic_ms(), wear_process_bytes());
    if (core->field != NULL)
        field_peer_committed(core->field, cursor);
    if (core->cloud != NULL && store_records_waiting(core->store) == 0)
        cloud_peer_attempts_kept(core->cloud);
    if (core->cloud != NULL)
        cloud_peer_committed(core->cloud);
    if (core->watch != NULL)
        watch_losses(core->watch);
}

static void on_making_room(void *user) {
    struct core *core = user;
    if (core->cloud != NULL)
        cloud_peer_mark_accepted(core->cloud);
}

static void on_sealed(void *user) {
    struct core *core = user;
    if (core->cloud != NULL)
        cloud_peer_sealed(core->cloud);
}

static void on_link_changed(bool up, void *user) {
    struct core *core = user;
    log_event(LOG_LEVEL_NOTICE, up ? "link-up" : "link-down", "unsent batches go out %s", up ? "now" : "later");
    intake_set_link(core->intake, up);
}

static void on_command(uint64_t id, const uint8_t *bytes, size_t length, void *user) {
    const struct core *core = user;
    cloud_commands_take(core->commands, id, bytes, length);
}

static void on_cloud_happened(const char *event, json_t *details, void *user) {
    records_event(user, RECORDS_WARNING, event, details);
}

static void on_attempted(json_t *attempt, void *user) {
    records_attempt(user, attempt);
}

static void on_store_state(enum fb_error error, const char *reason, void *user) {
    const struct core *core = user;
    if (core->watch != NULL)
        watch_store(core->watch, error, reason);
}

static void on_clock(int64_t by_ms, bool set, void *user) {
    const struct core *core = user;
    if (core->watch != NULL)
        watch_clock(core->watch, by_ms, set);
}

static void on_link_told(const json_t *link, void *user) {
    const struct core *core = user;
    watch_link(core->watch, link);
}

static void on_program(const struct peer *peer, const char *reason, void *user) {
    const struct core *core = user;
    watch_program(core->watch, peer->program, peer->channel != NULL, reason);
}

static void on_cloud_program(const struct peer *peer, const char *reason, void *user) {
    const struct core *core = user;
    json_t *link = json_pack("{s:s, s:s}", "state", "off", "reason", "forebay-cloud is away");
    if (peer->channel == NULL)
        watch_link(core->watch, link);
    json_decref(link);
    on_program(peer, reason, user);
}

static void on_bus(const json_t *bus, void *user) {
    const struct core *core = user;
    watch_bus(core->watch, bus);
}

static bool on_certificates(const json_t *message, void *user) {
    const struct core *core = user;
    return expiry_link(core->expiry, message);
}

static void on_expiry(const json_t *certificate, int level_days, void *user) {
    struct core *core = user;
    const char *subject = json_string_value(json_object_get(certificate, "subject"));
    log_event(level_days <= 7 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "certificate-expires",
              "use=%s days_left=%" JSON_INTEGER_FORMAT " subject=%s",
              json_string_value(json_object_get(certificate, "use")),
              json_integer_value(json_object_get(certificate, "days_left")), subject == NULL ? "" : subject);
    const enum records_severity severity = level_days > 30  ? RECORDS_INFO
                                           : level_days > 1 ? RECORDS_WARNING
                                                            : RECORDS_ALARM;
    json_t *details = json_deep_copy(certificate);
    json_object_del(details, "error");
    json_object_set_new(details, "level_days", json_integer(level_days));
    records_event(core, severity, "certificate-expires", details);
}

static const struct intake_handlers intake_handlers = {
    .making_room = on_making_room,
    .committed = on_committed,
    .sealed = on_sealed,
    .state_changed = on_store_state,
    .clock_changed = on_clock,
};
static const struct cloud_peer_handlers cloud_handlers = {.link_changed = on_link_changed,
                                                          .command = on_command,
                                                          .attempted = on_attempted,
                                                          .happened = on_cloud_happened,
                                                          .link_told = on_link_told,
                                                          .certificates = on_certificates,
                                                          .program = on_cloud_program};
static const struct field_peer_watch field_watch = {.program = on_program, .bus = on_bus};

/* One line an error, as check-config prints them; those that do not fit are left to it. */
static void join_errors(const struct config_report *report, struct fb_cause *cause) {
    char lines[2 * FB_CAUSE_MAX] = "no reason given";
    size_t used = 0;
    for (size_t i = 0; i < report->count && used < sizeof lines; i++) {
        const struct config_error *error = &report->errors[i];
        const int length = snprintf(lines + used, sizeof lines - used, "%s%s:%u:%u: %s", i > 0 ? "\n" : "",
                                    report->file, error->line, error->column, error->text);
        used += length > 0 ? (size_t)length : 0;
    }
    (void)fb_fail(cause, FB_INVALID, "%s", lines);
}

/* A configuration as it stands in its file. */
struct document {
    char *text; /* malloc */
    size_t length;
};

static enum fb_error load_config(const char *file, struct config *ret_config, struct document *ret_document,
                                 struct fb_cause *cause) {
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const enum fb_error error = config_load_text(file, ret_config, &ret_document->text, &ret_document->length, report);
    if (error != FB_OK)
        join_errors(report, cause);
    free(report);
    return error;
}

static void log_opening(const struct core *core, const char *path, const struct key_ring *key) {
    const struct store_opening *opening = &core->opening;
    if (key->created)
        log_event(LOG_LEVEL_NOTICE, "key-created", "file=%s/" KEY_FILE, core->config.data);
    if (!key->locked)
        log_event(LOG_LEVEL_WARNING, "key-not-locked", "the limit on locked memory is too small (LimitMEMLOCK=): %s",
                  "where there is swap it must be encrypted");
    if (opening->set_aside[0] != '\0')
        log_event(LOG_LEVEL_ERROR, "store-set-aside", "file=%s reason=\"%s\" %s", opening->set_aside, opening->reason,
                  opening->inherited ? "the new one goes on where it stood" : "the new one is empty");
    log_event(LOG_LEVEL_NOTICE, opening->created ? "store-created" : "store-opened", "file=%s tail_readings=%zu", path,
              store_tail_readings(core->store));
}

/* A core that was told to end may still be closing the store when the next one starts. Lives as long as the process. */
static enum fb_error lock_data(const struct core *core, struct fb_cause *cause) {
    char path[CONFIG_PATH_MAX + 16];
    const enum fb_error error = file_join(core->config.data, LOCK_FILE, path, sizeof path, cause);
    if (error != FB_OK)
        return error;
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};
    for (int i = 0; i < LOCK_LIMIT_MS / LOCK_PAUSE_MS; i++) {
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
            return FB_OK;
        nanosleep(&pause, NULL);
    }
    close(descriptor);
    return fb_fail(cause, FB_IO, "%s: another forebay-core holds this store", path);
}

/* A rekey that was cut off: just before its end, when the store is under the next key already, or earlier, when it is
 * begun anew. Not with a store just set aside: its file may be under either key, and is salvaged with both. */
static enum fb_error settle_keys(struct core *core, struct key_ring *ring, struct fb_cause *cause) {
    if (!core->opening.next_key_fits) {
        core->rekey_unfinished = ring->has_next && !ring->from_credential && core->opening.set_aside[0] == '\0';
        return FB_OK;
    }
    log_event(LOG_LEVEL_NOTICE, "key-changed", "the store is under the next key: %s",
              ring->from_credential ? "make it the credential " KEY_CREDENTIAL : "that is the key from now on");
    return key_confirm_next(ring, cause);
}

static enum fb_error open_with_key(struct core *core, const char *path, struct fb_cause *cause) {
    struct key_ring *ring;
    enum fb_error error = key_open(core->key_path, &ring, cause);
    if (error != FB_OK)
        return error;
    const struct store_settings settings = {.path = path,
                                            .gateway = core->config.name,
                                            .quota_bytes = core->config.quota_bytes,
                                            .now_ms = clock_utc_ms(),
                                            .next_key = ring->has_next ? ring->next : NULL};
    error = store_open(&settings, ring->key, &core->store, &core->opening, cause);
    if (error == FB_OK)
        error = settle_keys(core, ring, cause);
    if (error == FB_OK)
        log_opening(core, path, ring);
    key_close(ring);
    return error;
}

/* Without a store there is nothing that could go on. A signal ends the wait, and the program. */
static enum fb_error open_when_there_is_room(struct core *core, const char *path, struct fb_cause *cause) {
    const struct timespec pause = {.tv_sec = ROOM_RETRY_S};
    enum fb_error error = open_with_key(core, path, cause);
    if (error == FB_FULL)
        log_event(LOG_LEVEL_ERROR, "disk-full", "no room for the smallest store, waiting for it: %s", cause->text);
    while (error == FB_FULL) {
        sd_notifyf(0, "STATUS=waiting for room on the disk\nEXTEND_TIMEOUT_USEC=%d", 10 * ROOM_RETRY_S * 1000000);
        nanosleep(&pause, NULL);
        error = open_with_key(core, path, cause);
    }
    return error;
}

static enum fb_error open_store(struct core *core, struct fb_cause *cause) {
    char path[CONFIG_PATH_MAX + 16];
    enum fb_error error = file_make_folder(core->config.data, cause);
    if (error == FB_OK)
        error = lock_data(core, cause);
    if (error == FB_OK)
        error = file_join(core->config.data, STORE_FILE, path, sizeof path, cause);
    if (error == FB_OK)
        error = file_join(core->config.data, KEY_FILE, core->key_path, sizeof core->key_path, cause);
    return error == FB_OK ? open_when_there_is_room(core, path, cause) : error;
}

/* What is polled: the plant, without the tags that wait. */
static const struct plant *plant_in_force(const struct core *core) {
    return core->numbering.waiting_tags > 0 ? &core->numbering.known : &core->config.plant;
}

static void apply(struct core *core) {
    core->config_loaded_ms = clock_utc_ms();
    intake_configure(core->intake, &core->config);
    if (values_follow(&core->values, plant_in_force(core)) != FB_OK)
        abort(); /* out of memory: start anew */
    proofs_follow(core->proofs);
    field_peer_set_plant(core->field, plant_in_force(core));
    cloud_peer_set_delivery(core->cloud, &core->config.delivery);
    cloud_peer_set_link(core->cloud, core->config.has_cloud ? &core->config.link : NULL);
    const struct command_settings *commands = core->config.has_commands ? &core->config.commands : NULL;
    cloud_commands_configure(core->commands, commands);
    cloud_peer_set_commands(core->cloud, commands, core->config.name);
    expiry_configure(core->expiry, core->config.has_cloud, core->config.has_page ? core->config.page.certificate : "");
}

static void watch_numbering(struct core *core);

/* The disk may take something again. Any other failure tells itself in the store's state; it is tried again, too. */
static int on_numbering(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct core *core = user;
    struct fb_cause cause;
    struct numbering other = {.waiting_tags = 0};
    const enum fb_error error = numbering_give(core->store, core->intake, &core->config.plant, &other, &cause);
    if (error == FB_OK && other.waiting_tags < core->numbering.waiting_tags) {
        const struct numbering old = core->numbering;
        core->numbering = other;
        apply(core);
        other = old;
    }
    numbering_done(&other);
    watch_numbering(core);
    return 0;
}

/* While tags wait for the disk it is tried again and again. */
static void watch_numbering(struct core *core) {
    const bool waits = core->numbering.waiting_tags > 0;
    if (waits && !core->numbering_waits)
        log_event(LOG_LEVEL_ERROR, "tags-wait", "tags=%zu the disk is full: they are polled once it has room",
                  core->numbering.waiting_tags);
    else if (!waits && core->numbering_waits)
        log_event(LOG_LEVEL_NOTICE, "tags-numbered", "the disk has room: all tags are polled");
    core->numbering_waits = waits;
    sd_event_source_disable_unref(core->numbering_timer);
    core->numbering_timer = NULL;
    if (waits && sd_event_add_time_relative(core->event, &core->numbering_timer, CLOCK_MONOTONIC, NUMBERING_RETRY_US, 0,
                                            on_numbering, core) < 0)
        abort(); /* out of memory: start anew */
}

static void on_salvaged(void *user) {
    const struct core *core = user;
    cloud_peer_salvaged(core->cloud);
}

static void on_upkeep(const char *job, const char *what, const char *reason, void *user) {
    const struct core *core = user;
    watch_upkeep(core->watch, job, what, reason);
}

static enum fb_error start_upkeep(struct core *core, struct fb_cause *cause) {
    const struct upkeep_settings settings = {
        .event = core->event,
        .store = core->store,
        .key_path = core->key_path,
        .go_on_with_rekey = core->rekey_unfinished,
        .salvaged = on_salvaged,
        .told = on_upkeep,
        .user = core,
    };
    return upkeep_new(&settings, &core->upkeep, cause);
}

enum fb_error core_start(struct core *core, const char *config_file, struct fb_cause *cause) {
    struct document document = {0};
    *core = (struct core){.config_file = config_file, .started_ms = clock_utc_ms(), .rate_ms = clock_monotonic_ms()};
    wear_note(&core->wear, core->rate_ms, wear_process_bytes());
    const int loop = sd_event_default(&core->event);
    if (loop < 0)
        return fb_fail_errno(cause, FB_IO, -loop, "event loop");
    enum fb_error error = load_config(config_file, &core->config, &document, cause);
    if (error == FB_OK)
        error = file_make_folder(core->config.run, cause);
    if (error == FB_OK)
        error = open_store(core, cause);
    if (error == FB_OK)
        error = intake_new(core->event, core->store, &intake_handlers, core, &core->intake, cause);
    if (error == FB_OK)
        error = records_new(core->event, core->store, core->intake, &core->records, cause);
    if (error == FB_OK)
        error = watch_new(core, &core->watch, cause);
    if (error == FB_OK)
        error = proofs_new(core, &core->proofs, cause);
    if (error == FB_OK)
        error = numbering_give(core->store, core->intake, &core->config.plant, &core->numbering, cause);
    if (error == FB_OK)
        error = field_peer_new(core->event, core->config.run, core->intake, &core->values, &core->field, cause);
    if (error == FB_OK)
        error = expiry_new(core->event, core->config.data, on_expiry, core, &core->expiry, cause);
    if (error == FB_OK)
        error = cloud_peer_new(core->event, core->config.run, core->store, &cloud_handlers, core, &core->cloud, cause);
    if (error == FB_OK)
        error = cloud_commands_new(core, &core->commands, cause);
    if (error == FB_OK)
        error = start_upkeep(core, cause);
    if (error == FB_OK)
        error = control_new(core, &core->control, cause);
    if (error == FB_OK)
        error = web_new(core, &core->web, cause);
    if (error == FB_OK) {
        field_peer_watch(core->field, &field_watch, core);
        watch_started(core->watch);
        records_configuration(core, "start", "", document.text, document.length);
        apply(core);
        watch_numbering(core);
    }
    free(document.text);
    return error;
}

void core_stop(struct core *core) {
    web_free(core->web);
    control_free(core->control);
    watch_stops(core->watch);
    field_peer_free(core->field);
    core->field = NULL;
    upkeep_free(core->upkeep);
    records_free(core->records);
    core->records = NULL;
    intake_free(core->intake);
    cloud_peer_free(core->cloud);
    cloud_commands_free(core->commands);
    watch_free(core->watch);
    core->watch = NULL;
    expiry_free(core->expiry);
    store_close(core->store);
    proofs_free(core->proofs);
    core->proofs = NULL;
    values_done(&core->values);
    sd_event_source_disable_unref(core->numbering_timer);
    numbering_done(&core->numbering);
    config_done(&core->config);
    core->event = sd_event_unref(core->event);
}

static bool same_json(json_t *a, json_t *b) {
    const bool same = json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

/* A bus is the same when it, its instruments and their tags are. */
static json_t *bus_to_json(const struct plant *plant, size_t bus) {
    json_t *all = json_array();
    json_array_append_new(all, plant_bus_to_json(&plant->buses[bus]));
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        if (instrument->bus == bus)
            json_array_append_new(all, plant_instrument_to_json(plant, instrument, 0, instrument->tag_count));
    }
    return all;
}

static bool find_bus(const struct plant *plant, const char *name, size_t *ret_bus) {
    for (size_t i = 0; i < plant->bus_count; i++)
        if (strcmp(plant->buses[i].name, name) == 0) {
            *ret_bus = i;
            return true;
        }
    return false;
}

static void note_buses(json_t *changed, const struct plant *old, const struct plant *fresh) {
    for (size_t i = 0; i < fresh->bus_count; i++) {
        size_t was;
        if (!find_bus(old, fresh->buses[i].name, &was) || !same_json(bus_to_json(old, was), bus_to_json(fresh, i)))
            json_array_append_new(changed, json_sprintf("bus %s", fresh->buses[i].name));
    }
    for (size_t i = 0; i < old->bus_count; i++) {
        size_t now;
        if (!find_bus(fresh, old->buses[i].name, &now))
            json_array_append_new(changed, json_sprintf("bus %s removed", old->buses[i].name));
    }
}

static bool same_page(const struct config *old, const struct config *fresh) {
    const struct config_page *a = &old->page, *b = &fresh->page;
    if (!old->has_page || !fresh->has_page)
        return old->has_page == fresh->has_page;
    return strcmp(a->listen, b->listen) == 0 && a->port == b->port && strcmp(a->certificate, b->certificate) == 0 &&
           strcmp(a->key, b->key) == 0;
}

static json_t *list_changes(const struct config *old, const struct config *fresh) {
    json_t *changed = json_array();
    note_buses(changed, &old->plant, &fresh->plant);
    if (old->has_cloud != fresh->has_cloud || old->has_commands != fresh->has_commands ||
        !command_settings_equal(&old->commands, &fresh->commands) ||
        (fresh->has_cloud && !same_json(link_settings_to_json(&old->link), link_settings_to_json(&fresh->link))) ||
        old->delivery.backlog_bytes_per_s != fresh->delivery.backlog_bytes_per_s ||
        old->delivery.month_bytes != fresh->delivery.month_bytes || old->delivery.events != fresh->delivery.events)
        json_array_append_new(changed, json_string("cloud"));
    if (old->commit_interval_ms != fresh->commit_interval_ms ||
        old->forward_interval_ms != fresh->forward_interval_ms ||
        old->forward_interval_offline_ms != fresh->forward_interval_offline_ms)
        json_array_append_new(changed, json_string("store"));
    if (strcmp(old->name, fresh->name) != 0 || strcmp(old->data, fresh->data) != 0 ||
        strcmp(old->run, fresh->run) != 0 || old->quota_bytes != fresh->quota_bytes)
        json_array_append_new(changed, json_string("gateway or store.quota (takes effect at the next start)"));
    if (!same_page(old, fresh))
        json_array_append_new(changed, json_string("page (takes effect at the next start)"));
    return changed;
}

static void refuse_config(struct core *core, const char *author, const struct fb_cause *cause) {
    core->config_error = *cause;
    log_event(LOG_LEVEL_ERROR, "configuration-refused", "%s", cause->text);
    records_event(core, RECORDS_WARNING, "configuration-refused",
                  json_pack("{s:s, s:s}", "author", author, "reason", cause->text));
}

static void keep_revision(struct core *core, const char *author, const char *reason, const struct document *document,
                          json_t *changed) {
    records_configuration(core, author, reason, document->text, document->length);
    records_event(core, RECORDS_INFO, "configuration-applied",
                  json_pack("{s:s, s:s, s:O}", "author", author, "reason", reason, "changed", changed));
    log_event(LOG_LEVEL_NOTICE, "configuration-applied", "file=%s changes=%zu", core->config_file,
              json_array_size(changed));
}

enum fb_error core_reload(struct core *core, const char *author, const char *reason, json_t **ret_changed,
                          struct fb_cause *cause) {
    struct config fresh;
    struct numbering numbering = {.waiting_tags = 0};
    struct document document = {0};
    enum fb_error error = load_config(core->config_file, &fresh, &document, cause);
    if (error == FB_OK) {
        error = numbering_give(core->store, core->intake, &fresh.plant, &numbering, cause);
        if (error != FB_OK)
            config_done(&fresh);
    }
    if (error != FB_OK) {
        free(document.text);
        refuse_config(core, author, cause);
        return error;
    }
    core->config_error.text[0] = '\0';
    *ret_changed = list_changes(&core->config, &fresh);
    struct config old = core->config;
    struct numbering old_numbering = core->numbering;
    core->config = fresh;
    core->numbering = numbering;
    /* Paths of what is already open stay in force. */
    memcpy(core->config.run, old.run, sizeof old.run);
    memcpy(core->config.data, old.data, sizeof old.data);
    apply(core);
    watch_forget(core->watch);
    config_done(&old);
    numbering_done(&old_numbering);
    watch_numbering(core);
    if (core->numbering.waiting_tags > 0)
        json_array_append_new(*ret_changed, json_sprintf("%zu tag%s until the disk, which is full, has room",
                                                         core->numbering.waiting_tags,
                                                         core->numbering.waiting_tags == 1 ? " waits" : "s wait"));
    keep_revision(core, author, reason, &document, *ret_changed);
    free(document.text);
    return FB_OK;
}
