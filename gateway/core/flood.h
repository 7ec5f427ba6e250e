/* flood.h - keeps what happens again and again from filling the records: of one key so many pass in a window of time,
 * the rest is counted, and the last of them comes at the window's end with the count. Pure; used by records.c. */
#ifndef FB_CORE_FLOOD_H
#define FB_CORE_FLOOD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOD_KEYS_MAX 64
#define FLOOD_KEY_MAX 128

struct flood_limit {
    unsigned most;
    int64_t window_ms;
};

struct flood_entry {
    char key[FLOOD_KEY_MAX]; /* "": free */
    int64_t until_ms;        /* of the window; monotonic */
    unsigned passed;         /* in it */
    json_int_t held;
    json_t *last; /* of those held */
    int tag;
};

struct flood {
    struct flood_entry entries[FLOOD_KEYS_MAX];
};

/* Whether this one may pass. Otherwise it is held: body's reference is taken; tag comes back with it. When there are
 * more keys than places it passes. */
bool flood_pass(struct flood *flood, const char *key, const struct flood_limit *limit, int64_t now_ms, json_t *body,
                int tag);
/* The last held body of a window that has ended by now_ms, with "more": how many others were held; NULL: there is none.
 * New reference. */
json_t *flood_ended(struct flood *flood, int64_t now_ms, int *ret_tag);
/* When to ask for it, 0: nothing is held. */
int64_t flood_next_ms(const struct flood *flood);

#endif
