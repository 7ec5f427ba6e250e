// links: drivers/workers.c drivers/fixed_plant.c drivers/worker.c drivers/inbox.c drivers/outbox.c drivers/connection.c drivers/driver.c drivers/modbus_tcp_driver.c drivers/modbus_rtu_driver.c drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/figures.c drivers/health.c drivers/plan.c drivers/schedule.c gateway/common/backoff.c gateway/common/channel.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/json.c gateway/common/log.c gateway/common/message.c gateway/common/plant.c gateway/common/quality.c gateway/common/reading.c gateway/common/resident.c drivers/recorder.c drivers/checksum.c drivers/ask.c drivers/probe.c drivers/write.c gateway/common/hex.c drivers/guard.c drivers/tcp_connect.c drivers/pulse.c drivers/patience.c drivers/subject.c drivers/plan_split.c gateway/common/plant_lines.c gateway/common/plant_write.c drivers/line_driver.c drivers/line_frame.c drivers/line_port.c drivers/rs485.c drivers/line_settings.c drivers/text_value.c drivers/json_memory.c
/* Real worker processes on buses to a port where nobody listens: each due tag gives a reading "not connected", which is
 * all that is needed to see who runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/workers.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

#define BUSES 2
#define PATIENCE_MS 10000

struct world {
    sd_event *event;
    struct workers *workers;
    unsigned readings[BUSES + 1]; /* by tag, 1 and up */
    uint8_t quality;
    unsigned statuses;
    char status[256];
    bool stopped;
    uint16_t port; /* bound and never listening */
    int holder;
};

static void on_readings(const struct reading *readings, size_t count, void *user) {
    struct world *world = user;
    for (size_t i = 0; i < count; i++) {
        assert_in_range(readings[i].tag, 1, BUSES);
        world->readings[readings[i].tag]++;
        world->quality = readings[i].quality;
    }
}

static void on_lost(uint64_t readings, int64_t from_ms, int64_t to_ms, void *user) {
    (void)readings;
    (void)from_ms;
    (void)to_ms;
    (void)user;
    fail_msg("a worker lost readings");
}

static void on_status(const char *text, void *user) {
    struct world *world = user;
    snprintf(world->status, sizeof world->status, "%s", text);
    world->statuses++;
}

static void on_stopped(void *user) {
    ((struct world *)user)->stopped = true;
}

static const struct workers_handlers handlers = {
    .readings = on_readings, .lost = on_lost, .status = on_status, .stopped = on_stopped};

static void add_bus(struct plant *plant, const struct world *world, unsigned number, uint32_t interval_ms) {
    struct plant_bus *bus = &plant->buses[plant->bus_count];
    *bus = (struct plant_bus){
        .kind = PLANT_MODBUS_TCP, .host = "127.0.0.1", .port = world->port, .timeout_ms = 200, .baud = 9600};
    snprintf(bus->name, sizeof bus->name, "b-%u", number);
    struct plant_instrument *instrument = &plant->instruments[plant->instrument_count++];
    *instrument = (struct plant_instrument){.bus = (uint16_t)plant->bus_count++, .unit = 1, .registers_most = 125};
    snprintf(instrument->name, sizeof instrument->name, "i-%u", number);
    instrument->tags = calloc(1, sizeof *instrument->tags);
    assert_non_null(instrument->tags);
    instrument->tag_count = 1;
    instrument->tags[0] = (struct plant_tag){.number = number,
                                             .name = "t",
                                             .table = PLANT_HOLDING,
                                             .type = PLANT_UINT16,
                                             .scale = {1, 0},
                                             .interval_ms = interval_ms};
}

static struct plant empty_plant(void) {
    struct plant plant = {.buses = calloc(BUSES, sizeof *plant.buses),
                          .instruments = calloc(BUSES, sizeof *plant.instruments)};
    assert_true(plant.buses != NULL && plant.instruments != NULL);
    return plant;
}

static void apply(struct world *world, uint32_t first_interval_ms, uint32_t second_interval_ms) {
    struct plant plant = empty_plant();
    if (first_interval_ms > 0)
        add_bus(&plant, world, 1, first_interval_ms);
    if (second_interval_ms > 0)
        add_bus(&plant, world, 2, second_interval_ms);
    workers_apply(world->workers, &plant);
    assert_int_equal(plant.bus_count, 0);
}

static void take_port(struct world *world) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    world->holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->holder, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(world->holder, (struct sockaddr *)&address, &length), 0);
    world->port = ntohs(address.sin_port);
}

