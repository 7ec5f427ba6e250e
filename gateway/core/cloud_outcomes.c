#include <stdio.h>
#include <string.h>

#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/cloud_peer_inside.h"
#include "gateway/core/damage.h"
#include "store/store_parked.h"

/* Accepted batches are marked in one transaction when so many wait, or after so long; a failed one is tried again.
 * Each costs an fsync, in which nothing is handed out: some a second, not twenty. Those that wait for it take nothing
 * of the window; a kill before it repeats them, and the receiver drops repeats. */
#define ACCEPTED_AT_ONCE 768
#define ACCEPTED_WAIT_US 300000
#define ACCEPTED_RETRY_US 1000000

static void send_settled(struct cloud_peer *cloud, enum parcel_kind kind, const uint64_t *numbers, size_t count) {
    if (cloud->peer.channel == NULL)
        return;
    uint8_t packet[MESSAGE_HEADER_BYTES + 1 + sizeof cloud->accepted];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_SETTLED, 0);
    message_put_u8(&writer, (uint8_t)kind);
    for (size_t i = 0; i < count; i++)
        message_put_u64(&writer, numbers[i]);
    channel_send(cloud->peer.channel, &writer);
}

static void arm_mark(struct cloud_peer *cloud, uint64_t wait_us) {
    sd_event_source_set_time_relative(cloud->mark_timer, wait_us);
    sd_event_source_set_enabled(cloud->mark_timer, SD_EVENT_ONESHOT);
}

void cloud_outcomes_commit(struct cloud_peer *cloud) {
    if (cloud->accepted_count == 0)
        return;
    struct fb_cause cause;
    const enum fb_error error =
        store_mark_sent(cloud->store, cloud->accepted, cloud->accepted_count, clock_utc_ms(), &cause);
    if (error != FB_OK) {
        if (!cloud->marking_failed)
            log_event(LOG_LEVEL_ERROR, "mark-sent-failed", "%s", cause.text);
        cloud->marking_failed = true;
        damage_check(sd_event_source_get_event(cloud->mark_timer), error, &cause);
        arm_mark(cloud, ACCEPTED_RETRY_US);
        return;
    }
    cloud->marking_failed = false;
    for (size_t i = 0; i < cloud->accepted_count; i++) {
        struct lanes_flight flight;
        lanes_settle(&cloud->lanes, cloud->accepted[i], &flight);
    }
    send_settled(cloud, PARCEL_BATCH, cloud->accepted, cloud->accepted_count);
    cloud->accepted_count = 0;
    cloud_hand_out(cloud);
}

static void batch_accepted(struct cloud_peer *cloud, uint64_t number) {
    if (cloud->accepted_count == LANES_IN_FLIGHT_MAX)
        return; /* more than was handed out: stays unsent and goes again in the next session */
    const struct lanes_flight *flight = lanes_accepted(&cloud->lanes, number);
    if (flight != NULL)
        pace_answer(&cloud->pace, &flight->pace, flight->bytes, clock_monotonic_ms());
    if (flight != NULL && !flight->historical)
        live_age_note(&cloud->live_age, clock_utc_ms() - flight->first_ms);
    cloud->accepted[cloud->accepted_count++] = number;
    if (cloud->accepted_count == ACCEPTED_AT_ONCE)
        cloud_outcomes_commit(cloud);
    else if (cloud->accepted_count == 1)
        arm_mark(cloud, ACCEPTED_WAIT_US);
    cloud_hand_out(cloud);
}

static const char *outcome_word(uint8_t outcome) {
    static const char *const words[] = {"", "accepted", "rejected", "released", "modified"};
    return words[outcome];
}

/* The peer's words, which may be anything: cut to fit, and what is not UTF-8 then becomes "?". */
static void copy_reason(const uint8_t *bytes, size_t length, char *ret_reason, size_t size) {
    size_t end = length < size ? length : size - 1;
    while (end < length && end > 0 && (bytes[end] & 0xc0) == 0x80)
        end--;
    memcpy(ret_reason, bytes, end);
    ret_reason[end] = '\0';
    json_t *whole = json_stringn(ret_reason, end);
    for (size_t i = 0; i < end; i++)
        if ((unsigned char)ret_reason[i] < 0x20 || (whole == NULL && (unsigned char)ret_reason[i] > 0x7e))
            ret_reason[i] = '?';
    json_decref(whole);
}

