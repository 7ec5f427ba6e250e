#include "gateway/cloud/cloud_message.h"

#include <jansson.h>
#include <string.h>

#include "gateway/common/command_settings.h"
#include "gateway/common/json.h"
#include "gateway/common/log.h"

#define COMMANDS_TEXT(member) #member, JSON_FIELD_TEXT, JSON_FIELD_MEMBER(struct cloud_message, member), .min = 1

static const struct json_field commands_fields[] = {
    {COMMANDS_TEXT(address)}, {COMMANDS_TEXT(replies)}, {COMMANDS_TEXT(gateway)}};

static bool read_kind(struct message_reader *reader, struct cloud_message *message) {
    const uint8_t kind = message_get_u8(reader);
    const bool known = kind >= PARCEL_BATCH && kind <= PARCEL_EVENT;
    message->kind = known ? (enum parcel_kind)kind : PARCEL_BATCH;
    return known;
}

static enum fb_error read_parcel(struct message_reader *reader, struct cloud_message *message, struct fb_cause *cause) {
    const bool known = read_kind(reader, message);
    const uint8_t flags = message_get_u8(reader);
    message->number = message_get_u64(reader);
    message->historical = (flags & PARCEL_HISTORICAL) != 0;
    message->store = message_get_bytes(reader, PROTOCOL_STORE_BYTES);
    message->bytes = message_get_rest(reader, &message->length);
    if (!message_done(reader) || !known || (flags & ~PARCEL_HISTORICAL) != 0)
        return fb_fail(cause, FB_INVALID, "malformed PARCEL");
    if (message->length == 0)
        return fb_fail(cause, FB_INVALID, "PARCEL without bytes");
    return FB_OK;
}

static enum fb_error read_settled(struct message_reader *reader, struct cloud_message *message,
                                  struct fb_cause *cause) {
    const bool known = read_kind(reader, message);
    message->bytes = message_get_rest(reader, &message->length);
    message->count = message->length / sizeof message->number;
    const bool whole = message->count > 0 && message->length % sizeof message->number == 0;
    return message_done(reader) && known && whole ? FB_OK : fb_fail(cause, FB_INVALID, "malformed SETTLED");
}

uint64_t cloud_message_number(const struct cloud_message *message, size_t at) {
    uint64_t number;
    memcpy(&number, message->bytes + at * sizeof number, sizeof number);
    return number;
}

static enum fb_error read_attempt_kept(struct message_reader *reader, struct cloud_message *message,
                                       struct fb_cause *cause) {
    message->number = message_get_u64(reader);
    return message_done(reader) ? FB_OK : fb_fail(cause, FB_INVALID, "malformed ATTEMPT_KEPT");
}

static enum fb_error read_link_config(struct message_reader *reader, struct cloud_message *message,
                                      struct fb_cause *cause) {
    size_t length;
    const uint8_t *text = message_get_rest(reader, &length);
    if (!message_done(reader))
        return fb_fail(cause, FB_INVALID, "malformed LINK_CONFIG");
    json_error_t problem;
    json_t *json = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, &problem);
    enum fb_error error = FB_OK;
    message->has_link = !json_is_object(json) || json_object_size(json) > 0;
    if (json == NULL)
        error = fb_fail(cause, FB_INVALID, "LINK_CONFIG: %s", problem.text);
    else if (message->has_link)
        error = link_settings_from_json(json, &message->link, cause);
    json_decref(json);
    return error == FB_OK ? FB_OK : fb_context(cause, FB_INVALID, "LINK_CONFIG");
}

static enum fb_error read_commands_config(struct message_reader *reader, struct cloud_message *message,
                                          struct fb_cause *cause) {
    size_t length;
    const uint8_t *text = message_get_rest(reader, &length);
    json_t *json = message_done(reader) ? json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    enum fb_error error = FB_OK;
    if (!json_is_object(json) || json_object_size(json) > 0)
        error =
            json_read_fields(json, commands_fields, sizeof commands_fields / sizeof commands_fields[0], message, cause);
    json_decref(json);
    return error == FB_OK ? FB_OK : fb_context(cause, FB_INVALID, "COMMANDS_CONFIG");
}

static enum fb_error read_reply(struct message_reader *reader, struct cloud_message *message, struct fb_cause *cause) {
    message->number = message_get_u64(reader);
    const uint8_t outcome = message_get_u8(reader);
    message->accepted = outcome == PARCEL_ACCEPTED;
    message->reason_length = message_get_u32(reader);
    message->reason = (const char *)message_get_bytes(reader, message->reason_length);
    message->bytes = message_get_rest(reader, &message->length);
    if (!message_done(reader) || (outcome != PARCEL_ACCEPTED && outcome != PARCEL_REJECTED) ||
        message->reason_length >= FB_CAUSE_MAX || message->length > COMMAND_REPLY_BYTES_MAX)
        return fb_fail(cause, FB_INVALID, "malformed REPLY");
    return FB_OK;
}

static enum fb_error read_log(struct message_reader *reader, struct cloud_message *message, struct fb_cause *cause) {
    message->level = message_get_u8(reader);
    message->time_ms = message_get_u32(reader);
    return message_done(reader) && message->level <= LOG_LEVEL_DEBUG ? FB_OK
                                                                     : fb_fail(cause, FB_INVALID, "malformed LOG");
}

static const struct {
    enum protocol_cloud type;
    enum fb_error (*read)(struct message_reader *reader, struct cloud_message *message, struct fb_cause *cause);
} types[] = {
    {PROTOCOL_LINK_CONFIG, read_link_config},         {PROTOCOL_PARCEL, read_parcel}, {PROTOCOL_SETTLED, read_settled},
    {PROTOCOL_COMMANDS_CONFIG, read_commands_config}, {PROTOCOL_REPLY, read_reply},   {PROTOCOL_CLOUD_LOG, read_log},
    {PROTOCOL_ATTEMPT_KEPT, read_attempt_kept},
};

enum fb_error cloud_message_read(struct message_reader *reader, struct cloud_message *ret_message,
                                 struct fb_cause *cause) {
    *ret_message = (struct cloud_message){0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if ((uint8_t)types[i].type != reader->type)
            continue;
        ret_message->type = types[i].type;
        return types[i].read(reader, ret_message, cause);
    }
    return fb_fail(cause, FB_INVALID, "message of unknown type %u", reader->type);
}
