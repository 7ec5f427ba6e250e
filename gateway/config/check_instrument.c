#include "gateway/config/check_instrument.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/address.h"
#include "gateway/config/check_lines.h"
#include "gateway/config/check_list.h"
#include "gateway/config/check_quality.h"
#include "gateway/config/check_writes.h"
#include "gateway/config/profile.h"
#include "gateway/config/report.h"
#include "gateway/config/value.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define INSTRUMENT(member) CHECK_MEMBER(struct instrument, member)
#define TAG(member) CHECK_MEMBER(struct tag, member)

/* A 32-bit register times it still fits into a 64-bit integer. */
#define SCALE_MOST 1e9

/* An instrument as it is written: the defaults of its tags are not part of the plant. */
struct instrument {
    struct plant_instrument plant;
    char bus[PLANT_NAME_MAX];
    char profile[PLANT_NAME_MAX]; /* merged before the rest is looked at */
    char unit[8];                 /* of one with lines, read once the protocol is known */
    enum address_notation addresses;
    enum plant_word_order word_order;
    uint32_t interval_ms;
};

static const struct check_key instrument_keys[] = {
    {"name", CHECK_NAME, INSTRUMENT(plant.name), .wanted = "a name that no other instrument has"},
    {"bus", CHECK_NAME, INSTRUMENT(bus), .wanted = "the name of the bus it is on"},
    {"unit", CHECK_NUMBER, INSTRUMENT(plant.unit), .wanted = "its Modbus unit number", .max = UINT8_MAX},
    {"profile", CHECK_NAME, INSTRUMENT(profile)},
    {"registers_most", CHECK_NUMBER, INSTRUMENT(plant.registers_most), .standard = "125", .min = 1,
     .max = PLANT_REGISTERS_MOST},
    {"addresses", CHECK_WORD, INSTRUMENT(addresses), .wanted = "how its manual counts: base-0, base-1 or 4xxxx",
     .words = address_notation_words},
    {"word_order", CHECK_WORD, INSTRUMENT(word_order), .words = plant_word_order_words},
    {"interval", CHECK_DURATION, INSTRUMENT(interval_ms), .min = PLANT_INTERVAL_MIN_MS, .max = PLANT_INTERVAL_MAX_MS},
    {"heartbeat", CHECK_MAP},
    {"service", CHECK_MAP},
    {"writes", CHECK_LIST},
    {"tags", CHECK_LIST, .wanted = "the list of what it measures, or a profile"},
};
static const struct check_table instrument_table = {instrument_keys, COUNT(instrument_keys)};

static const struct check_key lines_instrument_keys[] = {
    {"name", CHECK_NAME, INSTRUMENT(plant.name), .wanted = "a name that no other instrument has"},
    {"bus", CHECK_NAME, INSTRUMENT(bus), .wanted = "the name of the bus it is on"},
    {"unit", CHECK_TEXT, INSTRUMENT(unit), .standard = "0"},
    {"profile", CHECK_NAME, INSTRUMENT(profile)},
    {"protocol", CHECK_MAP},
    {"interval", CHECK_DURATION, INSTRUMENT(interval_ms), .min = PLANT_INTERVAL_MIN_MS, .max = PLANT_INTERVAL_MAX_MS},
    {"tags", CHECK_LIST, .wanted = "the list of what it measures, or a profile"},
};
static const struct check_table lines_instrument_table = {
    lines_instrument_keys, COUNT(lines_instrument_keys), &instrument_table,
    "is for instruments with registers, and this one has a protocol of lines; remove it"};

struct tag {
    struct plant_tag plant;
    char address[16];
    char bits[16]; /* read once the type is known */
};

