// links: drivers/worker.c drivers/inbox.c drivers/outbox.c drivers/connection.c drivers/driver.c drivers/modbus_tcp_driver.c drivers/modbus_rtu_driver.c drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/figures.c drivers/health.c drivers/plan.c drivers/schedule.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/json.c gateway/common/log.c gateway/common/message.c gateway/common/plant.c gateway/common/quality.c gateway/common/reading.c gateway/common/resident.c drivers/recorder.c drivers/checksum.c drivers/ask.c drivers/json_memory.c drivers/probe.c drivers/write.c gateway/common/hex.c drivers/plan_split.c drivers/guard.c drivers/tcp_connect.c drivers/pulse.c drivers/patience.c drivers/subject.c gateway/common/plant_lines.c gateway/common/plant_write.c drivers/line_driver.c drivers/line_frame.c drivers/line_port.c drivers/rs485.c drivers/line_settings.c drivers/text_value.c
/* One worker process against a peer where unit 1 answers, unit 2 is silent and unit 3 refuses: what it sends to its
 * parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/inbox.h"
#include "drivers/worker.h"
#include "gateway/common/protocol.h"
#include "gateway/common/quality.h"

#define UNITS 3
#define INTERVAL_MS 200
#define TIMEOUT_MS 1000 /* a quarter of it for those that answer: a busy machine may be late */
#define PATIENCE_MS 20000
#define READINGS_MOST 100 /* of unit 1, until something is told */

struct world {
    struct plant_bus bus;
    struct plant_tag tags[UNITS];
    struct plant_instrument instruments[UNITS];
    struct plant plant;
    pid_t peer, worker;
    _Atomic unsigned *asked; /* shared with the peer: requests, by unit */
    int socket;
    unsigned readings[UNITS + 1]; /* by tag, which is the unit's number */
    int64_t last_ms[UNITS + 1];
    struct inbox_message message;
    char status[4096];
};

static void answer(int descriptor, _Atomic unsigned *asked) {
    uint8_t request[12];
    while (read(descriptor, request, sizeof request) == (ssize_t)sizeof request) {
        if (request[6] <= UNITS)
            asked[request[6]]++;
        uint8_t reply[] = {request[0], request[1], 0, 0, 0, 5, request[6], request[7], 2, 0, 42};
        const uint8_t refusal[] = {request[0], request[1], 0, 0, 0, 3, request[6], request[7] | 0x80, 4};
        if (request[6] == 1 && write(descriptor, reply, sizeof reply) < 0)
            return;
        if (request[6] == 3 && write(descriptor, refusal, sizeof refusal) < 0)
            return;
    }
}

static void serve(int listener, _Atomic unsigned *asked) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        const int descriptor = accept(listener, NULL, NULL);
        answer(descriptor, asked);
        close(descriptor);
    }
}

static void start_peer(struct world *world) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    world->bus = (struct plant_bus){.name = "b",
                                    .kind = PLANT_MODBUS_TCP,
                                    .host = "127.0.0.1",
                                    .port = ntohs(address.sin_port),
                                    .timeout_ms = TIMEOUT_MS};
    world->asked =
        mmap(NULL, (UNITS + 1) * sizeof *world->asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(world->asked, MAP_FAILED);
    world->peer = fork();
    if (world->peer == 0)
        serve(listener, world->asked);
    close(listener);
}

static void make_plant(struct world *world) {
    for (unsigned i = 0; i < UNITS; i++) {
        world->tags[i] = (struct plant_tag){.number = i + 1,
                                            .name = "t",
                                            .table = PLANT_HOLDING,
                                            .type = PLANT_UINT16,
                                            .scale = {1, -1},
                                            .interval_ms = INTERVAL_MS};
        world->instruments[i] = (struct plant_instrument){
            .name = "i", .unit = (uint8_t)(i + 1), .registers_most = 125, .tags = &world->tags[i], .tag_count = 1};
    }
    world->plant = (struct plant){
        .buses = &world->bus, .bus_count = 1, .instruments = world->instruments, .instrument_count = UNITS};
}

