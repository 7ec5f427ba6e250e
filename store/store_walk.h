/* store_walk.h - a walk over the batches of a store's file, one after the other, past those that cannot be read. Used
 * by store_check.c, store_rekey.c and store_salvage.c. Reads only; the rows may change between steps. */
#ifndef FB_STORE_STORE_WALK_H
#define FB_STORE_STORE_WALK_H

#include <sqlite3.h>
#include <stdint.h>

struct store_walk {
    sqlite3_stmt *next; /* the first row above ?1 */
    sqlite3_stmt *at;   /* the row ?1 */
    sqlite3_stmt *row;  /* where the present row stands, one of the two */
    int64_t number;     /* of the present batch; 0 at first */
    int64_t last;       /* the store's own numbers end here */
    int64_t salvaged;   /* and its salvaged ones here, 0: it has none */
};

/* Begin behind the number `from`. columns: an SQL list whose first is number. Returns SQLite's code. */
int store_walk_begin(struct store_walk *walk, sqlite3 *db, const char *columns, int64_t from, int64_t last);

/* Go on to the next batch: SQLITE_ROW: its columns can be read from walk->row until the next step. SQLITE_CORRUPT: what
 * stands under walk->number, if anything does, cannot be read. SQLITE_BUSY: a stretch of numbers has nothing, call
 * again. SQLITE_DONE: that was all. */
int store_walk_step(struct store_walk *walk);
/* Let go of the row, so that the store can be written to. */
void store_walk_rest(struct store_walk *walk);
void store_walk_end(struct store_walk *walk);

#endif
