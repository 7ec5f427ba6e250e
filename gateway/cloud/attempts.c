#include "gateway/cloud/attempts.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/common/backoff.h"

void attempts_init(struct attempts *attempts) {
    *attempts = (struct attempts){.first = 1, .next = 1};
    snprintf(attempts->run, sizeof attempts->run, "%08x%08x", backoff_random(), backoff_random());
}

static void drop_first(struct attempts *attempts) {
    free(attempts->texts[attempts->first % ATTEMPTS_MAX]);
    attempts->texts[attempts->first % ATTEMPTS_MAX] = NULL;
    attempts->first++;
}

void attempts_done(struct attempts *attempts) {
    while (attempts->first < attempts->next)
        drop_first(attempts);
}

void attempts_add(struct attempts *attempts, json_t *json) {
    if (json != NULL && attempts->next - attempts->first == ATTEMPTS_MAX) {
        drop_first(attempts);
        attempts->lost++;
    }
    json_object_set_new(json, "run", json_string(attempts->run));
    json_object_set_new(json, "attempt", json_integer((json_int_t)attempts->next));
    if (attempts->lost > 0)
        json_object_set_new(json, "lost_before", json_integer((json_int_t)attempts->lost));
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) { /* out of memory */
        attempts->lost++;
        return;
    }
    attempts->texts[attempts->next++ % ATTEMPTS_MAX] = text;
}

const char *attempts_after(const struct attempts *attempts, uint64_t number, uint64_t *ret_number) {
    const uint64_t wanted = number + 1 > attempts->first ? number + 1 : attempts->first;
    if (wanted >= attempts->next)
        return NULL;
    *ret_number = wanted;
    return attempts->texts[wanted % ATTEMPTS_MAX];
}

void attempts_kept(struct attempts *attempts, uint64_t number) {
    while (attempts->first < attempts->next && attempts->first <= number)
        drop_first(attempts);
}