static void open_world(struct world *world) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    *world = (struct world){0};
    take_port(world);
    assert_true(sd_event_new(&world->event) >= 0);
    assert_int_equal(workers_new(world->event, &handlers, world, &world->workers), FB_OK);
}

static void close_world(struct world *world) {
    workers_free(world->workers);
    sd_event_unref(world->event);
    close(world->holder);
}

/* Run the loop until the bus has given so many readings more. */
static void await_readings(struct world *world, unsigned tag, unsigned more) {
    const unsigned wanted = world->readings[tag] + more;
    const int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (world->readings[tag] < wanted) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        assert_true(sd_event_run(world->event, 100000) >= 0);
    }
}

/* The pids of our children, as many as there are. */
static size_t children(pid_t *ret_pids, size_t most) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t count = 0;
    while (count < most && fscanf(file, "%d", &ret_pids[count]) == 1)
        count++;
    fclose(file);
    return count;
}

static bool is_child(pid_t pid) {
    pid_t pids[8];
    const size_t count = children(pids, 8);
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

static void every_bus_has_a_process_and_gives_readings(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 100);
    await_readings(&world, 1, 3);
    await_readings(&world, 2, 3);
    pid_t pids[8];
    assert_int_equal(children(pids, 8), 2);
    assert_int_equal(world.quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(world.status, "\"name\":\"b-"));
    close_world(&world);
}

static void a_killed_worker_comes_back_and_the_other_does_not_notice(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 0);
    await_readings(&world, 1, 1);
    pid_t first;
    assert_int_equal(children(&first, 1), 1);
    apply(&world, 100, 100);
    await_readings(&world, 2, 1);
    kill(first, SIGKILL);
    await_readings(&world, 2, 2);
    const unsigned before = world.readings[1];
    await_readings(&world, 1, 3);
    assert_false(is_child(first));
    assert_true(world.readings[1] >= before + 3);
    close_world(&world);
}

static void a_dead_worker_is_told_as_a_bus_that_is_down(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 0);
    await_readings(&world, 1, 1);
    pid_t pid;
    assert_int_equal(children(&pid, 1), 1);
    kill(pid, SIGKILL);
    const int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (strstr(world.status, "worker ended by signal 9") == NULL) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        assert_true(sd_event_run(world.event, 100000) >= 0);
    }
    assert_non_null(strstr(world.status, "\"state\":\"down\""));
    close_world(&world);
}

static void an_unchanged_bus_keeps_its_process(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 0);
    await_readings(&world, 1, 1);
    pid_t first;
    assert_int_equal(children(&first, 1), 1);
    apply(&world, 100, 100);
    await_readings(&world, 2, 1);
    apply(&world, 100, 200);
    await_readings(&world, 2, 2);
    assert_true(is_child(first));
    apply(&world, 200, 200);
    const unsigned before = world.readings[1];
    await_readings(&world, 1, 3);
    assert_false(is_child(first));
    assert_true(world.readings[1] > before);
    close_world(&world);
}

static void a_bus_that_left_has_no_process(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 100);
    await_readings(&world, 1, 1);
    await_readings(&world, 2, 1);
    apply(&world, 0, 100);
    await_readings(&world, 2, 3);
    pid_t pids[8];
    assert_int_equal(children(pids, 8), 1);
    close_world(&world);
}

static void statuses_are_repeated_on_request(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 0);
    await_readings(&world, 1, 1);
    const int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (world.statuses == 0) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        assert_true(sd_event_run(world.event, 100000) >= 0);
    }
    const unsigned before = world.statuses;
    workers_repeat_status(world.workers);
    assert_int_equal(world.statuses, before + 1);
    close_world(&world);
}

static void stopping_ends_all_and_says_so(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    apply(&world, 100, 100);
    await_readings(&world, 1, 1);
    workers_stop(world.workers);
    const int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (!world.stopped) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        assert_true(sd_event_run(world.event, 100000) >= 0);
    }
    pid_t pids[8];
    assert_int_equal(children(pids, 8), 0);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bus_has_a_process_and_gives_readings),
        cmocka_unit_test(a_killed_worker_comes_back_and_the_other_does_not_notice),
        cmocka_unit_test(a_dead_worker_is_told_as_a_bus_that_is_down),
        cmocka_unit_test(an_unchanged_bus_keeps_its_process),
        cmocka_unit_test(a_bus_that_left_has_no_process),
        cmocka_unit_test(statuses_are_repeated_on_request),
        cmocka_unit_test(stopping_ends_all_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
