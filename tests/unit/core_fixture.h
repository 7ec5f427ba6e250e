/* core_fixture.h - for tests: a folder with a configuration, and a whole forebay-core in this process. */
#ifndef FB_TESTS_CORE_FIXTURE_H
#define FB_TESTS_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/core/core.h"

#define CORE_LIMIT_US 10000000
#define CORE_CONFIG                                                                                                    \
    "gateway: {name: plant-1, data: data, run: run}\n"                                                                 \
    "store: {commit_interval: 100ms, quota: 16MB}\n"                                                                   \
    "buses: [{name: hall-1, kind: modbus-tcp, host: 127.0.0.1, port: 1502}]\n"                                         \
    "instruments:\n"                                                                                                   \
    "  - {name: probe, bus: hall-1, unit: 1, addresses: base-0, word_order: abcd, interval: 1s,\n"                     \
    "     tags: [{name: a, table: holding, address: 0, type: float32, unit: NTU}]}\n"

struct core_fixture {
    char folder[64];
    char file[96];
    struct core core;
    struct fb_cause cause;
};

static inline const char *core_path(const struct core_fixture *fixture, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    return path;
}

static inline void core_write(struct core_fixture *fixture, const char *name, const char *text) {
    assert_int_equal(file_write(core_path(fixture, name), text, strlen(text), 0600, &fixture->cause), FB_OK);
}

static inline int core_setup(void **state) {
    struct core_fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/forebay-core-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    snprintf(fixture->file, sizeof fixture->file, "%s/forebay.yaml", fixture->folder);
    core_write(fixture, "forebay.yaml", CORE_CONFIG);
    *state = fixture;
    return 0;
}

static inline int core_teardown(void **state) {
    struct core_fixture *fixture = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    const int result = system(command);
    free(fixture);
    return result;
}

static inline enum fb_error core_try(struct core_fixture *fixture) {
    return core_start(&fixture->core, fixture->file, &fixture->cause);
}

static inline void core_settle(struct core_fixture *fixture) {
    while (sd_event_run(fixture->core.event, 1000) > 0) {
    }
}

static inline int core_connect(const struct core_fixture *fixture, const char *name, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/run/%s", fixture->folder, name);
    const int descriptor = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

#endif
