#include "gateway/core/proofs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/plant_meaning.h"
#include "gateway/core/caller.h"
#include "gateway/core/records.h"

/* Tags are numbered one after the other: one beyond this is damage. */
#define TAG_MOST (1 << 24)

/* The last proof of a tag. */
struct proof {
    int64_t time_ms; /* UTC; 0: there is none */
    char who[CALLER_NAME_MAX];
    char meaning[PLANT_MEANING_MAX];
    bool holds; /* the tag is read as it was then */
};

struct proofs {
    struct core *core;
    struct proof **by_tag; /* size of them, NULL for tags without; malloc */
    size_t size;
};

struct found_tag {
    const struct plant_instrument *instrument;
    const struct plant_tag *tag;
};

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* The place of a tag's proof, NULL when out of memory. */
static struct proof *place_of(struct proofs *proofs, uint32_t tag) {
    if (tag >= proofs->size) {
        const size_t size = (size_t)tag + 1;
        struct proof **grown = reallocarray(proofs->by_tag, size, sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset(grown + proofs->size, 0, (size - proofs->size) * sizeof *grown);
        proofs->by_tag = grown;
        proofs->size = size;
    }
    if (proofs->by_tag[tag] == NULL)
        proofs->by_tag[tag] = calloc(1, sizeof **proofs->by_tag);
    return proofs->by_tag[tag];
}

static bool remember(struct proofs *proofs, uint32_t tag, int64_t time_ms, const json_t *body) {
    struct proof *proof = place_of(proofs, tag);
    if (proof == NULL)
        return false;
    proof->time_ms = time_ms;
    snprintf(proof->who, sizeof proof->who, "%s", text_of(body, "who"));
    snprintf(proof->meaning, sizeof proof->meaning, "%s", text_of(body, "meaning"));
    return true;
}

static bool load_one(const struct store_record *record, void *user) {
    struct proofs *proofs = user;
    json_t *body = json_loadb((const char *)record->body, record->length, JSON_REJECT_DUPLICATES, NULL);
    const json_int_t tag = json_integer_value(json_object_get(body, "tag"));
    const bool good = tag <= 0 || tag > TAG_MOST || remember(proofs, (uint32_t)tag, record->time_ms, body);
    json_decref(body);
    return good;
}

enum fb_error proofs_new(struct core *core, struct proofs **ret_proofs, struct fb_cause *cause) {
    struct proofs *proofs = calloc(1, sizeof *proofs);
    if (proofs == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    proofs->core = core;
    /* What cannot be read is not proven: no reason not to start. */
    if (store_records_read(core->store, STORE_RECORD_PROOF, 0, SIZE_MAX, load_one, proofs, cause) != FB_OK)
        log_event(LOG_LEVEL_WARNING, "proofs-unreadable", "%s", cause->text);
    *ret_proofs = proofs;
    return FB_OK;
}

void proofs_free(struct proofs *proofs) {
    if (proofs == NULL)
        return;
    for (size_t i = 0; i < proofs->size; i++)
        free(proofs->by_tag[i]);
    free(proofs->by_tag);
    free(proofs);
}

static void judge(struct proofs *proofs, const struct plant_instrument *instrument, const struct plant_tag *tag) {
    char meaning[PLANT_MEANING_MAX];
    struct proof *proof = tag->number < proofs->size ? proofs->by_tag[tag->number] : NULL;
    if (proof != NULL)
        proof->holds =
            strcmp(plant_meaning(&proofs->core->config.plant, instrument, tag, meaning), proof->meaning) == 0;
}

void proofs_follow(struct proofs *proofs) {
    const struct plant *plant = &proofs->core->config.plant;
    for (size_t i = 0; i < plant->instrument_count; i++)
        for (size_t t = 0; t < plant->instruments[i].tag_count; t++)
            judge(proofs, &plant->instruments[i], &plant->instruments[i].tags[t]);
}

static enum fb_error find_tag(const struct plant *plant, const json_t *request, struct found_tag *ret_found,
                              struct fb_cause *cause) {
    const char *instrument = text_of(request, "instrument"), *name = text_of(request, "name");
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *one = &plant->instruments[i];
        for (size_t t = 0; strcmp(one->name, instrument) == 0 && t < one->tag_count; t++)
            if (strcmp(one->tags[t].name, name) == 0) {
                *ret_found = (struct found_tag){one, &one->tags[t]};
                return FB_OK;
            }
    }
    return fb_fail(cause, FB_NOT_FOUND, "there is no tag %.64s/%.64s", instrument, name);
}

static enum fb_error check_request(const struct plant *plant, const json_t *request, const struct found_tag *found,
                                   struct fb_cause *cause) {
    char meaning[PLANT_MEANING_MAX];
    const size_t display = strlen(text_of(request, "display"));
    const size_t sent = strlen(text_of(request, "sent")), received = strlen(text_of(request, "received"));
    const json_t *value = json_object_get(request, "value");
    const bool asked = found->instrument->lines.protocol != PLANT_LINES || found->instrument->lines.ask[0] != '\0';
    if (display == 0 || display > PROOFS_DISPLAY_MAX || value == NULL || json_is_object(value) || json_is_array(value))
        return fb_fail(cause, FB_INVALID, "display, value: what the display and the tag show is missing");
    if ((sent == 0 && asked) || received == 0 || sent > PROOFS_FRAME_DIGITS_MAX || received > PROOFS_FRAME_DIGITS_MAX)
        return fb_fail(cause, FB_INVALID, "sent, received: the raw frames are missing");
    if (strcmp(plant_meaning(plant, found->instrument, found->tag, meaning), text_of(request, "meaning")) != 0)
        return fb_fail(cause, FB_AGAIN, "the running configuration reads the tag in another way (%s); reload first",
                       meaning);
    return FB_OK;
}

static json_t *make_body(const struct core *core, const json_t *request) {
    static const char *const keys[] = {"instrument", "name", "display",  "value",
                                       "meaning",    "sent", "received", "read_ms"};
    json_t *body = json_pack("{s:s}", "who", core->caller);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(request, keys[i]) != NULL)
            json_object_set(body, keys[i], json_object_get(request, keys[i]));
    return body;
}

