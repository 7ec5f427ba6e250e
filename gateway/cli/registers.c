#include "gateway/cli/registers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "drivers/decode.h"

static const enum plant_type wide_types[] = {PLANT_FLOAT32, PLANT_INT32, PLANT_UINT32,
                                             PLANT_FLOAT64, PLANT_INT64, PLANT_UINT64};

void registers_manual(enum plant_table table, uint16_t address, char ret_text[static 16]) {
    static const char digits[] = {
        [PLANT_COIL] = '0', [PLANT_DISCRETE] = '1', [PLANT_INPUT] = '3', [PLANT_HOLDING] = '4'};
    const unsigned number = address + 1u;
    snprintf(ret_text, 16, number > 9999 ? "%c%05u" : "%c%04u", digits[table], number);
}

static void print_value(enum plant_type type, enum plant_word_order order, const uint8_t *bytes) {
    const struct plant_tag tag = {
        .number = 1, .table = PLANT_HOLDING, .type = type, .word_order = order, .scale = {1, 0}};
    const struct reading reading = decode_tag(&tag, bytes, 0);
    if (!reading_has_value(&reading))
        printf(" %20s", "not a number");
    else if (reading.kind == READING_INTEGER)
        printf(" %20" PRId64, reading.value.integer);
    else
        printf(" %20.*g", type == PLANT_FLOAT32 ? 7 : 15, reading_number(&reading));
}

static void print_wide(enum plant_type type, const uint8_t *bytes) {
    printf("  %-10s", plant_type_word(type));
    for (enum plant_word_order order = PLANT_ABCD; order <= PLANT_DCBA; order++)
        print_value(type, order, bytes);
    putchar('\n');
}

static void print_register(uint16_t address, const char *manual, const uint8_t *bytes, unsigned left) {
    printf("%u on the wire, %s in a manual: %02x%02x hexadecimal", address, manual, bytes[0], bytes[1]);
    printf(", as uint16");
    print_value(PLANT_UINT16, PLANT_ABCD, bytes);
    printf(", as int16");
    print_value(PLANT_INT16, PLANT_ABCD, bytes);
    putchar('\n');
    if (left >= 2)
        printf("  %-10s %20s %20s %20s %20s\n", "from here", "abcd", "cdab", "badc", "dcba");
    for (unsigned i = 0; i < sizeof wide_types / sizeof wide_types[0]; i++)
        if (plant_type_registers(wide_types[i]) <= left)
            print_wide(wide_types[i], bytes);
}

/* Two characters a register; what is none of ASCII as a dot. */
static void print_text(const uint8_t *data, unsigned count, bool swapped) {
    printf("  %-10s \"", swapped ? "low first" : "high first");
    for (unsigned i = 0; i < 2 * count; i++) {
        const uint8_t byte = data[swapped ? i ^ 1u : i];
        putchar(byte >= ' ' && byte <= '~' ? byte : '.');
    }
    puts("\"");
}

static void print_texts(const uint8_t *data, unsigned count) {
    puts("all of it as text");
    print_text(data, count, false);
    print_text(data, count, true);
}

void registers_print(enum plant_table table, uint16_t first, unsigned count, const uint8_t *data) {
    for (unsigned i = 0; i < count; i++) {
        const uint16_t address = (uint16_t)(first + i);
        char manual[16];
        registers_manual(table, address, manual);
        if (table <= PLANT_DISCRETE)
            printf("%u on the wire, %s in a manual: %d\n", address, manual, data[i / 8] >> i % 8 & 1);
        else
            print_register(address, manual, data + 2 * (size_t)i, count - i);
    }
    if (table > PLANT_DISCRETE)
        print_texts(data, count);
}
