// links: gateway/cli/alive.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "gateway/cli/alive.h"

struct world {
    char folder[32], path[64];
    struct alive alive;
};

static int open_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct fb_cause cause;
    snprintf(world->folder, sizeof world->folder, "/tmp/forebay-alive-XXXXXX");
    if (mkdtemp(world->folder) == NULL)
        return -1;
    snprintf(world->path, sizeof world->path, "%s/core.alive", world->folder);
    *state = world;
    return alive_open(&world->alive, world->path, &cause);
}

static int close_world(void **state) {
    struct world *world = *state;
    alive_close(&world->alive);
    alive_close(&world->alive); /* does no harm */
    const int removed = rmdir(world->folder);
    free(world);
    return removed; /* nothing was left in it */
}

/* As a program would say it that got alive's environment. */
static void say(const struct alive *alive, const char *text) {
    alive_set_environment(alive);
    assert_true(sd_notify(0, text) > 0);
}

static bool hangs_within(struct alive *alive, pid_t pid, unsigned looks) {
    for (unsigned i = 0; i < looks; i++)
        if (alive_look(alive, pid))
            return true;
    return false;
}

static void nothing_is_demanded_before_the_first_word(void **state) {
    struct world *world = *state;
    say(&world->alive, "READY=1");
    assert_false(hangs_within(&world->alive, getpid(), 10 * ALIVE_LOOKS_MAX));
}

static void silence_after_a_word_is_a_hang_and_told_once(void **state) {
    struct world *world = *state;
    say(&world->alive, "WATCHDOG=1");
    assert_false(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
    assert_true(alive_look(&world->alive, getpid()));
    assert_false(hangs_within(&world->alive, getpid(), 10 * ALIVE_LOOKS_MAX));
}

static void each_word_gives_the_time_anew(void **state) {
    struct world *world = *state;
    for (int i = 0; i < 3; i++) {
        say(&world->alive, "WATCHDOG=1");
        assert_false(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
    }
    say(&world->alive, "STATUS=busy\nMAINPID=1");
    assert_true(alive_look(&world->alive, getpid()));
}

/* However long nobody has looked, what was said in that time counts before anything is judged. */
static void what_waits_is_read_before_the_judgement(void **state) {
    struct world *world = *state;
    say(&world->alive, "WATCHDOG=1");
    assert_false(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
    say(&world->alive, "STATUS=busy");
    say(&world->alive, "WATCHDOG=1");
    say(&world->alive, "STATUS=busy");
    assert_false(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
}

static void another_process_cannot_speak_for_it(void **state) {
    struct world *world = *state;
    say(&world->alive, "WATCHDOG=1");
    assert_false(alive_look(&world->alive, getpid()));
    const pid_t other = fork();
    if (other == 0)
        _exit(sd_notify(0, "WATCHDOG=1") > 0 ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    assert_true(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
}

static void a_new_process_starts_anew(void **state) {
    struct world *world = *state;
    say(&world->alive, "WATCHDOG=1");
    assert_false(hangs_within(&world->alive, getpid(), ALIVE_LOOKS_MAX));
    say(&world->alive, "WATCHDOG=1"); /* of the old one: it is not the new one's first word */
    alive_started(&world->alive);
    assert_false(hangs_within(&world->alive, getpid() + 1, 10 * ALIVE_LOOKS_MAX));
}

static void only_our_own_user_can_say_something(void **state) {
    const struct world *world = *state;
    struct stat stands;
    assert_int_equal(stat(world->path, &stands), 0);
    assert_int_equal(stands.st_mode, S_IFSOCK | 0600);
}

static void the_environment_is_its_own_or_none(void **state) {
    const struct world *world = *state;
    uint64_t time_us;
    setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    setenv("WATCHDOG_USEC", "5", 1);
    setenv("WATCHDOG_PID", "1", 1);
    alive_set_environment(&world->alive);
    assert_string_equal(getenv("NOTIFY_SOCKET"), world->path);
    assert_true(sd_watchdog_enabled(0, &time_us) > 0);
    assert_int_equal(time_us, ALIVE_LOOKS_MAX * ALIVE_LOOK_MS * 1000);
    struct alive unasked;
    struct fb_cause cause;
    assert_int_equal(alive_open(&unasked, NULL, &cause), FB_OK);
    alive_set_environment(&unasked);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    assert_false(hangs_within(&unasked, getpid(), 10 * ALIVE_LOOKS_MAX));
    alive_close(&unasked);
}

static void what_stood_there_goes(void **state) {
    struct world *world = *state;
    struct alive again;
    struct fb_cause cause;
    assert_int_equal(alive_open(&again, world->path, &cause), FB_OK);
    say(&again, "WATCHDOG=1");
    assert_false(hangs_within(&again, getpid(), ALIVE_LOOKS_MAX));
    assert_true(alive_look(&again, getpid()));
    alive_close(&again);
}

static void a_path_that_cannot_be_is_refused(void **state) {
    (void)state;
    char path[160];
    struct alive alive;
    struct fb_cause cause;
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(alive_open(&alive, path, &cause), FB_LIMIT);
    assert_int_equal(alive_open(&alive, "/no/such/folder/core.alive", &cause), FB_IO);
    assert_false(alive_look(&alive, getpid()));
    alive_close(&alive);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_demanded_before_the_first_word, open_world, close_world),
        cmocka_unit_test_setup_teardown(silence_after_a_word_is_a_hang_and_told_once, open_world, close_world),
        cmocka_unit_test_setup_teardown(each_word_gives_the_time_anew, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_waits_is_read_before_the_judgement, open_world, close_world),
        cmocka_unit_test_setup_teardown(another_process_cannot_speak_for_it, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_new_process_starts_anew, open_world, close_world),
        cmocka_unit_test_setup_teardown(only_our_own_user_can_say_something, open_world, close_world),
        cmocka_unit_test_setup_teardown(the_environment_is_its_own_or_none, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_stood_there_goes, open_world, close_world),
        cmocka_unit_test(a_path_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
