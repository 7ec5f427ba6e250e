// links: gateway/cli/supervisor.c gateway/cli/alive.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/supervisor.h"
#include "gateway/common/clock.h"

#define ENDED_MAX 8
#define LIMIT_MS 10000

struct end {
    char name[16];
    int status;
    bool will_restart;
};

struct world {
    sd_event *event;
    struct supervisor *supervisor;
    struct end ended[ENDED_MAX];
    size_t ended_count;
    unsigned stopped;
    bool stop_at_end; /* call supervisor_stop() from ended() */
    int words[2];     /* a pipe: children write, we read */
    int silence[2];   /* one that nobody writes to: who reads it waits */
};

static void on_ended(const char *name, int status, bool will_restart, void *user) {
    struct world *world = user;
    if (world->ended_count < ENDED_MAX) {
        struct end *end = &world->ended[world->ended_count++];
        snprintf(end->name, sizeof end->name, "%s", name);
        end->status = status;
        end->will_restart = will_restart;
    }
    if (world->stop_at_end)
        supervisor_stop(world->supervisor, LIMIT_MS);
}

static void on_stopped(void *user) {
    ((struct world *)user)->stopped++;
}

static const struct supervisor_handlers handlers = {.ended = on_ended, .stopped = on_stopped};

static int open_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct fb_cause cause;
    if (pipe(world->words) < 0 || pipe(world->silence) < 0 || sd_event_new(&world->event) < 0)
        return -1;
    *state = world;
    return supervisor_new(world->event, &handlers, world, &world->supervisor, &cause);
}

static int close_world(void **state) {
    struct world *world = *state;
    supervisor_free(world->supervisor);
    sd_event_unref(world->event);
    close(world->words[0]);
    close(world->words[1]);
    close(world->silence[0]);
    close(world->silence[1]);
    free(world);
    return 0;
}

/* A shell with this script, which finds the pipes as $1 (words) and $2 (silence). */
static void add_shell(struct world *world, const char *name, const char *script, bool once, bool last) {
    static char words[16], silence[16];
    snprintf(words, sizeof words, "/dev/fd/%d", world->words[1]);
    snprintf(silence, sizeof silence, "/dev/fd/%d", world->silence[0]);
    const struct supervisor_child child = {
        .name = name, .arguments = {"/bin/sh", "-c", script, name, words, silence}, .once = once, .last = last};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_OK);
}

static void run_until_ended(struct world *world, size_t count) {
    while (world->ended_count < count)
        assert_true(sd_event_run(world->event, LIMIT_MS * 1000) > 0);
}

static void run_until_stopped(struct world *world) {
    while (world->stopped == 0)
        assert_true(sd_event_run(world->event, LIMIT_MS * 1000) > 0);
}

/* The next letter that a child has written. */
static char next_word(const struct world *world) {
    char word;
    assert_int_equal(read(world->words[0], &word, 1), 1);
    return word;
}

static void a_child_runs_until_all_is_stopped(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "read x <$2", false, false);
    const pid_t pid = supervisor_pid(world->supervisor, "a");
    assert_true(pid > 0 && kill(pid, 0) == 0);
    assert_int_equal(supervisor_pid(world->supervisor, "b"), 0);
    supervisor_stop(world->supervisor, LIMIT_MS);
    run_until_stopped(world);
    assert_int_equal(world->ended_count, 1);
    assert_int_equal(world->ended[0].status, 128 + SIGTERM);
    assert_false(world->ended[0].will_restart);
    assert_int_equal(supervisor_pid(world->supervisor, "a"), 0);
}

static void what_dies_is_started_again(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "printf x >$1; read x <$2", false, false);
    assert_int_equal(next_word(world), 'x');
    const pid_t pid = supervisor_pid(world->supervisor, "a");
    kill(pid, SIGKILL);
    run_until_ended(world, 1);
    assert_int_equal(world->ended[0].status, 128 + SIGKILL);
    assert_true(world->ended[0].will_restart);
    while (supervisor_pid(world->supervisor, "a") == 0)
        assert_true(sd_event_run(world->event, LIMIT_MS * 1000) > 0);
    assert_int_equal(next_word(world), 'x');
    assert_int_not_equal(supervisor_pid(world->supervisor, "a"), pid);
}

