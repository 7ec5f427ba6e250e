#include "gateway/core/command_calls.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/json.h"
#include "gateway/common/log.h"
#include "gateway/core/core.h"
#include "gateway/core/records.h"
#include "gateway/core/report.h"

#define REASON_BYTES_MAX 512
#define MINUTE_MS 60000

/* FB_INVALID: it has a member that is none of names (NULL at the end). */
static enum fb_error check_arguments(const json_t *arguments, const char *const *names, struct fb_cause *cause) {
    size_t known = 0;
    for (; *names != NULL; names++)
        known += json_object_get(arguments, *names) != NULL;
    return known == json_object_size(arguments) ? FB_OK
                                                : fb_fail(cause, FB_INVALID, "arguments: has an unknown member");
}

/* Of a plant so large that it does not fit the lists are left out. */
static enum fb_error call_status(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {NULL}, *const lists[] = {"instruments", "buses"};
    const enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error != FB_OK)
        return error;
    json_t *status = report_status(call->core), *left_out = json_array();
    for (size_t i = 0; i < 2 && json_dumpb(status, NULL, 0, JSON_COMPACT) > COMMAND_REPLY_BYTES_MAX - 1024; i++) {
        json_object_del(status, lists[i]);
        json_array_append_new(left_out, json_string(lists[i]));
    }
    json_object_set_new(status, "left_out", left_out);
    *ret_result = status;
    return FB_OK;
}

static json_t *tag_to_json(const struct value *value) {
    return json_pack("{s:I, s:s, s:s, s:s, s:I}", "number", (json_int_t)value->tag->number, "instrument",
                     value->instrument->name, "name", value->tag->name, "unit", value->tag->unit, "interval_ms",
                     (json_int_t)value->tag->interval_ms);
}

static enum fb_error call_catalogue(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {"from", NULL};
    const struct values *values = &call->core->values;
    const json_t *from = json_object_get(call->arguments, "from");
    int64_t first = 0;
    enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error == FB_OK && from != NULL)
        error = json_read_integer(from, "from", 0, INT32_MAX, &first, cause);
    if (error != FB_OK)
        return error;
    json_t *tags = json_array();
    size_t i = (size_t)first;
    for (; i < values->count && json_array_size(tags) < COMMAND_CALL_TAGS_MAX; i++)
        json_array_append_new(tags, tag_to_json(&values->all[i]));
    *ret_result = json_pack("{s:o, s:I, s:o}", "tags", tags, "count", (json_int_t)values->count, "next",
                            i < values->count ? json_integer((json_int_t)i) : json_null());
    return FB_OK;
}

static json_t *reading_to_json(const struct value *value) {
    json_t *json = value_to_json(value);
    json_object_set_new(json, "age_ms",
                        value->last[0].tag != 0 ? json_integer(clock_monotonic_ms() - value->arrived_ms) : json_null());
    return json;
}

static bool is_tag(const struct value *value, const char *path) {
    const size_t length = strlen(value->instrument->name);
    return strncmp(path, value->instrument->name, length) == 0 && path[length] == '/' &&
           strcmp(path + length + 1, value->tag->name) == 0;
}

static enum fb_error add_tag(const struct values *values, const json_t *path, json_t *result, struct fb_cause *cause) {
    const char *text = json_string_value(path);
    if (text == NULL)
        return fb_fail(cause, FB_INVALID, "tags: a list of INSTRUMENT/TAG is expected");
    for (size_t i = 0; i < values->count; i++)
        if (is_tag(&values->all[i], text)) {
            json_array_append_new(result, reading_to_json(&values->all[i]));
            return FB_OK;
        }
    return fb_fail(cause, FB_NOT_FOUND, "there is no tag %.130s", text);
}

