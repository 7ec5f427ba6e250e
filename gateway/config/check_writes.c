#include "gateway/config/check_writes.h"

#include <stdlib.h>

#include "gateway/common/plant_write.h"
#include "gateway/config/check_list.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define WRITE(member) CHECK_MEMBER(struct write, member)

struct write {
    struct plant_write plant;
    char address[16];
};

static const struct check_key write_keys[] = {
    {"name", CHECK_NAME, WRITE(plant.name), .wanted = "a name that no other write of the instrument has"},
    {"table", CHECK_WORD, WRITE(plant.table), .standard = "holding", .words = plant_table_words},
    {"address", CHECK_TEXT, WRITE(address), .wanted = "the register's address as the manual has it"},
    {"type", CHECK_WORD, WRITE(plant.type),
     .wanted = "what it holds: bit for a coil, int16, uint16, int32, uint32 or float32 for a register",
     .words = plant_type_words},
    {"word_order", CHECK_WORD, WRITE(plant.word_order), .words = plant_word_order_words},
    {"min", CHECK_REAL, WRITE(plant.min)},
    {"max", CHECK_REAL, WRITE(plant.max)},
};
static const struct check_table write_table = {write_keys, COUNT(write_keys)};

/* Report at the key, at the section itself where it has none. */
static void fail_at(struct check *check, const struct tree_node *map, const char *place, const char *key,
                    const char *text) {
    char whole[CHECK_PLACE_MAX];
    const struct tree_node *node = tree_get(map, key);
    check_fail(check, node != NULL ? node : map, check_place(place, key, whole), "%s", text);
}

/* A range is never guessed. */
static void check_range(struct check *check, const struct tree_node *map, const char *place,
                        struct plant_write *write) {
    static const char *const limits[] = {"min", "max"};
    for (size_t i = 0; i < COUNT(limits); i++) {
        const bool given = tree_get(map, limits[i]) != NULL;
        if (write->table == PLANT_COIL && given)
            fail_at(check, map, place, limits[i], "is for registers; a coil is 0 or 1. Remove it");
        else if (write->table != PLANT_COIL && !given)
            fail_at(check, map, place, limits[i], "is missing; give the range that may be written");
    }
    if (write->table == PLANT_COIL)
        write->max = 1;
}

static void check_order(struct check *check, const struct tree_node *map, const char *place,
                        const enum plant_word_order *word_order, struct plant_write *write) {
    if (tree_get(map, "word_order") != NULL)
        return;
    if (word_order != NULL)
        write->word_order = *word_order;
    else if (plant_type_registers(write->type) > 1)
        fail_at(check, map, place, "word_order",
                "is missing; give abcd, cdab, badc or dcba here, or once for the "
                "instrument");
}

static void check_write(struct check *check, const struct tree_node *map, const char *place,
                        enum address_notation addresses, const enum plant_word_order *word_order,
                        struct plant_write *ret_write) {
    struct write write = {0};
    struct fb_cause cause;
    const size_t errors = check->report->count;
    check_section(check, &write_table, map, place, &write);
    if (check->report->count != errors)
        return;
    enum plant_table table = write.plant.table;
    if (address_read(write.address, addresses, &table, &write.plant.address, &cause) != FB_OK)
        fail_at(check, map, place, "address", cause.text);
    else if (table != write.plant.table && tree_get(map, "table") != NULL)
        fail_at(check, map, place, "table", "does not fit the address, which names another table; correct one of them");
    write.plant.table = table;
    check_range(check, map, place, &write.plant);
    check_order(check, map, place, word_order, &write.plant);
    if (check->report->count == errors && plant_write_check(&write.plant, &cause) != FB_OK)
        check_fail(check, map, place, "%s", cause.text);
    *ret_write = write.plant;
}

void check_writes(struct check *check, const struct tree_node *map, const char *place, enum address_notation addresses,
                  const enum plant_word_order *word_order, struct plant_instrument *instrument) {
    const struct tree_node *list = tree_get(map, "writes");
    char where[CHECK_PLACE_MAX], entry[CHECK_PLACE_MAX];
    if (list == NULL || list->kind != TREE_LIST)
        return;
    check_place(place, "writes", where);
    if (instrument->unit == 0)
        check_fail(check, list, where, "unit 0 may be all units of a line at once; writes need a unit of their own");
    if (!check_list(check, list, where, 1, PLANT_WRITES_MAX))
        return;
    instrument->writes = calloc(list->count, sizeof *instrument->writes);
    if (instrument->writes == NULL) {
        check_fail(check, list, where, "out of memory");
        return;
    }
    for (const struct tree_node *write = list->first; write != NULL; write = write->next) {
        check_list_place(where, instrument->write_count, entry);
        check_write(check, write, entry, addresses, word_order, &instrument->writes[instrument->write_count++]);
    }
}
