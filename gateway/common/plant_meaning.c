#include "gateway/common/plant_meaning.h"

#include <inttypes.h>
#include <stdio.h>

static int add_registers(const struct plant_tag *tag, char *text, size_t size) {
    int used = snprintf(text, size, " %s %u %s %s", plant_table_word(tag->table), tag->address,
                        plant_type_word(tag->type), plant_word_order_word(tag->word_order));
    if (tag->bit_count > 0)
        used += snprintf(text + used, size - (size_t)used, " bits %u..%u", tag->bit_first,
                         tag->bit_first + tag->bit_count - 1u);
    return used;
}

static int add_line(const struct plant_lines *lines, const struct plant_tag *tag, char *text, size_t size) {
    const bool sdi12 = lines->protocol == PLANT_SDI12;
    return snprintf(text, size, " %s \"%s\", line \"%s\" field %u \"%s\" %s %s", sdi12 ? "sdi12" : "lines", lines->ask,
                    tag->line, tag->field, lines->separator, plant_checksum_words[lines->checksum],
                    plant_type_word(tag->type));
}

const char *plant_meaning(const struct plant *plant, const struct plant_instrument *instrument,
                          const struct plant_tag *tag, char ret_text[static PLANT_MEANING_MAX]) {
    size_t used = (size_t)snprintf(ret_text, PLANT_MEANING_MAX, "%s unit %u", plant->buses[instrument->bus].name,
                                   instrument->unit);
    const bool registers = instrument->lines.protocol == PLANT_REGISTERS;
    used += (size_t)(registers ? add_registers(tag, ret_text + used, PLANT_MEANING_MAX - used)
                               : add_line(&instrument->lines, tag, ret_text + used, PLANT_MEANING_MAX - used));
    if (tag->type == PLANT_TEXT && registers)
        snprintf(ret_text + used, PLANT_MEANING_MAX - used, " length %u", tag->length);
    else if (tag->type != PLANT_TEXT)
        snprintf(ret_text + used, PLANT_MEANING_MAX - used, ", x %" PRId64 "e%d + %" PRId64 "e%d", tag->scale.mantissa,
                 tag->scale.exponent, tag->offset.mantissa, tag->offset.exponent);
    return ret_text;
}
