// links: drivers/guard.c drivers/line_driver.c drivers/line_frame.c drivers/line_port.c drivers/checksum.c drivers/modbus_frame.c drivers/modbus_write.c drivers/modbus_rtu_driver.c drivers/rs485.c drivers/line_settings.c drivers/modbus_tcp_driver.c drivers/tcp_connect.c drivers/recorder.c drivers/plan.c drivers/plan_split.c drivers/decode.c drivers/text_value.c gateway/common/clock.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* No request that writes ever leaves: a million random plans and their requests through what makes frames and through
 * the guard, a million random and spoilt frames and lines through the guard, and the drivers with a listener on the
 * wire. What a listener may hear is said here once more, sharing nothing with the guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/checksum.h"
#include "drivers/driver.h"
#include "drivers/guard.h"
#include "drivers/line_frame.h"
#include "drivers/modbus_frame.h"
#include "drivers/modbus_write.h"
#include "gateway/common/clock.h"

#define ROUNDS 1000000
#define TAGS_MAX 4
#define TCP_BYTES (MODBUS_FRAME_TCP_HEADER_BYTES + MODBUS_FRAME_REQUEST_BYTES)
#define RTU_BYTES (MODBUS_FRAME_REQUEST_BYTES + MODBUS_FRAME_CRC_BYTES)

/* The same on every run. */
static uint64_t random_state = 88172645463325252;
static uint32_t draw(uint32_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

static bool is_read(uint8_t function) {
    return function >= 1 && function <= 4;
}

/* Any tag, most of them senseless: the plan refuses what it cannot read. */
static struct plant_tag draw_tag(void) {
    const enum plant_table table = (enum plant_table)draw(4);
    const uint16_t address = (uint16_t)(draw(4) == 0 ? 65500 + draw(36) : draw(300));
    return (struct plant_tag){.table = table,
                              .address = address,
                              .type = (enum plant_type)draw(PLANT_TEXT + 1),
                              .length = (uint8_t)draw(PLANT_TEXT_REGISTERS_MOST + 1),
                              .status = {(uint16_t)draw(65536), (uint16_t)(draw(2) * draw(65536)), 0},
                              .interval_ms = 100 * draw(3)};
}

static struct plant_watch draw_watch(void) {
    return (struct plant_watch){(enum plant_table)draw(4), (uint16_t)draw(65536), (uint16_t)draw(2), 100};
}

static void assert_only_reads_leave(const struct plan_request *request) {
    uint8_t tcp[TCP_BYTES], rtu[RTU_BYTES];
    modbus_frame_tcp_header((uint16_t)draw(65536), MODBUS_FRAME_REQUEST_BYTES, tcp);
    modbus_frame_request(request, tcp + MODBUS_FRAME_TCP_HEADER_BYTES);
    modbus_frame_rtu_request(request, rtu);
    assert_true(is_read(tcp[MODBUS_FRAME_TCP_HEADER_BYTES + 1]) && is_read(rtu[1]));
    assert_int_equal(guard_allows(GUARD_TCP, tcp, sizeof tcp), guard_allows(GUARD_RTU, rtu, sizeof rtu));
}

static void a_million_random_plans_only_read(void **state) {
    (void)state;
    struct plant_tag tags[TAGS_MAX];
    struct plant_bus bus = {.baud = 9600};
    struct plant_write writes[] = {{.name = "w", .table = PLANT_HOLDING, .type = PLANT_UINT16, .max = 9}};
    struct plant_instrument instrument = {.tags = tags, .writes = writes, .write_count = 1};
    const struct plant plant = {&bus, 1, &instrument, 1};
    size_t requests = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        bus.kind = (enum plant_bus_kind)draw(PLANT_MODBUS_RTU_TCP + 1);
        instrument.unit = (uint8_t)draw(256);
        instrument.registers_most = (uint8_t)(1 + draw(255));
        instrument.tag_count = draw(TAGS_MAX + 1);
        instrument.heartbeat = draw_watch();
        instrument.service = draw_watch();
        for (size_t i = 0; i < instrument.tag_count; i++)
            tags[i] = draw_tag();
        struct plan plan;
        if (plan_bus(&plant, 0, &plan) != FB_OK)
            continue;
        for (size_t i = 0; i < plan.request_count; i++)
            assert_only_reads_leave(&plan.requests[i]);
        requests += plan.request_count;
        plan_done(&plan);
    }
    assert_true(requests > ROUNDS / 2);
}

