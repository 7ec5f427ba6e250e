#include "gateway/core/numbering.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"

/* The tail is sealed under the catalogue its readings were made under, then the new one takes effect. Where it stays
 * the same nothing is written. */
static enum fb_error number_and_name(struct store *store, struct intake *intake, struct plant *plant,
                                     struct fb_cause *cause) {
    enum fb_error error = store_number_tags(store, plant, cause);
    if (error == FB_OK)
        error = store_set_catalogue(store, plant, clock_utc_ms(), cause);
    if (error != FB_AGAIN)
        return error;
    error = intake_seal_now(intake, cause);
    return error == FB_OK ? store_set_catalogue(store, plant, clock_utc_ms(), cause) : error;
}

static void *copy(const void *from, size_t count, size_t size) {
    void *fresh = calloc(count + 1, size);
    if (fresh != NULL && count > 0)
        memcpy(fresh, from, count * size);
    return fresh;
}

/* The tags that have numbers alone, and the instruments that have such. */
static bool copy_known(const struct plant *plant, struct plant *ret_known) {
    ret_known->buses = copy(plant->buses, plant->bus_count, sizeof plant->buses[0]);
    ret_known->instruments = calloc(plant->instrument_count + 1, sizeof plant->instruments[0]);
    if (ret_known->buses == NULL || ret_known->instruments == NULL)
        return false;
    ret_known->bus_count = plant->bus_count;
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *from = &plant->instruments[i];
        struct plant_instrument *to = &ret_known->instruments[ret_known->instrument_count++];
        *to = *from;
        to->tags = copy(from->tags, from->tag_count, sizeof from->tags[0]);
        to->writes = copy(from->writes, from->write_count, sizeof from->writes[0]);
        to->tag_count = 0;
        if (to->tags == NULL || to->writes == NULL)
            return false;
        for (size_t k = 0; k < from->tag_count; k++)
            if (from->tags[k].number != 0)
                to->tags[to->tag_count++] = from->tags[k];
        if (to->tag_count > 0)
            continue;
        free(to->tags);
        free(to->writes);
        ret_known->instrument_count--;
    }
    return true;
}

enum fb_error numbering_give(struct store *store, struct intake *intake, struct plant *plant,
                             struct numbering *ret_numbering, struct fb_cause *cause) {
    struct numbering fresh = {.waiting_tags = 0};
    enum fb_error error = number_and_name(store, intake, plant, cause);
    if (error == FB_FULL)
        error = store_known_tags(store, plant, &fresh.waiting_tags, cause);
    if (error == FB_OK && fresh.waiting_tags > 0 && !copy_known(plant, &fresh.known))
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK)
        *ret_numbering = fresh;
    else
        numbering_done(&fresh);
    return error;
}

void numbering_done(struct numbering *numbering) {
    plant_done(&numbering->known);
    numbering->waiting_tags = 0;
}
