#include "gateway/receive/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/common/hex.h"
#include "gateway/common/number_text.h"
#include "gateway/common/quality.h"

static const char *const format_words[] = {[LINES_NDJSON] = "ndjson", [LINES_CSV] = "csv"};

const char *lines_format_word(enum lines_format format) {
    return format_words[format];
}

int lines_format_from_word(const char *word) {
    for (size_t i = 0; i < sizeof format_words / sizeof format_words[0]; i++)
        if (strcmp(format_words[i], word) == 0)
            return (int)i;
    return -1;
}

const char *lines_header(enum lines_format format) {
    return format == LINES_CSV ? "gateway,store,batch,tag,instrument,name,unit,time_ms,value,quality,reason,detail\n"
                               : "";
}

static char *put(char *at, const char *text) {
    return stpcpy(at, text);
}

/* The decoders let only UTF-8 without control characters through, so no other byte needs an escape (RFC 8259). */
static char *put_json(char *at, const char *text, size_t length) {
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *at++ = '\\';
        *at++ = text[i];
    }
    *at++ = '"';
    *at = '\0';
    return at;
}

static char *put_json_text(char *at, const char *text) {
    return put_json(at, text, strlen(text));
}

/* RFC 4180, section 2: quotes where a comma or a quote stands, quotes within doubled. */
static char *put_csv(char *at, const char *text, size_t length) {
    const bool quoted = memchr(text, ',', length) != NULL || memchr(text, '"', length) != NULL;
    if (quoted)
        *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            *at++ = '"';
        *at++ = text[i];
    }
    if (quoted)
        *at++ = '"';
    *at = '\0';
    return at;
}

static char *put_csv_text(char *at, const char *text) {
    return put_csv(at, text, strlen(text));
}

static char *begin_ndjson(char *at, const struct batch_info *info, const char *store, uint32_t tag,
                          const struct catalogue_tag *names) {
    at = put_json_text(put(at, "{\"gateway\":"), info->gateway);
    at = put(put(put(at, ",\"store\":\""), store), "\"");
    at = number_text_unsigned(put(at, ",\"batch\":"), info->number);
    at = number_text_unsigned(put(at, ",\"tag\":"), tag);
    if (names == NULL)
        at = put(at, ",\"instrument\":null,\"name\":null,\"unit\":null");
    else {
        at = put_json_text(put(at, ",\"instrument\":"), names->instrument);
        at = put_json_text(put(at, ",\"name\":"), names->name);
        at = put_json_text(put(at, ",\"unit\":"), names->unit);
    }
    return put(at, ",\"time_ms\":");
}

static char *begin_csv(char *at, const struct batch_info *info, const char *store, uint32_t tag,
                       const struct catalogue_tag *names) {
    at = put(put(put(put_csv_text(at, info->gateway), ","), store), ",");
    at = put(number_text_unsigned(at, info->number), ",");
    at = put(number_text_unsigned(at, tag), ",");
    at = put(put_csv_text(at, names != NULL ? names->instrument : ""), ",");
    at = put(put_csv_text(at, names != NULL ? names->name : ""), ",");
    return put(put_csv_text(at, names != NULL ? names->unit : ""), ",");
}

void lines_begin_tag(enum lines_format format, const struct batch_info *info, uint32_t tag,
                     const struct catalogue_tag *names, struct lines_tag *ret_tag) {
    char store[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(info->store_id, sizeof info->store_id, store);
    const char *end = format == LINES_CSV ? begin_csv(ret_tag->text, info, store, tag, names)
                                          : begin_ndjson(ret_tag->text, info, store, tag, names);
    ret_tag->format = format;
    ret_tag->length = (size_t)(end - ret_tag->text);
}

static char *put_value(char *at, enum lines_format format, const struct reading *reading) {
    switch ((enum reading_kind)reading->kind) {
    case READING_REAL64:
        return at + number_text_real64(reading->value.real64, at);
    case READING_REAL32:
        return at + number_text_real32(reading->value.real32, at);
    case READING_INTEGER:
        return number_text_signed(at, reading->value.integer);
    case READING_BOOLEAN:
        return put(at, reading->value.boolean ? "true" : "false");
    case READING_TEXT:
        return (format == LINES_CSV ? put_csv : put_json)(at, reading_text(reading),
                                                          (size_t)reading->value.text_length);
    }
    return at;
}

size_t lines_reading(const struct lines_tag *tag, const struct reading *reading, char *ret_line) {
    const bool csv = tag->format == LINES_CSV;
    char *at = number_text_signed(mempcpy(ret_line, tag->text, tag->length), reading->time_ms);
    at = put(at, csv ? "," : ",\"value\":");
    at = reading_has_value(reading) ? put_value(at, tag->format, reading) : put(at, csv ? "" : "null");
    at = put(put(at, csv ? "," : ",\"quality\":\""), quality_class_word(reading->quality));
    at = put(put(at, csv ? "," : "\",\"reason\":\""), quality_reason(reading->quality));
    at = number_text_unsigned(put(at, csv ? "," : "\",\"detail\":"), reading->detail);
    at = put(at, csv ? "\n" : "}\n");
    return (size_t)(at - ret_line);
}