static void put_crc(uint8_t *frame, size_t length) {
    const uint16_t crc = checksum_crc16(frame, length);
    frame[length] = (uint8_t)crc;
    frame[length + 1] = (uint8_t)(crc >> 8);
}

static void a_million_random_frames_pass_only_if_they_read(void **state) {
    (void)state;
    unsigned passed = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint8_t rtu[RTU_BYTES + 4], tcp[TCP_BYTES + 4] = {0};
        const size_t longer = draw(8) == 0 ? draw(5) : 0;
        for (size_t i = 0; i < MODBUS_FRAME_REQUEST_BYTES; i++)
            rtu[i] = (uint8_t)(i == 4 || draw(2) == 0 ? draw(8) : draw(256));
        memcpy(tcp + MODBUS_FRAME_TCP_HEADER_BYTES, rtu, MODBUS_FRAME_REQUEST_BYTES);
        tcp[5] = (uint8_t)(MODBUS_FRAME_REQUEST_BYTES + longer);
        put_crc(rtu, MODBUS_FRAME_REQUEST_BYTES);
        if (draw(16) == 0)
            rtu[RTU_BYTES - 1] ^= (uint8_t)(1 + draw(255));
        const bool rtu_allowed = guard_allows(GUARD_RTU, rtu, RTU_BYTES + longer);
        const bool tcp_allowed = guard_allows(GUARD_TCP, tcp, TCP_BYTES + longer);
        assert_true(!rtu_allowed || (is_read(rtu[1]) && longer == 0));
        assert_true(!tcp_allowed || (is_read(tcp[MODBUS_FRAME_TCP_HEADER_BYTES + 1]) && longer == 0));
        passed += tcp_allowed;
    }
    assert_true(passed > 1000);
}

static void every_function_but_the_four_that_read_is_refused(void **state) {
    (void)state;
    uint8_t rtu[RTU_BYTES] = {1, 0, 0, 0, 0, 1}, tcp[TCP_BYTES] = {0, 1, 0, 0, 0, 6, 1, 0, 0, 0, 0, 1};
    for (unsigned function = 0; function < 256; function++) {
        rtu[1] = tcp[7] = (uint8_t)function;
        put_crc(rtu, MODBUS_FRAME_REQUEST_BYTES);
        assert_int_equal(guard_allows(GUARD_RTU, rtu, sizeof rtu), is_read((uint8_t)function));
        assert_int_equal(guard_allows(GUARD_TCP, tcp, sizeof tcp), is_read((uint8_t)function));
    }
}