static void what_keeps_dying_is_started_ever_later(void **state) {
    struct world *world = *state;
    const int64_t began_ms = clock_monotonic_ms();
    add_shell(world, "a", "exit 3", false, false);
    run_until_ended(world, 5);
    assert_int_equal(world->ended[4].status, 3);
    assert_true(clock_monotonic_ms() - began_ms >= 4 * 50);
}

static void a_program_that_is_not_there_counts_as_ended(void **state) {
    struct world *world = *state;
    const struct supervisor_child child = {.name = "a", .arguments = {"/no/such/program"}};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_OK);
    run_until_ended(world, 1);
    assert_int_equal(world->ended[0].status, 127);
    assert_true(world->ended[0].will_restart);
}

static void a_child_marked_once_is_not_started_again(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "exit 0", true, false);
    run_until_ended(world, 1);
    assert_int_equal(world->ended[0].status, 0);
    assert_false(world->ended[0].will_restart);
    assert_int_equal(world->stopped, 0);
}

static void the_last_one_is_told_when_the_others_are_gone(void **state) {
    struct world *world = *state;
    add_shell(world, "core", "trap 'printf L >$1; exit 0' TERM; printf r >$1; read x <$2", false, true);
    add_shell(world, "field", "trap 'printf a >$1; printf b >$1; exit 0' TERM; printf r >$1; read x <$2", false, false);
    assert_int_equal(next_word(world), 'r');
    assert_int_equal(next_word(world), 'r');
    supervisor_stop(world->supervisor, LIMIT_MS);
    run_until_stopped(world);
    assert_int_equal(next_word(world), 'a');
    assert_int_equal(next_word(world), 'b');
    assert_int_equal(next_word(world), 'L');
    assert_string_equal(world->ended[0].name, "field");
    assert_string_equal(world->ended[1].name, "core");
}

static void what_does_not_end_in_time_is_killed(void **state) {
    struct world *world = *state;
    add_shell(world, "deaf", "trap '' TERM; printf r >$1; read x <$2", false, false);
    add_shell(world, "last", "trap '' TERM; printf r >$1; read x <$2", false, true);
    assert_int_equal(next_word(world), 'r');
    assert_int_equal(next_word(world), 'r');
    supervisor_stop(world->supervisor, 50);
    run_until_stopped(world);
    assert_int_equal(world->ended_count, 2);
    assert_int_equal(world->ended[0].status, 128 + SIGKILL);
    assert_int_equal(world->ended[1].status, 128 + SIGKILL);
}

static void stopping_with_nothing_running_stops_at_once(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "exit 1", false, false);
    run_until_ended(world, 1); /* its restart is planned */
    supervisor_stop(world->supervisor, LIMIT_MS);
    assert_int_equal(world->stopped, 1);
    supervisor_stop(world->supervisor, LIMIT_MS);
    assert_int_equal(world->stopped, 1);
    assert_int_equal(sd_event_run(world->event, 0), 0);
}

static void stopping_because_one_has_ended_is_told_once(void **state) {
    struct world *world = *state;
    world->stop_at_end = true;
    add_shell(world, "a", "exit 1", false, false);
    run_until_stopped(world);
    while (sd_event_run(world->event, 0) > 0) {
    }
    assert_int_equal(world->stopped, 1);
}

static void what_runs_when_the_supervisor_goes_is_killed(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "trap '' TERM; printf r >$1; read x <$2", false, false);
    assert_int_equal(next_word(world), 'r');
    const pid_t pid = supervisor_pid(world->supervisor, "a");
    supervisor_free(world->supervisor);
    world->supervisor = NULL;
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void what_a_child_leaves_behind_is_killed(void **state) {
    struct world *world = *state;
    add_shell(world, "a", "(printf r >$1; read x <$2) & read x <$2", true, false);
    assert_int_equal(next_word(world), 'r');
    kill(supervisor_pid(world->supervisor, "a"), SIGKILL);
    run_until_ended(world, 1);
    close(world->words[1]);
    world->words[1] = -1;
    char word;
    assert_int_equal(read(world->words[0], &word, 1), 0); /* nobody has the other end any more */
}