static const struct check_key tag_keys[] = {
    {"name", CHECK_NAME, TAG(plant.name), .wanted = "a name that no other tag of the instrument has"},
    {"table", CHECK_WORD, TAG(plant.table), .standard = "holding", .words = plant_table_words},
    {"address", CHECK_TEXT, TAG(address), .wanted = "the register's address as the manual has it"},
    {"type", CHECK_WORD, TAG(plant.type), .wanted = "what the registers hold: bit, int16, uint16, float32 ...",
     .words = plant_type_words},
    {"length", CHECK_NUMBER, TAG(plant.length), .min = 1, .max = PLANT_TEXT_REGISTERS_MOST},
    {"word_order", CHECK_WORD, TAG(plant.word_order), .words = plant_word_order_words},
    {"bits", CHECK_TEXT, TAG(bits)},
    {"no_value", CHECK_LIST},
    {"status", CHECK_MAP},
    {"scale", CHECK_DECIMAL, TAG(plant.scale), .standard = "1"},
    {"offset", CHECK_DECIMAL, TAG(plant.offset), .standard = "0"},
    {"unit", CHECK_TEXT, TAG(plant.unit)},
    {"min", CHECK_REAL, TAG(plant.min)},
    {"max", CHECK_REAL, TAG(plant.max)},
    {"interval", CHECK_DURATION, TAG(plant.interval_ms), .min = PLANT_INTERVAL_MIN_MS, .max = PLANT_INTERVAL_MAX_MS},
};
static const struct check_table tag_table = {tag_keys, COUNT(tag_keys)};

/* One tag while it is checked. */
struct context {
    struct check *check;
    const struct instrument *instrument;
    const struct tree_node *instrument_map;
    const struct tree_node *map; /* of the tag */
    const char *place;           /* of the tag */
};

/* Report at the tag's key, at the tag itself where it has none. */
static void fail_at(const struct context *context, const char *key, const char *text) {
    const struct tree_node *node = tree_get(context->map, key);
    char place[CHECK_PLACE_MAX];
    check_fail(context->check, node != NULL ? node : context->map, check_place(context->place, key, place), "%s", text);
}

static bool given(const struct context *context, const char *key) {
    return tree_get(context->map, key) != NULL;
}

static void inherit_interval(const struct context *context, struct plant_tag *tag) {
    if (given(context, "interval"))
        return;
    tag->interval_ms = context->instrument->interval_ms;
    if (tree_get(context->instrument_map, "interval") == NULL)
        fail_at(context, "interval", "is missing; give it here, or once for the instrument");
}

static void inherit_word_order(const struct context *context, struct plant_tag *tag) {
    if (given(context, "word_order"))
        return;
    tag->word_order = context->instrument->word_order;
    if (plant_tag_registers(tag) > 1 && tree_get(context->instrument_map, "word_order") == NULL)
        fail_at(context, "word_order",
                "is missing and differs between instruments; give abcd, cdab, badc or dcba here, or once for the "
                "instrument");
}

static void check_address(const struct context *context, const char *text, struct plant_tag *tag) {
    struct fb_cause cause;
    enum plant_table table = tag->table;
    if (address_read(text, context->instrument->addresses, &table, &tag->address, &cause) != FB_OK) {
        fail_at(context, "address", cause.text);
        return;
    }
    if (given(context, "table") && table != tag->table) {
        fb_fail(&cause, FB_INVALID, "is %s, but address %s is of table %s; correct one of them",
                plant_table_word(tag->table), text, plant_table_word(table));
        fail_at(context, "table", cause.text);
    }
    tag->table = table;
}

static void check_extent(const struct context *context, const struct plant_tag *tag) {
    struct fb_cause cause;
    const unsigned registers = plant_tag_registers(tag);
    const char *type = plant_type_word(tag->type), *table = plant_table_word(tag->table);
    if (tag->table <= PLANT_DISCRETE && tag->type != PLANT_BIT) {
        fb_fail(&cause, FB_INVALID,
                "%s does not fit into table %s, whose entries are bits; give type bit, or another %s", type, table,
                context->instrument->addresses == ADDRESS_MODICON ? "address" : "table");
        fail_at(context, "type", cause.text);
    } else if (registers > context->instrument->plant.registers_most) {
        fb_fail(&cause, FB_INVALID,
                "%s takes %u registers, more than the instrument's registers_most of %u; correct one", type, registers,
                context->instrument->plant.registers_most);
        fail_at(context, "type", cause.text);
    }
    if (tag->address + registers - 1 > UINT16_MAX) {
        fb_fail(&cause, FB_INVALID,
                "%s takes %u registers, which run past the table's last; correct the address or the type", type,
                registers);
        fail_at(context, "address", cause.text);
    }
}

