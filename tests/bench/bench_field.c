// links: drivers/connection.c drivers/driver.c drivers/modbus_tcp_driver.c drivers/modbus_rtu_driver.c drivers/rs485.c drivers/line_settings.c drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/clock.c gateway/common/backoff.c drivers/checksum.c drivers/guard.c drivers/tcp_connect.c drivers/plan.c drivers/plan_split.c drivers/recorder.c gateway/common/plant_lines.c gateway/common/plant_write.c drivers/line_driver.c drivers/line_frame.c drivers/line_port.c
/* Requests a second of the bus worker's read call over one Modbus TCP connection, 125 registers each, against a bare
 * loop of libmodbus' modbus_read_registers() on the same server, in short rounds by turns, so that what else the
 * machine does meets both. Both connect anew now and then: the system may have put one of the two server processes on a
 * busier processor. The median of the rounds' ratios counts. */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/connection.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

#define REGISTERS 125
#define SETS 25
#define SET_ROUNDS 5
#define ROUNDS (SETS * SET_ROUNDS)
#define ROUND_US 20000

static void fail(const char *what) {
    fprintf(stderr, "bench_field: %s: %s\n", what, modbus_strerror(errno));
    exit(EXIT_FAILURE);
}

static void answer(int descriptor) {
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, REGISTERS, 0);
    modbus_set_socket(modbus, descriptor);
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    for (int length; (length = modbus_receive(modbus, request)) >= 0;)
        if (length > 0)
            modbus_reply(modbus, request, length, mapping);
}

static void serve(int listener) {
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        const int descriptor = accept(listener, NULL, NULL);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            answer(descriptor);
            _exit(EXIT_SUCCESS);
        }
        close(descriptor);
    }
}

static pid_t start_server(uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        fail("listen");
    *ret_port = ntohs(address.sin_port);
    const pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener);
    }
    close(listener);
    return server;
}

static double round_of_bare(modbus_t *modbus) {
    uint16_t registers[REGISTERS];
    const int64_t begin_us = clock_monotonic_us();
    unsigned requests = 0;
    for (; clock_monotonic_us() - begin_us < ROUND_US; requests++)
        if (modbus_read_registers(modbus, 0, REGISTERS, registers) != REGISTERS)
            fail("bare loop");
    return requests * 1e6 / (double)(clock_monotonic_us() - begin_us);
}

static double round_of_ours(struct connection *connection, const struct plan_request *request) {
    const int64_t begin_us = clock_monotonic_us();
    unsigned requests = 0;
    for (; clock_monotonic_us() - begin_us < ROUND_US; requests++) {
        struct connection_result result;
        connection_read(connection, request, &result);
        if (result.quality != QUALITY_GOOD)
            fail("our loop");
    }
    return requests * 1e6 / (double)(clock_monotonic_us() - begin_us);
}

static int compare(const void *left_pointer, const void *right_pointer) {
    const double left = *(const double *)left_pointer;
    const double right = *(const double *)right_pointer;
    return (left > right) - (left < right);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof values[0], compare);
    return values[ROUNDS / 2];
}

struct rounds {
    double bare[ROUNDS], ours[ROUNDS], ratios[ROUNDS];
};

/* SET_ROUNDS of both over connections of their own, from the round first on. */
static void measure(const struct plant_bus *bus, const struct plan_request *request, size_t first,
                    struct rounds *rounds) {
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", bus->port);
    if (modbus == NULL || modbus_connect(modbus) < 0)
        fail("connect");
    struct connection connection;
    connection_init(&connection, bus);
    round_of_ours(&connection, request); /* connects */
    for (size_t i = first; i < first + SET_ROUNDS; i++) {
        rounds->bare[i] = round_of_bare(modbus);
        rounds->ours[i] = round_of_ours(&connection, request);
        rounds->ratios[i] = rounds->ours[i] / rounds->bare[i];
    }
    connection_done(&connection);
    modbus_close(modbus);
    modbus_free(modbus);
}

int main(void) {
    static const struct plant_instrument instrument = {.unit = 1};
    const struct plan_request request = {.instrument = &instrument, .table = PLANT_HOLDING, .count = REGISTERS};
    struct plant_bus bus = {.kind = PLANT_MODBUS_TCP, .host = "127.0.0.1", .timeout_ms = 1000};
    const pid_t server = start_server(&bus.port);
    static struct rounds rounds;
    for (size_t set = 0; set < SETS; set++)
        measure(&bus, &request, set * SET_ROUNDS, &rounds);
    printf("{\"field.requests_per_s\": {\"value\": %.0f, \"unit\": \"requests/s\", \"against\": %.0f, "
           "\"ratio\": %.3f}}\n",
           median(rounds.ours), median(rounds.bare), median(rounds.ratios));
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return EXIT_SUCCESS;
}
