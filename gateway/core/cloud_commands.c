#include "gateway/core/cloud_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/core/claims.h"
#include "gateway/core/command_calls.h"
#include "gateway/core/core.h"
#include "gateway/core/jws.h"
#include "gateway/core/nonces.h"
#include "gateway/core/records.h"

#define NONCES_FILE "commands.nonces"
#define WHO_MAX (PLANT_NAME_MAX + 8)

/* So many in a row, then one each each_ms. */
struct allowance {
    bool begun;
    unsigned left;
    int64_t at_ms; /* monotonic */
};

struct cloud_commands {
    struct core *core;
    bool wanted;
    struct command_settings settings;
    struct jws_key keys[COMMAND_KEYS_MAX]; /* key_count of them: those that can be used */
    size_t named[COMMAND_KEYS_MAX];        /* which one of the settings each is */
    size_t key_count;
    char key_reasons[COMMAND_KEYS_MAX][FB_CAUSE_MAX]; /* by the settings' order: "" when it can be used */
    struct nonces *nonces;                            /* opened with the first command */
    int64_t started_ms;                               /* monotonic */
    struct allowance known, unknown;
    uint64_t done, refused;
};

/* One command under way. */
struct taking {
    uint64_t id;
    size_t key; /* index into the settings' keys */
    struct claims claims;
    enum refusal refusal;
    struct fb_cause cause;
    json_t *result; /* of what was done; NULL: nothing */
};

