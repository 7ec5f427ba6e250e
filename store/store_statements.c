#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "store/store_internal.h"

static const char *const sql[STORE_STATEMENTS] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_SAVE_STATE] = "UPDATE state SET epoch = ?1, sequence = ?2, last_number = ?3, last_hash = ?4, batches = ?5,"
                         " readings = ?6, unsent_batches = ?7, unsent_readings = ?8, lost_readings = ?9, sent_ms = ?10,"
                         " thinned_to = ?11, evicted_to = ?12, batch_bytes_most = ?13, month = ?14,"
                         " month_bytes = ?15, event_sent = ?16",
    [STORE_WRITE_SLOT] = "INSERT OR REPLACE INTO tail VALUES(?1, ?2, ?3)",
    [STORE_TRIM_SLOTS] = "DELETE FROM tail WHERE slot > ?1",
    /* The condition keeps SQLite from dropping the rows unseen: store_rekey.c follows changes row by row. */
    [STORE_CLEAR_LOSSES] = "DELETE FROM losses WHERE id > 0",
    [STORE_ADD_LOSS] = "INSERT INTO losses VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6)",
    [STORE_CLEAR_CORRECTIONS] = "DELETE FROM corrections WHERE id > 0",
    [STORE_ADD_CORRECTION] = "INSERT INTO corrections VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STORE_KEEP_CLOCK] = "INSERT OR REPLACE INTO clock VALUES(1, ?1, ?2, ?3, ?4)",
    [STORE_ADD_BATCH] = "INSERT INTO batches VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STORE_READ_BATCH] = "SELECT batches.bytes, batches.hash, catalogues.hash FROM batches"
                         " JOIN catalogues ON catalogues.revision = batches.catalogue WHERE batches.number = ?1",
    [STORE_COUNT_READINGS] = "SELECT readings FROM batches WHERE number = ?1",
    [STORE_DELETE_BATCH] = "DELETE FROM batches WHERE number = ?1 RETURNING readings",
    [STORE_ADD_QUEUED] = "INSERT INTO queue(number, damaged, attempts, reason, readings, first_ms, last_ms, losses)"
                         " VALUES(?1, 0, 0, '', ?2, ?3, ?4, ?5)",
    [STORE_FIRST_QUEUED] = "SELECT number, attempts, readings, first_ms, last_ms, losses FROM queue"
                           " WHERE number BETWEEN ?1 AND ?2 AND damaged = 0 ORDER BY number LIMIT 1",
    [STORE_NEXT_QUEUED] = "SELECT number, attempts, readings, first_ms, last_ms, losses FROM queue"
                          " WHERE number BETWEEN ?1 AND ?2 AND damaged = 0 AND parked_ms = 0 ORDER BY number LIMIT 1",
    [STORE_DELETE_QUEUED] = "DELETE FROM queue WHERE number = ?1 AND damaged = 0 RETURNING readings",
    /* The values on the right are those before the change. */
    [STORE_REFUSE_QUEUED] = "UPDATE queue SET attempts = attempts + 1, reason = ?2, rejections = rejections + ?3,"
                            " parked_ms = CASE WHEN rejections + ?3 >= ?4 THEN ?5 ELSE 0 END"
                            " WHERE number = ?1 AND damaged = 0 RETURNING attempts, rejections, parked_ms > 0",
    [STORE_PARK_QUEUED] = "UPDATE queue SET reason = ?2, parked_bytes = ?3, parked_ms = ?4"
                          " WHERE number = ?1 AND damaged = 0",
    [STORE_NEXT_PARKED] = "SELECT number, readings, first_ms, last_ms, parked_ms, rejections, parked_bytes, reason"
                          " FROM queue WHERE number > ?1 AND parked_ms > 0 ORDER BY number LIMIT 1",
    [STORE_COUNT_PARKED] = "SELECT count(*), coalesce(sum(readings), 0) FROM queue WHERE parked_ms > 0",
    [STORE_RELEASE_PARKED] = "UPDATE queue SET parked_ms = 0, parked_bytes = 0, rejections = 0"
                             " WHERE number BETWEEN ?1 AND ?2 AND parked_ms > 0 AND parked_bytes BETWEEN ?3 AND ?4",
    [STORE_DAMAGE_QUEUED] = "INSERT OR REPLACE INTO queue(number, damaged, attempts, reason, readings, first_ms,"
                            " last_ms, losses) VALUES(?1, 1, 0, ?2, 0, 0, 0, 0)",
    [STORE_OLDEST_HISTORY] = "SELECT number FROM batches WHERE number >= ?1 AND NOT EXISTS"
                             " (SELECT 1 FROM queue WHERE queue.number = batches.number) ORDER BY number LIMIT 1",
    [STORE_REPLACE_BATCH] = "UPDATE batches SET readings = ?2, hash = ?3, bytes = ?4 WHERE number = ?1",
    [STORE_THIN_QUEUED] = "UPDATE queue SET readings = ?2, losses = 0 WHERE number = ?1",
    [STORE_NEXT_NUMBER] = "SELECT number FROM batches WHERE number > ?1 ORDER BY number LIMIT 1",
    [STORE_NEXT_IN_TIME] = "SELECT last_ms, first_ms, number FROM batches INDEXED BY batches_times"
                           " WHERE (last_ms, first_ms, number) > (?1, ?2, ?3) ORDER BY last_ms, first_ms, number",
    [STORE_COUNT_PAGES] = "PRAGMA page_count",
    [STORE_COUNT_FREE_PAGES] = "PRAGMA freelist_count",
    [STORE_DROP_CATALOGUES] = "DELETE FROM catalogues WHERE revision < ?1 AND revision <"
                              " (SELECT catalogue FROM batches ORDER BY number LIMIT 1)",
    [STORE_ADD_CATALOGUE] = "INSERT INTO catalogues VALUES(?1, ?2, ?3)",
    [STORE_READ_CATALOGUE] = "SELECT revision, bytes FROM catalogues WHERE hash = ?1",
    [STORE_ADD_RECORD] = "INSERT INTO records VALUES(?1, ?2, ?3, ?4)",
    [STORE_DROP_RECORD] = "DELETE FROM records WHERE id = (SELECT id FROM records WHERE id > ?1 AND id < ?2 ORDER BY id"
                          " LIMIT 1) RETURNING id, length(body)",
    [STORE_READ_RECORDS] = "SELECT id, time_ms, previous, body FROM records WHERE id > ?1 AND id <= ?2 ORDER BY id"
                           " LIMIT ?3",
    [STORE_SAVE_RECORDS] = "INSERT OR REPLACE INTO record_kinds VALUES(?1, ?2, ?3, ?4)",
    [STORE_FIND_TAG] = "SELECT number FROM tags WHERE instrument = ?1 AND name = ?2",
    [STORE_ADD_TAG] = "INSERT INTO tags(instrument, name) VALUES(?1, ?2)",
};