/* The first four times, and whenever the peer refuses all, it goes again by itself. */
static void go_again(struct cloud_peer *cloud, struct lanes_flight *flight, const struct store_refused *refused) {
    lanes_wait(&cloud->lanes, flight, refused->attempts, clock_monotonic_ms(), backoff_random());
    cloud_hand_out_arm(cloud, 0);
}

static void batch_refused(struct cloud_peer *cloud, struct lanes_flight *flight, uint8_t outcome, const char *reason) {
    const uint64_t number = flight->number;
    char line[STORE_REASON_MAX + 16] = "";
    snprintf(line, sizeof line, "%s: %s", outcome_word(outcome), reason);
    if (strcmp(line, cloud->refusal) != 0)
        log_event(LOG_LEVEL_WARNING, "batch-refused", "batch=%llu %s", (unsigned long long)number, line);
    memcpy(cloud->refusal, line, sizeof cloud->refusal);
    struct fb_cause cause;
    struct store_refused refused;
    const struct store_refusal refusal = {
        .reason = line,
        .rejection = outcome == PARCEL_REJECTED && lanes_counts(&cloud->lanes, flight),
        .now_ms = clock_utc_ms(),
    };
    if (store_mark_refused(cloud->store, number, &refusal, &refused, &cause) != FB_OK)
        log_event(LOG_LEVEL_ERROR, "mark-refused-failed", "%s", cause.text);
    if (refused.parked)
        cloud_hand_out_note_parked(cloud, number, line);
    else
        go_again(cloud, flight, &refused);
}

static void catalogue_decided(struct cloud_peer *cloud, uint64_t revision, uint8_t outcome, const char *reason) {
    char line[CATALOGUE_LANE_REASON_MAX];
    snprintf(line, sizeof line, "%s: %s", outcome_word(outcome), reason);
    if (outcome == PARCEL_ACCEPTED)
        catalogue_lane_accepted(&cloud->catalogues, revision);
    else
        cloud_hand_out_catalogue_refused(cloud, revision, line, true);
    send_settled(cloud, PARCEL_CATALOGUE, &revision, 1);
    cloud_hand_out_arm(cloud, 0);
}

static void event_decided(struct cloud_peer *cloud, uint64_t number, uint8_t outcome, const char *reason) {
    bool moved;
    if (outcome == PARCEL_ACCEPTED)
        moved = event_lane_accepted(&cloud->events, number);
    else
        moved = event_lane_refused(&cloud->events, number, outcome == PARCEL_REJECTED, cloud->lanes.accepted,
                                   clock_monotonic_ms(), backoff_random());
    if (moved)
        cloud_hand_out_keep_events(cloud);
    if (moved && outcome != PARCEL_ACCEPTED)
        log_event(LOG_LEVEL_ERROR, "event-given-up", "event=%llu %s: %s", (unsigned long long)number,
                  outcome_word(outcome), reason);
    send_settled(cloud, PARCEL_EVENT, &number, 1);
    cloud_hand_out(cloud);
}

bool cloud_outcomes_take(struct cloud_peer *cloud, struct message_reader *reader) {
    const uint8_t kind = message_get_u8(reader);
    const uint64_t number = message_get_u64(reader);
    const uint8_t outcome = message_get_u8(reader);
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!message_done(reader) || outcome < PARCEL_ACCEPTED || outcome > PARCEL_MODIFIED || length > LINK_PATH_MAX)
        return false;
    char reason[STORE_REASON_MAX];
    copy_reason(bytes, length, reason, sizeof reason);
    if (kind == PARCEL_CATALOGUE) {
        catalogue_decided(cloud, number, outcome, reason);
        return true;
    }
    if (kind == PARCEL_EVENT) {
        event_decided(cloud, number, outcome, reason);
        return true;
    }
    if (kind != PARCEL_BATCH)
        return false;
    if (resend_settle(&cloud->resend, number, outcome == PARCEL_ACCEPTED)) {
        send_settled(cloud, PARCEL_BATCH, &number, 1);
        cloud_hand_out(cloud);
        return true;
    }
    if (outcome == PARCEL_ACCEPTED) {
        batch_accepted(cloud, number);
        return true;
    }
    /* One that is not in flight was handed out in an earlier session: it goes again anyway. */
    struct lanes_flight flight;
    if (lanes_settle(&cloud->lanes, number, &flight))
        batch_refused(cloud, &flight, outcome, reason);
    send_settled(cloud, PARCEL_BATCH, &number, 1);
    return true;
}
