// links: drivers/connection.c drivers/driver.c drivers/modbus_tcp_driver.c drivers/modbus_rtu_driver.c drivers/rs485.c drivers/line_settings.c drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/clock.c gateway/common/backoff.c drivers/recorder.c drivers/checksum.c drivers/guard.c drivers/tcp_connect.c drivers/plan.c drivers/plan_split.c gateway/common/plant_lines.c gateway/common/plant_write.c drivers/line_driver.c drivers/line_frame.c drivers/line_port.c
/* The Modbus drivers against a peer that misbehaves in every way we know of: a fault may cost a reading, and must
 * never change one. The peer takes the fault from the address that it is asked for; the value of a register is its
 * address, so that a reply to another request is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/connection.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

#define TIMEOUT_MS 300
#define NEVER_MS 3600000
#define PATIENCE_MS 10000
#define HANGS_S 60 /* what takes so long hangs, on the slowest machine, too: the program is ended */
#define LATE_MS (TIMEOUT_MS + TIMEOUT_MS / 2)
#define UNIT 7

enum fault {
    GOOD_ADDRESS = 1000,
    EXCEPTION = 2000,
    OTHER_UNIT = 2010,
    OTHER_FUNCTION = 2020,
    TOO_SHORT = 2030,
    TOO_LONG = 2040,
    BYTE_COUNT = 2050,
    GARBAGE = 2060,
    SILENT = 2070,
    LATE = 2080,
    DRIP = 2090,
    HANG_UP = 2100,           /* without a reply */
    LAST = 2105,              /* TCP: hang up after the reply */
    OTHER_TRANSACTION = 2110, /* TCP */
    OTHER_PROTOCOL = 2120,    /* TCP */
    TWICE = 2130,
    BAD_CRC = 2140,  /* RTU */
    LAST_RTU = 2150, /* serial server: hang up after the reply */
};

struct peer {
    pid_t pid;
    struct plant_bus bus;
    struct connection connection;
};

static uint16_t crc16(const uint8_t *bytes, size_t length) {
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
    }
    return crc;
}

/* The reply from the unit on, with its fault; returns its length. */
static size_t make_reply(const uint8_t *request, uint8_t *reply) {
    const unsigned address = (unsigned)(request[2] << 8 | request[3]);
    const unsigned count = (unsigned)(request[4] << 8 | request[5]);
    size_t length = 0;
    reply[length++] = (uint8_t)(request[0] + (address == OTHER_UNIT));
    reply[length++] = (uint8_t)(request[1] + (address == OTHER_FUNCTION) + (address == EXCEPTION ? 0x80 : 0));
    reply[length++] = address == EXCEPTION ? 2 : (uint8_t)(count * 2 + (address == BYTE_COUNT ? 2 : 0));
    for (unsigned i = 0; address != EXCEPTION && i < count; i++) {
        reply[length++] = (uint8_t)((address + i) >> 8);
        reply[length++] = (uint8_t)(address + i);
    }
    if (address == GARBAGE)
        memset(reply, 0xa5, length);
    return length - (address == TOO_SHORT ? 1 : 0) + (address == TOO_LONG ? 2 : 0);
}

static void send_all(int descriptor, const uint8_t *bytes, size_t length, unsigned fault) {
    if (fault == SILENT)
        return;
    if (fault == LATE)
        usleep(LATE_MS * 1000);
    if (fault == DRIP)
        length = 4;
    for (int i = 0; i < (fault == TWICE ? 2 : 1); i++)
        if (write(descriptor, bytes, length) < 0)
            return;
}

static void answer_tcp(int descriptor) {
    uint8_t request[12], reply[260];
    while (read(descriptor, request, sizeof request) == (ssize_t)sizeof request) {
        const unsigned fault = (unsigned)(request[8] << 8 | request[9]);
        if (fault == HANG_UP)
            return;
        memcpy(reply, request, 6);
        memset(reply + 6, 0, sizeof reply - 6);
        const size_t length = make_reply(request + 6, reply + 6);
        reply[1] = (uint8_t)(reply[1] + (fault == OTHER_TRANSACTION));
        reply[3] = fault == OTHER_PROTOCOL;
        reply[5] = (uint8_t)length;
        if (fault == GARBAGE)
            memset(reply, 0x5a, 6);
        send_all(descriptor, reply, length + 6, fault);
        if (fault == LAST)
            return;
    }
}

