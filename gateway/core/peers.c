#include "gateway/core/peers.h"

#include <string.h>
#include <sys/socket.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"

static void waits_no_more(struct peer *peer, const struct channel *channel) {
    for (size_t i = 0; i < PEER_WAITING_MAX; i++)
        if (peer->waiting[i] == channel) {
            memmove(&peer->waiting[i], &peer->waiting[i + 1], (PEER_WAITING_MAX - 1 - i) * sizeof peer->waiting[0]);
            peer->waiting[PEER_WAITING_MAX - 1] = NULL;
        }
}

static void on_accepted(int descriptor, void *user) {
    struct peer *peer = user;
    if (peer->waiting[PEER_WAITING_MAX - 1] != NULL)
        peer->handlers->closed(peer->waiting[0], "said no hello", peer->user);
    size_t count = 0;
    while (peer->waiting[count] != NULL)
        count++;
    struct fb_cause cause;
    if (channel_adopt(peer->event, descriptor, peer->handlers, peer->user, &peer->waiting[count], &cause) != FB_OK)
        log_event(LOG_LEVEL_ERROR, "peer-failed", "program=%s %s", peer->program, cause.text);
}

void peer_hello(struct peer *peer, struct channel *channel) {
    if (peer->channel == channel)
        return;
    if (peer->channel != NULL)
        channel_drain(peer->channel);
    if (peer->channel != NULL)
        peer->handlers->closed(peer->channel, "replaced by a newer connection", peer->user);
    waits_no_more(peer, channel);
    peer->channel = channel;
    peer->since_ms = clock_utc_ms();
    log_event(LOG_LEVEL_NOTICE, "peer-connected", "program=%s", peer->program);
    if (peer->changed != NULL)
        peer->changed(peer, "", peer->changed_user);
}

bool peer_is_program(const struct peer *peer, const struct channel *channel) {
    return peer->channel == channel;
}

enum fb_error peer_listen(struct peer *peer, sd_event *event, const char *program, const char *run, const char *name,
                          const struct channel_handlers *handlers, void *user, struct fb_cause *cause) {
    *peer = (struct peer){
        .program = program, .event = event, .handlers = handlers, .user = user, .since_ms = clock_utc_ms()};
    char path[256];
    const enum fb_error error = file_join(run, name, path, sizeof path, cause);
    if (error != FB_OK)
        return error;
    const struct channel_listener_settings settings = {
        .path = path, .mode = 0660, .type = SOCK_SEQPACKET, .accepted = on_accepted, .user = peer};
    return channel_listen(event, &settings, &peer->listener, cause);
}

bool peer_closed(struct peer *peer, struct channel *channel, const char *reason) {
    const bool left = strcmp(reason, "peer left") == 0;
    const bool was_program = peer->channel == channel;
    waits_no_more(peer, channel);
    if (was_program) {
        peer->channel = NULL;
        peer->since_ms = clock_utc_ms();
    }
    if (!left)
        peer->dropped++;
    if (was_program || !left)
        log_event(left ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "peer-gone", "program=%s reason=\"%s\"", peer->program,
                  reason);
    if (was_program && peer->changed != NULL)
        peer->changed(peer, reason, peer->changed_user);
    channel_free(channel);
    return was_program;
}

void peer_on_changed(struct peer *peer, void (*changed)(const struct peer *peer, const char *reason, void *user),
                     void *user) {
    peer->changed = changed;
    peer->changed_user = user;
}

void peer_done(struct peer *peer) {
    channel_free(peer->channel);
    for (size_t i = 0; i < PEER_WAITING_MAX; i++)
        channel_free(peer->waiting[i]);
    channel_listener_free(peer->listener);
    *peer = (struct peer){0};
}

json_t *peer_to_json(const struct peer *peer) {
    return json_pack("{s:s, s:b, s:I, s:I}", "name", peer->program, "connected", peer->channel != NULL, "since_ms",
                     (json_int_t)peer->since_ms, "dropped", (json_int_t)peer->dropped);
}
