#include "gateway/cli/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/decode.h"
#include "gateway/common/reading.h"

/* Likeliest first. Two registers that agree by chance are rarer the more bits agree. */
static const enum plant_type types[] = {PLANT_FLOAT32, PLANT_FLOAT64, PLANT_INT16, PLANT_UINT16,
                                        PLANT_INT32,   PLANT_UINT32,  PLANT_INT64, PLANT_UINT64};
static const enum plant_word_order orders[] = {PLANT_ABCD, PLANT_CDAB, PLANT_BADC, PLANT_DCBA};
static const int offsets[] = {0, -1, 1};

enum fb_error explain_display_read(const char *text, struct explain_display *ret_display, struct fb_cause *cause) {
    const char *digits = text + (text[0] == '-');
    const size_t whole = strspn(digits, "0123456789");
    const bool has_point = digits[whole] == '.';
    const size_t fraction = has_point ? strspn(digits + whole + 1, "0123456789") : 0;
    if (whole == 0 || whole + fraction > 15 || digits[whole + has_point + fraction] != '\0' ||
        (has_point && fraction == 0))
        return fb_fail(cause, FB_INVALID, "%s is no number as a display shows it, like 7.42", text);
    const double value = strtod(text, NULL);
    if (value == 0)
        return fb_fail(cause, FB_INVALID, "a display of 0 explains nothing; wait until it shows another value");
    *ret_display = (struct explain_display){.value = value, .slack = 0.5 * pow(10, -(double)fraction)};
    return FB_OK;
}

static bool is_float(enum plant_type type) {
    return type == PLANT_FLOAT32 || type == PLANT_FLOAT64;
}

/* Whole numbers of 16 bits have two orders only: bytes as they are, or swapped. */
static bool order_differs(enum plant_type type, enum plant_word_order order) {
    return plant_type_registers(type) > 1 || order == PLANT_ABCD || order == PLANT_BADC;
}

static bool same_reading(const struct explain_finding *a, const struct explain_finding *b) {
    const bool signs = (a->type == PLANT_INT16 && b->type == PLANT_UINT16) ||
                       (a->type == PLANT_INT32 && b->type == PLANT_UINT32) ||
                       (a->type == PLANT_INT64 && b->type == PLANT_UINT64);
    return signs && a->offset == b->offset && a->word_order == b->word_order && a->exponent == b->exponent;
}

static bool is_known(const struct explain_finding *findings, size_t count, const struct explain_finding *fresh) {
    for (size_t i = 0; i < count; i++)
        if (same_reading(&findings[i], fresh))
            return true;
    return false;
}

/* A value that is shown without the exponent it really has differs by rounding: hence the little more of slack. */
static bool fits(const uint8_t *bytes, struct explain_finding *finding, const struct explain_display *display) {
    const struct plant_tag tag = {.number = 1,
                                  .table = PLANT_HOLDING,
                                  .type = finding->type,
                                  .word_order = finding->word_order,
                                  .scale = {1, finding->exponent}};
    const struct reading reading = decode_tag(&tag, bytes, 0);
    finding->value = reading_number(&reading);
    return reading_has_value(&reading) && fabs(finding->value - display->value) <= display->slack * (1 + 1e-6);
}

struct search {
    const uint8_t *bytes;
    unsigned count, asked;
    const struct explain_display *display;
    struct explain_finding *findings;
    size_t found;
};

static void try_one(struct search *search, int offset, enum plant_type type, int8_t exponent) {
    const int at = (int)search->asked + offset;
    if (at < 0 || at + (int)plant_type_registers(type) > (int)search->count)
        return;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct explain_finding finding = {
            .offset = offset, .type = type, .word_order = orders[i], .exponent = exponent};
        if (search->found < EXPLAIN_FINDINGS_MAX && order_differs(type, orders[i]) &&
            fits(search->bytes + 2 * at, &finding, search->display) &&
            !is_known(search->findings, search->found, &finding))
            search->findings[search->found++] = finding;
    }
}

static void try_types(struct search *search, int offset, int8_t exponent) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (exponent == 0 || !is_float(types[i]))
            try_one(search, offset, types[i], exponent);
}

size_t explain(const uint8_t *bytes, unsigned count, unsigned asked, const struct explain_display *display,
               struct explain_finding ret_findings[static EXPLAIN_FINDINGS_MAX]) {
    struct search search = {bytes, count, asked, display, ret_findings, 0};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
        for (int8_t exponent = 0; exponent >= EXPLAIN_EXPONENT_LEAST; exponent--)
            try_types(&search, offsets[i], exponent);
    return search.found;
}
