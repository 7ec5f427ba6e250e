// links: gateway/cloud/senml.c store/batch*.c store/catalogue.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c gateway/common/hex.c gateway/common/number_text.c
/* fuzz_senml.c - any batch that the decoder takes becomes packs within the limit, each of them JSON, which together
 * hold as many records as the batch has losses, corrections and readings. The first two bytes of the input choose the
 * limit and what the rest is: a batch, or the content of one; names come from the input, too. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloud/senml.h"
#include "store/batch_frame.h"

#define TAGS 4
#define LIMIT_STEP 977

static struct catalogue_tag tags[TAGS];

/* Texts of the catalogue are as its decoder lets them through. */
static void name(char *ret_text, size_t size, const uint8_t *data, size_t length) {
    size_t used = length < size ? length : size - 1;
    memcpy(ret_text, data, used);
    ret_text[used] = '\0';
    if (!reading_text_valid(ret_text, strlen(ret_text)))
        ret_text[0] = '\0';
}

static void name_tags(const uint8_t *data, size_t length) {
    for (uint32_t i = 0; i < TAGS; i++) {
        tags[i].number = i + 1;
        name(tags[i].instrument, sizeof tags[i].instrument, data, length);
        name(tags[i].name, sizeof tags[i].name, data + length / 2, length - length / 2);
        name(tags[i].unit, sizeof tags[i].unit, data + length / 3, length - length / 3);
    }
}

static size_t records_of(const char *text, size_t length) {
    json_error_t problem;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &problem);
    assert(json_is_array(json) && json_is_object(json_array_get(json, 0)));
    const size_t count = json_array_size(json) - 1;
    json_decref(json);
    return count;
}

static void render(const struct batch_info *info, const struct reading *readings, size_t units, size_t most) {
    const struct catalogue catalogue = {.tags = tags, .tag_count = TAGS};
    struct senml senml;
    char *text = malloc(most);
    size_t records = 0;
    senml_begin(&senml, info, readings, units, &catalogue);
    while (!senml_done(&senml)) {
        const size_t length = senml_next(&senml, text, most);
        assert(length <= most);
        records += records_of(text, length);
    }
    assert(records == info->loss_count + info->correction_count + readings_count(readings, units));
    free(text);
}

static void decode(const uint8_t *bytes, size_t length, size_t most) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    struct fb_cause cause;
    if (batch_decode(bytes, length, &info, &readings, &units, &cause) != FB_OK)
        return;
    render(&info, readings, units, most);
    free(readings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t packed[BATCH_BYTES_MAX];
    size_t length;
    if (size < 2)
        return 0;
    const size_t most = SENML_PACK_BYTES_MIN + (size_t)data[1] * LIMIT_STEP;
    name_tags(data + 2, size - 2);
    if (data[0] % 2 == 0)
        decode(data + 2, size - 2, most);
    else if (batch_frame_pack(data + 2, size - 2, packed, sizeof packed, &length, NULL) == FB_OK)
        decode(packed, length, most);
    return 0;
}
