#include "drivers/ask.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drivers/json_memory.h"
#include "gateway/common/hex.h"
#include "gateway/common/json.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define ASK(member) JSON_FIELD_MEMBER(struct ask, member)

static const char *const call_words[] = {"trace", "probe", "probe-tag", "write", NULL};

static const struct json_field trace_fields[] = {
    {"call", JSON_FIELD_WORD, ASK(call), .words = call_words},
    {"bus", JSON_FIELD_TEXT, ASK(bus), .min = 1},
    {"after", JSON_FIELD_OTHER},
};

static const struct json_field probe_fields[] = {
    {"call", JSON_FIELD_WORD, ASK(call), .words = call_words},
    {"bus", JSON_FIELD_TEXT, ASK(bus), .min = 1},
    {"unit", JSON_FIELD_NUMBER, ASK(unit), 0, UINT8_MAX},
    {"table", JSON_FIELD_WORD, ASK(table), .words = plant_table_words},
    {"address", JSON_FIELD_NUMBER, ASK(address), 0, UINT16_MAX},
    {"count", JSON_FIELD_NUMBER, ASK(count), 1, PLANT_REGISTERS_MOST},
};

static const struct json_field tag_fields[] = {
    {"call", JSON_FIELD_WORD, ASK(call), .words = call_words},
    {"bus", JSON_FIELD_TEXT, ASK(bus), .min = 1},
    {"instrument", JSON_FIELD_TEXT, ASK(instrument), .min = 1},
    {"name", JSON_FIELD_TEXT, ASK(name), .min = 1},
};

static const struct json_field write_fields[] = {
    {"call", JSON_FIELD_WORD, ASK(call), .words = call_words},
    {"bus", JSON_FIELD_TEXT, ASK(bus), .min = 1},
    {"instrument", JSON_FIELD_TEXT, ASK(instrument), .min = 1},
    {"name", JSON_FIELD_TEXT, ASK(name), .min = 1},
    {"value", JSON_FIELD_OTHER},
    {"grant", JSON_FIELD_OTHER},
    {"expires_ms", JSON_FIELD_OTHER},
};

static enum fb_error read_trace(const json_t *json, struct ask *ask, struct fb_cause *cause) {
    int64_t after = 0;
    enum fb_error error = json_read_fields(json, trace_fields, COUNT(trace_fields), ask, cause);
    if (error == FB_OK)
        error = json_read_integer(json_object_get(json, "after"), "after", 0, INT64_MAX, &after, cause);
    ask->after = (uint64_t)after;
    return error;
}

static enum fb_error read_probe(const json_t *json, struct ask *ask, struct fb_cause *cause) {
    const enum fb_error error = json_read_fields(json, probe_fields, COUNT(probe_fields), ask, cause);
    if (error == FB_OK && ask->address + ask->count - 1 > UINT16_MAX)
        return fb_fail(cause, FB_INVALID, "address: its %u registers run past 65535", ask->count);
    return error;
}

static enum fb_error read_tag(const json_t *json, struct ask *ask, struct fb_cause *cause) {
    return json_read_fields(json, tag_fields, COUNT(tag_fields), ask, cause);
}

static enum fb_error read_grant(const char *digits, uint64_t *ret_id, struct fb_cause *cause) {
    uint8_t bytes[sizeof *ret_id];
    uint64_t id = 0;
    if (digits == NULL || strlen(digits) != 2 * sizeof bytes || !hex_decode(digits, bytes, sizeof bytes))
        return fb_fail(cause, FB_INVALID, "grant: not 16 hexadecimal digits");
    for (size_t i = 0; i < sizeof bytes; i++)
        id = id << 8 | bytes[i];
    *ret_id = id;
    return FB_OK;
}

static enum fb_error read_write(const json_t *json, struct ask *ask, struct fb_cause *cause) {
    const json_t *value = json_object_get(json, "value");
    enum fb_error error = json_read_fields(json, write_fields, COUNT(write_fields), ask, cause);
    if (error == FB_OK)
        error = read_grant(json_string_value(json_object_get(json, "grant")), &ask->grant, cause);
    if (error == FB_OK)
        error =
            json_read_integer(json_object_get(json, "expires_ms"), "expires_ms", 0, INT64_MAX, &ask->expires_ms, cause);
    if (error == FB_OK && !json_is_number(value))
        error = fb_fail(cause, FB_INVALID, "value: not a number");
    ask->value = json_number_value(value);
    return error;
}

static const struct {
    enum ask_call call;
    enum fb_error (*read)(const json_t *json, struct ask *ask, struct fb_cause *cause);
} readers[] = {{ASK_TRACE, read_trace}, {ASK_PROBE, read_probe}, {ASK_PROBE_TAG, read_tag}, {ASK_WRITE, read_write}};

enum fb_error ask_read(const char *text, size_t length, struct ask *ret_ask, struct fb_cause *cause) {
    if (length > ASK_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "the request is longer than %d bytes", ASK_BYTES_MAX);
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *call = json_string_value(json_object_get(json, "call"));
    struct ask ask = {0};
    enum fb_error error = fb_fail(cause, FB_INVALID, "call: neither trace nor probe nor probe-tag nor write");
    for (size_t i = 0; i < COUNT(readers) && call != NULL; i++)
        if (strcmp(call, call_words[readers[i].call]) == 0)
            error = readers[i].read(json, &ask, cause);
    json_decref(json);
    if (error == FB_OK)
        *ret_ask = ask;
    return error;
}

static char *dump(json_t *json) {
    char *text = json != NULL ? json_memory_text(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

char *ask_answer(json_t *result) {
    return dump(json_pack("{s:b, s:o}", "ok", 1, "result", result));
}

char *ask_failure(enum fb_error error, const char *reason) {
    return dump(json_pack("{s:b, s:s, s:s}", "ok", 0, "error", fb_error_word(error), "cause", reason));
}

json_t *ask_hex(const uint8_t *bytes, size_t length) {
    char text[2 * RECORDER_FRAME_BYTES_MAX + 1];
    assert(length <= RECORDER_FRAME_BYTES_MAX);
    hex_encode(bytes, length, text);
    return json_string(text);
}

json_t *ask_trace(const struct recorder *recorder, uint64_t after) {
    static struct recorder_cut cut;
    struct recorder_frame frame;
    json_t *frames = json_array();
    recorder_read(recorder, after, &cut);
    while (recorder_next(&cut, &frame))
        json_array_append_new(frames,
                              json_pack("{s:I, s:b, s:o}", "time_us", (json_int_t)frame.time_us, "out",
                                        frame.direction == RECORDER_OUT, "bytes", ask_hex(frame.bytes, frame.length)));
    return json_pack("{s:I, s:I, s:o}", "next", (json_int_t)cut.next, "lost", (json_int_t)cut.lost, "frames", frames);
}
