#include "gateway/core/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/caller.h"
#include "gateway/core/history_calls.h"
#include "gateway/core/parked_calls.h"
#include "gateway/core/proofs.h"
#include "gateway/core/record_calls.h"
#include "gateway/core/records.h"
#include "gateway/core/report.h"
#include "gateway/core/upkeep.h"
#include "gateway/core/writes.h"

#define CLIENTS_MAX 16
#define REQUEST_BYTES_MAX 65536
#define PROBE_LOG_INTERVAL_MS 60000
#define REASON_BYTES_MAX 512

/* What the audit keeps of a call: nothing, one entry for many alike, or each. */
enum audited { AUDITED_NOT, AUDITED_AS_LOOK, AUDITED };

struct client {
    struct channel *channel;
    uid_t user;
    uint64_t asked; /* the question to forebay-field that it waits for; 0: none */
};

struct control {
    struct core *core;
    struct channel_listener *listener;
    struct client clients[CLIENTS_MAX]; /* oldest first, channel NULL behind the last */
    struct writes *writes;
    uint64_t last_asked;
    int64_t probe_logged_ms; /* monotonic */
};

/* A call takes its arguments from the request and adds its result to the text; on failure the text is thrown away. */
static enum fb_error call_status(struct core *core, const json_t *request, struct text *result,
                                 struct fb_cause *cause) {
    (void)request;
    (void)cause;
    text_add_json(result, report_status(core));
    return FB_OK;
}

static enum fb_error call_values(struct core *core, const json_t *request, struct text *result,
                                 struct fb_cause *cause) {
    (void)request;
    (void)cause;
    report_values(core, 0, result);
    return FB_OK;
}

static enum fb_error call_reload(struct core *core, const json_t *request, struct text *result,
                                 struct fb_cause *cause) {
    const char *reason = json_string_value(json_object_get(request, "reason"));
    json_t *changed;
    if (reason != NULL && strlen(reason) > REASON_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "reason: at most %d bytes", REASON_BYTES_MAX);
    const enum fb_error error = core_reload(core, core->caller, reason != NULL ? reason : "", &changed, cause);
    if (error == FB_OK)
        text_add_json(result, json_pack("{s:o}", "changed", changed));
    return error;
}

static enum fb_error call_store_rekey(struct core *core, const json_t *request, struct text *result,
                                      struct fb_cause *cause) {
    (void)request;
    text_add_string(result, "{}");
    return upkeep_rekey(core->upkeep, cause);
}

static enum fb_error call_store_check(struct core *core, const json_t *request, struct text *result,
                                      struct fb_cause *cause) {
    (void)request;
    text_add_string(result, "{}");
    return upkeep_check(core->upkeep, cause);
}

static enum fb_error call_store_salvage(struct core *core, const json_t *request, struct text *result,
                                        struct fb_cause *cause) {
    const char *file = json_string_value(json_object_get(request, "file"));
    text_add_string(result, "{}");
    if (file == NULL)
        return fb_fail(cause, FB_INVALID, "file: the path of the file that was set aside is missing");
    return upkeep_salvage(core->upkeep, file, json_string_value(json_object_get(request, "key")),
                          json_is_true(json_object_get(request, "history")), cause);
}

static const struct {
    const char *name;
    enum fb_error (*call)(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause);
    enum audited audited;
} calls[] = {
    {"status", call_status},
    {"values", call_values},
    {"reload", call_reload, AUDITED},
    {"store-rekey", call_store_rekey, AUDITED},
    {"store-salvage", call_store_salvage, AUDITED},
    {"store-check", call_store_check, AUDITED},
    {"batch", history_call_batch, AUDITED_AS_LOOK},
    {"catalogue", history_call_catalogue},
    {"corrections", history_call_corrections},
    {"seal", history_call_seal},
    {"parked", parked_call_list},
    {"parked-retry", parked_call_retry},
    {"audit", record_call_list},
    {"events", record_call_list},
    {"attempts", record_call_list},
    {"configurations", record_call_list},
    {"configuration", record_call_configuration},
    {"proofs", record_call_list},
    {"prove", proofs_call, AUDITED},
};

/* These go on to forebay-field, which answers them. */
static const char *const field_calls[] = {"trace", "probe", "probe-tag"};

