#include "gateway/common/link_settings.h"

#include "gateway/common/json.h"

#define TEXT(member) #member, JSON_FIELD_TEXT, JSON_FIELD_MEMBER(struct link_settings, member), .min = 1
#define NUMBER(member) #member, JSON_FIELD_NUMBER, JSON_FIELD_MEMBER(struct link_settings, member)

static const struct json_field fields[] = {
    {TEXT(gateway)},
    {TEXT(host)},
    {NUMBER(port), 1, UINT16_MAX},
    {TEXT(address)},
    {TEXT(ca)},
    {TEXT(certificate)},
    {TEXT(key)},
    {NUMBER(window_messages), LINK_WINDOW_MESSAGES_MIN, LINK_WINDOW_MESSAGES_MAX},
    {NUMBER(window_bytes), LINK_WINDOW_BYTES_MIN, LINK_WINDOW_BYTES_MAX},
    {NUMBER(connect_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(open_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(idle_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(retry_first_ms), LINK_RETRY_FIRST_MIN_MS, LINK_RETRY_FIRST_MAX_MS},
    {NUMBER(retry_most_ms), LINK_RETRY_MOST_MIN_MS, LINK_RETRY_MOST_MAX_MS},
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

json_t *link_settings_to_json(const struct link_settings *settings) {
    return json_write_fields(fields, FIELD_COUNT, settings);
}

enum fb_error link_settings_from_json(const json_t *json, struct link_settings *ret_settings, struct fb_cause *cause) {
    struct link_settings settings = {0};
    const enum fb_error error = json_read_fields(json, fields, FIELD_COUNT, &settings, cause);
    if (error != FB_OK)
        return error;
    if (settings.retry_most_ms < settings.retry_first_ms)
        return fb_fail(cause, FB_INVALID, "retry_most_ms: less than retry_first_ms");
    *ret_settings = settings;
    return FB_OK;
}
