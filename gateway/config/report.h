/* report.h - collecting what is wrong with a configuration, in words that help a person mend it.
 * Used by the modules of this folder. Pure. */
#ifndef FB_CONFIG_REPORT_H
#define FB_CONFIG_REPORT_H

#include <stddef.h>

#include "gateway/common/error.h"
#include "gateway/config/config.h"

/* Bytes with NUL of a value or key as an error shows it. */
#define REPORT_QUOTE_MAX 64

/* Add one error; does nothing when CONFIG_ERRORS_MAX are there. Control characters are replaced. */
void report_add(struct config_report *report, unsigned line, unsigned column, const char *format, ...) FB_PRINTF(4, 5);

/* Order the errors by line and column. */
void report_sort(struct config_report *report);

/* Copy text, cut to REPORT_QUOTE_MAX at a character's border, with "..." when cut. Returns quote. */
const char *report_quote(const char *text, char quote[static REPORT_QUOTE_MAX]);

/* The word nearest to text, NULL when none is near enough to be meant: at most one edit in three letters.
 * words: count of them. */
const char *report_nearest(const char *text, const char *const *words, size_t count);

/* "; did you mean host?", or when none is near "; allowed are host, port" with at most ten words. allowed: the words
 * before the list. ret_hint: size bytes. Returns ret_hint. */
const char *report_hint(const char *text, const char *const *words, size_t count, const char *allowed, char *ret_hint,
                        size_t size);

#endif