static void what_the_guard_refuses_is_not_sent(void **state) {
    (void)state;
    int sockets[2];
    uint8_t write_one[RTU_BYTES] = {1, 6, 0, 111, 0, 1}, heard[16];
    put_crc(write_one, MODBUS_FRAME_REQUEST_BYTES);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    assert_int_equal(guard_send(sockets[0], GUARD_RTU, write_one, sizeof write_one), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(recv(sockets[1], heard, sizeof heard, MSG_DONTWAIT), -1);
    write_one[1] = 3;
    put_crc(write_one, MODBUS_FRAME_REQUEST_BYTES);
    assert_int_equal(guard_send(sockets[0], GUARD_RTU, write_one, sizeof write_one), RTU_BYTES);
    assert_int_equal(recv(sockets[1], heard, sizeof heard, MSG_DONTWAIT), RTU_BYTES);
    close(sockets[0]);
    close(sockets[1]);
}

/* --- Writes, which need a grant */

static struct modbus_write make_register_write(uint8_t unit, uint16_t address, double value) {
    const struct plant_write write = {
        .name = "w", .table = PLANT_HOLDING, .address = address, .type = PLANT_UINT16, .max = UINT16_MAX};
    struct modbus_write frame;
    assert_int_equal(modbus_write_make(unit, &write, value, &frame, NULL), FB_OK);
    return frame;
}

static uint64_t last_id = 1;

static struct guard_grant grant_for(const struct modbus_write *write) {
    struct guard_grant grant = {.id = ++last_id, .expires_ms = clock_monotonic_ms() + 5000, .length = write->length};
    memcpy(grant.bytes, write->bytes, write->length);
    return grant;
}

/* To where nothing is kept: whether it was let out is what counts. */
static bool leaves(enum guard_framing framing, const struct modbus_write *write) {
    static int nowhere = -1;
    uint8_t out[TCP_BYTES + 16];
    size_t length = write->length;
    if (nowhere < 0)
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (framing == GUARD_TCP) {
        modbus_frame_tcp_header(1, (uint16_t)length, out);
        memcpy(out + MODBUS_FRAME_TCP_HEADER_BYTES, write->bytes, length);
        length += MODBUS_FRAME_TCP_HEADER_BYTES;
    } else {
        memcpy(out, write->bytes, length);
        put_crc(out, length);
        length += MODBUS_FRAME_CRC_BYTES;
    }
    const ssize_t sent = guard_send(nowhere, framing, out, length);
    assert_true(sent == (ssize_t)length || (sent == -1 && errno == EPERM));
    return sent > 0;
}

static void a_grant_lets_its_own_write_out_once(void **state) {
    (void)state;
    for (enum guard_framing framing = GUARD_TCP; framing <= GUARD_RTU; framing++) {
        const struct modbus_write write = make_register_write(7, 100, 42);
        assert_false(leaves(framing, &write));
        const struct guard_grant grant = grant_for(&write);
        assert_int_equal(guard_take_grant(&grant, NULL), FB_OK);
        assert_true(leaves(framing, &write));
        assert_false(leaves(framing, &write));
        assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
        assert_false(leaves(framing, &write));
    }
}

static void a_grant_is_for_one_unit_register_and_value(void **state) {
    (void)state;
    const struct modbus_write write = make_register_write(7, 100, 42);
    const struct modbus_write others[] = {make_register_write(8, 100, 42), make_register_write(7, 101, 42),
                                          make_register_write(7, 100, 43)};
    const struct guard_grant grant = grant_for(&write);
    assert_int_equal(guard_take_grant(&grant, NULL), FB_OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(leaves(GUARD_RTU, &others[i]));
    assert_true(leaves(GUARD_RTU, &write));
}

static void a_grant_expires_and_can_be_dropped(void **state) {
    (void)state;
    const struct modbus_write write = make_register_write(7, 100, 42);
    struct guard_grant grant = grant_for(&write);
    grant.expires_ms = clock_monotonic_ms();
    assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
    grant.expires_ms = clock_monotonic_ms() + GUARD_GRANT_MOST_MS + 1000;
    assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
    enum fb_error error = FB_DENIED;
    for (int i = 0; i < 100 && error != FB_OK; i++) { /* when the machine is slow it may have expired already */
        grant.expires_ms = clock_monotonic_ms() + 20;
        error = guard_take_grant(&grant, NULL);
    }
    assert_int_equal(error, FB_OK);
    while (clock_monotonic_ms() < grant.expires_ms)
        ;
    assert_false(leaves(GUARD_TCP, &write));
    grant = grant_for(&write);
    assert_int_equal(guard_take_grant(&grant, NULL), FB_OK);
    guard_drop_grant();
    assert_false(leaves(GUARD_TCP, &write));
}

static void what_is_no_single_write_gets_no_grant(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } wrong[] = {
        {"\x00\x06\x00\x01\x00\x01", 6},                      /* all units at once */
        {"\x01\x05\x00\x01\x00\x01", 6},                      /* neither on nor off */
        {"\x01\x0f\x00\x01\x00\x01\x01\x01", 8},              /* many coils */
        {"\x01\x10\x00\x01\x00\x01\x02\x00\x01", 9},          /* one register by the function for many */
        {"\x01\x10\x00\x01\x00\x03\x04\x00\x01\x00\x01", 11}, /* a count that does not fit */
        {"\x01\x16\x00\x01\x00\x01", 6},                      /* masks */
        {"\x01\x2b\x00\x01\x00\x01", 6},
        {"\x01\x06\x00\x01\x00", 5},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct guard_grant grant = {
            .id = ++last_id, .expires_ms = clock_monotonic_ms() + 1000, .length = wrong[i].length};
        memcpy(grant.bytes, wrong[i].bytes, wrong[i].length);
        assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
    }
    const struct modbus_write write = make_register_write(7, 100, 42);
    struct guard_grant grant = grant_for(&write);
    grant.id = 0;
    assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
    grant.length = sizeof grant.bytes + 1;
    assert_int_equal(guard_take_grant(&grant, NULL), FB_DENIED);
}

/* With a grant for something else waiting, with one for it, and with none. */
static void a_million_random_writes_leave_only_by_their_grant(void **state) {
    (void)state;
    unsigned left = 0, granted_for = 0;
    struct modbus_write waiting = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct modbus_write write = {.length = draw(2) == 0 ? 6 : draw(2) == 0 ? 11 : draw(12)};
        for (size_t i = 0; i < write.length; i++)
            write.bytes[i] = (uint8_t)(i == 1 ? (const uint8_t[]){5, 6, 15, 16, 22, 23, 43, 90}[draw(8)] : draw(3));
        if (round % 40000 == 0) {
            waiting = make_register_write((uint8_t)(1 + draw(2)), (uint16_t)draw(3), draw(3));
            const struct guard_grant grant = grant_for(&waiting);
            /* Ids are kept as long as they could still be used: more than that are not taken. */
            if (guard_take_grant(&grant, NULL) != FB_OK)
                waiting.length = 0;
            granted_for += waiting.length > 0;
        }
        if (!leaves(draw(2) == 0 ? GUARD_TCP : GUARD_RTU, &write))
            continue;
        assert_int_equal(write.length, waiting.length);
        assert_memory_equal(write.bytes, waiting.bytes, write.length);
        waiting.length = 0;
        left++;
    }
    assert_true(left > 0 && left <= granted_for);
    guard_drop_grant();
}

