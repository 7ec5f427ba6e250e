/* attempts.h - records of attempts on their way to core: numbered, kept until core has them on disk, bounded. Used by
 * forebay-cloud's core_side. */
#ifndef FB_CLOUD_ATTEMPTS_H
#define FB_CLOUD_ATTEMPTS_H

#include <jansson.h>
#include <stdint.h>

/* Core is back within seconds. When it stays away longer the oldest go, which the next ones say ("lost_before"). */
#define ATTEMPTS_MAX 128
#define ATTEMPTS_RUN_MAX 17 /* bytes with NUL */

struct attempts {
    char run[ATTEMPTS_RUN_MAX]; /* random, hexadecimal: together with the number it names a record */
    uint64_t first, next;       /* numbers kept: first .. next - 1 */
    uint64_t lost;
    char *texts[ATTEMPTS_MAX]; /* by number modulo ATTEMPTS_MAX */
};

void attempts_init(struct attempts *attempts);
void attempts_done(struct attempts *attempts);

/* Add one; json is stolen, and gets "run", "attempt" (its number) and, if some were lost, "lost_before". */
void attempts_add(struct attempts *attempts, json_t *json);
/* The text of the first one after this number, and its number; NULL when there is none. Borrowed. */
const char *attempts_after(const struct attempts *attempts, uint64_t number, uint64_t *ret_number);
/* Core has everything up to this number. */
void attempts_kept(struct attempts *attempts, uint64_t number);

#endif
