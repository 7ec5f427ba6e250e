/* rows.h - what most gateways do instead of batches: one row of a SQLite or SQLCipher table for each reading (tag,
 * time, quality, value), in order of arrival and without an index, with the settings that make the store durable. The
 * measure for bench_store. Ends the program on any error. */
#ifndef FB_BENCH_ROWS_H
#define FB_BENCH_ROWS_H

#include <stddef.h>

#include "gateway/common/reading.h"

struct rows;

/* key: 32 bytes, or NULL for plain SQLite. End with rows_close(), which writes the log into the file. */
struct rows *rows_open(const char *path, const uint8_t *key);
void rows_close(struct rows *rows);

/* One transaction. (fsync) */
void rows_add(struct rows *rows, const struct reading *readings, size_t count);

/* All rows as readings, in order of arrival, to take(), which gets them one by one. Returns how many. */
size_t rows_read(struct rows *rows, void (*take)(const struct reading *reading, void *user), void *user);

#endif
