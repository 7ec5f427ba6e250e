#include <string.h>

#include "store/store_internal.h"

/* A full list forgets the oldest: what it told stands in its batch. */
static void make_place(struct store_state *state) {
    if (state->correction_count < STORE_CORRECTIONS_MAX)
        return;
    state->correction_count--;
    memmove(state->corrections, state->corrections + 1, state->correction_count * sizeof state->corrections[0]);
}

void store_note_correction(struct store *store, const struct batch_correction *correction) {
    struct store_state *state = &store->state;
    make_place(state);
    state->corrections[state->correction_count++] = (struct store_correction){.record = *correction};
    state->corrections_changed = true;
}

size_t store_corrections(const struct store *store, struct batch_correction *ret_corrections) {
    size_t count = 0;
    for (size_t i = 0; i < store->state.correction_count; i++) {
        const struct store_correction *known = &store->state.corrections[i];
        ret_corrections[count] = known->record;
        if (known->record.last_batch == 0) /* not told yet: it will be by the next */
            ret_corrections[count].last_batch = store->state.last_number + 1;
        count++;
    }
    return count;
}

bool store_corrections_wait(const struct store_state *state) {
    for (size_t i = 0; i < state->correction_count; i++)
        if (state->corrections[i].carrier == 0)
            return true;
    return false;
}

void store_corrections_take(struct store_state *state, struct batch_info *info) {
    info->correction_count = 0;
    for (size_t i = 0; i < state->correction_count; i++) {
        struct store_correction *known = &state->corrections[i];
        if (known->carrier != 0 || info->correction_count == BATCH_CORRECTIONS_MAX)
            continue;
        known->carrier = info->number;
        if (known->record.last_batch == 0)
            known->record.last_batch = info->number;
        info->corrections[info->correction_count++] = known->record;
        state->corrections_changed = true;
    }
}

void store_corrections_retell(struct store_state *state, uint64_t carrier) {
    for (size_t i = 0; i < state->correction_count; i++) {
        if (state->corrections[i].carrier != carrier)
            continue;
        state->corrections[i].carrier = 0;
        state->corrections_changed = true;
    }
}

void store_keep_clock(struct store *store, const struct store_clock *clock) {
    store->state.clock = *clock;
    store->state.has_clock = true;
    store->state.corrections_changed = true;
}

bool store_clock(const struct store *store, struct store_clock *ret_clock) {
    *ret_clock = store->state.clock;
    return store->state.has_clock;
}

static int save_clock(struct store *store) {
    const struct store_clock *clock = &store->state.clock;
    if (!store->state.has_clock)
        return SQLITE_DONE;
    return store_run(store, STORE_KEEP_CLOCK, "biii", clock->boot, sizeof clock->boot, clock->first_batch,
                     clock->ahead_ms, (int64_t)clock->set);
}

bool store_clock_load(struct store *store, sqlite3_stmt *row) {
    struct store_clock *clock = &store->state.clock;
    if (sqlite3_column_bytes(row, 0) != sizeof clock->boot)
        return false;
    memcpy(clock->boot, sqlite3_column_blob(row, 0), sizeof clock->boot);
    clock->first_batch = (uint64_t)sqlite3_column_int64(row, 1);
    clock->ahead_ms = sqlite3_column_int64(row, 2);
    clock->set = sqlite3_column_int64(row, 3) != 0;
    return store->state.has_clock = true;
}

int store_corrections_save(struct store *store) {
    int code = store_run(store, STORE_CLEAR_CORRECTIONS, "");
    for (size_t i = 0; code == SQLITE_DONE && i < store->state.correction_count; i++) {
        const struct store_correction *known = &store->state.corrections[i];
        code = store_run(store, STORE_ADD_CORRECTION, "iiiiii", known->record.first_batch, known->record.last_batch,
                         known->record.from_ms, known->record.to_ms, known->record.right_ms, known->carrier);
    }
    return code == SQLITE_DONE ? save_clock(store) : code;
}

bool store_corrections_load(struct store *store, sqlite3_stmt *row) {
    if (store->state.correction_count == STORE_CORRECTIONS_MAX)
        return false;
    store->state.corrections[store->state.correction_count++] = (struct store_correction){
        .record = {.first_batch = (uint64_t)sqlite3_column_int64(row, 0),
                   .last_batch = (uint64_t)sqlite3_column_int64(row, 1),
                   .from_ms = sqlite3_column_int64(row, 2),
                   .to_ms = sqlite3_column_int64(row, 3),
                   .right_ms = sqlite3_column_int64(row, 4)},
        .carrier = (uint64_t)sqlite3_column_int64(row, 5),
    };
    return true;
}
