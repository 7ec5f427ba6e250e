#include <inttypes.h>
#include <stdio.h>

#include "store/store_internal.h"

/* "FBST": tells our databases from others that the same key opens. */
#define APPLICATION_ID 0x46425354

/* Each step brings the schema one version up; steps are never changed once released.
 * Every table has an INTEGER PRIMARY KEY: store_rekey.c copies rows by it.
 *
 * batches are never written again after they were sealed, unless they are thinned: what changes with their fate stands
 * in queue, which holds those not sent yet (and the few that cannot be read any more). So an acknowledgement dirties
 * two pages and no blob.
 */
static const char *const steps[] = {
    "CREATE TABLE state(id INTEGER PRIMARY KEY, store_id BLOB NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT "
    "NULL,"
    " last_number INTEGER NOT NULL, last_hash BLOB NOT NULL, batches INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " unsent_batches INTEGER NOT NULL, unsent_readings INTEGER NOT NULL, lost_readings INTEGER NOT NULL,"
    " sent_ms INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, randomblob(16), 0, 0, 0, zeroblob(32), 0, 0, 0, 0, 0, 0);"
    "CREATE TABLE tags(number INTEGER PRIMARY KEY, instrument TEXT NOT NULL, name TEXT NOT NULL,"
    " UNIQUE(instrument, name));"
    "CREATE TABLE catalogues(revision INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);"
    "CREATE TABLE tail(slot INTEGER PRIMARY KEY, batch INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE batches(number INTEGER PRIMARY KEY, catalogue INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE queue(number INTEGER PRIMARY KEY, damaged INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " reason TEXT NOT NULL, readings INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " losses INTEGER NOT NULL);"
    "CREATE TABLE losses(id INTEGER PRIMARY KEY, reason INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, first_batch INTEGER NOT NULL, last_batch INTEGER NOT NULL);",
    /* What gave way before this was counted is not known: all may have. */
    "ALTER TABLE state ADD COLUMN thinned_to INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE state ADD COLUMN evicted_to INTEGER NOT NULL DEFAULT 0;"
    "UPDATE state SET evicted_to = last_number;"
    "CREATE INDEX batches_times ON batches(last_ms, first_ms);",
    /* kind: 0 unsent batches, 1 history. next_number: the first of the old store that was not looked at yet. */
    "CREATE TABLE salvages(id INTEGER PRIMARY KEY, store_id BLOB NOT NULL, kind INTEGER NOT NULL, path TEXT NOT NULL,"
    " next_number INTEGER NOT NULL, last_number INTEGER NOT NULL, batches INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " unreadable INTEGER NOT NULL, finished INTEGER NOT NULL, UNIQUE(store_id, kind));"
    "CREATE TABLE checks(id INTEGER PRIMARY KEY, finished_ms INTEGER NOT NULL, batches INTEGER NOT NULL,"
    " unreadable INTEGER NOT NULL);",
    /* Kept after they were told, for reading back; carrier: the batch that tells it, 0 when none does yet. */
    "CREATE TABLE corrections(id INTEGER PRIMARY KEY, first_batch INTEGER NOT NULL, last_batch INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, right_ms INTEGER NOT NULL, carrier INTEGER NOT NULL);"
    "CREATE TABLE clock(id INTEGER PRIMARY KEY, boot BLOB NOT NULL, first_batch INTEGER NOT NULL, ahead_ms INTEGER"
    " NOT NULL, is_set INTEGER NOT NULL);",
    /* id: the kind in the highest byte, the number below (store_records.c). */
    "CREATE TABLE records(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, previous BLOB NOT NULL, body BLOB NOT"
    " NULL);"
    "CREATE TABLE record_kinds(kind INTEGER PRIMARY KEY, last INTEGER NOT NULL, bytes INTEGER NOT NULL, head BLOB NOT"
    " NULL);",
    /* Whose batches; NULL: our own. */
    "ALTER TABLE corrections ADD COLUMN store_id BLOB;",
    /* parked_ms: since when a batch is handed out no more (UTC), 0 if it is; parked_bytes: its size when that is why.
     * In state what the link must remember: how large batches may be, the month, its bytes, the last event accepted. */
    "ALTER TABLE queue ADD COLUMN rejections INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN parked_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN parked_bytes INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX queue_parked ON queue(number) WHERE parked_ms > 0;"
    "ALTER TABLE state ADD COLUMN batch_bytes_most INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE state ADD COLUMN month INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE state ADD COLUMN month_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE state ADD COLUMN event_sent INTEGER NOT NULL DEFAULT 0;",
};

#define SCHEMA_VERSION ((int)(sizeof steps / sizeof steps[0]))

static enum fb_error read_number(sqlite3 *db, const char *sql, int *ret_number, struct fb_cause *cause) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return store_result(db, code, cause, sql);
}

static int run_steps(sqlite3 *db, int version) {
    char last[96];
    snprintf(last, sizeof last, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
             SCHEMA_VERSION);
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (; code == SQLITE_OK && version < SCHEMA_VERSION; version++)
        code = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(db, last, NULL, NULL, NULL) : code;
}

/* All in one transaction: whatever cuts it off leaves the schema that was there. */
static enum fb_error bring_up(sqlite3 *db, int version, struct fb_cause *cause) {
    const enum fb_error error = store_result(db, run_steps(db, version), cause, "making the schema");
    if (error != FB_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return error;
}

enum fb_error store_schema_migrate(sqlite3 *db, struct fb_cause *cause) {
    int tables = 0, marker = 0, version = 0;
    enum fb_error error = read_number(db, "SELECT count(*) FROM sqlite_master", &tables, cause);
    if (error == FB_OK)
        error = read_number(db, "PRAGMA application_id", &marker, cause);
    if (error == FB_OK)
        error = read_number(db, "PRAGMA user_version", &version, cause);
    if (error != FB_OK)
        return error;
    const bool is_new = tables == 0 && marker == 0 && version == 0;
    if (!is_new && marker != APPLICATION_ID)
        return fb_fail(cause, FB_CORRUPT, "a database, but not one of Forebay");
    if (version > SCHEMA_VERSION)
        return fb_fail(cause, FB_VERSION, "made by a newer Forebay (schema %d, this one knows %d): install that one",
                       version, SCHEMA_VERSION);
    return version < SCHEMA_VERSION ? bring_up(db, version, cause) : FB_OK;
}