static void answer_rtu(int descriptor) {
    uint8_t request[8], reply[260];
    for (;;) {
        for (size_t have = 0; have < sizeof request;) {
            const ssize_t got = read(descriptor, request + have, sizeof request - have);
            if (got <= 0)
                return;
            have += (size_t)got;
        }
        const unsigned fault = (unsigned)(request[2] << 8 | request[3]);
        if (fault == HANG_UP)
            return;
        memset(reply, 0, sizeof reply);
        const size_t length = make_reply(request, reply);
        const uint16_t crc = (uint16_t)(crc16(reply, length) + (fault == BAD_CRC));
        reply[length] = (uint8_t)crc;
        reply[length + 1] = (uint8_t)(crc >> 8);
        send_all(descriptor, reply, length + 2, fault);
        if (fault == LAST_RTU)
            return;
    }
}

static void serve_tcp(int listener, void (*answer)(int descriptor)) {
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        const int on = 1, descriptor = accept(listener, NULL, NULL);
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            answer(descriptor);
            _exit(0);
        }
        close(descriptor);
    }
}

static void start_server(struct peer *peer, enum plant_bus_kind kind, void (*answer)(int descriptor)) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    peer->bus = (struct plant_bus){.kind = kind,
                                   .host = "127.0.0.1",
                                   .port = ntohs(address.sin_port),
                                   .baud = kind == PLANT_MODBUS_RTU_TCP ? 115200 : 0,
                                   .timeout_ms = TIMEOUT_MS};
    peer->pid = fork();
    if (peer->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_tcp(listener, answer);
    }
    close(listener);
    connection_init(&peer->connection, &peer->bus);
}

static void start_tcp(struct peer *peer) {
    start_server(peer, PLANT_MODBUS_TCP, answer_tcp);
}

/* A serial server with the line of answer_rtu() behind it. */
static void start_rtu_tcp(struct peer *peer) {
    start_server(peer, PLANT_MODBUS_RTU_TCP, answer_rtu);
}

static void start_rtu(struct peer *peer) {
    int master, slave;
    peer->bus = (struct plant_bus){.kind = PLANT_MODBUS_RTU,
                                   .baud = 115200,
                                   .parity = PLANT_PARITY_NONE,
                                   .stop_bits = 1,
                                   .timeout_ms = TIMEOUT_MS};
    struct termios raw = {0};
    cfmakeraw(&raw);
    assert_int_equal(openpty(&master, &slave, peer->bus.device, &raw, NULL), 0);
    peer->pid = fork();
    if (peer->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        answer_rtu(master);
        _exit(0);
    }
    connection_init(&peer->connection, &peer->bus);
    close(master);
    close(slave);
}

static void stop(struct peer *peer) {
    connection_done(&peer->connection);
    kill(peer->pid, SIGKILL);
    waitpid(peer->pid, NULL, 0);
}

static struct connection_result read_within(struct peer *peer, unsigned address, uint32_t timeout_ms) {
    static const struct plant_instrument instrument = {.unit = UNIT};
    const struct plan_request request = {.instrument = &instrument,
                                         .table = PLANT_HOLDING,
                                         .address = (uint16_t)address,
                                         .count = 3,
                                         .timeout_ms = timeout_ms};
    struct connection_result result;
    connection_read(&peer->connection, &request, &result);
    for (unsigned i = 0; result.quality == QUALITY_GOOD && i < 3; i++)
        assert_int_equal(result.data[2 * i] << 8 | result.data[2 * i + 1], address + i);
    return result;
}

static struct connection_result read_at(struct peer *peer, unsigned address) {
    return read_within(peer, address, 0);
}

/* Of what answers: the peer may be late on a busy machine. */
static struct connection_result read_good(struct peer *peer, unsigned address) {
    return read_within(peer, address, PATIENCE_MS);
}

