#include "drivers/core_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/instructions.h"
#include "gateway/common/backoff.h"
#include "gateway/common/channel.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"

/* What may wait in the channel: the ring is the better place to wait in. */
#define QUEUED_BYTES_MOST (128 * 1024)
#define SOCKET_PATH_MAX 108 /* sun_path */
/* A core that comes and goes makes one line in this time. */
#define LOG_INTERVAL_MS 10000

struct core_peer {
    sd_event *event;
    sd_event_source *retry;
    struct ring *ring;
    const struct core_peer_handlers *handlers;
    void *user;
    struct channel *channel; /* NULL: away */
    bool resumed;            /* core has said where to go on */
    bool away_logged;
    int64_t logged_ms;          /* monotonic */
    char refused[FB_CAUSE_MAX]; /* what was wrong with its last message; "" when nothing was */
    struct instructions instructions;
    uint64_t epoch;
    char path[SOCKET_PATH_MAX];
};

static void plan_retry(struct core_peer *peer) {
    const uint64_t range_ms = CORE_PEER_RETRY_MAX_MS - CORE_PEER_RETRY_MIN_MS;
    const uint64_t wait_ms = CORE_PEER_RETRY_MIN_MS + backoff_random() * range_ms / UINT32_MAX;
    sd_event_source_set_time_relative(peer->retry, wait_ms * 1000);
    sd_event_source_set_enabled(peer->retry, SD_EVENT_ONESHOT);
}

static void drop(struct core_peer *peer, const char *reason) {
    const int64_t now_ms = clock_monotonic_ms();
    if (peer->logged_ms == 0 || now_ms - peer->logged_ms >= LOG_INTERVAL_MS) {
        log_event(LOG_LEVEL_WARNING, "core-away", "reason=\"%s%s%s\"", reason, peer->refused[0] != '\0' ? ": " : "",
                  peer->refused);
        peer->logged_ms = now_ms;
        peer->away_logged = true;
    }
    peer->refused[0] = '\0';
    channel_free(peer->channel);
    peer->channel = NULL;
    peer->resumed = false;
    instructions_reset(&peer->instructions);
    plan_retry(peer);
}

static bool on_resume(struct core_peer *peer, uint64_t sequence) {
    ring_resume(peer->ring, sequence);
    peer->resumed = true;
    if (peer->away_logged)
        log_event(LOG_LEVEL_NOTICE, "core-back", "sequence=%llu", (unsigned long long)sequence);
    peer->away_logged = false;
    peer->handlers->ready(peer->user);
    core_peer_flush(peer);
    return true;
}

static bool follow(struct core_peer *peer, struct instruction *instruction) {
    switch (instruction->kind) {
    case INSTRUCTION_NONE:
        return true;
    case INSTRUCTION_RESUME:
        return on_resume(peer, instruction->sequence);
    case INSTRUCTION_COMMITTED:
        return ring_commit(peer->ring, instruction->sequence);
    case INSTRUCTION_PLANT:
        peer->handlers->plant(&instruction->plant, peer->user);
        plant_done(&instruction->plant);
        return true;
    case INSTRUCTION_ASK:
        peer->handlers->ask(instruction->id, instruction->text, instruction->length, peer->user);
        return true;
    }
    return false;
}

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    (void)channel;
    struct core_peer *peer = user;
    struct instruction instruction;
    struct fb_cause cause;
    const enum fb_error error = instructions_take(&peer->instructions, reader, &instruction, &cause);
    if (error != FB_OK)
        snprintf(peer->refused, sizeof peer->refused, "%s", cause.text);
    return error == FB_OK && follow(peer, &instruction);
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    (void)channel;
    drop(user, reason);
}

static void on_drained(struct channel *channel, void *user) {
    (void)channel;
    core_peer_flush(user);
}

static const struct channel_handlers channel_handlers = {
    .message = on_message, .closed = on_closed, .drained = on_drained};

static int on_retry(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct core_peer *peer = user;
    struct fb_cause cause;
    if (channel_connect(peer->event, peer->path, &channel_handlers, peer, &peer->channel, &cause) != FB_OK) {
        plan_retry(peer);
        return 0;
    }
    channel_send_bytes(peer->channel, PROTOCOL_FIELD_HELLO, &peer->epoch, sizeof peer->epoch);
    return 0;
}

enum fb_error core_peer_new(sd_event *event, const char *run, struct ring *ring,
                            const struct core_peer_handlers *handlers, void *user, struct core_peer **ret_peer,
                            struct fb_cause *cause) {
    struct core_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    peer->event = event;
    peer->ring = ring;
    peer->handlers = handlers;
    peer->user = user;
    peer->epoch = (uint64_t)backoff_random() << 32 | backoff_random();
    enum fb_error error = file_join(run, PROTOCOL_FIELD_SOCKET, peer->path, sizeof peer->path, cause);
    if (error == FB_OK) {
        const int added = sd_event_add_time_relative(event, &peer->retry, CLOCK_MONOTONIC, 0, 1000, on_retry, peer);
        if (added < 0)
            error = fb_fail_errno(cause, FB_IO, -added, "event loop");
    }
    if (error != FB_OK) {
        core_peer_free(peer);
        return error;
    }
    *ret_peer = peer;
    return FB_OK;
}

void core_peer_free(struct core_peer *peer) {
    if (peer == NULL)
        return;
    sd_event_source_disable_unref(peer->retry);
    channel_free(peer->channel);
    instructions_reset(&peer->instructions);
    free(peer);
}

void core_peer_flush(struct core_peer *peer) {
    struct message_writer writer;
    while (peer->channel != NULL && peer->resumed && channel_queued_bytes(peer->channel) < QUEUED_BYTES_MOST &&
           ring_next(peer->ring, &writer))
        channel_send(peer->channel, &writer);
}

bool core_peer_flushed(const struct core_peer *peer) {
    return peer->channel == NULL || !peer->resumed || channel_queued_bytes(peer->channel) == 0;
}

void core_peer_tell(struct core_peer *peer, uint64_t id, const char *text, size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    if (peer->channel == NULL)
        return;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_TELL, 0);
    message_put_u64(&writer, id);
    message_put_bytes(&writer, text, length);
    channel_send(peer->channel, &writer);
}

void core_peer_send_status(struct core_peer *peer, const char *text) {
    if (peer->channel != NULL && peer->resumed && channel_queued_bytes(peer->channel) < QUEUED_BYTES_MOST)
        channel_send_text(peer->channel, PROTOCOL_BUS_STATUS, text);
}