/* --- Lines of text */

/* Pieces that questions are made of: commands that change something among them, in all their parts. */
static const char *const pieces[] = {"READ",  " ",    "{unit}",     "0",     "5",   "a",   "Z",     "?",     "A",
                                     "X",     "M",    "C",          "R",     "D",   "I",   "!",     "A1!",   "0A1!",
                                     "XS9!",  ":",    "0106000100", "F7",    "\\r", "\\n", "\\x01", "\\x06", "\\x00",
                                     "\\xff", "\\\\", "\\q",        "WRITE", "=",   "#"};

static struct plant_instrument draw_line_instrument(void) {
    static const uint8_t units[] = {0, 3, 9, 10, 97, 122, 65, 90, 96, 255};
    struct plant_instrument instrument = {
        .unit = units[draw(10)], .lines = {.protocol = draw(2) == 0 ? PLANT_SDI12 : PLANT_LINES, .end = "\\r"}};
    const unsigned count = draw(5);
    for (unsigned i = 0; i < count; i++) {
        const char *piece = pieces[draw(sizeof pieces / sizeof pieces[0])];
        if (strlen(instrument.lines.ask) + strlen(piece) < sizeof instrument.lines.ask)
            strcat(instrument.lines.ask, piece);
    }
    return instrument;
}

/* What a sensor of SDI-12 takes for a command that changes it, and a slave of Modbus for a frame. */
static bool may_change_something(const uint8_t *line, size_t length) {
    for (size_t at = 0; at + 2 < length; at++) {
        if (!isalnum(line[at]) && line[at] != '?')
            continue;
        if (at + 3 < length && line[at + 1] == 'A' && isalnum(line[at + 2]) && line[at + 3] == '!')
            return true;
        if (line[at + 1] == 'X' && memchr(line + at, '!', length - at) != NULL)
            return true;
    }
    if (length < 4)
        return false;
    const uint16_t crc = checksum_crc16(line, length - 2);
    return line[length - 2] == (uint8_t)crc && line[length - 1] == crc >> 8;
}

static bool only_measures(const uint8_t *line, size_t length, uint8_t unit) {
    const uint8_t address = unit <= 9 ? (uint8_t)('0' + unit) : unit;
    return length >= 3 && length <= 5 && line[0] == address && isalnum(address) && line[length - 1] == '!' &&
           strchr("MCRD", line[1]) != NULL && (length < 4 || line[2] == 'C' || isdigit(line[2])) &&
           (length < 5 || isdigit(line[3]));
}

static void assert_line_only_reads(const struct plant_instrument *instrument, const uint8_t *line, size_t length) {
    if (instrument->lines.protocol == PLANT_SDI12)
        assert_true(only_measures(line, length, instrument->unit));
    else
        assert_false(may_change_something(line, length));
}