/* The arguments of the call; NULL when it has none. */
static json_t *arguments(const json_t *request) {
    json_t *copy = json_copy((json_t *)(uintptr_t)request);
    json_object_del(copy, "call");
    if (json_object_size(copy) > 0)
        return copy;
    json_decref(copy);
    return NULL;
}

/* What was done is on disk before the answer says so. */
static void audit(struct core *core, const char *name, enum audited audited, const json_t *request,
                  const char *outcome) {
    const char *bus = json_string_value(json_object_get(request, "bus"));
    if (audited == AUDITED) {
        records_audit(core, core->caller, name, outcome, arguments(request));
        intake_commit_now(core->intake);
    } else if (audited == AUDITED_AS_LOOK) {
        records_audit_look(core, core->caller, name, bus != NULL ? bus : "", outcome, arguments(request));
    }
}

static enum fb_error dispatch(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    const char *name = json_string_value(json_object_get(request, "call"));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0) {
            const enum fb_error error = calls[i].call(core, request, result, cause);
            audit(core, name, calls[i].audited, request, error == FB_OK ? "done" : cause->text);
            return error;
        }
    return fb_fail(cause, FB_NOT_FOUND, "there is no call \"%s\"", name);
}

static void answer(struct channel *channel, const struct text *text) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    size_t sent = 0;
    do {
        const size_t left = text->used - sent;
        const size_t piece = left < MESSAGE_PAYLOAD_MAX ? left : MESSAGE_PAYLOAD_MAX;
        struct message_writer writer =
            message_begin(packet, sizeof packet, PROTOCOL_CONTROL_ANSWER, piece < left ? MESSAGE_MORE : 0);
        message_put_bytes(&writer, text->data + sent, piece);
        channel_send(channel, &writer);
        sent += piece;
    } while (sent < text->used);
}

static void handle(struct core *core, struct channel *channel, const json_t *request) {
    struct text text = {0};
    struct fb_cause cause = {0};
    text_add_string(&text, "{\"ok\":true,\"result\":");
    enum fb_error error = dispatch(core, request, &text, &cause);
    text_add_string(&text, "}");
    if (error == FB_OK && text.failed)
        error = fb_fail(&cause, FB_LIMIT, "the answer is too large");
    if (error != FB_OK) {
        text_done(&text);
        text_add_json(&text, json_pack("{s:b, s:s, s:s}", "ok", 0, "error", fb_error_word(error), "cause", cause.text));
    }
    answer(channel, &text);
    text_done(&text);
}

static void send_text(struct channel *channel, const char *bytes, size_t length) {
    struct text text = {0};
    text_add(&text, bytes, length);
    answer(channel, &text);
    text_done(&text);
}

static void refuse(struct channel *channel, enum fb_error error, const char *why) {
    struct text text = {0};
    text_add_json(&text, json_pack("{s:b, s:s, s:s}", "ok", 0, "error", fb_error_word(error), "cause", why));
    answer(channel, &text);
    text_done(&text);
}

static bool is_field_call(const char *name) {
    for (size_t i = 0; i < sizeof field_calls / sizeof field_calls[0]; i++)
        if (strcmp(field_calls[i], name) == 0)
            return true;
    return false;
}

/* A scan makes hundreds: one line for all of a minute. */
static void log_probe(struct control *control, const json_t *request) {
    const int64_t now_ms = clock_monotonic_ms();
    const char *bus = json_string_value(json_object_get(request, "bus"));
    if (control->probe_logged_ms != 0 && now_ms - control->probe_logged_ms < PROBE_LOG_INTERVAL_MS)
        return;
    control->probe_logged_ms = now_ms;
    log_event(LOG_LEVEL_NOTICE, "bus-asked", "call=%s bus=%s", json_string_value(json_object_get(request, "call")),
              bus != NULL ? bus : "");
}

static struct client *find_client(struct control *control, const struct channel *channel) {
    size_t i = 0;
    while (control->clients[i].channel != channel)
        i++;
    return &control->clients[i];
}

