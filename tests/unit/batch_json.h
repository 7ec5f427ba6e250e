/* batch_json.h - what a batch or a catalogue holds, as the JSON that tests/data/batch/README.md describes. For the
 * tests of the format, which hold the decoders against each other. */
#ifndef FB_TESTS_BATCH_JSON_H
#define FB_TESTS_BATCH_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

/* New reference; NULL, with the cause, when the bytes are neither a batch nor a catalogue. */
json_t *batch_json(const uint8_t *bytes, size_t length, struct fb_cause *cause);

#endif