static void a_million_random_questions_only_read(void **state) {
    (void)state;
    unsigned passed = 0, stopped = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct plant_instrument instrument = draw_line_instrument();
        struct fb_cause cause;
        uint8_t line[PLANT_LINES_ASK_MAX];
        const bool accepted = plant_lines_check(&instrument.lines, &cause) == FB_OK;
        const size_t length = line_request(&instrument, line);
        const bool allowed = length > 0 && guard_allows_line(&instrument, line, length);
        if (allowed)
            assert_line_only_reads(&instrument, line, length);
        if (accepted && instrument.lines.protocol == PLANT_LINES && length > 0)
            assert_false(memchr(line, 0, length) != NULL);
        passed += allowed;
        stopped += length > 0 && !allowed;
        line[draw((uint32_t)sizeof line)] ^= (uint8_t)(1 << draw(8));
        if (length > 0 && guard_allows_line(&instrument, line, length))
            assert_line_only_reads(&instrument, line, length);
    }
    assert_true(passed > 10000 && stopped > 10000);
}

static struct plant_instrument make_line_instrument(enum plant_protocol protocol, uint8_t unit, const char *ask) {
    struct plant_instrument instrument = {.unit = unit, .lines = {.protocol = protocol, .end = "\\r"}};
    strcpy(instrument.lines.ask, ask);
    return instrument;
}

static bool line_allowed(const struct plant_instrument *instrument, const char *line) {
    return guard_allows_line(instrument, (const uint8_t *)line, strlen(line));
}