/* Only what is on disk counts. */
static bool keep(struct core *core, uint32_t tag, json_t *body) {
    struct store_records_figures before, after;
    intake_commit_now(core->intake);
    store_records_figures(core->store, STORE_RECORD_PROOF, &before);
    records_proof(core, tag, json_incref(body));
    intake_commit_now(core->intake);
    store_records_figures(core->store, STORE_RECORD_PROOF, &after);
    return after.last > before.last;
}

enum fb_error proofs_call(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    struct found_tag found;
    const struct plant *plant = &core->config.plant;
    enum fb_error error = find_tag(plant, request, &found, cause);
    if (error == FB_OK)
        error = check_request(plant, request, &found, cause);
    if (error != FB_OK)
        return error;
    json_t *body = make_body(core, request);
    if (!keep(core, found.tag->number, body))
        error = fb_fail(cause, FB_FULL, "the proof could not be kept; look at the state of the store");
    else if (!remember(core->proofs, found.tag->number, clock_utc_ms(), body))
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    json_decref(body);
    if (error != FB_OK)
        return error;
    judge(core->proofs, found.instrument, found.tag);
    values_touch(&core->values, found.tag->number);
    text_add_string(result, "{}");
    return FB_OK;
}

/* The proof that holds; NULL when the tag is not proven. */
static const struct proof *find_proof(const struct proofs *proofs, uint32_t tag) {
    const struct proof *proof = proofs != NULL && tag < proofs->size ? proofs->by_tag[tag] : NULL;
    return proof != NULL && proof->holds ? proof : NULL;
}

size_t proofs_count(const struct proofs *proofs, const struct plant_instrument *instrument) {
    size_t count = 0;
    for (size_t i = 0; i < instrument->tag_count; i++)
        count += find_proof(proofs, instrument->tags[i].number) != NULL;
    return count;
}

void proofs_describe(const struct proofs *proofs, uint32_t tag, json_t *value) {
    const struct proof *proof = find_proof(proofs, tag);
    if (proof == NULL)
        return;
    json_object_set_new(value, "proven",
                        json_pack("{s:I, s:s}", "time_ms", (json_int_t)proof->time_ms, "who", proof->who));
}
