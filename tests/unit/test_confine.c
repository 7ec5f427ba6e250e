// links: gateway/common/confine.c gateway/common/error.c
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/confine.h"

static char *const nothing[] = {NULL};

static void run_execve(void) {
    execve("/bin/true", nothing, nothing);
}

static void run_execveat(void) {
    syscall(SYS_execveat, -100, "/bin/true", nothing, nothing, 0);
}

static void run_fork(void) {
    if (fork() == 0)
        _exit(0);
}

static void run_spawn(void) {
    pid_t child;
    if (posix_spawn(&child, "/bin/true", NULL, NULL, nothing, nothing) != 0)
        return;
}

static void run_plain_work(void) {
    char folder[] = "/tmp/forebay-confine-XXXXXX";
    if (mkdtemp(folder) != NULL)
        rmdir(folder);
}

/* How a confined child that does this ends: 0, or the signal that killed it. */
static int end_of(void (*work)(void)) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fb_cause cause;
        if (confine_self(&cause) != FB_OK)
            _exit(3);
        work();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static void every_way_to_another_program_is_deadly(void **state) {
    (void)state;
    assert_int_equal(end_of(run_execve), SIGSYS);
    assert_int_equal(end_of(run_execveat), SIGSYS);
    assert_int_equal(end_of(run_fork), SIGSYS);
    assert_int_equal(end_of(run_spawn), SIGSYS);
}

static void other_work_goes_on(void **state) {
    (void)state;
    assert_int_equal(end_of(run_plain_work), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_another_program_is_deadly),
        cmocka_unit_test(other_work_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
