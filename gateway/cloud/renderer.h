/* renderer.h - batches as JSON messages for clouds that want no decoder: one batch at a time, one message after the
 * other, so that what is in memory is one batch taken apart and one message. Remembers the catalogues that core hands
 * out, which name the tags. Used by forebay-cloud's link. */
#ifndef FB_CLOUD_RENDERER_H
#define FB_CLOUD_RENDERER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"
#include "gateway/common/protocol.h"

/* As many as core remembers to have handed out in a session; each as it came, at most CATALOGUE_BYTES_MAX. */
#define RENDERER_CATALOGUES_MAX 16
/* The largest body, whatever more a peer takes. */
#define RENDERER_BODY_BYTES_MAX ((size_t)255 * 1024)

struct renderer;

struct renderer_body {
    const char *bytes; /* borrowed until the next call */
    size_t length;
    unsigned number; /* 1, 2, 3 ... among the batch's messages */
    bool last;
};

enum fb_error renderer_new(struct renderer **ret_renderer, struct fb_cause *cause) FB_MUST_USE;
void renderer_free(struct renderer *renderer); /* NULL is fine */

/* True for what does not go as it is under these settings. */
bool renderer_takes(const struct link_settings *settings, enum parcel_kind kind);

/* Keep a catalogue in place of the oldest. FB_INVALID: it is none; FB_MEMORY. */
enum fb_error renderer_learn(struct renderer *renderer, const uint8_t *bytes, size_t length,
                             struct fb_cause *cause) FB_MUST_USE;

/* Begin with a batch. id: not 0, for renderer_at(). bytes: borrowed for the call. body_bytes_most: of each message.
 * Errors of batch_decode(), FB_LIMIT: body_bytes_most is less than anything needs, FB_MEMORY. */
enum fb_error renderer_begin(struct renderer *renderer, uint64_t id, const uint8_t *bytes, size_t length,
                             enum cloud_compression compression, size_t body_bytes_most,
                             struct fb_cause *cause) FB_MUST_USE;
/* The id of the batch that it is at; 0: none. */
uint64_t renderer_at(const struct renderer *renderer);
/* The next message. After the last one, or an error, renderer_stop(). */
enum fb_error renderer_next(struct renderer *renderer, struct renderer_body *ret_body,
                            struct fb_cause *cause) FB_MUST_USE;
void renderer_stop(struct renderer *renderer);

#endif
