/* lines.h - readings as text, one line each, NDJSON or CSV; docs/receive.md lists the fields. Pure; used by
 * `forebay receive`. */
#ifndef FB_RECEIVE_LINES_H
#define FB_RECEIVE_LINES_H

#include <stddef.h>

#include "gateway/common/reading.h"
#include "store/batch.h"
#include "store/catalogue.h"

enum lines_format { LINES_NDJSON, LINES_CSV };

/* The longest line with its line feed: five texts with every byte escaped, field names, numbers. */
#define LINES_BYTES_MAX 1024

/* "ndjson" and "csv" and back; -1 for any other word. Static storage. */
const char *lines_format_word(enum lines_format format);
int lines_format_from_word(const char *word);

/* What comes before the first line of a file: CSV's header line, nothing for NDJSON. Static storage. */
const char *lines_header(enum lines_format format);

/* The part of a line that is the same for all readings of one tag in one batch. */
struct lines_tag {
    enum lines_format format;
    size_t length;
    char text[LINES_BYTES_MAX];
};

/* names: the tag's entry in the catalogue, NULL when it is not known (instrument, name and unit are then null). */
void lines_begin_tag(enum lines_format format, const struct batch_info *info, uint32_t tag,
                     const struct catalogue_tag *names, struct lines_tag *ret_tag);

/* One reading of that tag as a line that ends with a line feed; returns its length, at most LINES_BYTES_MAX. */
size_t lines_reading(const struct lines_tag *tag, const struct reading *reading, char *ret_line);

#endif