struct row {
    enum fault fault;
    uint8_t quality;
    uint16_t detail;
};

/* Each fault twice, good readings before and after: those must be good at once. */
static void run(struct peer *peer, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(read_good(peer, GOOD_ADDRESS + (unsigned)i).quality, QUALITY_GOOD);
        const struct connection_result result = read_at(peer, rows[i].fault);
        assert_int_equal(result.quality, rows[i].quality);
        assert_int_equal(result.detail, rows[i].detail);
        assert_int_equal(read_good(peer, GOOD_ADDRESS + 1 + (unsigned)i).quality, QUALITY_GOOD);
    }
}

static void tcp_faults_cost_a_reading_and_never_change_one(void **state) {
    (void)state;
    static const struct row rows[] = {
        {EXCEPTION, QUALITY_EXCEPTION, 2},
        {OTHER_UNIT, QUALITY_BAD_REPLY, 0},
        {OTHER_FUNCTION, QUALITY_BAD_REPLY, 0},
        {TOO_SHORT, QUALITY_BAD_REPLY, 0},
        {TOO_LONG, QUALITY_BAD_REPLY, 0},
        {BYTE_COUNT, QUALITY_BAD_REPLY, 0},
        {GARBAGE, QUALITY_BAD_REPLY, 0},
        {OTHER_TRANSACTION, QUALITY_BAD_REPLY, 0},
        {OTHER_PROTOCOL, QUALITY_BAD_REPLY, 0},
        {SILENT, QUALITY_TIMEOUT, 0},
        {LATE, QUALITY_TIMEOUT, 0},
        {DRIP, QUALITY_BAD_REPLY, 0},
        {LAST, QUALITY_GOOD, 0},
    };
    struct peer peer = {0};
    start_tcp(&peer);
    run(&peer, rows, sizeof rows / sizeof rows[0]);
    stop(&peer);
}

static void a_tcp_reply_that_comes_twice_is_not_taken_for_the_next(void **state) {
    (void)state;
    struct peer peer = {0};
    start_tcp(&peer);
    assert_int_equal(read_good(&peer, TWICE).quality, QUALITY_GOOD);
    const uint8_t next = read_at(&peer, GOOD_ADDRESS).quality;
    assert_true(next == QUALITY_GOOD || next == QUALITY_BAD_REPLY);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    stop(&peer);
}

static void a_peer_that_always_hangs_up_is_not_stormed(void **state) {
    (void)state;
    struct peer peer = {0};
    start_tcp(&peer);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    assert_int_equal(read_at(&peer, HANG_UP).quality, QUALITY_NOT_CONNECTED);
    for (int i = 0; i < 100; i++)
        assert_false(read_at(&peer, HANG_UP).sent);
    assert_int_equal(peer.connection.backoff.failures, 1);
    stop(&peer);
}

static void run_rtu_faults(void (*begin)(struct peer *peer)) {
    static const struct row rows[] = {
        {EXCEPTION, QUALITY_EXCEPTION, 2}, {OTHER_UNIT, QUALITY_BAD_REPLY, 0}, {OTHER_FUNCTION, QUALITY_BAD_REPLY, 0},
        {TOO_SHORT, QUALITY_BAD_REPLY, 0}, {BYTE_COUNT, QUALITY_BAD_REPLY, 0}, {GARBAGE, QUALITY_BAD_REPLY, 0},
        {BAD_CRC, QUALITY_BAD_REPLY, 0},   {SILENT, QUALITY_TIMEOUT, 0},       {LATE, QUALITY_TIMEOUT, 0},
        {DRIP, QUALITY_BAD_REPLY, 0},      {TWICE, QUALITY_GOOD, 0},
    };
    struct peer peer = {0};
    begin(&peer);
    run(&peer, rows, sizeof rows / sizeof rows[0]);
    stop(&peer);
}

static void rtu_faults_cost_a_reading_and_never_change_one(void **state) {
    (void)state;
    run_rtu_faults(start_rtu);
}

static void rtu_over_tcp_is_as_careful(void **state) {
    (void)state;
    run_rtu_faults(start_rtu_tcp);
}