static enum fb_error add_tags(const struct values *values, const json_t *tags, json_t *result, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    if (!json_is_array(tags) || json_array_size(tags) == 0 || json_array_size(tags) > COMMAND_CALL_VALUES_MAX)
        return fb_fail(cause, FB_INVALID, "tags: 1 to %d of them are expected", COMMAND_CALL_VALUES_MAX);
    for (size_t i = 0; error == FB_OK && i < json_array_size(tags); i++)
        error = add_tag(values, json_array_get(tags, i), result, cause);
    return error;
}

static enum fb_error add_instrument(const struct values *values, const json_t *instrument, json_t *result,
                                    struct fb_cause *cause) {
    const char *name = json_string_value(instrument);
    if (name == NULL)
        return fb_fail(cause, FB_INVALID, "either \"instrument\" or \"tags\" is expected");
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->all[i].instrument->name, name) == 0)
            json_array_append_new(result, reading_to_json(&values->all[i]));
    const size_t count = json_array_size(result);
    if (count == 0)
        return fb_fail(cause, FB_NOT_FOUND, "there is no instrument %.64s", name);
    return count <= COMMAND_CALL_VALUES_MAX
               ? FB_OK
               : fb_fail(cause, FB_LIMIT, "%zu tags; ask for at most %d by \"tags\"", count, COMMAND_CALL_VALUES_MAX);
}

/* What was read last, which is at most an interval ago: the bus's own schedule is not for the cloud to disturb. */
static enum fb_error call_read_now(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {"instrument", "tags", NULL};
    const json_t *tags = json_object_get(call->arguments, "tags");
    json_t *result = json_array();
    struct values *values = &call->core->values;
    values_age(values, clock_monotonic_ms());
    enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error == FB_OK && json_object_size(call->arguments) != 1)
        error = fb_fail(cause, FB_INVALID, "either \"instrument\" or \"tags\" is expected");
    else if (error == FB_OK && tags != NULL)
        error = add_tags(values, tags, result, cause);
    else if (error == FB_OK)
        error = add_instrument(values, json_object_get(call->arguments, "instrument"), result, cause);
    if (error == FB_OK)
        *ret_result = json_pack("{s:O}", "values", result);
    json_decref(result);
    return error;
}

static enum fb_error call_backfill(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {"from_ms", "to_ms", NULL};
    int64_t from_ms = 0, to_ms = 0;
    enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error == FB_OK)
        error = json_read_integer(json_object_get(call->arguments, "from_ms"), "from_ms", 0, INT64_MAX / 2, &from_ms,
                                  cause);
    if (error == FB_OK)
        error = json_read_integer(json_object_get(call->arguments, "to_ms"), "to_ms", from_ms + 1,
                                  from_ms + COMMAND_CALL_BACKFILL_MS_MAX, &to_ms, cause);
    if (error == FB_OK)
        error = cloud_peer_resend(call->core->cloud, from_ms, to_ms, cause);
    if (error == FB_OK)
        *ret_result = json_pack("{s:I, s:I}", "from_ms", (json_int_t)from_ms, "to_ms", (json_int_t)to_ms);
    return error;
}

static enum fb_error log_core(struct core *core, enum log_level level, uint32_t time_ms, struct fb_cause *cause) {
    (void)core, (void)cause;
    log_set_level(level, time_ms);
    return FB_OK;
}

static enum fb_error log_cloud(struct core *core, enum log_level level, uint32_t time_ms, struct fb_cause *cause) {
    return cloud_peer_log(core->cloud, level, time_ms, cause);
}

static const struct {
    const char *name;
    enum fb_error (*log)(struct core *core, enum log_level level, uint32_t time_ms, struct fb_cause *cause);
} programs[] = {{"core", log_core}, {"cloud", log_cloud}};

static enum fb_error set_log(struct core *core, const char *program, enum log_level level, uint32_t time_ms,
                             struct fb_cause *cause) {
    for (size_t i = 0; program != NULL && i < sizeof programs / sizeof programs[0]; i++)
        if (strcmp(programs[i].name, program) == 0)
            return programs[i].log(core, level, time_ms, cause);
    return fb_fail(cause, FB_INVALID, "program: core or cloud is expected");
}

