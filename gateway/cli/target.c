#include "gateway/cli/target.h"

#include <stdio.h>
#include <string.h>

#include "drivers/ask.h"
#include "drivers/probe.h"
#include "gateway/cli/client.h"
#include "gateway/cli/options.h"
#include "gateway/common/hex.h"
#include "gateway/common/quality.h"

#define STATUS_TIMEOUT_MS 5000
/* Beyond the bus's own time-out: its worker may be busy with what is due. */
#define ASK_TIMEOUT_MS 30000

static bool gateway_runs(const char *run) {
    json_t *status = NULL;
    struct fb_cause cause;
    const bool runs = client_call(run, "status", STATUS_TIMEOUT_MS, &status, &cause) == FB_OK;
    json_decref(status);
    return runs;
}

enum fb_error target_open_bus(const struct plant_bus *bus, struct target *ret_target, struct fb_cause *cause) {
    struct recorder *recorder;
    if (recorder_new(&recorder) != FB_OK)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *ret_target = (struct target){.bus = *bus, .recorder = recorder};
    recorder_use(recorder);
    connection_init(&ret_target->connection, &ret_target->bus);
    return FB_OK;
}

static size_t count_instruments(const struct plant *plant, const struct plant_bus *bus) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        count += &plant->buses[plant->instruments[i].bus] == bus;
    return count;
}

enum fb_error target_open(const char *config_file, const char *bus, struct target *ret_target, struct fb_cause *cause) {
    struct config config;
    if (!options_load_config(config_file, &config))
        return fb_fail(cause, FB_INVALID, "%s was refused", config_file);
    const struct plant_bus *found = options_find_bus(&config.plant, bus);
    enum fb_error error = FB_OK;
    if (found == NULL)
        error = fb_fail(cause, FB_NOT_FOUND, "%s is no bus of %s", bus, config_file);
    else if (gateway_runs(config.run))
        *ret_target = (struct target){.bus = *found, .through_gateway = true};
    else
        error = target_open_bus(found, ret_target, cause);
    if (error != FB_OK) {
        config_done(&config);
        return error;
    }
    ret_target->instrument_count = count_instruments(&config.plant, found);
    ret_target->config = config;
    return FB_OK;
}

void target_close(struct target *target) {
    if (!target->through_gateway) {
        connection_done(&target->connection);
        recorder_use(NULL);
        recorder_free(target->recorder);
    }
    config_done(&target->config);
}

static size_t read_hex(const json_t *result, const char *key, uint8_t *ret_bytes, size_t size) {
    const char *text = json_string_value(json_object_get(result, key));
    const size_t length = text != NULL ? strlen(text) / 2 : 0;
    return length <= size && length > 0 && hex_decode(text, ret_bytes, length) ? length : 0;
}

static const char *text_of(const json_t *result, const char *key) {
    const char *text = json_string_value(json_object_get(result, key));
    return text != NULL ? text : "";
}

static void read_result(const json_t *result, struct target_reply *reply) {
    const char *quality = text_of(result, "quality"), *reason = text_of(result, "reason");
    *reply = (struct target_reply){.good = strcmp(quality, "good") == 0,
                                   .exception = (uint8_t)json_integer_value(json_object_get(result, "exception")),
                                   .silent = strcmp(quality, quality_reason(QUALITY_TIMEOUT)) == 0,
                                   .time_ms = json_integer_value(json_object_get(result, "time_ms"))};
    if (reply->exception != 0)
        snprintf(reply->reason, sizeof reply->reason, "the instrument refused it: Modbus exception %u",
                 reply->exception);
    else
        snprintf(reply->reason, sizeof reply->reason, "%s%s%s", quality, reason[0] != '\0' ? ": " : "", reason);
    reply->length = read_hex(result, "data", reply->data, sizeof reply->data - 1);
    reply->sent_length = read_hex(result, "sent", reply->sent, sizeof reply->sent);
    reply->received_length = read_hex(result, "received", reply->received, sizeof reply->received);
}

/* Takes the reference to the request. */
static enum fb_error ask_gateway(const struct target *target, json_t *request, json_t **ret_result,
                                 struct fb_cause *cause) {
    const enum fb_error error =
        client_request(target->config.run, request, (int)target->bus.timeout_ms + ASK_TIMEOUT_MS, ret_result, cause);
    json_decref(request);
    return error;
}

static json_t *probe_request(const struct ask *ask) {
    return json_pack("{s:s, s:s, s:i, s:s, s:i, s:i}", "call", "probe", "bus", ask->bus, "unit", (int)ask->unit,
                     "table", plant_table_word(ask->table), "address", (int)ask->address, "count", (int)ask->count);
}

enum fb_error target_read(struct target *target, uint8_t unit, enum plant_table table, uint16_t address, uint8_t count,
                          struct target_reply *ret_reply, struct fb_cause *cause) {
    struct ask ask = {.call = ASK_PROBE, .unit = unit, .table = table, .address = address, .count = count};
    snprintf(ask.bus, sizeof ask.bus, "%s", target->bus.name);
    json_t *result = NULL;
    enum fb_error error = FB_OK;
    if (target->through_gateway)
        error = ask_gateway(target, probe_request(&ask), &result, cause);
    else if ((result = probe_read(&target->connection, &ask)) == NULL)
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK)
        read_result(result, ret_reply);
    json_decref(result);
    return error;
}

enum fb_error target_read_tag(struct target *target, const char *instrument, const char *name,
                              struct target_reply *ret_reply, struct fb_cause *cause) {
    json_t *result = NULL;
    json_t *request = json_pack("{s:s, s:s, s:s, s:s}", "call", "probe-tag", "bus", target->bus.name, "instrument",
                                instrument, "name", name);
    const enum fb_error error = ask_gateway(target, request, &result, cause);
    if (error == FB_OK)
        read_result(result, ret_reply);
    json_decref(result);
    return error;
}
