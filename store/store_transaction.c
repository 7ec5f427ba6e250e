#include "store/store_internal.h"

static int save_losses(struct store *store) {
    int code = store_run(store, STORE_CLEAR_LOSSES, "");
    for (size_t i = 0; code == SQLITE_DONE && i < store->state.loss_count; i++) {
        const struct batch_loss *loss = &store->state.losses[i];
        code = store_run(store, STORE_ADD_LOSS, "iiiiii", (int64_t)loss->reason, loss->readings, loss->from_ms,
                         loss->to_ms, loss->first_batch, loss->last_batch);
    }
    return code;
}

static int save_state(struct store *store) {
    const struct store_state *state = &store->state;
    return store_run(store, STORE_SAVE_STATE, "iiibiiiiiiiiiiii", state->cursor.epoch, state->cursor.sequence,
                     state->last_number, state->last_hash, sizeof state->last_hash, state->batches, state->readings,
                     state->unsent_batches, state->unsent_readings, state->lost_readings, state->sent_ms,
                     state->thinned_to, state->evicted_to, state->link.batch_bytes_most, (int64_t)state->link.month,
                     state->link.month_bytes, state->link.event_sent);
}

enum fb_error store_begin(struct store *store, struct fb_cause *cause) {
    store_room_for_transaction(store);
    const enum fb_error error = store_result(store->db, store_run(store, STORE_BEGIN, ""), cause, "begin");
    if (error == FB_OK)
        store->before = store->state;
    store->unreadable_batch = 0;
    return error;
}

static enum fb_error commit(struct store *store, bool with_state, struct fb_cause *cause) {
    int code = SQLITE_DONE;
    if (store->state.losses_changed) {
        code = save_losses(store);
        with_state = true;
        store->state.losses_changed = false;
    }
    if (code == SQLITE_DONE && store->state.corrections_changed) {
        code = store_corrections_save(store);
        store->state.corrections_changed = false;
    }
    if (code == SQLITE_DONE)
        code = store_records_save(store);
    if (code == SQLITE_DONE && with_state)
        code = save_state(store);
    const enum fb_error error =
        code == SQLITE_DONE ? store_room_take_file(store, cause) : store_result(store->db, code, cause, "commit");
    if (error != FB_OK)
        return error;
    return store_result(store->db, store_run(store, STORE_COMMIT, ""), cause, "commit");
}

enum fb_error store_end(struct store *store, enum fb_error error, bool with_state, struct fb_cause *cause) {
    if (error == FB_OK)
        error = commit(store, with_state, cause);
    if (error == FB_OK)
        return FB_OK;
    /* Some failures have rolled back by themselves. */
    if (!sqlite3_get_autocommit(store->db))
        store_run(store, STORE_ROLLBACK, "");
    /* Where the log cannot grow any more it must begin anew. */
    if (error == FB_FULL)
        store_room_write_back(store);
    store->state = store->before;
    return error;
}

enum fb_error store_finish(struct store *store, enum fb_error error, const char *what, struct fb_cause *cause) {
    if (error == FB_OK || error == FB_NOT_FOUND)
        return error;
    if (error == FB_CORRUPT && !store_damage_can_tell())
        return fb_fail(cause, FB_MEMORY, "store: %s: out of memory for OpenSSL", what);
    if (error == FB_CORRUPT && !store->marked)
        store_aside_mark(store->path, cause != NULL ? cause->text : what);
    store->marked = store->marked || error == FB_CORRUPT;
    return fb_context(cause, error, "store: %s", what);
}
