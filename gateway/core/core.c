#include "gateway/core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/core/cloud_commands.h"
#include "gateway/core/control.h"
#include "gateway/core/records.h"
#include "gateway/core/upkeep.h"
#include "gateway/core/web.h"
#include "store/key.h"

#define STORE_FILE "store.db"
#define KEY_FILE "store.key"
#define LOCK_FILE "store.lock"
#define LOCK_LIMIT_MS 10000
#define LOCK_PAUSE_MS 10

static void on_committed(struct store_cursor cursor, void *user) {
    struct core *core = user;
    if (core->field != NULL)
        field_peer_committed(core->field, cursor);
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

static const struct intake_handlers intake_handlers = {.committed = on_committed, .sealed = on_sealed};
static const struct cloud_peer_handlers cloud_handlers = {.link_changed = on_link_changed, .command = on_command};

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

static enum fb_error load_config(const char *file, struct config *ret_config, struct fb_cause *cause) {
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const enum fb_error error = config_load(file, ret_config, report);
    if (error != FB_OK)
        join_errors(report, cause);
    free(report);
    return error;
}

static void log_opening(const struct core *core, const char *path, bool key_created) {
    const struct store_opening *opening = &core->opening;
    if (key_created)
        log_event(LOG_LEVEL_NOTICE, "key-created", "file=%s/" KEY_FILE, core->config.data);
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

static enum fb_error open_store(struct core *core, struct fb_cause *cause) {
    char path[CONFIG_PATH_MAX + 16];
    enum fb_error error = file_make_folder(core->config.data, cause);
    if (error == FB_OK)
        error = lock_data(core, cause);
    if (error == FB_OK)
        error = file_join(core->config.data, STORE_FILE, path, sizeof path, cause);
    if (error == FB_OK)
        error = file_join(core->config.data, KEY_FILE, core->key_path, sizeof core->key_path, cause);
    if (error != FB_OK)
        return error;
    struct key_ring *ring;
    error = key_open(core->key_path, &ring, cause);
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
        log_opening(core, path, ring->created);
    key_close(ring);
    return error;
}

/* The tail is sealed under the catalogue its readings were made under, then the new one takes effect. Where it stays
 * the same nothing is written: a gateway with a full disk still starts, and shows that. */
static enum fb_error number_and_catalogue(struct core *core, struct plant *plant, struct fb_cause *cause) {
    enum fb_error error = store_number_tags(core->store, plant, cause);
    if (error == FB_OK)
        error = store_set_catalogue(core->store, plant, clock_utc_ms(), cause);
    if (error != FB_AGAIN)
        return error;
    error = intake_seal_now(core->intake, cause);
    return error == FB_OK ? store_set_catalogue(core->store, plant, clock_utc_ms(), cause) : error;
}

static void apply(struct core *core) {
    core->config_loaded_ms = clock_utc_ms();
    intake_configure(core->intake, &core->config);
    if (values_follow(&core->values, &core->config.plant) != FB_OK)
        abort(); /* out of memory: start anew */
    field_peer_set_plant(core->field, &core->config.plant);
    cloud_peer_set_link(core->cloud, core->config.has_cloud ? &core->config.link : NULL);
    const struct command_settings *commands = core->config.has_commands ? &core->config.commands : NULL;
    cloud_commands_configure(core->commands, commands);
    cloud_peer_set_commands(core->cloud, commands, core->config.name);
}

static void on_salvaged(void *user) {
    const struct core *core = user;
    cloud_peer_salvaged(core->cloud);
}

static enum fb_error start_upkeep(struct core *core, struct fb_cause *cause) {
    const struct upkeep_settings settings = {
        .event = core->event,
        .store = core->store,
        .key_path = core->key_path,
        .go_on_with_rekey = core->rekey_unfinished,
        .salvaged = on_salvaged,
        .user = core,
    };
    return upkeep_new(&settings, &core->upkeep, cause);
}

enum fb_error core_start(struct core *core, const char *config_file, struct fb_cause *cause) {
    *core = (struct core){.config_file = config_file, .started_ms = clock_utc_ms(), .rate_ms = clock_monotonic_ms()};
    const int loop = sd_event_default(&core->event);
    if (loop < 0)
        return fb_fail_errno(cause, FB_IO, -loop, "event loop");
    enum fb_error error = load_config(config_file, &core->config, cause);
    if (error == FB_OK)
        error = file_make_folder(core->config.run, cause);
    if (error == FB_OK)
        error = open_store(core, cause);
    if (error == FB_OK)
        error = intake_new(core->event, core->store, &intake_handlers, core, &core->intake, cause);
    if (error == FB_OK)
        error = records_new(core->event, core->store, core->intake, &core->records, cause);
    if (error == FB_OK)
        error = number_and_catalogue(core, &core->config.plant, cause);
    if (error == FB_OK)
        error = field_peer_new(core->event, core->config.run, core->intake, &core->values, &core->field, cause);
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
    if (error == FB_OK)
        apply(core);
    return error;
}

void core_stop(struct core *core) {
    web_free(core->web);
    control_free(core->control);
    field_peer_free(core->field);
    core->field = NULL;
    upkeep_free(core->upkeep);
    records_free(core->records);
    core->records = NULL;
    intake_free(core->intake);
    cloud_peer_free(core->cloud);
    cloud_commands_free(core->commands);
    store_close(core->store);
    values_done(&core->values);
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

static json_t *list_changes(const struct config *old, const struct config *fresh) {
    json_t *changed = json_array();
    note_buses(changed, &old->plant, &fresh->plant);
    if (old->has_cloud != fresh->has_cloud || old->has_commands != fresh->has_commands ||
        !command_settings_equal(&old->commands, &fresh->commands) ||
        (fresh->has_cloud && !same_json(link_settings_to_json(&old->link), link_settings_to_json(&fresh->link))))
        json_array_append_new(changed, json_string("cloud"));
    if (old->commit_interval_ms != fresh->commit_interval_ms ||
        old->forward_interval_ms != fresh->forward_interval_ms ||
        old->forward_interval_offline_ms != fresh->forward_interval_offline_ms)
        json_array_append_new(changed, json_string("store"));
    if (strcmp(old->name, fresh->name) != 0 || strcmp(old->data, fresh->data) != 0 ||
        strcmp(old->run, fresh->run) != 0 || old->quota_bytes != fresh->quota_bytes)
        json_array_append_new(changed, json_string("gateway or store.quota (takes effect at the next start)"));
    return changed;
}

enum fb_error core_reload(struct core *core, json_t **ret_changed, struct fb_cause *cause) {
    struct config fresh;
    enum fb_error error = load_config(core->config_file, &fresh, cause);
    if (error == FB_OK) {
        error = number_and_catalogue(core, &fresh.plant, cause);
        if (error != FB_OK)
            config_done(&fresh);
    }
    if (error != FB_OK) {
        core->config_error = *cause;
        log_event(LOG_LEVEL_ERROR, "configuration-refused", "%s", cause->text);
        return error;
    }
    core->config_error.text[0] = '\0';
    *ret_changed = list_changes(&core->config, &fresh);
    struct config old = core->config;
    core->config = fresh;
    /* Paths of what is already open stay in force. */
    memcpy(core->config.run, old.run, sizeof old.run);
    memcpy(core->config.data, old.data, sizeof old.data);
    apply(core);
    config_done(&old);
    log_event(LOG_LEVEL_NOTICE, "configuration-applied", "file=%s changes=%zu", core->config_file,
              json_array_size(*ret_changed));
    return FB_OK;
}
