// links: gateway/common/watchdog.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/watchdog.h"

#define TURN_US 1000
#define TURNS_MOST 3000

/* Who reads it, or does not. */
struct world {
    sd_event *event;
    char name[64]; /* abstract */
    int descriptor;
    int turns;  /* of something else in the same loop */
    int wanted; /* words after which the loop ends; 0: by turns alone */
    int heard;
};

static int open_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(world->name, sizeof world->name, "@forebay-test-watchdog-%d", (int)getpid());
    memcpy(address.sun_path + 1, world->name + 1, strlen(world->name) - 1);
    world->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(world->name));
    if (bind(world->descriptor, (struct sockaddr *)&address, length) < 0)
        return -1;
    setenv("NOTIFY_SOCKET", world->name, 1);
    setenv("WATCHDOG_USEC", "3000", 1); /* so a word each millisecond */
    unsetenv("WATCHDOG_PID");
    *state = world;
    return sd_event_new(&world->event);
}

static int close_world(void **state) {
    struct world *world = *state;
    sd_event_unref(world->event);
    close(world->descriptor);
    free(world);
    return 0;
}

static void hear(struct world *world) {
    char text[32];
    for (ssize_t got; (got = recv(world->descriptor, text, sizeof text, MSG_DONTWAIT)) >= 0; world->heard++) {
        assert_int_equal(got, strlen("WATCHDOG=1"));
        assert_memory_equal(text, "WATCHDOG=1", strlen("WATCHDOG=1"));
    }
}

static int on_turn(sd_event_source *source, uint64_t time_us, void *user) {
    struct world *world = user;
    (void)time_us;
    if (world->wanted > 0)
        hear(world);
    world->turns++;
    if (world->turns == TURNS_MOST || (world->wanted > 0 && world->heard >= world->wanted))
        return sd_event_exit(sd_event_source_get_event(source), 0);
    sd_event_source_set_time_relative(source, TURN_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void run(struct world *world) {
    assert_true(sd_event_add_time_relative(world->event, NULL, CLOCK_MONOTONIC, 0, 1, on_turn, world) >= 0);
    assert_int_equal(sd_event_loop(world->event), 0);
}

static void words_come_again_and_again(void **state) {
    struct world *world = *state;
    world->wanted = 20;
    assert_true(watchdog_start(world->event) >= 0);
    run(world);
    assert_true(world->heard >= 20);
}

/* The kernel keeps some words, as many as net.unix.max_dgram_qlen says. */
static void nobody_who_reads_holds_nothing_up(void **state) {
    struct world *world = *state;
    int queue_most = 0;
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &queue_most), 1);
    fclose(file);
    if (queue_most > TURNS_MOST)
        skip();
    assert_true(watchdog_start(world->event) >= 0);
    run(world);
    assert_int_equal(world->turns, TURNS_MOST);
    hear(world);
    assert_in_range(world->heard, 1, queue_most + 1);
}

static void who_did_not_ask_hears_nothing(void **state) {
    struct world *world = *state;
    unsetenv("WATCHDOG_USEC");
    world->turns = TURNS_MOST - 10;
    assert_int_equal(watchdog_start(world->event), 0);
    run(world);
    hear(world);
    assert_int_equal(world->heard, 0);
}

static void a_socket_that_is_not_there_is_an_error(void **state) {
    struct world *world = *state;
    setenv("NOTIFY_SOCKET", "/tmp/forebay-nobody/listens", 1);
    assert_true(watchdog_start(world->event) < 0);
    setenv("NOTIFY_SOCKET", "@", 1);
    assert_true(watchdog_start(world->event) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_come_again_and_again, open_world, close_world),
        cmocka_unit_test_setup_teardown(nobody_who_reads_holds_nothing_up, open_world, close_world),
        cmocka_unit_test_setup_teardown(who_did_not_ask_hears_nothing, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_socket_that_is_not_there_is_an_error, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