static void a_serial_server_that_hangs_up_is_connected_anew(void **state) {
    (void)state;
    struct peer peer = {0};
    start_rtu_tcp(&peer);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    assert_int_equal(read_good(&peer, LAST_RTU).quality, QUALITY_GOOD);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    stop(&peer);
}

/* A reply that is on its way when the connection breaks comes over the next one. */
static void a_serial_server_that_was_left_may_still_owe_a_reply(void **state) {
    (void)state;
    struct peer peer = {0};
    start_rtu_tcp(&peer);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    const int64_t before_ms = clock_monotonic_ms();
    connection_done(&peer.connection);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    assert_true(clock_monotonic_ms() - before_ms >= TIMEOUT_MS);
    stop(&peer);
}

static void a_request_may_have_a_shorter_time_out_than_its_bus(void **state) {
    (void)state;
    void (*const begins[])(struct peer *peer) = {start_tcp, start_rtu, start_rtu_tcp};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        struct peer peer = {0};
        begins[i](&peer);
        assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
        peer.bus.timeout_ms = NEVER_MS;
        alarm(HANGS_S);
        assert_int_equal(read_within(&peer, SILENT, 50).quality, QUALITY_TIMEOUT);
        stop(&peer);
        alarm(0);
    }
}

static void an_unplugged_serial_port_is_not_connected_and_does_not_hang(void **state) {
    (void)state;
    struct peer peer = {0};
    start_rtu(&peer);
    assert_int_equal(read_good(&peer, GOOD_ADDRESS).quality, QUALITY_GOOD);
    assert_int_equal(read_at(&peer, HANG_UP).quality, QUALITY_NOT_CONNECTED);
    peer.bus.timeout_ms = NEVER_MS;
    alarm(HANGS_S);
    assert_int_equal(read_at(&peer, GOOD_ADDRESS).quality, QUALITY_NOT_CONNECTED);
    alarm(0);
    assert_int_not_equal(strlen(peer.connection.reason), 0);
    stop(&peer);
}

static void a_refused_connection_is_waited_for_and_costs_no_time(void **state) {
    (void)state;
    struct peer peer = {0};
    start_tcp(&peer);
    kill(peer.pid, SIGKILL);
    waitpid(peer.pid, NULL, 0);
    for (int i = 0; i < 100; i++) {
        const struct connection_result result = read_at(&peer, GOOD_ADDRESS);
        assert_int_equal(result.quality, QUALITY_NOT_CONNECTED);
        assert_false(result.sent);
    }
    assert_int_equal(peer.connection.backoff.failures, 1);
    connection_done(&peer.connection);
}

static void an_unknown_host_is_named_in_the_reason(void **state) {
    (void)state;
    struct peer peer = {.bus = {.kind = PLANT_MODBUS_TCP, .host = "300.0.0.1", .port = 502, .timeout_ms = TIMEOUT_MS}};
    connection_init(&peer.connection, &peer.bus);
    assert_int_equal(read_at(&peer, GOOD_ADDRESS).quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(peer.connection.reason, "300.0.0.1: "));
    connection_done(&peer.connection);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_faults_cost_a_reading_and_never_change_one),
        cmocka_unit_test(a_tcp_reply_that_comes_twice_is_not_taken_for_the_next),
        cmocka_unit_test(a_peer_that_always_hangs_up_is_not_stormed),
        cmocka_unit_test(rtu_faults_cost_a_reading_and_never_change_one),
        cmocka_unit_test(rtu_over_tcp_is_as_careful),
        cmocka_unit_test(a_serial_server_that_hangs_up_is_connected_anew),
        cmocka_unit_test(a_serial_server_that_was_left_may_still_owe_a_reply),
        cmocka_unit_test(a_request_may_have_a_shorter_time_out_than_its_bus),
        cmocka_unit_test(an_unplugged_serial_port_is_not_connected_and_does_not_hang),
        cmocka_unit_test(a_refused_connection_is_waited_for_and_costs_no_time),
        cmocka_unit_test(an_unknown_host_is_named_in_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
