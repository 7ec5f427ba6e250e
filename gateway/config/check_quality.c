#include "gateway/config/check_quality.h"

#include <inttypes.h>
#include <string.h>

#include "gateway/config/value.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define WATCH(member) CHECK_MEMBER(struct watch, member)
#define STATUS(member) CHECK_MEMBER(struct status, member)

#define ADDRESS_TEXT_MAX 16
#define HEARTBEAT_MASK 0xffff

struct watch {
    struct plant_watch plant;
    char address[ADDRESS_TEXT_MAX];
};

static const struct check_key watch_keys[] = {
    {"table", CHECK_WORD, WATCH(plant.table), .standard = "holding", .words = plant_table_words},
    {"address", CHECK_TEXT, WATCH(address), .wanted = "the register's address as the manual has it"},
    {"mask", CHECK_MASK, WATCH(plant.mask), .max = UINT16_MAX},
    {"interval", CHECK_DURATION, WATCH(plant.interval_ms), .min = PLANT_INTERVAL_MIN_MS, .max = PLANT_INTERVAL_MAX_MS},
};
static const struct check_table watch_table = {watch_keys, COUNT(watch_keys)};

struct status {
    struct plant_status plant;
    char address[ADDRESS_TEXT_MAX];
};

static const struct check_key status_keys[] = {
    {"address", CHECK_TEXT, STATUS(address), .wanted = "the status register's address as the manual has it"},
    {"fault", CHECK_MASK, STATUS(plant.fault), .max = UINT16_MAX},
    {"maintenance", CHECK_MASK, STATUS(plant.maintenance), .max = UINT16_MAX},
};
static const struct check_table status_table = {status_keys, COUNT(status_keys)};

/* Report at the key of map, at map itself where it has none. */
static void fail_at(struct check *check, const struct tree_node *map, const char *place, const char *key,
                    const char *text) {
    char whole[CHECK_PLACE_MAX];
    const struct tree_node *node = tree_get(map, key);
    check_fail(check, node != NULL ? node : map, check_place(place, key, whole), "%s", text);
}

static void read_address(struct check *check, const struct tree_node *map, const char *place, const char *text,
                         enum address_notation addresses, enum plant_table *table, uint16_t *ret_address) {
    struct fb_cause cause;
    enum plant_table found = *table;
    if (address_read(text, addresses, &found, ret_address, &cause) != FB_OK)
        fail_at(check, map, place, "address", cause.text);
    else if (found != *table && tree_get(map, "table") != NULL)
        fail_at(check, map, place, "table", "does not fit the address, which names another table; correct one of them");
    else
        *table = found;
}

static void check_watch(struct check *check, const struct tree_node *map, const char *place,
                        enum address_notation addresses, uint32_t interval_ms, uint16_t mask,
                        struct plant_watch *ret_watch) {
    struct watch watch = {.plant = {.mask = mask, .interval_ms = interval_ms}};
    const size_t errors = check->report->count;
    check_section(check, &watch_table, map, place, &watch);
    if (check->report->count != errors)
        return;
    read_address(check, map, place, watch.address, addresses, &watch.plant.table, &watch.plant.address);
    if (plant_table_is_bits(watch.plant.table) && tree_get(map, "mask") != NULL)
        fail_at(check, map, place, "mask", "is for registers, and this table holds bits; remove it");
    else if (plant_table_is_bits(watch.plant.table))
        watch.plant.mask = 1;
    if (watch.plant.mask == 0)
        fail_at(check, map, place, "mask", "is missing; give the bits that are set while it is serviced, like 0x0001");
    if (watch.plant.interval_ms == 0)
        fail_at(check, map, place, "interval", "is missing; give it here, or once for the instrument");
    if (check->report->count == errors)
        *ret_watch = watch.plant;
}

void check_watches(struct check *check, const struct tree_node *map, const char *place, enum address_notation addresses,
                   uint32_t interval_ms, struct plant_instrument *instrument) {
    char key[CHECK_PLACE_MAX];
    const struct tree_node *heartbeat = tree_get(map, "heartbeat"), *service = tree_get(map, "service");
    if (heartbeat != NULL)
        check_watch(check, heartbeat, check_place(place, "heartbeat", key), addresses, interval_ms, HEARTBEAT_MASK,
                    &instrument->heartbeat);
    if (service != NULL)
        check_watch(check, service, check_place(place, "service", key), addresses, interval_ms, 0,
                    &instrument->service);
}

