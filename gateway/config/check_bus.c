#include "gateway/config/check_bus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/plan.h"
#include "gateway/config/check_list.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define BUS(member) CHECK_MEMBER(struct plant_bus, member)

#define NAME_KEY {"name", CHECK_NAME, BUS(name), .wanted = "a name that no other bus has"}
#define KIND_KEY                                                                                                       \
    {"kind", CHECK_WORD, BUS(kind), .wanted = "modbus-tcp, modbus-rtu, modbus-rtu-tcp, serial or serial-tcp",          \
     .words = plant_bus_kind_words}
#define TIMEOUT_KEY                                                                                                    \
    {"timeout",                                                                                                        \
     CHECK_DURATION,                                                                                                   \
     BUS(timeout_ms),                                                                                                  \
     .standard = "500ms",                                                                                              \
     .min = PLANT_TIMEOUT_MIN_MS,                                                                                      \
     .max = PLANT_TIMEOUT_MAX_MS}
#define PAUSE_KEY {"pause", CHECK_DURATION, BUS(pause_ms), .standard = "0ms", .max = PLANT_PAUSE_MAX_MS}

static const char *const flag_words[] = {"false", "true", NULL};

#define RS485_KEYS                                                                                                     \
    {"rs485", CHECK_WORD, BUS(rs485), .standard = "false", .words = flag_words},                                       \
        {"rs485_rts", CHECK_WORD, BUS(rs485_rts), .standard = "on-send", .words = plant_rs485_rts_words},              \
        {"rs485_delay_before", CHECK_DURATION, BUS(rs485_delay_before_ms), .standard = "0ms",                          \
         .max = PLANT_RS485_DELAY_MAX_MS},                                                                             \
    {                                                                                                                  \
        "rs485_delay_after", CHECK_DURATION, BUS(rs485_delay_after_ms), .standard = "0ms",                             \
            .max = PLANT_RS485_DELAY_MAX_MS                                                                            \
    }

static const struct check_key tcp_keys[] = {
    NAME_KEY,
    KIND_KEY,
    {"host", CHECK_HOST, BUS(host), .wanted = "the name or address of the Modbus TCP server"},
    {"port", CHECK_NUMBER, BUS(port), .standard = "502", .min = 1, .max = UINT16_MAX},
    TIMEOUT_KEY,
    PAUSE_KEY,
};

static const struct check_key rtu_keys[] = {
    NAME_KEY,
    KIND_KEY,
    {"device", CHECK_PATH, BUS(device), .wanted = "the serial port, best as /dev/serial/by-path/..."},
    {"baud", CHECK_NUMBER, BUS(baud), .wanted = "the speed the instruments are set to", .min = PLANT_BAUD_MIN,
     .max = PLANT_BAUD_MAX},
    {"parity", CHECK_WORD, BUS(parity), .wanted = "the parity the instruments are set to: none, even or odd",
     .words = plant_parity_words},
    {"stop_bits", CHECK_NUMBER, BUS(stop_bits), .standard = "1", .min = 1, .max = 2},
    RS485_KEYS,
    TIMEOUT_KEY,
    PAUSE_KEY,
};

static const struct check_key rtu_tcp_keys[] = {
    NAME_KEY,
    KIND_KEY,
    {"host", CHECK_HOST, BUS(host), .wanted = "the name or address of the serial server"},
    {"port", CHECK_NUMBER, BUS(port), .wanted = "the TCP port that the serial server gives to this line", .min = 1,
     .max = UINT16_MAX},
    {"baud", CHECK_NUMBER, BUS(baud), .wanted = "the speed of the line behind the serial server", .min = PLANT_BAUD_MIN,
     .max = PLANT_BAUD_MAX},
    TIMEOUT_KEY,
    PAUSE_KEY,
};

static const struct check_key serial_keys[] = {
    NAME_KEY,
    KIND_KEY,
    {"device", CHECK_PATH, BUS(device), .wanted = "the serial port, best as /dev/serial/by-path/..."},
    {"baud", CHECK_NUMBER, BUS(baud), .wanted = "the speed the instruments are set to", .min = PLANT_BAUD_MIN,
     .max = PLANT_BAUD_MAX},
    {"parity", CHECK_WORD, BUS(parity), .standard = "none", .words = plant_parity_words},
    {"data_bits", CHECK_NUMBER, BUS(data_bits), .standard = "8", .min = 7, .max = 8},
    {"stop_bits", CHECK_NUMBER, BUS(stop_bits), .standard = "1", .min = 1, .max = 2},
    {"flow", CHECK_WORD, BUS(flow), .standard = "none", .words = plant_flow_words},
    RS485_KEYS,
    TIMEOUT_KEY,
    PAUSE_KEY,
};

static const struct check_key serial_tcp_keys[] = {
    NAME_KEY,
    KIND_KEY,
    {"host", CHECK_HOST, BUS(host), .wanted = "the name or address of the serial server"},
    {"port", CHECK_NUMBER, BUS(port), .wanted = "the TCP port that the serial server gives to this line", .min = 1,
     .max = UINT16_MAX},
    TIMEOUT_KEY,
    PAUSE_KEY,
};