int store_prepare_all(struct store *store) {
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < STORE_STATEMENTS; i++)
        code = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
    return code;
}

/* Values are borrowed until the next reset, which every caller reaches before they end. */
static int bind_all(sqlite3_stmt *statement, const char *format, va_list arguments) {
    int code = SQLITE_OK;
    for (int i = 1; code == SQLITE_OK && *format != '\0'; i++, format++) {
        if (*format == 'i') {
            code = sqlite3_bind_int64(statement, i, va_arg(arguments, int64_t));
        } else if (*format == 't') {
            code = sqlite3_bind_text(statement, i, va_arg(arguments, const char *), -1, SQLITE_STATIC);
        } else {
            const uint8_t *bytes = va_arg(arguments, const uint8_t *);
            code = sqlite3_bind_blob64(statement, i, bytes, va_arg(arguments, size_t), SQLITE_STATIC);
        }
    }
    return code;
}

int store_step(struct store *store, enum store_statement statement, const char *format, ...) {
    sqlite3_stmt *prepared = store->statements[statement];
    va_list arguments;
    va_start(arguments, format);
    const int code = bind_all(prepared, format, arguments);
    va_end(arguments);
    return code == SQLITE_OK ? sqlite3_step(prepared) : code;
}

int store_run(struct store *store, enum store_statement statement, const char *format, ...) {
    sqlite3_stmt *prepared = store->statements[statement];
    va_list arguments;
    va_start(arguments, format);
    int code = bind_all(prepared, format, arguments);
    va_end(arguments);
    if (code == SQLITE_OK)
        code = sqlite3_step(prepared);
    store_reset(store, statement);
    return code;
}

void store_reset(struct store *store, enum store_statement statement) {
    sqlite3_reset(store->statements[statement]);
    sqlite3_clear_bindings(store->statements[statement]);
}

int64_t store_integer(struct store *store, enum store_statement statement, int column) {
    return sqlite3_column_int64(store->statements[statement], column);
}

const uint8_t *store_bytes(struct store *store, enum store_statement statement, int column, size_t *ret_length) {
    const uint8_t *bytes = sqlite3_column_blob(store->statements[statement], column);
    *ret_length = (size_t)sqlite3_column_bytes(store->statements[statement], column);
    return bytes;
}

bool store_take_bytes(sqlite3_stmt *row, int column, uint8_t *ret_bytes, size_t length) {
    if ((size_t)sqlite3_column_bytes(row, column) != length)
        return false;
    memcpy(ret_bytes, sqlite3_column_blob(row, column), length);
    return true;
}

enum fb_error store_result(sqlite3 *db, int code, struct fb_cause *cause, const char *what) {
    static const struct {
        int code;
        enum fb_error error;
        /* A page whose HMAC does not fit may also come as SQLITE_ERROR; our statements give no other reason for one. */
    } meanings[] = {
        {SQLITE_OK, FB_OK},           {SQLITE_ROW, FB_OK},         {SQLITE_DONE, FB_OK},
        {SQLITE_FULL, FB_FULL},       {SQLITE_NOTADB, FB_CORRUPT}, {SQLITE_ERROR, FB_CORRUPT},
        {SQLITE_CORRUPT, FB_CORRUPT}, {SQLITE_NOMEM, FB_MEMORY},   {SQLITE_BUSY, FB_AGAIN},
    };
    if (code == SQLITE_NOTADB)
        return fb_fail(cause, FB_CORRUPT, "wrong key, or not a database");
    if ((code & 255) == SQLITE_BUSY)
        return fb_fail(cause, FB_AGAIN, "another process has it open");
    enum fb_error error = FB_IO;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].code == (code & 255))
            error = meanings[i].error;
    if (error == FB_OK)
        return FB_OK;
    if (db != NULL && error == FB_IO && sqlite3_system_errno(db) == ENOSPC)
        error = FB_FULL;
    return fb_fail(cause, error, "%s: %s", what, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}