/* keys: NULL at the end. */
static void refuse_keys(const struct context *context, const char *const *keys, const char *why) {
    for (; *keys != NULL; keys++)
        if (given(context, *keys))
            fail_at(context, *keys, why);
}

static void check_bit(const struct context *context) {
    static const char *const of_numbers[] = {"scale", "offset", "min", "max", "word_order", NULL};
    refuse_keys(context, of_numbers, "is for numbers, and this tag is a bit; remove it");
}

static void check_text(const struct context *context) {
    static const char *const of_numbers[] = {"scale", "offset", "min", "max", "bits", "no_value", NULL};
    refuse_keys(context, of_numbers, "is for numbers, and this tag is a text; remove it");
}

static void check_length(const struct context *context, const struct plant_tag *tag) {
    if (tag->type == PLANT_TEXT && !given(context, "length"))
        fail_at(context, "length", "is missing; give the number of registers that the text takes");
    if (tag->type != PLANT_TEXT && given(context, "length"))
        fail_at(context, "length", "is for type text; remove it");
}

static void check_numbers(const struct context *context, struct plant_tag *tag) {
    const double scale = fabs(value_decimal_number(tag->scale));
    tag->has_min = given(context, "min");
    tag->has_max = given(context, "max");
    if (scale == 0)
        fail_at(context, "scale", "0 would make all values the same; give another or remove it");
    if (scale > SCALE_MOST)
        fail_at(context, "scale", "is too large; allowed are -1000000000 to 1000000000");
    if (tag->has_min && tag->has_max && tag->min >= tag->max)
        fail_at(context, "max", "must be above min");
}

static bool has_lines(const struct context *context) {
    return context->instrument->plant.lines.protocol != PLANT_REGISTERS;
}

static void check_tag_of_lines(const struct context *context, struct plant_tag *ret_tag) {
    const size_t errors = context->check->report->count;
    check_lines_tag(context->check, context->map, context->place, ret_tag);
    if (context->check->report->count != errors)
        return;
    inherit_interval(context, ret_tag);
    if (ret_tag->type == PLANT_TEXT)
        check_text(context);
    else
        check_numbers(context, ret_tag);
}

static void check_tag(const struct context *context, bool instrument_sound, struct plant_tag *ret_tag) {
    struct tag tag = {0};
    const size_t errors = context->check->report->count;
    if (has_lines(context)) {
        check_tag_of_lines(context, ret_tag);
        return;
    }
    check_section(context->check, &tag_table, context->map, context->place, &tag);
    if (!instrument_sound || context->check->report->count != errors)
        return; /* what follows would only repeat it */
    check_length(context, &tag.plant);
    if (context->check->report->count != errors)
        return;
    inherit_interval(context, &tag.plant);
    inherit_word_order(context, &tag.plant);
    check_address(context, tag.address, &tag.plant);
    if (context->check->report->count == errors)
        check_extent(context, &tag.plant);
    if (context->check->report->count == errors)
        check_tag_quality(context->check, context->map, context->place, context->instrument->addresses,
                          context->instrument->plant.registers_most, &tag.plant);
    if (tag.plant.type == PLANT_BIT)
        check_bit(context);
    else if (tag.plant.type == PLANT_TEXT)
        check_text(context);
    else
        check_numbers(context, &tag.plant);
    *ret_tag = tag.plant;
}

static bool check_tag_total(struct check *check, const struct tree_node *list, const char *place,
                            const struct plant *plant) {
    size_t tags = list->count;
    for (size_t i = 0; i < plant->instrument_count; i++)
        tags += plant->instruments[i].tag_count;
    if (tags > PLANT_TAGS_MAX)
        check_fail(check, list, place, "makes %zu tags in all; a gateway takes at most %d", tags, PLANT_TAGS_MAX);
    return tags <= PLANT_TAGS_MAX;
}

