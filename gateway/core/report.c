#include "gateway/core/report.h"

#include <stdio.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/core/cloud_commands.h"
#include "gateway/core/expiry.h"
#include "gateway/core/parked_calls.h"
#include "gateway/core/proofs.h"
#include "gateway/core/records.h"
#include "gateway/core/upkeep.h"

/* Of the batches that are parked; the others are left to the call "parked". */
#define PARKED_SHOWN 10
/* The rate is taken over at least this long. */
#define RATE_WINDOW_MS 2000

static json_t *time_or_null(int64_t time_ms) {
    return time_ms != 0 ? json_integer(time_ms) : json_null();
}

/* Names of files, and reasons that hold them, may be any bytes. */
static json_t *text_to_json(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *text_or_null(const char *text) {
    return text[0] != '\0' ? text_to_json(text) : json_null();
}

static json_t *report_gateway(const struct core *core) {
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:{s:o, s:I, s:o}}", "name", core->config.name, "version",
                     FOREBAY_VERSION, "now_ms", (json_int_t)clock_utc_ms(), "started_ms", (json_int_t)core->started_ms,
                     "clock", clock_state_word(clock_state()), "configuration", "file", text_to_json(core->config_file),
                     "loaded_ms", (json_int_t)core->config_loaded_ms, "error", text_or_null(core->config_error.text));
}

static json_t *report_link(const struct core *core) {
    json_t *link = cloud_peer_link_to_json(core->cloud);
    json_object_set_new(json_object_get(link, "parked"), "list", parked_calls_to_json(core->store, 0, PARKED_SHOWN));
    struct store_figures figures;
    store_figures(core->store, &figures);
    /* What the link is judged by: a batch that waits to be accepted, in flight or not. */
    json_object_set_new(link, "oldest_unacknowledged_ms",
                        time_or_null(figures.unsent_batches > 0 ? figures.oldest_unsent_ms : 0));
    const char *told = json_string_value(json_object_get(link, "endpoint"));
    if (core->config.has_cloud && (told == NULL || told[0] == '\0')) {
        const struct link_endpoint preferred = link_settings_endpoint(&core->config.link, 0);
        char endpoint[LINK_URL_MAX];
        link_endpoint_url(&preferred, endpoint);
        json_object_set_new(link, "endpoint", json_string(endpoint));
        json_object_set_new(link, "address", json_string(preferred.address));
    }
    return link;
}

static json_t *report_set_aside(const struct store_opening *opening) {
    if (opening->set_aside[0] == '\0')
        return json_null();
    return json_pack("{s:o, s:o, s:b}", "path", text_to_json(opening->set_aside), "reason",
                     text_to_json(opening->reason), "inherited", opening->inherited);
}

static json_t *report_identity(const struct store *store) {
    char hex[2 * BATCH_STORE_ID_BYTES + 1];
    for (size_t i = 0; i < BATCH_STORE_ID_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", store_id(store)[i]);
    return json_string(hex);
}

static const char *store_state_word(enum fb_error error) {
    return error == FB_OK ? "good" : error == FB_FULL ? "full" : "failed";
}

/* Tags that wait for the disk show it, also while readings still find room. */
static enum fb_error store_state(const struct core *core, char *ret_reason, size_t size) {
    const struct intake_status *intake = intake_status(core->intake);
    const size_t waiting = core->numbering.waiting_tags;
    snprintf(ret_reason, size, "%s", intake->reason);
    if (intake->error != FB_OK || waiting == 0)
        return intake->error;
    snprintf(ret_reason, size, "the disk is full: %zu new tag%s until it has room", waiting,
             waiting == 1 ? " waits" : "s wait");
    return FB_FULL;
}

static void report_wear(const struct core *core, json_t *store) {
    const uint64_t bytes = wear_process_bytes();
    uint64_t day;
    const bool is_known = wear_per_day(&core->wear, clock_monotonic_ms(), bytes, &day);
    json_object_set_new(store, "written_bytes", json_integer((json_int_t)bytes));
    json_object_set_new(store, "written_bytes_per_day", is_known ? json_integer((json_int_t)day) : json_null());
}

static json_t *report_store(const struct core *core) {
    struct store_figures figures;
    store_figures(core->store, &figures);
    const struct intake_status *intake = intake_status(core->intake);
    char reason[FB_CAUSE_MAX];
    const enum fb_error state = store_state(core, reason, sizeof reason);
    json_t *store =
        json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:o}", "state",
                  store_state_word(state), "reason", text_to_json(reason), "identity", report_identity(core->store),
                  "readings", (json_int_t)figures.readings, "unsent_readings", (json_int_t)figures.unsent_readings,
                  "batches", (json_int_t)figures.batches, "unsent_batches", (json_int_t)figures.unsent_batches,
                  "last_number", (json_int_t)figures.last_number, "oldest_unsent_ms",
                  time_or_null(figures.oldest_unsent_ms), "lost_readings", (json_int_t)figures.lost_readings, "bytes",
                  (json_int_t)figures.bytes, "quota_bytes", (json_int_t)figures.quota_bytes, "last_commit_ms",
                  time_or_null(intake->last_commit_ms), "set_aside", report_set_aside(&core->opening), "waiting_tags",
                  (json_int_t)core->numbering.waiting_tags, "upkeep", upkeep_to_json(core->upkeep));
    report_wear(core, store);
    return store;
}

