#include "gateway/cli/prove.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/ask.h"
#include "drivers/decode.h"
#include "drivers/line_frame.h"
#include "gateway/cli/client.h"
#include "gateway/cli/explain.h"
#include "gateway/cli/options.h"
#include "gateway/cli/target.h"
#include "gateway/common/plant_meaning.h"

#define TIMEOUT_MS 10000

struct subject {
    const struct plant_instrument *instrument;
    const struct plant_tag *tag;
};

/* What a tag reads, and the frames it came in. */
struct evidence {
    struct target_reply reply;
    struct reading units[READING_UNITS_MAX];
};

static bool is_named(const char *words, const char *instrument, const char *tag) {
    const size_t length = strlen(instrument);
    return strncmp(words, instrument, length) == 0 && words[length] == '/' && strcmp(words + length + 1, tag) == 0;
}

static enum fb_error find_subject(const struct plant *plant, const char *words, struct subject *ret_subject,
                                  struct fb_cause *cause) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t t = 0; t < instrument->tag_count; t++)
            if (is_named(words, instrument->name, instrument->tags[t].name)) {
                *ret_subject = (struct subject){instrument, &instrument->tags[t]};
                return FB_OK;
            }
    }
    return fb_fail(cause, FB_NOT_FOUND, "there is no tag %s; write INSTRUMENT/TAG", words);
}

/* The value alone: its status qualifies it, and is no part of what the display shows. */
static void decode_value(const struct subject *subject, struct evidence *evidence) {
    struct plant_tag tag = *subject->tag;
    const struct plant_tag *tags[] = {&tag};
    tag.number = 1;
    tag.status = (struct plant_status){0};
    tag.has_min = tag.has_max = false;
    const struct plan_request request = {.instrument = subject->instrument,
                                         .table = tag.table,
                                         .address = tag.address,
                                         .count = (uint16_t)plant_tag_registers(&tag),
                                         .tags = tags,
                                         .tag_count = 1};
    if (subject->instrument->lines.protocol == PLANT_REGISTERS)
        decode_reply(&request, evidence->reply.data, evidence->reply.time_ms, CLOCK_SYNCHRONISED, evidence->units);
    else
        line_decode_reply(&request, evidence->reply.data, evidence->reply.time_ms, CLOCK_SYNCHRONISED, evidence->units);
}

static enum fb_error read_tag(struct target *target, const struct subject *subject, struct evidence *evidence,
                              struct fb_cause *cause) {
    const struct plant_tag *tag = subject->tag;
    const enum fb_error error =
        subject->instrument->lines.protocol == PLANT_REGISTERS
            ? target_read(target, subject->instrument->unit, tag->table, tag->address,
                          (uint8_t)plant_tag_registers(tag), &evidence->reply, cause)
            : target_read_tag(target, subject->instrument->name, tag->name, &evidence->reply, cause);
    if (error == FB_OK && !evidence->reply.good)
        return fb_fail(cause, FB_TIMEOUT, "%s: %s", subject->instrument->name, evidence->reply.reason);
    if (error == FB_OK)
        decode_value(subject, evidence);
    return error;
}

static json_t *value_of(const struct reading *reading) {
    if (!reading_has_value(reading))
        return json_null();
    if (reading->kind == READING_TEXT)
        return json_stringn(reading_text(reading), (size_t)reading->value.text_length);
    if (reading->kind == READING_BOOLEAN)
        return json_boolean(reading->value.boolean);
    return reading->kind == READING_INTEGER ? json_integer(reading->value.integer) : json_real(reading_number(reading));
}

/* True when the display shows this reading, as far as its digits go. */
static bool is_shown(const struct reading *reading, const char *display) {
    struct explain_display shown;
    struct fb_cause cause;
    if (!reading_has_value(reading))
        return false;
    if (reading->kind == READING_TEXT)
        return strlen(display) == reading->value.text_length &&
               memcmp(display, reading_text(reading), strlen(display)) == 0;
    if (reading->kind == READING_BOOLEAN)
        return strcmp(display, reading->value.boolean ? "1" : "0") == 0;
    return explain_display_read(display, &shown, &cause) == FB_OK &&
           fabs(reading_number(reading) - shown.value) <= shown.slack * (1 + 1e-6);
}

static enum fb_error check_display(const struct plant_tag *tag, const char *display, struct fb_cause *cause) {
    struct explain_display shown;
    const enum reading_kind kind = plant_tag_kind(tag);
    if (kind == READING_TEXT)
        return FB_OK;
    if (kind != READING_BOOLEAN)
        return explain_display_read(display, &shown, cause);
    if (strcmp(display, "0") == 0 || strcmp(display, "1") == 0)
        return FB_OK;
    return fb_fail(cause, FB_INVALID, "%s is a bit: 0 or 1 on the display", tag->name);
}

static enum fb_error keep(const struct target *target, const struct subject *subject, const char *display,
                          const struct evidence *evidence, struct fb_cause *cause) {
    char meaning[PLANT_MEANING_MAX];
    const struct target_reply *reply = &evidence->reply;
    json_t *result = NULL;
    json_t *request = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:I}", "call", "prove", "instrument", subject->instrument->name,
        "name", subject->tag->name, "display", display, "value", value_of(evidence->units), "meaning",
        plant_meaning(&target->config.plant, subject->instrument, subject->tag, meaning), "sent",
        ask_hex(reply->sent, reply->sent_length), "received", ask_hex(reply->received, reply->received_length),
        "read_ms", (json_int_t)reply->time_ms);
    const enum fb_error error = request != NULL
                                    ? client_request(target->config.run, request, TIMEOUT_MS, &result, cause)
                                    : fb_fail(cause, FB_INVALID, "the display is not UTF-8");
    json_decref(request);
    json_decref(result);
    return error;
}