static void check_tags(const struct context *around, bool instrument_sound, const char *instrument_place,
                       struct plant *plant, struct plant_instrument *instrument) {
    const struct tree_node *list = tree_get(around->instrument_map, "tags");
    char place[CHECK_PLACE_MAX], entry[CHECK_PLACE_MAX];
    struct context context = *around;
    context.place = entry;
    check_place(instrument_place, "tags", place);
    if (list == NULL || list->kind != TREE_LIST || !check_list(context.check, list, place, 1, PLANT_TAGS_MAX) ||
        !check_tag_total(context.check, list, place, plant))
        return;
    instrument->tags = calloc(list->count, sizeof *instrument->tags);
    if (instrument->tags == NULL) {
        check_fail(context.check, list, place, "out of memory");
        return;
    }
    for (context.map = list->first; context.map != NULL; context.map = context.map->next) {
        check_list_place(place, instrument->tag_count, entry);
        check_tag(&context, instrument_sound, &instrument->tags[instrument->tag_count++]);
    }
}

/* False when the list of buses is itself wrong: looking names up in it would only repeat that. */
static bool bus_names_sound(const struct plant *plant) {
    for (size_t i = 0; i < plant->bus_count; i++) {
        if (plant->buses[i].name[0] == '\0')
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(plant->buses[i].name, plant->buses[j].name) == 0)
                return false;
    }
    return plant->bus_count > 0;
}

static size_t find_bus(const struct plant *plant, const char *name) {
    size_t i = 0;
    while (i < plant->bus_count && strcmp(plant->buses[i].name, name) != 0)
        i++;
    return i;
}

static void fail_bus(struct check *check, const struct tree_node *map, const char *place, const struct plant *plant,
                     const char *name) {
    const char *names[PLANT_BUSES_MAX] = {NULL};
    for (size_t i = 0; i < plant->bus_count; i++)
        names[i] = plant->buses[i].name;
    char hint[FB_CAUSE_MAX / 2], key[CHECK_PLACE_MAX];
    check_fail(check, tree_get(map, "bus"), check_place(place, "bus", key), "%s is no bus of this file%s", name,
               report_hint(name, names, plant->bus_count, "its buses are", hint, sizeof hint));
}

static void check_reference(struct check *check, const struct tree_node *map, const char *place,
                            const struct plant *plant, struct instrument *instrument) {
    const size_t bus = find_bus(plant, instrument->bus);
    if (bus == plant->bus_count) {
        if (bus_names_sound(plant))
            fail_bus(check, map, place, plant, instrument->bus);
        return;
    }
    instrument->plant.bus = (uint16_t)bus;
    const uint8_t unit = instrument->plant.unit;
    char key[CHECK_PLACE_MAX];
    const bool lines = plant_bus_is_lines(plant->buses[bus].kind);
    if (lines != (instrument->plant.lines.protocol != PLANT_REGISTERS))
        check_fail(check, tree_get(map, "bus"), check_place(place, "bus", key),
                   lines ? "%s is a %s bus, whose instruments need a section protocol, as some profiles have it"
                         : "%s is a %s bus; an instrument with a protocol of lines needs a serial or serial-tcp bus",
                   instrument->bus, plant_bus_kind_word(plant->buses[bus].kind));
    else if (!lines && plant->buses[bus].kind != PLANT_MODBUS_TCP &&
             (unit < PLANT_RTU_UNIT_MIN || unit > PLANT_RTU_UNIT_MAX))
        check_fail(check, tree_get(map, "unit"), check_place(place, "unit", key),
                   "%u is out of range on a %s bus; allowed are %d to %d", unit,
                   plant_bus_kind_word(plant->buses[bus].kind), PLANT_RTU_UNIT_MIN, PLANT_RTU_UNIT_MAX);
}

/* A number, or the letter that is a sensor's address. */
static void check_lines_unit(struct check *check, const struct tree_node *map, const char *place,
                             struct instrument *instrument) {
    uint64_t number = 0;
    struct fb_cause cause;
    const char *text = instrument->unit;
    const bool sdi12 = instrument->plant.lines.protocol == PLANT_SDI12;
    enum fb_error error = FB_OK;
    if (sdi12 && text[1] == '\0' && (text[0] < '0' || text[0] > '9') && plant_lines_address((uint8_t)text[0]) != '\0')
        number = (uint8_t)text[0];
    else
        error = value_number(text, 0, sdi12 ? 9 : UINT8_MAX, &number, &cause);
    char key[CHECK_PLACE_MAX];
    if (error != FB_OK)
        check_fail(check, tree_get(map, "unit"), check_place(place, "unit", key), "%s%s", cause.text,
                   sdi12 ? ", a to z and A to Z" : "");
    instrument->plant.unit = (uint8_t)number;
}

