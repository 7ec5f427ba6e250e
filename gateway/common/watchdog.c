#include "gateway/common/watchdog.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define WORD "WATCHDOG=1"
#define WORDS_IN_TIME 3 /* in the time after which silence is taken for hanging */

static struct {
    uint64_t interval_us;
    int descriptor;
} watchdog;

/* '@': an abstract name, see sd_notify(3). */
static int connect_to(int descriptor, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(name);
    if (length < 2 || length >= sizeof address.sun_path)
        return -EINVAL;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    const socklen_t used = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return connect(descriptor, (const struct sockaddr *)&address, used) < 0 ? -errno : 0;
}

static int open_socket(const char *name) {
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -errno;
    const int error = connect_to(descriptor, name);
    if (error == 0)
        return descriptor;
    close(descriptor);
    return error;
}

static int on_time(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us, (void)user;
    /* A word that finds no room is not missed: others wait there to be read. */
    (void)!send(watchdog.descriptor, WORD, sizeof WORD - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    sd_event_source_set_time_relative(source, watchdog.interval_us);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int watchdog_start(sd_event *event) {
    uint64_t limit_us;
    const int wanted = sd_watchdog_enabled(0, &limit_us);
    const char *name = getenv("NOTIFY_SOCKET");
    if (wanted <= 0 || name == NULL)
        return wanted < 0 ? wanted : 0;
    watchdog.interval_us = limit_us / WORDS_IN_TIME;
    watchdog.descriptor = open_socket(name);
    if (watchdog.descriptor < 0)
        return watchdog.descriptor;
    return sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 0, watchdog.interval_us / 4, on_time, NULL);
}
