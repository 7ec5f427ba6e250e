#include "gateway/cloud/renderer.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/cloud/compress.h"
#include "gateway/cloud/senml.h"

struct known {
    uint8_t hash[BATCH_HASH_BYTES];
    uint8_t *bytes; /* malloc */
    size_t length;
};

struct renderer {
    struct known known[RENDERER_CATALOGUES_MAX]; /* known_count of them, oldest first */
    size_t known_count;
    bool opened; /* catalogue is that of opened_hash */
    uint8_t opened_hash[BATCH_HASH_BYTES];
    struct catalogue catalogue;
    uint64_t id; /* 0: at no batch */
    struct batch_info info;
    struct reading *readings;
    struct senml senml;
    enum cloud_compression compression;
    size_t text_most;
    char *text, *packed; /* of text_most and compress_room() bytes */
};

enum fb_error renderer_new(struct renderer **ret_renderer, struct fb_cause *cause) {
    struct renderer *renderer = calloc(1, sizeof *renderer);
    if (renderer == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *ret_renderer = renderer;
    return FB_OK;
}

static void close_catalogue(struct renderer *renderer) {
    if (renderer->opened)
        catalogue_done(&renderer->catalogue);
    renderer->opened = false;
}

void renderer_free(struct renderer *renderer) {
    if (renderer == NULL)
        return;
    renderer_stop(renderer);
    close_catalogue(renderer);
    for (size_t i = 0; i < renderer->known_count; i++)
        free(renderer->known[i].bytes);
    free(renderer);
}

bool renderer_takes(const struct link_settings *settings, enum parcel_kind kind) {
    return settings->encoding == CLOUD_SENML_JSON && (kind == PARCEL_BATCH || kind == PARCEL_CATALOGUE);
}

static const struct known *find_known(const struct renderer *renderer, const uint8_t hash[static BATCH_HASH_BYTES]) {
    for (size_t i = 0; i < renderer->known_count; i++)
        if (memcmp(renderer->known[i].hash, hash, BATCH_HASH_BYTES) == 0)
            return &renderer->known[i];
    return NULL;
}

static enum fb_error check_catalogue(const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct catalogue catalogue;
    const enum fb_error error = catalogue_decode(bytes, length, &catalogue, cause);
    if (error == FB_OK)
        catalogue_done(&catalogue);
    return error;
}

enum fb_error renderer_learn(struct renderer *renderer, const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct known known = {.length = length};
    batch_hash(bytes, length, known.hash);
    if (find_known(renderer, known.hash) != NULL)
        return FB_OK;
    const enum fb_error error = check_catalogue(bytes, length, cause);
    if (error != FB_OK)
        return error;
    known.bytes = malloc(length);
    if (known.bytes == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    memcpy(known.bytes, bytes, length);
    if (renderer->known_count == RENDERER_CATALOGUES_MAX) {
        free(renderer->known[0].bytes);
        memmove(&renderer->known[0], &renderer->known[1], --renderer->known_count * sizeof known);
    }
    renderer->known[renderer->known_count++] = known;
    return FB_OK;
}

/* NULL when it is not known: then numbers name the tags. */
static const struct catalogue *open_catalogue(struct renderer *renderer, const uint8_t hash[static BATCH_HASH_BYTES]) {
    if (renderer->opened && memcmp(renderer->opened_hash, hash, BATCH_HASH_BYTES) == 0)
        return &renderer->catalogue;
    const struct known *known = find_known(renderer, hash);
    close_catalogue(renderer);
    if (known == NULL || catalogue_decode(known->bytes, known->length, &renderer->catalogue, NULL) != FB_OK)
        return NULL;
    memcpy(renderer->opened_hash, hash, BATCH_HASH_BYTES);
    renderer->opened = true;
    return &renderer->catalogue;
}

static enum fb_error take_room(struct renderer *renderer, size_t body_bytes_most, struct fb_cause *cause) {
    const bool packs = renderer->compression != CLOUD_NONE;
    renderer->text_most = body_bytes_most < RENDERER_BODY_BYTES_MAX ? body_bytes_most : RENDERER_BODY_BYTES_MAX;
    if (renderer->text_most < SENML_PACK_BYTES_MIN)
        return fb_fail(cause, FB_LIMIT, "the peer takes messages of %zu bytes only, which is too little for JSON",
                       body_bytes_most);
    renderer->text = malloc(renderer->text_most);
    renderer->packed = packs ? malloc(compress_room(renderer->compression, renderer->text_most)) : NULL;
    if (renderer->text == NULL || (packs && renderer->packed == NULL))
        return fb_fail(cause, FB_MEMORY, "no memory for a message of %zu bytes", renderer->text_most);
    return FB_OK;
}

enum fb_error renderer_begin(struct renderer *renderer, uint64_t id, const uint8_t *bytes, size_t length,
                             enum cloud_compression compression, size_t body_bytes_most, struct fb_cause *cause) {
    renderer_stop(renderer);
    size_t units = 0;
    enum fb_error error = batch_decode(bytes, length, &renderer->info, &renderer->readings, &units, cause);
    if (error != FB_OK)
        return error;
    renderer->compression = compression;
    error = take_room(renderer, body_bytes_most, cause);
    if (error != FB_OK) {
        renderer_stop(renderer);
        return error;
    }
    renderer->id = id;
    senml_begin(&renderer->senml, &renderer->info, renderer->readings, units,
                open_catalogue(renderer, renderer->info.catalogue));
    return FB_OK;
}

uint64_t renderer_at(const struct renderer *renderer) {
    return renderer->id;
}

enum fb_error renderer_next(struct renderer *renderer, struct renderer_body *ret_body, struct fb_cause *cause) {
    struct renderer_body body = {.bytes = renderer->text};
    body.length = senml_next(&renderer->senml, renderer->text, renderer->text_most);
    body.number = renderer->senml.packs;
    body.last = senml_done(&renderer->senml);
    if (renderer->compression != CLOUD_NONE) {
        const enum fb_error error =
            compress_bytes(renderer->compression, renderer->text, body.length, renderer->packed, &body.length, cause);
        if (error != FB_OK)
            return error;
        body.bytes = renderer->packed;
    }
    *ret_body = body;
    return FB_OK;
}

void renderer_stop(struct renderer *renderer) {
    free(renderer->readings);
    free(renderer->text);
    free(renderer->packed);
    renderer->readings = NULL;
    renderer->text = renderer->packed = NULL;
    renderer->id = 0;
}