static void print_read(const struct subject *subject, const struct evidence *evidence) {
    json_t *value = value_of(evidence->units);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
    printf("%s/%s reads %s\n", subject->instrument->name, subject->tag->name, text != NULL ? text : "?");
    free(text);
    json_decref(value);
}

static enum fb_error not_shown(const struct target *target, const struct subject *subject, const char *display,
                               struct fb_cause *cause) {
    if (subject->instrument->lines.protocol != PLANT_REGISTERS)
        return fb_fail(cause, FB_NOT_FOUND, "the display shows %s: not proven. forebay trace %s shows the lines",
                       display, target->bus.name);
    return fb_fail(cause, FB_NOT_FOUND,
                   "the display shows %s: not proven. forebay probe %s %u %u --table %s --display %s looks for what "
                   "explains it",
                   display, target->bus.name, subject->instrument->unit, subject->tag->address,
                   plant_table_word(subject->tag->table), display);
}

static enum fb_error prove(struct target *target, const char *words, const char *display, struct fb_cause *cause) {
    static struct evidence evidence;
    struct subject subject;
    enum fb_error error = find_subject(&target->config.plant, words, &subject, cause);
    if (error == FB_OK)
        error = check_display(subject.tag, display, cause);
    if (error == FB_OK)
        error = read_tag(target, &subject, &evidence, cause);
    if (error != FB_OK)
        return error;
    print_read(&subject, &evidence);
    if (!is_shown(evidence.units, display))
        return not_shown(target, &subject, display, cause);
    error = keep(target, &subject, display, &evidence, cause);
    if (error == FB_OK)
        printf("proven: the display shows %s\n", display);
    return error;
}

/* The bus that the tag's instrument is on. */
static enum fb_error find_bus(const char *config_file, const char *words, char ret_bus[static PLANT_NAME_MAX],
                              struct fb_cause *cause) {
    struct config config;
    struct subject subject;
    if (!options_load_config(config_file, &config))
        return fb_fail(cause, FB_INVALID, "%s was refused", config_file);
    const enum fb_error error = find_subject(&config.plant, words, &subject, cause);
    if (error == FB_OK)
        snprintf(ret_bus, PLANT_NAME_MAX, "%s", config.plant.buses[subject.instrument->bus].name);
    config_done(&config);
    return error;
}

enum fb_error prove_tag(const char *config_file, const char *tag, const char *display, struct fb_cause *cause) {
    static struct target target;
    char bus[PLANT_NAME_MAX];
    enum fb_error error = find_bus(config_file, tag, bus, cause);
    if (error == FB_OK)
        error = target_open(config_file, bus, &target, cause);
    if (error != FB_OK)
        return error;
    error = target.through_gateway
                ? prove(&target, tag, display, cause)
                : fb_fail(cause, FB_CLOSED, "the gateway keeps the proof, and it is not running; start it first");
    target_close(&target);
    return error;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void print_time(const json_t *object) {
    const time_t time_s = (time_t)(json_integer_value(json_object_get(object, "time_ms")) / 1000);
    struct tm local;
    char shown[32] = "";
    if (localtime_r(&time_s, &local) != NULL)
        strftime(shown, sizeof shown, "%F %T", &local);
    fputs(shown, stdout);
}

static enum fb_error list_tags(const char *run, struct fb_cause *cause) {
    json_t *result, *value;
    size_t i;
    const enum fb_error error = client_call(run, "values", TIMEOUT_MS, &result, cause);
    if (error != FB_OK)
        return error;
    json_array_foreach(json_object_get(result, "values"), i, value) {
        const json_t *proven = json_object_get(value, "proven");
        printf("%s/%s: ", text_of(value, "instrument"), text_of(value, "name"));
        if (proven != NULL) {
            fputs("proven on ", stdout);
            print_time(proven);
            printf(" by %s\n", text_of(proven, "who"));
        } else {
            puts("not proven");
        }
    }
    json_decref(result);
    return FB_OK;
}

static void print_proof(const json_t *proof) {
    json_t *value = json_object_get(proof, "value");
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
    print_time(proof);
    printf("  %s: display %s, read %s (%s)\n  sent     %s\n  received %s\n", text_of(proof, "who"),
           text_of(proof, "display"), text != NULL ? text : "?", text_of(proof, "meaning"), text_of(proof, "sent"),
           text_of(proof, "received"));
    free(text);
}

/* ret_after: moves on to the last that was seen; ret_more: there may be others. */
static enum fb_error list_some(const char *run, const char *tag, json_int_t *after, bool *ret_more,
                               struct fb_cause *cause) {
    json_t *request = json_pack("{s:s, s:I}", "call", "proofs", "after", *after);
    json_t *result, *proof;
    size_t i;
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, cause);
    json_decref(request);
    if (error != FB_OK)
        return error;
    json_array_foreach(json_object_get(result, "records"), i, proof) {
        *after = json_integer_value(json_object_get(proof, "number"));
        if (is_named(tag, text_of(proof, "instrument"), text_of(proof, "name")))
            print_proof(proof);
    }
    *ret_more = json_array_size(json_object_get(result, "records")) > 0;
    json_decref(result);
    return FB_OK;
}

enum fb_error prove_list(const char *config_file, const char *tag, struct fb_cause *cause) {
    struct config config;
    json_int_t after = 0;
    bool more = tag != NULL;
    if (!options_load_config(config_file, &config))
        return fb_fail(cause, FB_INVALID, "%s was refused", config_file);
    enum fb_error error = tag == NULL ? list_tags(config.run, cause) : FB_OK;
    while (error == FB_OK && more)
        error = list_some(config.run, tag, &after, &more, cause);
    config_done(&config);
    return error;
}