static void check_bits(struct check *check, const struct tree_node *map, const char *place, struct plant_tag *tag) {
    const struct tree_node *node = tree_get(map, "bits");
    const unsigned most = plant_type_registers(tag->type) * 16 - 1;
    unsigned first, last;
    struct fb_cause cause;
    if (node == NULL || tag->type == PLANT_TEXT)
        return;
    if (value_bit_range(node->text, most, &first, &last, &cause) != FB_OK) {
        fail_at(check, map, place, "bits", cause.text);
        return;
    }
    tag->bit_first = (uint8_t)first;
    tag->bit_count = (uint8_t)(last - first + 1);
}

/* The raw bits of the whole value: all those of its registers, none more. */
static enum fb_error read_no_value(const struct tree_node *node, const struct plant_tag *tag, uint64_t *ret_bits,
                                   struct fb_cause *cause) {
    const uint64_t most = UINT64_MAX >> (64 - plant_type_registers(tag->type) * 16);
    if (node->kind != TREE_TEXT || node->quoted)
        return fb_fail(cause, FB_INVALID,
                       "is no list of numbers; give the raw values that mean \"no value\", "
                       "like [0xFFFF]");
    if (node->text[0] != '-')
        return value_bits(node->text, most, ret_bits, cause);
    uint64_t number;
    const enum fb_error error = value_number(node->text + 1, 1, most / 2 + 1, &number, cause);
    if (error == FB_OK)
        *ret_bits = (UINT64_MAX - number + 1) & most;
    return error;
}

static void check_no_value(struct check *check, const struct tree_node *map, const char *place, struct plant_tag *tag) {
    const struct tree_node *list = tree_get(map, "no_value");
    struct fb_cause cause;
    if (list == NULL || list->kind != TREE_LIST || tag->type == PLANT_TEXT)
        return; /* what else it is is reported elsewhere */
    if (list->count > PLANT_NO_VALUE_MAX) {
        fb_fail(&cause, FB_LIMIT, "has %zu entries; allowed are at most %d", list->count, PLANT_NO_VALUE_MAX);
        fail_at(check, map, place, "no_value", cause.text);
        return;
    }
    if (plant_table_is_bits(tag->table))
        fail_at(check, map, place, "no_value", "is for registers, and this table holds bits; remove it");
    for (const struct tree_node *node = list->first; node != NULL; node = node->next) {
        if (read_no_value(node, tag, &tag->no_value[tag->no_value_count], &cause) == FB_OK)
            tag->no_value_count++;
        else
            fail_at(check, map, place, "no_value", cause.text);
    }
}

static void check_status(struct check *check, const struct tree_node *map, const char *place,
                         enum address_notation addresses, struct plant_tag *tag) {
    const struct tree_node *section = tree_get(map, "status");
    char key[CHECK_PLACE_MAX];
    struct status status = {0};
    const size_t errors = check->report->count;
    if (section == NULL)
        return;
    check_place(place, "status", key);
    check_section(check, &status_table, section, key, &status);
    if (check->report->count != errors)
        return;
    enum plant_table table = tag->table;
    read_address(check, section, key, status.address, addresses, &table, &status.plant.address);
    if (table != tag->table)
        fail_at(check, section, key, "address", "is of another table than the value; both must be read at once");
    if (status.plant.fault == 0 && status.plant.maintenance == 0)
        check_fail(check, section, key, "says nothing; give fault, maintenance or both, like fault: 0x0001");
    tag->status = status.plant;
}

void check_tag_quality(struct check *check, const struct tree_node *map, const char *place,
                       enum address_notation addresses, unsigned registers_most, struct plant_tag *tag) {
    struct fb_cause cause;
    const size_t errors = check->report->count;
    check_bits(check, map, place, tag);
    check_no_value(check, map, place, tag);
    check_status(check, map, place, addresses, tag);
    if (check->report->count != errors)
        return;
    if (plant_tag_check(tag, registers_most, &cause) != FB_OK)
        check_fail(check, map, place, "%s", cause.text);
}
