#include "gateway/common/confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>

static int add_rules(scmp_filter_ctx filter) {
    static const char *const killed[] = {"execve", "execveat", "fork", "vfork"};
    int error = 0;
    for (size_t i = 0; i < sizeof killed / sizeof killed[0] && error == 0; i++) {
        const int number = seccomp_syscall_resolve_name(killed[i]);
        /* arm64 has neither fork nor vfork; libseccomp then gives a negative number that adds nothing. */
        error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, number, 0);
    }
    /* A thread shares the memory; a process of its own does not, and a vfork waits for the other to exec. */
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM, 0));
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VFORK, CLONE_VFORK));
    /* clone3 keeps its flags in memory, where a filter cannot look; the C library then takes clone instead. */
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return error;
}

enum fb_error confine_self(struct fb_cause *cause) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return fb_fail(cause, FB_MEMORY, "seccomp: out of memory");
    int error = add_rules(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error == 0 ? FB_OK : fb_fail_errno(cause, FB_IO, -error, "seccomp");
}
