#include <string.h>

#include "store/store_internal.h"

/* In place of the time, in the table: known once the clock is set. */
#define WAITS_FOR_CLOCK (-1)

/* A full list forgets the oldest: what it told stands in its batch. */
static void make_place(struct store_state *state) {
    if (state->correction_count < STORE_CORRECTIONS_MAX)
        return;
    state->correction_count--;
    memmove(state->corrections, state->corrections + 1, state->correction_count * sizeof state->corrections[0]);
}

static void append(struct store_state *state, const struct batch_correction *record) {
    make_place(state);
    state->corrections[state->correction_count++] = (struct store_correction){.record = *record};
    state->corrections_changed = true;
}

static bool is_own(const struct store *store, const struct batch_correction *record) {
    return memcmp(record->store_id, store->id, sizeof store->id) == 0;
}

void store_note_correction(struct store *store, const struct batch_correction *correction) {
    struct store_state *state = &store->state;
    struct batch_correction record = *correction;
    struct store_correction before[STORE_CORRECTIONS_MAX];
    const size_t count = state->correction_count;
    memcpy(before, state->corrections, sizeof before);
    memcpy(record.store_id, store->id, sizeof record.store_id);
    append(state, &record);
    for (size_t i = 0; correction->first_batch == 1 && i < count; i++) {
        if (!before[i].waits_for_clock)
            continue;
        struct batch_correction elsewhere = before[i].record;
        elsewhere.from_ms = correction->from_ms;
        elsewhere.to_ms = correction->to_ms;
        elsewhere.right_ms = correction->right_ms;
        append(state, &elsewhere);
    }
}

size_t store_corrections(const struct store *store, struct batch_correction *ret_corrections) {
    size_t count = 0;
    for (size_t i = 0; i < store->state.correction_count; i++) {
        const struct store_correction *known = &store->state.corrections[i];
        if (known->waits_for_clock)
            continue;
        ret_corrections[count] = known->record;
        if (known->record.last_batch == 0) /* not told yet: it will be by the next */
            ret_corrections[count].last_batch = store->state.last_number + 1;
        count++;
    }
    return count;
}

static bool is_untold(const struct store_correction *known) {
    return known->carrier == 0 && !known->waits_for_clock;
}

bool store_corrections_wait(const struct store_state *state) {
    for (size_t i = 0; i < state->correction_count; i++)
        if (is_untold(&state->corrections[i]))
            return true;
    return false;
}