enum fb_error cloud_commands_new(struct core *core, struct cloud_commands **ret_commands, struct fb_cause *cause) {
    struct cloud_commands *commands = calloc(1, sizeof *commands);
    if (commands == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    commands->core = core;
    commands->started_ms = clock_monotonic_ms();
    *ret_commands = commands;
    return FB_OK;
}

static void drop_keys(struct cloud_commands *commands) {
    while (commands->key_count > 0)
        jws_key_done(&commands->keys[--commands->key_count]);
}

void cloud_commands_free(struct cloud_commands *commands) {
    if (commands == NULL)
        return;
    drop_keys(commands);
    nonces_close(commands->nonces);
    free(commands);
}

static void load_key(struct cloud_commands *commands, size_t index) {
    const struct command_key *key = &commands->settings.keys[index];
    struct fb_cause cause;
    commands->key_reasons[index][0] = '\0';
    if (jws_key_load(key->file, &commands->keys[commands->key_count], &cause) == FB_OK) {
        commands->named[commands->key_count++] = index;
        return;
    }
    memcpy(commands->key_reasons[index], cause.text, sizeof cause.text);
    log_event(LOG_LEVEL_ERROR, "command-key-unusable", "name=%s %s", key->name, cause.text);
}

void cloud_commands_configure(struct cloud_commands *commands, const struct command_settings *settings) {
    drop_keys(commands);
    commands->wanted = settings != NULL;
    if (settings == NULL)
        return;
    commands->settings = *settings;
    for (size_t i = 0; i < settings->key_count; i++)
        load_key(commands, i);
}

static bool take_allowance(struct allowance *allowance, unsigned burst, int64_t each_ms) {
    const int64_t now_ms = clock_monotonic_ms();
    if (!allowance->begun)
        *allowance = (struct allowance){.begun = true, .left = burst, .at_ms = now_ms};
    const int64_t gained = (now_ms - allowance->at_ms) / each_ms;
    allowance->at_ms += gained * each_ms;
    allowance->left = gained < burst - allowance->left ? allowance->left + (unsigned)gained : burst;
    if (allowance->left == 0)
        return false;
    allowance->left--;
    return true;
}

/* With the time this program started at as the begin, should the file be missing: by a clock that is set now, but may
 * not have been then. */
static enum refusal open_nonces(struct cloud_commands *commands, struct fb_cause *cause) {
    char path[CONFIG_PATH_MAX + 32];
    struct fb_cause begun;
    const int64_t started_ms = clock_utc_ms() - (clock_monotonic_ms() - commands->started_ms);
    if (commands->nonces != NULL)
        return REFUSAL_NONE;
    if (file_join(commands->core->config.data, NONCES_FILE, path, sizeof path, cause) != FB_OK ||
        nonces_open(path, started_ms, &commands->nonces, &begun, cause) != FB_OK)
        return REFUSAL_FAILED;
    if (begun.text[0] != '\0')
        log_event(LOG_LEVEL_WARNING, "nonces-begun", "commands issued before now are refused: %s", begun.text);
    return REFUSAL_NONE;
}

static enum refusal judge_clock(struct fb_cause *cause) {
    if (clock_state() != CLOCK_NOT_SET)
        return REFUSAL_NONE;
    fb_cause_write(cause, "this gateway's clock is not set, so the times of a command mean nothing to it");
    return REFUSAL_CLOCK;
}

static enum refusal judge_policy(const struct cloud_commands *commands, const char *word, enum command_kind *ret_kind,
                                 struct fb_cause *cause) {
    for (unsigned kind = 0; kind < COMMAND_KINDS; kind++)
        if (strcmp(command_words[kind], word) == 0 && (commands->settings.allowed >> kind & 1) != 0) {
            *ret_kind = (enum command_kind)kind;
            return REFUSAL_NONE;
        }
    fb_cause_write(cause, "the plant's configuration does not allow \"%s\"", word);
    return REFUSAL_NOT_PERMITTED;
}

static enum refusal judge(struct cloud_commands *commands, struct taking *taking, const char *payload, size_t length,
                          enum command_kind *ret_kind) {
    const int64_t now_ms = clock_utc_ms();
    struct claims *claims = &taking->claims;
    struct fb_cause *cause = &taking->cause;
    if (!take_allowance(&commands->known, CLOUD_COMMANDS_BURST, CLOUD_COMMANDS_EACH_MS)) {
        fb_cause_write(cause, "too many commands in a short time");
        return REFUSAL_TOO_MANY;
    }
    enum refusal refusal = claims_read(payload, length, commands->core->config.name, now_ms, claims, cause);
    const enum refusal clock = judge_clock(cause);
    if (clock != REFUSAL_NONE && refusal != REFUSAL_MALFORMED && refusal != REFUSAL_FOREIGN)
        return clock;
    if (refusal == REFUSAL_NONE)
        refusal = judge_policy(commands, claims->command, ret_kind, cause);
    if (refusal == REFUSAL_NONE)
        refusal = open_nonces(commands, cause);
    if (refusal == REFUSAL_NONE)
        refusal = nonces_use(commands->nonces, claims->nonce, claims->issued_s, claims->expires_s, now_ms, cause);
    return refusal;
}

/* What is audited of the arguments: a document is kept elsewhere. */
static json_t *brief(const json_t *arguments) {
    json_t *copy = json_copy((json_t *)(uintptr_t)arguments);
    json_object_del(copy, "document");
    return copy;
}

static void audit(struct cloud_commands *commands, const struct taking *taking) {
    char who[WHO_MAX], action[CLAIMS_COMMAND_MAX + 16];
    const struct claims *claims = &taking->claims;
    snprintf(who, sizeof who, "cloud:%s", commands->settings.keys[taking->key].name);
    snprintf(action, sizeof action, "command %s", claims->command[0] != '\0' ? claims->command : "?");
    json_t *details = json_pack("{s:s, s:s}", "nonce", claims->nonce, "reason", taking->cause.text);
    if (claims->arguments != NULL && json_object_size(claims->arguments) > 0)
        json_object_set_new(details, "arguments", brief(claims->arguments));
    records_audit(commands->core, who, action, taking->refusal == REFUSAL_NONE ? "done" : refusal_word(taking->refusal),
                  details);
    intake_commit_now(commands->core->intake);
    log_event(LOG_LEVEL_NOTICE, "command", "who=%s command=%s outcome=%s %s", who, claims->command,
              taking->refusal == REFUSAL_NONE ? "done" : refusal_word(taking->refusal), taking->cause.text);
}

static char *reply_text(const struct cloud_commands *commands, const struct taking *taking) {
    const bool done = taking->refusal == REFUSAL_NONE;
    json_t *reply =
        json_pack("{s:s, s:s, s:s, s:I, s:b}", "gateway", commands->core->config.name, "nonce", taking->claims.nonce,
                  "command", taking->claims.command, "time_ms", (json_int_t)clock_utc_ms(), "ok", done);
    if (done)
        json_object_set(reply, "result", taking->result);
    else
        json_object_update_new(
            reply, json_pack("{s:s, s:s}", "refused", refusal_word(taking->refusal), "reason", taking->cause.text));
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(reply);
    return text;
}

/* The result may turn out too large, but what was done is done: the audit says so. */
static void answer(struct cloud_commands *commands, struct taking *taking) {
    char *text = reply_text(commands, taking);
    if (text != NULL && strlen(text) > COMMAND_REPLY_BYTES_MAX) {
        fb_cause_write(&taking->cause, "done, but the reply is larger than %d bytes", COMMAND_REPLY_BYTES_MAX);
        taking->refusal = REFUSAL_FAILED;
        free(text);
        text = reply_text(commands, taking);
    }
    const bool done = taking->refusal == REFUSAL_NONE;
    cloud_peer_reply(commands->core->cloud, taking->id, done, done ? "" : taking->cause.text, text != NULL ? text : "",
                     text != NULL ? strlen(text) : 0);
    free(text);
}

static void follow(struct cloud_commands *commands, struct taking *taking, const char *payload, size_t length) {
    enum command_kind kind = COMMAND_STATUS;
    char author[WHO_MAX];
    snprintf(author, sizeof author, "cloud:%s", commands->settings.keys[taking->key].name);
    taking->refusal = judge(commands, taking, payload, length, &kind);
    if (taking->refusal == REFUSAL_NONE) {
        taking->cause.text[0] = '\0';
        const struct command_call call = {commands->core, author, taking->claims.arguments};
        if (command_call(kind, &call, &taking->result, &taking->cause) != FB_OK)
            taking->refusal = REFUSAL_FAILED;
    }
    *(taking->refusal == REFUSAL_NONE ? &commands->done : &commands->refused) += 1;
    audit(commands, taking);
    answer(commands, taking);
}

/* Whoever sent it learns nothing, and not even that very often. */
static void refuse_unknown(struct cloud_commands *commands, uint64_t id, const char *why) {
    static const char reply[] = "{\"ok\":false,\"refused\":\"unknown\"}";
    commands->refused++;
    records_audit(commands->core, "cloud:unknown", "command", refusal_word(REFUSAL_UNKNOWN),
                  json_pack("{s:s}", "reason", why));
    const bool told = take_allowance(&commands->unknown, CLOUD_COMMANDS_UNKNOWN_BURST, CLOUD_COMMANDS_UNKNOWN_EACH_MS);
    cloud_peer_reply(commands->core->cloud, id, false, "refused", reply, told ? sizeof reply - 1 : 0);
}

void cloud_commands_take(struct cloud_commands *commands, uint64_t id, const uint8_t *bytes, size_t length) {
    char *payload = NULL;
    size_t payload_length = 0, key = 0;
    struct taking taking = {.id = id};
    enum fb_error error = fb_fail(&taking.cause, FB_DENIED, "no commands are configured");
    if (commands->wanted)
        error = jws_open(bytes, length, commands->keys, commands->key_count, &payload, &payload_length, &key,
                         &taking.cause);
    if (error != FB_OK) {
        refuse_unknown(commands, id, taking.cause.text);
        return;
    }
    taking.key = commands->named[key];
    follow(commands, &taking, payload, payload_length);
    claims_done(&taking.claims);
    json_decref(taking.result);
    free(payload);
}

json_t *cloud_commands_to_json(const struct cloud_commands *commands) {
    json_t *keys = json_array(), *allowed = json_array();
    for (size_t i = 0; commands->wanted && i < commands->settings.key_count; i++)
        json_array_append_new(keys, json_pack("{s:s, s:o}", "name", commands->settings.keys[i].name, "reason",
                                              json_string(commands->key_reasons[i])));
    for (unsigned kind = 0; commands->wanted && kind < COMMAND_KINDS; kind++)
        if ((commands->settings.allowed >> kind & 1) != 0)
            json_array_append_new(allowed, json_string(command_words[kind]));
    return json_pack("{s:b, s:o, s:o, s:I, s:I}", "configured", commands->wanted, "keys", keys, "allowed", allowed,
                     "done", (json_int_t)commands->done, "refused", (json_int_t)commands->refused);
}
