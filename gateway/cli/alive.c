#include "gateway/cli/alive.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* As sd_event_set_watchdog(3) sends it, alone. */
static const char alive_word[] = "WATCHDOG=1";
/* More than a socket holds as a rule: a look ends even if somebody goes on and on. */
#define MESSAGES_MAX 64

static enum fb_error bind_socket(const struct alive *alive, const char *path, struct fb_cause *cause) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int on = 1;
    if ((unlink(path) < 0 && errno != ENOENT) ||
        setsockopt(alive->descriptor, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    const mode_t mask = umask(0177);
    const int bound = bind(alive->descriptor, (const struct sockaddr *)&address, sizeof address);
    const int why = errno;
    umask(mask);
    return bound < 0 ? fb_fail_errno(cause, FB_IO, why, "%s", path) : FB_OK;
}

enum fb_error alive_open(struct alive *alive, const char *path, struct fb_cause *cause) {
    *alive = (struct alive){.descriptor = -1};
    if (path == NULL)
        return FB_OK;
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return fb_fail(cause, FB_LIMIT, "%s: a socket's path has at most 107 bytes", path);
    alive->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (alive->descriptor < 0)
        return fb_fail_errno(cause, FB_IO, errno, "socket");
    const enum fb_error error = bind_socket(alive, path, cause);
    if (error == FB_OK)
        alive->path = path;
    else
        close(alive->descriptor);
    return error;
}

void alive_close(struct alive *alive) {
    if (alive->path == NULL)
        return;
    close(alive->descriptor);
    unlink(alive->path);
    alive->path = NULL;
}

void alive_set_environment(const struct alive *alive) {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (alive->path == NULL)
        return;
    char time_us[24], pid[16];
    snprintf(time_us, sizeof time_us, "%lld", ALIVE_LOOKS_MAX * ALIVE_LOOK_MS * 1000LL);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", alive->path, 1);
    setenv("WATCHDOG_USEC", time_us, 1);
    setenv("WATCHDOG_PID", pid, 1);
}

void alive_started(struct alive *alive) {
    alive->has_spoken = false;
    alive->silent = 0;
}

/* The kernel says who has sent a message. */
static pid_t sender(struct msghdr *message) {
    struct ucred who = {.pid = 0};
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
            memcpy(&who, CMSG_DATA(part), sizeof who);
    return who.pid;
}

/* Takes all messages that wait; true when one of them is the word, by pid. */
static bool hear(const struct alive *alive, pid_t pid) {
    bool heard = false;
    for (int i = 0; i < MESSAGES_MAX; i++) {
        char text[sizeof alive_word];
        /* No room for anything but who it was: descriptors that come along are closed by the kernel. */
        union {
            struct cmsghdr align;
            uint8_t bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec vector = {.iov_base = text, .iov_len = sizeof text};
        struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        const ssize_t length = recvmsg(alive->descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0)
            break;
        if (length == sizeof alive_word - 1 && memcmp(text, alive_word, sizeof alive_word - 1) == 0 &&
            sender(&message) == pid)
            heard = true;
    }
    return heard;
}

bool alive_look(struct alive *alive, pid_t pid) {
    if (alive->path == NULL)
        return false;
    if (hear(alive, pid)) {
        alive->has_spoken = true;
        alive->silent = 0;
        return false;
    }
    if (!alive->has_spoken || ++alive->silent < ALIVE_LOOKS_MAX)
        return false;
    alive_started(alive);
    return true;
}
