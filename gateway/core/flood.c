#include "gateway/core/flood.h"

#include <stdio.h>
#include <string.h>

static bool is_over(const struct flood_entry *entry, int64_t now_ms) {
    return entry->key[0] == '\0' || (entry->held == 0 && entry->until_ms <= now_ms);
}

/* The key's own entry, else one that is free; NULL when there is none. */
static struct flood_entry *find(struct flood *flood, const char *key, int64_t now_ms) {
    struct flood_entry *free_entry = NULL;
    for (size_t i = 0; i < FLOOD_KEYS_MAX; i++) {
        struct flood_entry *entry = &flood->entries[i];
        if (strncmp(entry->key, key, sizeof entry->key - 1) == 0 && !is_over(entry, now_ms))
            return entry;
        if (free_entry == NULL && is_over(entry, now_ms))
            free_entry = entry;
    }
    if (free_entry != NULL)
        *free_entry = (struct flood_entry){0};
    return free_entry;
}

bool flood_pass(struct flood *flood, const char *key, const struct flood_limit *limit, int64_t now_ms, json_t *body,
                int tag) {
    struct flood_entry *entry = find(flood, key, now_ms);
    if (entry == NULL)
        return true;
    if (entry->key[0] == '\0') {
        snprintf(entry->key, sizeof entry->key, "%s", key);
        entry->until_ms = now_ms + limit->window_ms;
    }
    if (entry->passed < limit->most) {
        entry->passed++;
        return true;
    }
    json_decref(entry->last);
    entry->last = body;
    entry->tag = tag;
    entry->held++;
    return false;
}

json_t *flood_ended(struct flood *flood, int64_t now_ms, int *ret_tag) {
    for (size_t i = 0; i < FLOOD_KEYS_MAX; i++) {
        struct flood_entry *entry = &flood->entries[i];
        if (entry->held == 0 || entry->until_ms > now_ms)
            continue;
        json_t *body = entry->last;
        if (entry->held > 1)
            json_object_set_new(body, "more", json_integer(entry->held - 1));
        *ret_tag = entry->tag;
        *entry = (struct flood_entry){0};
        return body;
    }
    return NULL;
}

int64_t flood_next_ms(const struct flood *flood) {
    int64_t next_ms = 0;
    for (size_t i = 0; i < FLOOD_KEYS_MAX; i++)
        if (flood->entries[i].held > 0 && (next_ms == 0 || flood->entries[i].until_ms < next_ms))
            next_ms = flood->entries[i].until_ms;
    return next_ms;
}
