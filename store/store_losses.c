#include <string.h>

#include "store/store_internal.h"

/* Losses of one kind less than this apart are one loss that goes on. */
#define NEIGHBOUR_MS 60000
/* One place for each reason stays free, so that a full list always has a record of the same reason to grow. */
#define REASONS 5

static int64_t bounded(int64_t time_ms) {
    return time_ms < READING_TIME_MIN_MS ? READING_TIME_MIN_MS
                                         : (time_ms > READING_TIME_MAX_MS ? READING_TIME_MAX_MS : time_ms);
}

static bool neighbours(const struct batch_loss *a, const struct batch_loss *b) {
    if (a->reason != b->reason || (a->readings == 0) != (b->readings == 0))
        return false;
    if (a->first_batch != 0 && b->first_batch != 0)
        return b->first_batch <= a->last_batch + 1 && a->first_batch <= b->last_batch + 1;
    return a->first_batch == b->first_batch && b->from_ms <= a->to_ms + NEIGHBOUR_MS &&
           a->from_ms <= b->to_ms + NEIGHBOUR_MS;
}

static void merge(struct batch_loss *into, const struct batch_loss *loss) {
    into->readings = into->readings == 0 || loss->readings == 0 ? 0 : into->readings + loss->readings;
    into->from_ms = loss->from_ms < into->from_ms ? loss->from_ms : into->from_ms;
    into->to_ms = loss->to_ms > into->to_ms ? loss->to_ms : into->to_ms;
    if (loss->first_batch != 0 && (into->first_batch == 0 || loss->first_batch < into->first_batch))
        into->first_batch = loss->first_batch;
    into->last_batch = loss->last_batch > into->last_batch ? loss->last_batch : into->last_batch;
}

void store_losses_add(struct store_state *state, const struct batch_loss *loss) {
    struct batch_loss fresh = *loss;
    fresh.from_ms = bounded(loss->from_ms);
    fresh.to_ms = bounded(loss->to_ms < loss->from_ms ? loss->from_ms : loss->to_ms);
    const bool is_full = state->loss_count >= BATCH_LOSSES_MAX - REASONS;
    state->losses_changed = true;
    for (size_t i = state->loss_count; i-- > 0;) {
        struct batch_loss *known = &state->losses[i];
        if (neighbours(known, &fresh) || (is_full && known->reason == fresh.reason)) {
            merge(known, &fresh);
            return;
        }
    }
    state->losses[state->loss_count++] = fresh;
}

void store_losses_note(struct store_state *state, const struct batch_loss *loss) {
    struct batch_loss *noted = &state->noted[loss->reason];
    const bool is_first = noted->to_ms == 0;
    noted->readings += loss->readings;
    if (is_first || loss->from_ms < noted->from_ms)
        noted->from_ms = loss->from_ms;
    if (is_first || loss->to_ms > noted->to_ms)
        noted->to_ms = loss->to_ms;
}

bool store_take_noted_loss(struct store *store, enum batch_loss_reason reason, struct batch_loss *ret_loss) {
    struct batch_loss *noted = &store->state.noted[reason];
    if (noted->to_ms == 0)
        return false;
    *ret_loss = *noted;
    ret_loss->reason = reason;
    *noted = (struct batch_loss){0};
    return true;
}

bool store_hold_losses(struct store *store) {
    const bool held = store->state.losses_changed;
    store->state.losses_changed = false;
    return held;
}

void store_note_loss(struct store *store, const struct batch_loss *loss) {
    store->losses_noted = true;
    store->state.lost_readings += loss->readings;
    store_losses_note(&store->state, loss);
    store_losses_add(&store->state, loss);
}