static int setup(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    start_peer(world);
    make_plant(world);
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    world->worker = fork();
    if (world->worker == 0) {
        close(sockets[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(worker_run(&world->plant, 0, sockets[1]));
    }
    close(sockets[1]);
    world->socket = sockets[0];
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    const pid_t children[] = {world->worker, world->peer};
    for (size_t i = 0; i < 2; i++) {
        kill(children[i], SIGTERM);
        waitpid(children[i], NULL, 0);
    }
    close(world->socket);
    munmap(world->asked, (UNITS + 1) * sizeof *world->asked);
    free(world);
    return 0;
}

static void check_reading(struct world *world, const struct reading *reading) {
    static const uint8_t qualities[] = {0, QUALITY_GOOD, QUALITY_TIMEOUT, QUALITY_EXCEPTION};
    assert_in_range(reading->tag, 1, UNITS);
    assert_int_equal(reading->quality, qualities[reading->tag]);
    assert_int_equal(reading->detail, reading->tag == 3 ? 4 : 0);
    assert_true(reading->tag != 1 || reading->value.real64 == 4.2);
    assert_true(reading->time_ms >= world->last_ms[reading->tag]);
    world->last_ms[reading->tag] = reading->time_ms;
    world->readings[reading->tag]++;
}

/* One message of the worker. */
static void hear(struct world *world) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct pollfd wait = {.fd = world->socket, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    const ssize_t got = recv(world->socket, packet, sizeof packet, 0);
    assert_true(got > 0);
    struct message_reader reader;
    assert_int_equal(message_open(packet, (size_t)got, &reader), FB_OK);
    assert_int_equal(inbox_take(&reader, &world->message), FB_OK);
    assert_int_not_equal(world->message.type, PROTOCOL_READINGS_LOST);
    for (size_t i = 0; world->message.type == PROTOCOL_READINGS && i < world->message.units; i++)
        check_reading(world, &world->message.readings[i]);
    if (world->message.type == PROTOCOL_BUS_STATUS && world->message.status_length < sizeof world->status) {
        memset(world->status, 0, sizeof world->status);
        memcpy(world->status, world->message.status, world->message.status_length);
    }
}

static void every_due_tag_gives_a_reading_with_its_reason(void **state) {
    struct world *world = *state;
    while (world->readings[1] < 10)
        hear(world);
    /* The silent unit costs a time-out now and then; it must not keep the others from their schedule for long. */
    assert_in_range(world->asked[2], 1, world->readings[1] / 2);
    assert_true(world->readings[2] >= 5);
    assert_true(world->readings[3] >= 5);
}

static void a_silent_unit_is_soon_spared_and_still_accounted_for(void **state) {
    struct world *world = *state;
    /* 3 s of silence degrade it; from then on its readings cost no time at all, but for a probe after 10 s. */
    while (world->readings[2] < 25)
        hear(world);
    const unsigned before = world->readings[2], asked = world->asked[2];
    assert_in_range(asked, 2, 10);
    while (world->readings[2] < before + 20)
        hear(world);
    assert_in_range(world->asked[2] - asked, 0, 1);
}

static void the_status_tells_of_the_bus_and_each_instrument(void **state) {
    static const char *const wanted[] = {"degraded", "\"state\":\"good\"", "\"reason\":\"timeout\"",
                                         "\"reason\":\"exception\""};
    struct world *world = *state;
    /* Each is told as soon as it is known, and then with all that is known already. */
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        while (strstr(world->status, wanted[i]) == NULL) {
            assert_true(world->readings[1] < READINGS_MOST);
            hear(world);
        }
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_non_null(strstr(world->status, wanted[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_due_tag_gives_a_reading_with_its_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_unit_is_soon_spared_and_still_accounted_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_status_tells_of_the_bus_and_each_instrument, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
