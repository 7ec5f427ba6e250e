#include "gateway/config/address.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/config/report.h"
#include "gateway/config/value.h"

const char *const address_notation_words[] = {"base-0", "base-1", "4xxxx", NULL};

static const struct {
    char digit;
    enum plant_table table;
} tables[] = {{'0', PLANT_COIL}, {'1', PLANT_DISCRETE}, {'3', PLANT_INPUT}, {'4', PLANT_HOLDING}};

static enum fb_error read_modicon(const char *text, enum plant_table *ret_table, uint16_t *ret_address,
                                  struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    const size_t length = strlen(text);
    if ((length != 5 && length != 6) || text[strspn(text, "0123456789")] != '\0')
        return fb_fail(cause, FB_INVALID, "%s is not an address of five or six digits, like 40001 or 400001",
                       report_quote(text, quote));
    size_t i = 0;
    while (i < sizeof tables / sizeof tables[0] && tables[i].digit != text[0])
        i++;
    if (i == sizeof tables / sizeof tables[0])
        return fb_fail(cause, FB_INVALID,
                       "%s names no table; the first digit must be 0 (coil), 1 (discrete), 3 (input) or 4 (holding)",
                       text);
    const unsigned long number = strtoul(text + 1, NULL, 10);
    if (number < 1 || number > UINT16_MAX + 1)
        return fb_fail(cause, FB_INVALID, "%s is out of range; behind the first digit allowed are 1 to 65536", text);
    *ret_table = tables[i].table;
    *ret_address = (uint16_t)(number - 1);
    return FB_OK;
}

enum fb_error address_read(const char *text, enum address_notation notation, enum plant_table *ret_table,
                           uint16_t *ret_address, struct fb_cause *cause) {
    if (notation == ADDRESS_MODICON)
        return read_modicon(text, ret_table, ret_address, cause);
    const unsigned base = notation == ADDRESS_BASE_1 ? 1 : 0;
    uint64_t number = 0;
    const enum fb_error error = value_number(text, base, UINT16_MAX + base, &number, cause);
    if (error == FB_OK)
        *ret_address = (uint16_t)(number - base);
    return error;
}