static enum fb_error call_log_level(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {"program", "level", "minutes", NULL};
    const char *level = json_string_value(json_object_get(call->arguments, "level"));
    const char *program = json_string_value(json_object_get(call->arguments, "program"));
    int64_t minutes = 0;
    enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error == FB_OK && (level == NULL || (strcmp(level, "debug") != 0 && strcmp(level, "normal") != 0)))
        error = fb_fail(cause, FB_INVALID, "level: debug or normal is expected");
    if (error == FB_OK)
        error = json_read_integer(json_object_get(call->arguments, "minutes"), "minutes", 1,
                                  COMMAND_CALL_LOG_MINUTES_MAX, &minutes, cause);
    if (error == FB_OK)
        error = set_log(call->core, program, strcmp(level, "debug") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE,
                        (uint32_t)minutes * MINUTE_MS, cause);
    if (error == FB_OK)
        *ret_result = json_pack("{s:s, s:s, s:o}", "program", program, "level", level, "until_ms",
                                json_integer(clock_utc_ms() + minutes * MINUTE_MS));
    return error;
}

/* As if it stood where the configuration in force stands. The first thing that is wrong goes back. */
static enum fb_error check_document(const struct core *core, const char *document, struct fb_cause *cause) {
    struct config_report *report = calloc(1, sizeof *report);
    char file[PATH_MAX], folder[PATH_MAX];
    struct config config;
    if (report == NULL || strlen(core->config_file) >= sizeof file) {
        free(report);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    memcpy(file, core->config_file, strlen(core->config_file) + 1);
    report->file = core->config_file;
    enum fb_error error = FB_OK;
    if (realpath(dirname(file), folder) == NULL)
        error = fb_fail(cause, FB_IO, "the folder of the configuration cannot be found");
    else if (config_parse(document, strlen(document), folder, &config, report) == FB_OK)
        config_done(&config);
    else
        error = fb_fail(cause, FB_INVALID, "document: %u:%u: %.300s (%zu errors in all)", report->errors[0].line,
                        report->errors[0].column, report->errors[0].text, report->count);
    free(report);
    return error;
}

/* Kept, and no more: only a person at the plant can apply it (`forebay config apply`). */
static enum fb_error call_configuration(const struct command_call *call, json_t **ret_result, struct fb_cause *cause) {
    static const char *const names[] = {"document", "reason", NULL};
    const json_t *document = json_object_get(call->arguments, "document");
    const char *reason = json_string_value(json_object_get(call->arguments, "reason"));
    uint64_t number = 0;
    enum fb_error error = check_arguments(call->arguments, names, cause);
    if (error == FB_OK && (!json_is_string(document) || reason == NULL || strlen(reason) > REASON_BYTES_MAX))
        error = fb_fail(cause, FB_INVALID, "\"document\" and a \"reason\" of at most %d bytes are expected",
                        REASON_BYTES_MAX);
    if (error == FB_OK)
        error = check_document(call->core, json_string_value(document), cause);
    if (error == FB_OK)
        error = records_proposal(call->core, call->author, reason, json_string_value(document),
                                 json_string_length(document), &number, cause);
    if (error == FB_OK)
        *ret_result = json_pack("{s:I, s:s}", "number", (json_int_t)number, "state",
                                "proposed: a person at the plant applies it with forebay config apply");
    return error;
}

enum fb_error command_call(enum command_kind kind, const struct command_call *call, json_t **ret_result,
                           struct fb_cause *cause) {
    static enum fb_error (*const calls[COMMAND_KINDS])(const struct command_call *, json_t **, struct fb_cause *) = {
        [COMMAND_STATUS] = call_status,       [COMMAND_CATALOGUE] = call_catalogue,
        [COMMAND_READ_NOW] = call_read_now,   [COMMAND_BACKFILL] = call_backfill,
        [COMMAND_LOG_LEVEL] = call_log_level, [COMMAND_CONFIGURATION] = call_configuration,
    };
    return calls[kind](call, ret_result, cause);
}
