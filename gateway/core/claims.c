#include "gateway/core/claims.h"

#include <stdio.h>
#include <string.h>

#include "gateway/common/base64url.h"

/* Later than any clock that is right, and far from where a sum could overflow: the year 9999. */
#define TIME_S_MAX INT64_C(253402300799)

static const char *const members[] = {"gateway", "nonce", "iat", "exp", "command", "arguments"};
#define MEMBER_COUNT (sizeof members / sizeof members[0])

static enum refusal malformed(struct fb_cause *cause, const char *what) {
    fb_cause_write(cause, "%s", what);
    return REFUSAL_MALFORMED;
}

static enum refusal check_members(const json_t *json, struct fb_cause *cause) {
    if (!json_is_object(json))
        return malformed(cause, "the payload is not one strict JSON object");
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        if (json_object_get(json, members[i]) == NULL) {
            fb_cause_write(cause, "\"%s\" is missing", members[i]);
            return REFUSAL_MALFORMED;
        }
    return json_object_size(json) == MEMBER_COUNT ? REFUSAL_NONE : malformed(cause, "it has an unknown member");
}

/* A word without control characters that fits. */
static bool copy_text(const json_t *value, char *ret_text, size_t size) {
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || json_string_length(value) >= size)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            return false;
    memcpy(ret_text, text, json_string_length(value) + 1);
    return true;
}

static enum refusal read_nonce(const json_t *value, struct claims *claims, struct fb_cause *cause) {
    char text[CLAIMS_NONCE_TEXT_MAX];
    uint8_t bytes[BASE64URL_BYTES(CLAIMS_NONCE_TEXT_MAX)];
    size_t length;
    if (!copy_text(value, text, sizeof text) || !base64url_decode(text, strlen(text), bytes, &length) ||
        length < CLAIMS_NONCE_BYTES_MIN || length > CLAIMS_NONCE_BYTES_MAX)
        return malformed(cause, "\"nonce\" is not 16 to 64 bytes in base64url");
    memcpy(claims->nonce, text, sizeof text);
    return REFUSAL_NONE;
}

static bool read_time(const json_t *value, int64_t *ret_time_s) {
    *ret_time_s = json_integer_value(value);
    return json_is_integer(value) && *ret_time_s >= 0 && *ret_time_s <= TIME_S_MAX;
}

static enum refusal read_all(const json_t *json, struct claims *claims, struct fb_cause *cause) {
    enum refusal refusal = check_members(json, cause);
    if (refusal == REFUSAL_NONE)
        refusal = read_nonce(json_object_get(json, "nonce"), claims, cause);
    if (refusal != REFUSAL_NONE)
        return refusal;
    if (!copy_text(json_object_get(json, "command"), claims->command, sizeof claims->command))
        return malformed(cause, "\"command\" is not a word");
    if (!json_is_string(json_object_get(json, "gateway")))
        return malformed(cause, "\"gateway\" is not a name");
    if (!read_time(json_object_get(json, "iat"), &claims->issued_s) ||
        !read_time(json_object_get(json, "exp"), &claims->expires_s))
        return malformed(cause, "\"iat\" and \"exp\" are not whole seconds since 1970");
    json_t *arguments = json_object_get(json, "arguments");
    if (!json_is_object(arguments))
        return malformed(cause, "\"arguments\" is not an object");
    claims->arguments = json_incref(arguments);
    return REFUSAL_NONE;
}

static enum refusal judge_times(const struct claims *claims, int64_t now_ms, struct fb_cause *cause) {
    const int64_t life_s = claims->expires_s - claims->issued_s, now_s = now_ms / 1000;
    if (life_s <= 0 || life_s > CLAIMS_LIFE_S_MAX) {
        fb_cause_write(cause, "it is valid for %lld s; allowed are 1 to %d", (long long)life_s, CLAIMS_LIFE_S_MAX);
        return REFUSAL_MALFORMED;
    }
    if (claims->issued_s > now_s + CLAIMS_SKEW_S) {
        fb_cause_write(cause, "it was issued %lld s in the future of this gateway's clock",
                       (long long)(claims->issued_s - now_s));
        return REFUSAL_EARLY;
    }
    if (claims->expires_s + CLAIMS_SKEW_S < now_s) {
        fb_cause_write(cause, "it expired %lld s ago", (long long)(now_s - claims->expires_s));
        return REFUSAL_LATE;
    }
    return REFUSAL_NONE;
}

enum refusal claims_read(const char *payload, size_t length, const char *gateway, int64_t now_ms,
                         struct claims *ret_claims, struct fb_cause *cause) {
    *ret_claims = (struct claims){0};
    json_t *json = json_loadb(payload, length, JSON_REJECT_DUPLICATES, NULL);
    enum refusal refusal = read_all(json, ret_claims, cause);
    const char *meant = json_string_value(json_object_get(json, "gateway"));
    if (refusal == REFUSAL_NONE && strcmp(meant, gateway) != 0) {
        fb_cause_write(cause, "it is for another gateway");
        refusal = REFUSAL_FOREIGN;
    }
    json_decref(json);
    return refusal == REFUSAL_NONE ? judge_times(ret_claims, now_ms, cause) : refusal;
}

void claims_done(struct claims *claims) {
    json_decref(claims->arguments);
    claims->arguments = NULL;
}
