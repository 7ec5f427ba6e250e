/* senml.h - a batch as SenML packs (RFC 8428, JSON), for clouds that want no decoder; docs/senml.md says how. Pure.
 * Used by forebay-cloud's renderer.
 *
 * A walk goes over the batch's losses, corrections and readings once; each step gives one pack of at most so many
 * bytes. Every pack names its batch and its place among the batch's packs, so that none can be missed or counted twice.
 */
#ifndef FB_CLOUD_SENML_H
#define FB_CLOUD_SENML_H

#include <stdbool.h>
#include <stddef.h>

#include "store/batch.h"
#include "store/catalogue.h"

/* A pack has room for its first record and one more, whatever that is. */
#define SENML_PACK_BYTES_MIN 2048

struct senml {
    const struct batch_info *info; /* borrowed, as the next two */
    const struct reading *readings;
    size_t units;
    const struct catalogue *catalogue; /* NULL: tags are named by their numbers */
    size_t loss, correction, unit;     /* the next of each */
    unsigned packs;                    /* so far */
};

/* readings: as batch_decode() gives them, ordered by tag. */
void senml_begin(struct senml *senml, const struct batch_info *info, const struct reading *readings, size_t units,
                 const struct catalogue *catalogue);

/* True when every record has been given in a pack, and there has been one: a batch without any has an empty pack. */
bool senml_done(const struct senml *senml);

/* The next pack. most: bytes of room in ret_text, at least SENML_PACK_BYTES_MIN. Returns the length. */
size_t senml_next(struct senml *senml, char *ret_text, size_t most);

#endif