/* A client has one question at a time: a new one takes the place of the one before. */
static void pass_on(struct control *control, struct channel *channel, const json_t *request, const uint8_t *bytes,
                    size_t length) {
    struct client *client = find_client(control, channel);
    struct fb_cause cause;
    log_probe(control, request);
    const enum fb_error error =
        field_peer_ask(control->core->field, control->last_asked + 1, (const char *)bytes, length, &cause);
    audit(control->core, json_string_value(json_object_get(request, "call")), AUDITED_AS_LOOK, request,
          error == FB_OK ? "done" : cause.text);
    if (error != FB_OK)
        refuse(channel, error, cause.text);
    else
        client->asked = ++control->last_asked;
}

static void start_write(struct control *control, struct channel *channel, const json_t *request) {
    struct fb_cause cause;
    const enum fb_error error = writes_begin(control->writes, request, control->last_asked + 1, &cause);
    if (error != FB_OK)
        refuse(channel, error, cause.text);
    else
        find_client(control, channel)->asked = ++control->last_asked;
}

static void on_told(uint64_t id, const char *text, size_t length, void *user) {
    struct control *control = user;
    writes_told(control->writes, id, text, length);
    for (size_t i = 0; i < CLIENTS_MAX && control->clients[i].channel != NULL; i++)
        if (control->clients[i].asked == id && id != 0) {
            control->clients[i].asked = 0;
            send_text(control->clients[i].channel, text, length);
            return;
        }
}

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    struct control *control = user;
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (reader->type != PROTOCOL_CONTROL_REQUEST || !message_done(reader) || length > REQUEST_BYTES_MAX)
        return false;
    json_t *request = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(request, "call"));
    const bool is_call = name != NULL;
    if (is_call)
        log_event(LOG_LEVEL_DEBUG, "call", "name=%s bytes=%zu", name, length);
    char caller[CALLER_NAME_MAX];
    caller_name(find_client(control, channel)->user, caller);
    control->core->caller = caller;
    if (is_call && is_field_call(name))
        pass_on(control, channel, request, bytes, length);
    else if (is_call && strcmp(name, "write") == 0)
        start_write(control, channel, request);
    else if (is_call)
        handle(control->core, channel, request);
    control->core->caller = NULL;
    json_decref(request);
    return is_call;
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct control *control = user;
    if (strcmp(reason, "peer left") != 0) {
        control->core->control_dropped++;
        log_event(LOG_LEVEL_WARNING, "control-dropped", "reason=\"%s\"", reason);
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i].channel == channel) {
            memmove(&control->clients[i], &control->clients[i + 1], (CLIENTS_MAX - 1 - i) * sizeof control->clients[0]);
            control->clients[CLIENTS_MAX - 1] = (struct client){0};
        }
    channel_free(channel);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed};

static void on_accepted(int descriptor, void *user) {
    struct control *control = user;
    if (control->clients[CLIENTS_MAX - 1].channel != NULL)
        on_closed(control->clients[0].channel, "too many clients, and this is the oldest", control);
    size_t count = 0;
    while (control->clients[count].channel != NULL)
        count++;
    struct fb_cause cause;
    control->clients[count].user = caller_of(descriptor);
    if (channel_adopt(control->core->event, descriptor, &handlers, control, &control->clients[count].channel, &cause) !=
        FB_OK)
        log_event(LOG_LEVEL_ERROR, "control-failed", "%s", cause.text);
}

enum fb_error control_new(struct core *core, struct control **ret_control, struct fb_cause *cause) {
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    control->core = core;
    char path[256];
    enum fb_error error = file_join(core->config.run, PROTOCOL_CONTROL_SOCKET, path, sizeof path, cause);
    if (error == FB_OK) {
        const struct channel_listener_settings settings = {
            .path = path, .mode = 0660, .type = SOCK_SEQPACKET, .accepted = on_accepted, .user = control};
        error = channel_listen(core->event, &settings, &control->listener, cause);
    }
    if (error == FB_OK)
        error = writes_new(core, &control->writes, cause);
    if (error != FB_OK) {
        channel_listener_free(control->listener);
        free(control);
        return error;
    }
    field_peer_on_told(core->field, on_told, control);
    *ret_control = control;
    return FB_OK;
}

void control_free(struct control *control) {
    if (control == NULL)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        channel_free(control->clients[i].channel);
    writes_free(control->writes);
    channel_listener_free(control->listener);
    free(control);
}