static const struct check_table rtu_table;
static const struct check_table tcp_table = {tcp_keys, COUNT(tcp_keys), &rtu_table,
                                             "is for kind modbus-rtu, and this bus is modbus-tcp; remove it"};
static const struct check_table rtu_table = {rtu_keys, COUNT(rtu_keys), &tcp_table,
                                             "is for kind modbus-tcp, and this bus is modbus-rtu; remove it"};

static const struct check_table serial_table = {serial_keys, COUNT(serial_keys)};
static const struct check_table serial_tcp_table = {
    serial_tcp_keys, COUNT(serial_tcp_keys), &serial_table,
    "is for kind serial: the serial server has its own settings of the line; remove it"};

static bool kind_is(const struct tree_node *map, enum plant_bus_kind kind) {
    const struct tree_node *node = tree_get(map, "kind");
    return node != NULL && node->kind == TREE_TEXT && strcmp(node->text, plant_bus_kind_word(kind)) == 0;
}

static const struct check_table rtu_tcp_table = {
    rtu_tcp_keys, COUNT(rtu_tcp_keys), &rtu_table,
    "is for kind modbus-rtu: the serial server has its own settings of the line; remove it"};

/* Where the kind is missing or wrong, the other keys tell which one is meant, so that they can be checked too. */
static const struct check_table *choose_table(const struct tree_node *map) {
    if (kind_is(map, PLANT_SERIAL))
        return &serial_table;
    if (kind_is(map, PLANT_SERIAL_TCP))
        return &serial_tcp_table;
    if (kind_is(map, PLANT_MODBUS_RTU_TCP))
        return &rtu_tcp_table;
    if (kind_is(map, PLANT_MODBUS_RTU))
        return &rtu_table;
    return kind_is(map, PLANT_MODBUS_TCP) || tree_get(map, "device") == NULL ? &tcp_table : &rtu_table;
}

static void check_baud(struct check *check, const struct tree_node *map, const char *place, uint32_t baud) {
    static const uint32_t speeds[] = {1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200};
    for (size_t i = 0; i < COUNT(speeds); i++)
        if (speeds[i] == baud)
            return;
    char key[CHECK_PLACE_MAX];
    check_fail(check, tree_get(map, "baud"), check_place(place, "baud", key),
               "%" PRIu32 " is no usual speed; allowed are 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200", baud);
}

static void check_rs485(struct check *check, const struct tree_node *map, const char *place,
                        const struct plant_bus *bus) {
    static const char *const with_it[] = {"rs485_rts", "rs485_delay_before", "rs485_delay_after"};
    char key[CHECK_PLACE_MAX];
    for (size_t i = 0; i < COUNT(with_it) && !bus->rs485; i++)
        if (tree_get(map, with_it[i]) != NULL)
            check_fail(check, tree_get(map, with_it[i]), check_place(place, with_it[i], key),
                       "means nothing without rs485: true; add that or remove this");
    if (bus->rs485 && bus->flow == PLANT_FLOW_RTSCTS)
        check_fail(check, tree_get(map, "flow"), check_place(place, "flow", key),
                   "rtscts and rs485 both need the RTS line; remove one of them");
}

static void check_bus(struct check *check, const struct tree_node *map, const char *place, struct plant_bus *bus) {
    const size_t errors = check->report->count;
    check_section(check, choose_table(map), map, place, bus);
    if (check->report->count == errors && bus->kind != PLANT_MODBUS_TCP && bus->kind != PLANT_SERIAL_TCP)
        check_baud(check, map, place, bus->baud);
    if (check->report->count == errors)
        check_rs485(check, map, place, bus);
}

void check_buses(struct check *check, const struct tree_node *list, struct plant *plant) {
    if (!check_list(check, list, "buses", 0, PLANT_BUSES_MAX))
        return;
    plant->buses = calloc(list->count, sizeof *plant->buses);
    if (plant->buses == NULL) {
        check_fail(check, list, "buses", "out of memory");
        return;
    }
    char place[CHECK_PLACE_MAX];
    for (const struct tree_node *map = list->first; map != NULL; map = map->next) {
        const size_t index = plant->bus_count++;
        check_bus(check, map, check_list_place("buses", index, place), &plant->buses[index]);
    }
}

static void check_schedule(struct check *check, const struct tree_node *map, size_t index, const struct plant *plant) {
    char place[CHECK_PLACE_MAX];
    struct plan plan;
    check_list_place("buses", index, place);
    if (plan_bus(plant, index, &plan) != FB_OK) {
        check_fail(check, map, place, "out of memory");
        return;
    }
    const double load = plan_load(&plant->buses[index], &plan);
    if (load > 1.0)
        check_fail(check, map, place,
                   "%s would have to be busy %.0f %% of the time; make intervals longer, the bus faster, or move "
                   "instruments to another bus",
                   plant->buses[index].name, load * 100 + 0.5);
    plan_done(&plan);
}

void check_schedules(struct check *check, const struct tree_node *list, const struct plant *plant) {
    size_t index = 0;
    for (const struct tree_node *map = list->first; map != NULL; map = map->next)
        check_schedule(check, map, index++, plant);
}