static void bus_endpoint(const struct plant_bus *bus, char *ret_text, size_t size) {
    static const char parity[] = {[PLANT_PARITY_NONE] = 'N', [PLANT_PARITY_EVEN] = 'E', [PLANT_PARITY_ODD] = 'O'};
    const unsigned data_bits = bus->kind == PLANT_SERIAL ? bus->data_bits : 8;
    if (bus->device[0] == '\0')
        snprintf(ret_text, size, "%s:%u", bus->host, bus->port);
    else
        snprintf(ret_text, size, "%s %u %u%c%u", bus->device, bus->baud, data_bits, parity[bus->parity],
                 bus->stop_bits);
}

static json_t *report_bus(const struct core *core, const struct plant_bus *bus) {
    const struct peer *field = field_peer_peer(core->field);
    json_t *report = json_pack("{s:s, s:s, s:I, s:i, s:f, s:i, s:{s:i, s:i, s:i, s:i}}", "state", "starting", "reason",
                               field->channel != NULL ? "" : "forebay-field is not running", "since_ms",
                               (json_int_t)field->since_ms, "requests", 0, "load_percent", 0.0, "overruns", 0, "errors",
                               "timeout", 0, "not connected", 0, "exception", 0, "bad reply", 0);
    json_object_update(report, field_peer_bus(core->field, bus->name));
    char endpoint[PLANT_PATH_MAX + 32];
    bus_endpoint(bus, endpoint, sizeof endpoint);
    json_object_del(report, "instruments"); /* they have their own list */
    json_object_set_new(report, "name", json_string(bus->name));
    json_object_set_new(report, "kind", json_string(plant_bus_kind_word(bus->kind)));
    json_object_set_new(report, "endpoint", json_string(endpoint));
    return report;
}

static json_t *find_named(const json_t *array, const char *name) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        const char *its_name = json_string_value(json_object_get(item, "name"));
        if (its_name != NULL && strcmp(its_name, name) == 0)
            return item;
    }
    return NULL;
}

/* A letter, where that is the sensor's address. */
static json_t *unit_to_json(const struct plant_instrument *instrument) {
    const char address[] = {plant_lines_address(instrument->unit), '\0'};
    if (instrument->lines.protocol == PLANT_SDI12 && instrument->unit > 9)
        return json_string(address);
    return json_integer(instrument->unit);
}

static json_t *report_instrument(const struct core *core, const struct plant_instrument *instrument) {
    const char *bus = core->config.plant.buses[instrument->bus].name;
    json_t *told = find_named(json_object_get(field_peer_bus(core->field, bus), "instruments"), instrument->name);
    json_t *report =
        json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:s, s:I, s:n}", "name", instrument->name, "bus", bus, "unit",
                  unit_to_json(instrument), "tags", (json_int_t)instrument->tag_count, "proven_tags",
                  (json_int_t)proofs_count(core->proofs, instrument), "state", "unknown", "reason", "", "since_ms",
                  (json_int_t)field_peer_peer(core->field)->since_ms, "last_good_ms");
    json_object_update(report, told);
    return report;
}

static json_t *report_programs(const struct core *core) {
    json_t *programs = json_pack("[o]", peer_to_json(field_peer_peer(core->field)));
    if (core->config.has_cloud)
        json_array_append_new(programs, peer_to_json(cloud_peer_peer(core->cloud)));
    return programs;
}

static void update_rate(struct core *core) {
    const int64_t now_ms = clock_monotonic_ms();
    if (now_ms - core->rate_ms < RATE_WINDOW_MS)
        return;
    const uint64_t taken = intake_status(core->intake)->readings_taken;
    core->readings_per_s = (double)(taken - core->rate_readings) * 1000.0 / (double)(now_ms - core->rate_ms);
    core->rate_readings = taken;
    core->rate_ms = now_ms;
}

json_t *report_status(struct core *core) {
    update_rate(core);
    json_t *buses = json_array();
    json_t *instruments = json_array();
    const struct plant *plant = &core->config.plant;
    for (size_t i = 0; i < plant->bus_count; i++)
        json_array_append_new(buses, report_bus(core, &plant->buses[i]));
    for (size_t i = 0; i < plant->instrument_count; i++)
        json_array_append_new(instruments, report_instrument(core, &plant->instruments[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:{s:I}}", "gateway", report_gateway(core),
                     "programs", report_programs(core), "link", report_link(core), "certificates",
                     expiry_to_json(core->expiry), "store", report_store(core), "buses", buses, "instruments",
                     instruments, "readings_per_s", core->readings_per_s, "records", records_to_json(core->records),
                     "commands", cloud_commands_to_json(core->commands), "control", "dropped",
                     (json_int_t)core->control_dropped);
}

void report_values(struct core *core, uint64_t since, struct text *text) {
    values_age(&core->values, clock_monotonic_ms());
    text_add_string(text, "{\"values\":[");
    const char *separator = "";
    for (size_t i = 0; i < core->values.count && !text->failed; i++) {
        const struct value *value = &core->values.all[i];
        if (value->version <= since)
            continue;
        text_add_string(text, separator);
        json_t *json = value_to_json(value);
        proofs_describe(core->proofs, value->tag->number, json);
        text_add_json(text, json);
        separator = ",";
    }
    text_add_string(text, "]}");
}
