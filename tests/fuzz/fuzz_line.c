// links: drivers/line_frame.c drivers/checksum.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c
/* Any bytes as a line of an instrument: the first chooses checksum and field, the second the separator. */
#include <stdlib.h>
#include <string.h>

#include "drivers/line_frame.h"
#include "gateway/common/reading.h"

static void check(bool good) {
    if (!good)
        abort();
}

static void decode(const char *body, unsigned field, const char *separator) {
    char data[PLANT_LINES_BYTES_MAX + 2];
    struct plant_instrument instrument = {.lines = {.protocol = PLANT_LINES}};
    const struct plant_tag number = {
        .number = 1, .table = PLANT_HOLDING, .type = PLANT_FLOAT64, .scale = {1, -2}, .field = (uint8_t)field};
    const struct plant_tag text = {
        .number = 2, .table = PLANT_HOLDING, .type = PLANT_TEXT, .length = 1, .field = (uint8_t)field};
    const struct plant_tag *tags[] = {&number, &text};
    const struct plan_request request = {.instrument = &instrument, .tags = tags, .tag_count = 2};
    struct reading units[2 * READING_UNITS_MAX];
    strcpy(instrument.lines.separator, separator);
    const size_t length = strlen(body);
    memcpy(data, body, length);
    strcpy(data + length, "\n");
    const size_t used = line_decode_reply(&request, (const uint8_t *)data, 1000, CLOCK_SYNCHRONISED, units);
    check(readings_valid(units, used) && readings_count(units, used) == 2);
}

static void sdi12(const char *body) {
    char text[PLANT_LINES_BYTES_MAX] = "";
    unsigned seconds, values;
    if (line_sdi12_announced(body, body[0], &seconds, &values))
        check(seconds <= 999 && values <= 999);
    const size_t found = line_sdi12_values(body, body[0], text, sizeof text);
    check(found <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const separators[] = {"", ",", ";", " "};
    char body[PLANT_LINES_BYTES_MAX + 1];
    if (size < 2 || size > PLANT_LINES_BYTES_MAX + 2)
        return 0;
    const enum plant_checksum checksum = (enum plant_checksum)(data[0] % (PLANT_CHECKSUM_SDI12 + 1));
    if (line_body(checksum, data + 2, size - 2, body) != NULL)
        return 0;
    check(strlen(body) <= size - 2);
    decode(body, 1 + data[0] / 8 % 8, separators[data[1] % 4]);
    if (body[0] != '\0')
        sdi12(body);
    return 0;
}
