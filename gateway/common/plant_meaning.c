#include "gateway/common/plant_meaning.h"

#include <inttypes.h>
#include <stdio.h>

const char *plant_meaning(const struct plant *plant, const struct plant_instrument *instrument,
                          const struct plant_tag *tag, char ret_text[static PLANT_MEANING_MAX]) {
    int used = snprintf(ret_text, PLANT_MEANING_MAX, "%s unit %u %s %u %s %s", plant->buses[instrument->bus].name,
                        instrument->unit, plant_table_word(tag->table), tag->address, plant_type_word(tag->type),
                        plant_word_order_word(tag->word_order));
    if (tag->bit_count > 0)
        used += snprintf(ret_text + used, PLANT_MEANING_MAX - (size_t)used, " bits %u..%u", tag->bit_first,
                         tag->bit_first + tag->bit_count - 1u);
    if (tag->type == PLANT_TEXT)
        snprintf(ret_text + used, PLANT_MEANING_MAX - (size_t)used, " length %u", tag->length);
    else
        snprintf(ret_text + used, PLANT_MEANING_MAX - (size_t)used, ", x %" PRId64 "e%d + %" PRId64 "e%d",
                 tag->scale.mantissa, tag->scale.exponent, tag->offset.mantissa, tag->offset.exponent);
    return ret_text;
}
