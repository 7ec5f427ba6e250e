#include "gateway/core/catalogue_lane.h"

#include <stdio.h>
#include <string.h>

#include "gateway/common/backoff.h"

#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS (5 * 60 * 1000)

void catalogue_lane_begin(struct catalogue_lane *lane) {
    lane->count = 0;
    lane->told = 0;
}

/* The place it has among all; count: none. */
static size_t find_hash(const struct catalogue_lane *lane, const uint8_t *hash) {
    size_t i = 0;
    while (i < lane->count && memcmp(lane->all[i].hash, hash, BATCH_HASH_BYTES) != 0)
        i++;
    return i;
}

static struct catalogue_fate *find_revision(struct catalogue_lane *lane, uint64_t revision) {
    for (size_t i = 0; i < lane->count; i++)
        if (revision != 0 && lane->all[i].revision == revision)
            return &lane->all[i];
    return NULL;
}

bool catalogue_lane_knows(const struct catalogue_lane *lane, const uint8_t hash[static BATCH_HASH_BYTES]) {
    return find_hash(lane, hash) < lane->count;
}

static struct catalogue_fate *add(struct catalogue_lane *lane, const uint8_t *hash, uint64_t accepted) {
    if (lane->count == CATALOGUE_LANE_MAX)
        memmove(&lane->all[0], &lane->all[1], --lane->count * sizeof lane->all[0]);
    struct catalogue_fate *fate = &lane->all[lane->count++];
    *fate = (struct catalogue_fate){.accepted_then = accepted};
    memcpy(fate->hash, hash, sizeof fate->hash);
    return fate;
}

void catalogue_lane_out(struct catalogue_lane *lane, const uint8_t hash[static BATCH_HASH_BYTES], uint64_t revision,
                        uint64_t accepted) {
    const size_t place = find_hash(lane, hash);
    struct catalogue_fate *fate = place < lane->count ? &lane->all[place] : add(lane, hash, accepted);
    fate->revision = revision;
    fate->waiting = false;
}

void catalogue_lane_accepted(struct catalogue_lane *lane, uint64_t revision) {
    struct catalogue_fate *fate = find_revision(lane, revision);
    if (fate == NULL)
        return;
    fate->waiting = false;
    fate->refusals = 0;
}

bool catalogue_lane_refused(struct catalogue_lane *lane, uint64_t revision, const char *reason, bool again,
                            const struct catalogue_lane_now *now, uint32_t random) {
    struct catalogue_fate *fate = find_revision(lane, revision);
    if (fate == NULL)
        return false;
    struct backoff backoff = {.first_ms = WAIT_FIRST_MS, .most_ms = WAIT_MOST_MS, .failures = fate->refusals};
    if (fate->refusals++ == 0)
        fate->since_ms = now->utc_ms;
    fate->waiting = again;
    fate->until_ms = now->monotonic_ms + backoff_next_ms(&backoff, random);
    fate->alike = fate->accepted_then == now->accepted;
    fate->accepted_then = now->accepted;
    snprintf(fate->reason, sizeof fate->reason, "%s", reason);
    const bool news = revision > lane->told;
    if (news)
        lane->told = revision;
    return news;
}

const struct catalogue_fate *catalogue_lane_due(const struct catalogue_lane *lane, uint64_t accepted, int64_t now_ms) {
    for (size_t i = 0; i < lane->count; i++) {
        const struct catalogue_fate *fate = &lane->all[i];
        const bool takes_again = fate->alike && fate->accepted_then != accepted;
        if (fate->waiting && (takes_again || fate->until_ms <= now_ms))
            return fate;
    }
    return NULL;
}

int64_t catalogue_lane_wake_ms(const struct catalogue_lane *lane) {
    int64_t wake_ms = 0;
    for (size_t i = 0; i < lane->count; i++)
        if (lane->all[i].waiting && (wake_ms == 0 || lane->all[i].until_ms < wake_ms))
            wake_ms = lane->all[i].until_ms;
    return wake_ms;
}

const struct catalogue_fate *catalogue_lane_missing(const struct catalogue_lane *lane) {
    const struct catalogue_fate *newest = NULL;
    for (size_t i = 0; i < lane->count; i++)
        if (lane->all[i].refusals > 0 && (newest == NULL || lane->all[i].revision > newest->revision))
            newest = &lane->all[i];
    return newest;
}