static void only_the_question_of_the_configuration_leaves(void **state) {
    (void)state;
    const struct plant_instrument asked = make_line_instrument(PLANT_LINES, 17, "#{unit} {unit}\\r");
    assert_true(line_allowed(&asked, "#17 {unit}\r"));
    static const char *const others[] = {"",   "#17 {unit}",       "#17 {unit}\r\r", "#18 {unit}\r",
                                         "#1", "#{unit} {unit}\r", "WRITE\r"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(line_allowed(&asked, others[i]));
    const struct plant_instrument silent = make_line_instrument(PLANT_LINES, 1, "");
    assert_false(line_allowed(&silent, ""));
    assert_false(line_allowed(&silent, "READ\r"));
    const struct plant_instrument registers = make_line_instrument(PLANT_REGISTERS, 1, "READ\\r");
    assert_false(line_allowed(&registers, "READ\r"));
    /* Words that other instruments on the line would take for themselves. */
    static const char *const dressed[] = {
        "0A1!", "?Ab!", "{unit}A1!", "0XS1!", ":010600010001F7\\r\\n", "\\x01\\x06\\x00\\x01\\x00\\x01\\x19\\xca"};
    for (size_t i = 0; i < sizeof dressed / sizeof dressed[0]; i++) {
        uint8_t line[PLANT_LINES_ASK_MAX];
        const struct plant_instrument instrument = make_line_instrument(PLANT_LINES, 1, dressed[i]);
        const size_t length = line_request(&instrument, line);
        assert_true(length > 0);
        assert_false(guard_allows_line(&instrument, line, length));
    }
}

static void a_sensor_is_only_asked_to_measure(void **state) {
    (void)state;
    static const char *const good[] = {"bM!",  "bM9!",  "bMC!", "bMC1!", "bC!",  "bC3!",
                                       "bCC!", "bCC9!", "bR0!", "bRC9!", "bD0!", "bD9!"};
    static const char *const wrong[] = {"bA1!", "?!",    "b!",  "bX!",  "bXS1!",   "bV!",  "bM0x!", "bD#!",
                                        "bMM!", "aM!",   "?M!", "bM",   "M!",      "bM!!", "bR!",   "bRC!",
                                        "bD!",  "bDC0!", "bI!", "bHA!", "bM!0A1!", "b1!",  "BM!"};
    const struct plant_instrument sensor = make_line_instrument(PLANT_SDI12, 'b', "M");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!line_allowed(&sensor, good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (line_allowed(&sensor, wrong[i]))
            fail_msg("%s was let out", wrong[i]);
    const struct plant_instrument third = make_line_instrument(PLANT_SDI12, 3, "M");
    assert_true(line_allowed(&third, "3M!"));
    const struct plant_instrument nobody = make_line_instrument(PLANT_SDI12, '?', "M");
    assert_false(line_allowed(&nobody, "?M!"));
}

/* Requests as no plan would make them, through a whole driver: what a listener hears, reads. */
static void listen_to_driver(const struct driver *driver) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    const struct plant_bus bus = {
        .kind = driver->kind, .host = "127.0.0.1", .port = ntohs(address.sin_port), .baud = 115200, .timeout_ms = 1};
    struct driver_port *port;
    assert_int_equal(driver->open(&bus, &port, NULL), FB_OK);
    const int wire = accept(listener, NULL, NULL);
    const size_t header = driver->kind == PLANT_MODBUS_TCP ? MODBUS_FRAME_TCP_HEADER_BYTES : 0;
    for (unsigned round = 0; round < 200; round++) {
        const struct plant_instrument instrument = {.unit = (uint8_t)draw(256)};
        const struct plan_request request = {.instrument = &instrument,
                                             .table = (enum plant_table)draw(4),
                                             .address = (uint16_t)draw(65536),
                                             .count = (uint16_t)draw(draw(2) == 0 ? 65536 : 126),
                                             .timeout_ms = 1};
        struct driver_reply reply;
        uint8_t heard[64];
        driver->exchange(port, &request, &reply);
        const ssize_t got = recv(wire, heard, sizeof heard, MSG_DONTWAIT);
        assert_true(got < 0 || (got == (ssize_t)(header != 0 ? TCP_BYTES : RTU_BYTES) && is_read(heard[header + 1])));
    }
    driver->close(port);
    close(wire);
    close(listener);
}

/* All that one exchange with the instrument puts on the wire: a connection of its own, read to its end. */
static size_t hear_exchange(int listener, const struct plant_bus *bus, const struct plant_instrument *instrument,
                            uint8_t *heard, size_t size) {
    const struct plan_request request = {.instrument = instrument};
    struct driver_port *port;
    struct driver_reply reply;
    assert_int_equal(line_tcp_driver.open(bus, &port, NULL), FB_OK);
    const int wire = accept(listener, NULL, NULL);
    line_tcp_driver.exchange(port, &request, &reply);
    line_tcp_driver.close(port);
    size_t length = 0;
    for (ssize_t got; (got = recv(wire, heard + length, size - length, 0)) > 0;)
        length += (size_t)got;
    close(wire);
    return length;
}

static void listen_to_lines(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    const struct plant_bus bus = {
        .kind = PLANT_SERIAL_TCP, .host = "127.0.0.1", .port = ntohs(address.sin_port), .timeout_ms = 2};
    unsigned lines = 0;
    for (unsigned round = 0; round < 300; round++) {
        uint8_t heard[256];
        const struct plant_instrument instrument = draw_line_instrument();
        const size_t got = hear_exchange(listener, &bus, &instrument, heard, sizeof heard);
        if (got > 0)
            assert_line_only_reads(&instrument, heard, got);
        lines += got > 0;
    }
    assert_true(lines > 30);
    close(listener);
}

static void drivers_send_nothing_but_reads(void **state) {
    (void)state;
    listen_to_driver(&modbus_tcp_driver);
    listen_to_driver(&modbus_rtu_tcp_driver);
    listen_to_lines();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_random_plans_only_read),
        cmocka_unit_test(a_million_random_frames_pass_only_if_they_read),
        cmocka_unit_test(a_grant_lets_its_own_write_out_once),
        cmocka_unit_test(a_grant_is_for_one_unit_register_and_value),
        cmocka_unit_test(a_grant_expires_and_can_be_dropped),
        cmocka_unit_test(what_is_no_single_write_gets_no_grant),
        cmocka_unit_test(a_million_random_writes_leave_only_by_their_grant),
        cmocka_unit_test(a_million_random_questions_only_read),
        cmocka_unit_test(only_the_question_of_the_configuration_leaves),
        cmocka_unit_test(a_sensor_is_only_asked_to_measure),
        cmocka_unit_test(every_function_but_the_four_that_read_is_refused),
        cmocka_unit_test(what_the_guard_refuses_is_not_sent),
        cmocka_unit_test(drivers_send_nothing_but_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