static void check_instrument(struct check *check, const struct tree_node *map, const char *place, struct plant *plant) {
    struct instrument instrument = {0};
    const size_t errors = check->report->count;
    const struct tree_node *protocol = tree_get(map, "protocol");
    check_section(check, protocol != NULL ? &lines_instrument_table : &instrument_table, map, place, &instrument);
    char key[CHECK_PLACE_MAX];
    if (protocol != NULL && protocol->kind == TREE_MAP)
        check_lines(check, protocol, check_place(place, "protocol", key), &instrument.plant.lines);
    if (protocol != NULL) /* registers_most is required of every instrument, and means nothing here */
        instrument.plant.registers_most = PLANT_REGISTERS_MOST;
    if (protocol != NULL && check->report->count == errors)
        check_lines_unit(check, map, place, &instrument);
    const bool sound = check->report->count == errors;
    if (sound)
        check_reference(check, map, place, plant, &instrument);
    if (sound && protocol == NULL)
        check_watches(check, map, place, instrument.addresses, instrument.interval_ms, &instrument.plant);
    if (sound && protocol == NULL)
        check_writes(check, map, place, instrument.addresses,
                     tree_get(map, "word_order") != NULL ? &instrument.word_order : NULL, &instrument.plant);
    const struct context context = {.check = check, .instrument = &instrument, .instrument_map = map};
    struct plant_instrument *added = &plant->instruments[plant->instrument_count];
    *added = instrument.plant;
    check_tags(&context, sound, place, plant, added);
    plant->instrument_count++;
}

static void fail_profile(struct check *check, const struct tree_node *node, const char *place,
                         const struct profile *profile, const struct config_report *why) {
    char key[CHECK_PLACE_MAX];
    check_place(place, "profile", key);
    if (why->count == 0)
        check_fail(check, node, key, "there is no profile %s; `forebay profiles` lists those there are", profile->name);
    else
        check_fail(check, node, key, "%s:%u:%u: %s", profile->file, why->errors[0].line, why->errors[0].column,
                   why->errors[0].text);
}

/* The instrument together with its profile, NULL when it names none or there is something wrong with it. */
static struct tree_node *merge_profile(struct check *check, const struct tree_node *map, const char *place) {
    static struct config_report why;
    const struct tree_node *name = tree_get(map, "profile");
    if (name == NULL || name->kind != TREE_TEXT || !plant_name_valid(name->text))
        return NULL;
    struct profile_folders folders;
    struct profile profile;
    struct tree_node *merged = NULL;
    profile_folders(check->folder, &folders);
    if (profile_load(&folders, name->text, &profile, &why) != FB_OK)
        fail_profile(check, name, place, &profile, &why);
    else if (tree_get(profile.root, "writes") != NULL)
        check_fail(check, name, place, "profile: %s opens registers for writing; only the configuration may",
                   profile.name);
    else if ((merged = profile_merge(&profile, map, name)) == NULL)
        check_fail(check, name, place, "out of memory");
    profile_done(&profile);
    return merged;
}

void check_instruments(struct check *check, const struct tree_node *list, struct plant *plant) {
    if (!check_list(check, list, "instruments", 0, PLANT_INSTRUMENTS_MAX))
        return;
    plant->instruments = calloc(list->count, sizeof *plant->instruments);
    if (plant->instruments == NULL) {
        check_fail(check, list, "instruments", "out of memory");
        return;
    }
    char place[CHECK_PLACE_MAX];
    for (const struct tree_node *map = list->first; map != NULL; map = map->next) {
        check_list_place("instruments", plant->instrument_count, place);
        const size_t errors = check->report->count;
        struct tree_node *merged = merge_profile(check, map, place);
        if (check->report->count == errors)
            check_instrument(check, merged != NULL ? merged : map, place, plant);
        else /* what else is wrong may come of that */
            plant->instrument_count++;
        tree_free(merged);
    }
}