static void there_is_a_limit_to_the_children(void **state) {
    struct world *world = *state;
    for (int i = 0; i < SUPERVISOR_CHILDREN_MAX; i++)
        add_shell(world, "a", "read x <$2", false, false);
    const struct supervisor_child child = {.name = "b", .arguments = {"/bin/true"}};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_LIMIT);
}

static void output_goes_to_its_file_and_signals_are_as_usual(void **state) {
    struct world *world = *state;
    char path[] = "/tmp/forebay-supervisor-XXXXXX";
    close(mkstemp(path));
    const struct supervisor_child child = {
        .name = "a",
        .arguments = {"/bin/sh", "-c", "grep SigBlk /proc/self/status; echo wrong >&2; read x || echo no input"},
        .once = true,
        .output = path};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_OK);
    run_until_ended(world, 1);
    char text[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    unlink(path);
    assert_string_equal(text, "SigBlk:\t0000000000000000\nwrong\nno input\n");
}

/* The script's own exit tells what it found; a watched one finds the socket that is its own. */
static void variables_of_a_watchdog_are_the_childs_own(void **state) {
    struct world *world = *state;
    char folder[] = "/tmp/forebay-supervisor-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.alive", folder);
    setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    setenv("WATCHDOG_USEC", "5", 1);
    setenv("WATCHDOG_PID", "1", 1);
    struct supervisor_child child = {
        .name = "a",
        .arguments = {"/bin/sh", "-c", "test -S $NOTIFY_SOCKET && test $NOTIFY_SOCKET = $1 && test $WATCHDOG_PID = $$",
                      "a", path},
        .once = true,
        .alive = path};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_OK);
    run_until_ended(world, 1);
    assert_int_equal(world->ended[0].status, 0);
    add_shell(world, "b", "test -z \"$NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID\"", true, false);
    run_until_ended(world, 2);
    assert_int_equal(world->ended[1].status, 0);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    supervisor_free(world->supervisor);
    world->supervisor = NULL;
    assert_int_equal(rmdir(folder), 0);
}

static void a_child_whose_word_nobody_could_hear_is_not_started(void **state) {
    struct world *world = *state;
    const struct supervisor_child child = {.name = "a", .arguments = {"/bin/true"}, .alive = "/no/such/folder/a.alive"};
    struct fb_cause cause;
    assert_int_equal(supervisor_add(world->supervisor, &child, &cause), FB_IO);
    assert_int_equal(supervisor_pid(world->supervisor, "a"), 0);
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_child_runs_until_all_is_stopped, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_dies_is_started_again, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_keeps_dying_is_started_ever_later, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there_counts_as_ended, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_child_marked_once_is_not_started_again, open_world, close_world),
        cmocka_unit_test_setup_teardown(the_last_one_is_told_when_the_others_are_gone, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_does_not_end_in_time_is_killed, open_world, close_world),
        cmocka_unit_test_setup_teardown(stopping_with_nothing_running_stops_at_once, open_world, close_world),
        cmocka_unit_test_setup_teardown(stopping_because_one_has_ended_is_told_once, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_runs_when_the_supervisor_goes_is_killed, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_a_child_leaves_behind_is_killed, open_world, close_world),
        cmocka_unit_test_setup_teardown(there_is_a_limit_to_the_children, open_world, close_world),
        cmocka_unit_test_setup_teardown(output_goes_to_its_file_and_signals_are_as_usual, open_world, close_world),
        cmocka_unit_test_setup_teardown(variables_of_a_watchdog_are_the_childs_own, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_child_whose_word_nobody_could_hear_is_not_started, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