void store_corrections_take(struct store_state *state, struct batch_info *info) {
    info->correction_count = 0;
    for (size_t i = 0; i < state->correction_count; i++) {
        struct store_correction *known = &state->corrections[i];
        if (!is_untold(known) || info->correction_count == BATCH_CORRECTIONS_MAX)
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

/* Told again with the next batch, whose readings it then includes. */
void store_corrections_extend(struct store *store, uint64_t carrier) {
    struct store_state *state = &store->state;
    for (size_t i = 0; i < state->correction_count; i++) {
        struct store_correction *known = &state->corrections[i];
        if (known->carrier != carrier || known->record.last_batch != carrier || !is_own(store, &known->record))
            continue;
        known->carrier = 0;
        known->record.last_batch = 0;
    }
}

/* Once the clock is set, or the machine started anew, nobody will find out more about the runs before. */
static void stop_waiting(struct store_state *state) {
    size_t left = 0;
    for (size_t i = 0; i < state->correction_count; i++)
        if (!state->corrections[i].waits_for_clock)
            state->corrections[left++] = state->corrections[i];
    state->correction_count = left;
}

void store_keep_clock(struct store *store, const struct store_clock *clock) {
    struct store_state *state = &store->state;
    if (clock->set || !state->has_clock || memcmp(clock->boot, state->clock.boot, sizeof clock->boot) != 0)
        stop_waiting(state);
    state->clock = *clock;
    state->has_clock = true;
    state->corrections_changed = true;
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
    if (!store_take_bytes(row, 0, clock->boot, sizeof clock->boot))
        return false;
    clock->first_batch = (uint64_t)sqlite3_column_int64(row, 1);
    clock->ahead_ms = sqlite3_column_int64(row, 2);
    clock->set = sqlite3_column_int64(row, 3) != 0;
    return store->state.has_clock = true;
}

int store_corrections_save(struct store *store) {
    int code = store_run(store, STORE_CLEAR_CORRECTIONS, "");
    for (size_t i = 0; code == SQLITE_DONE && i < store->state.correction_count; i++) {
        const struct store_correction *known = &store->state.corrections[i];
        const struct batch_correction *record = &known->record;
        const bool own = is_own(store, record);
        code = store_run(store, STORE_ADD_CORRECTION, "iiiiiib", record->first_batch, record->last_batch,
                         record->from_ms, record->to_ms, known->waits_for_clock ? WAITS_FOR_CLOCK : record->right_ms,
                         known->carrier, own ? NULL : record->store_id, own ? (size_t)0 : sizeof record->store_id);
    }
    return code == SQLITE_DONE ? save_clock(store) : code;
}

/* A row as it stands in a table of any version. own: of the store that has the table. */
static struct store_correction read_row(sqlite3_stmt *row, const uint8_t *own) {
    struct store_correction known = {
        .record = {.first_batch = (uint64_t)sqlite3_column_int64(row, 1),
                   .last_batch = (uint64_t)sqlite3_column_int64(row, 2),
                   .from_ms = sqlite3_column_int64(row, 3),
                   .to_ms = sqlite3_column_int64(row, 4),
                   .right_ms = sqlite3_column_int64(row, 5)},
        .carrier = (uint64_t)sqlite3_column_int64(row, 6),
        .waits_for_clock = sqlite3_column_int64(row, 5) == WAITS_FOR_CLOCK,
    };
    const bool is_elsewhere = sqlite3_column_bytes(row, 7) == BATCH_STORE_ID_BYTES;
    memcpy(known.record.store_id, is_elsewhere ? sqlite3_column_blob(row, 7) : own, BATCH_STORE_ID_BYTES);
    return known;
}

bool store_corrections_load(struct store *store, sqlite3_stmt *row) {
    if (store->state.correction_count == STORE_CORRECTIONS_MAX)
        return false;
    store->state.corrections[store->state.correction_count++] = read_row(row, store->id);
    return true;
}

/* Older than all that are there: in front, while there is place. */
static void put_in_front(struct store_state *state, const struct store_correction *known) {
    for (size_t i = 0; i < state->correction_count; i++)
        if (memcmp(&state->corrections[i].record, &known->record, sizeof known->record) == 0)
            return;
    if (state->correction_count == STORE_CORRECTIONS_MAX)
        return;
    memmove(state->corrections + 1, state->corrections, state->correction_count * sizeof state->corrections[0]);
    state->corrections[0] = *known;
    state->correction_count++;
    state->corrections_changed = true;
}

/* A store set aside, and whether this one goes on from where it stood. */
struct elder {
    const uint8_t *id;
    uint64_t last_number;
    bool goes_on;
};

/* What the elder has not told yet is about its tail, too, which is in our first batch now. */
static void inherit_row(struct store *store, const struct elder *elder, sqlite3_stmt *row) {
    struct store_correction known = read_row(row, elder->id);
    known.carrier = 0;
    if (known.record.last_batch == 0 && elder->goes_on) {
        struct store_correction ours = known;
        ours.record.first_batch = 1;
        memcpy(ours.record.store_id, store->id, sizeof ours.record.store_id);
        put_in_front(&store->state, &ours);
    }
    if (known.record.last_batch == 0)
        known.record.last_batch = elder->last_number;
    if (known.record.first_batch <= known.record.last_batch && (!known.waits_for_clock || elder->goes_on))
        put_in_front(&store->state, &known);
}

/* The run of its clock is ours, from the first batch on. */
static void inherit_clock(struct store *store, const struct elder *elder, sqlite3_stmt *row) {
    if (!store_clock_load(store, row))
        return;
    struct store_clock *clock = &store->state.clock;
    struct store_correction waiting = {.waits_for_clock = true};
    waiting.record = (struct batch_correction){
        .first_batch = clock->first_batch, .last_batch = elder->last_number, .right_ms = WAITS_FOR_CLOCK};
    memcpy(waiting.record.store_id, elder->id, sizeof waiting.record.store_id);
    if (!clock->set && waiting.record.first_batch >= 1 && waiting.record.first_batch <= waiting.record.last_batch)
        put_in_front(&store->state, &waiting);
    clock->first_batch = 1;
    store->state.corrections_changed = true;
}

static void inherit_rows(struct store *store, const struct elder *elder, sqlite3 *old, const char *sql,
                         void (*take)(struct store *, const struct elder *, sqlite3_stmt *)) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(old, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            take(store, elder, statement);
    }
    sqlite3_finalize(statement);
}

void store_corrections_inherit(struct store *store, sqlite3 *old, const uint8_t id[static BATCH_STORE_ID_BYTES],
                               uint64_t last_number, bool goes_on) {
    const struct elder elder = {id, last_number, goes_on};
    inherit_rows(store, &elder, old, "SELECT * FROM corrections ORDER BY id DESC", inherit_row);
    if (goes_on)
        inherit_rows(store, &elder, old, "SELECT boot, first_batch, ahead_ms, is_set FROM clock WHERE id = 1",
                     inherit_clock);
}
