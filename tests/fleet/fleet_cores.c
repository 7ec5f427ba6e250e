// links: tests/fleet/core.c tests/fleet/field.c store/batch*.c store/catalogue.c gateway/common/channel.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/hex.c gateway/common/message.c gateway/common/quality.c gateway/common/reading.c
/* fleet_cores FOLDER COUNT INTERVAL_MS TAGS - stands in for the forebay-core of COUNT gateways, each with a simulated
 * field of TAGS tags read once a second. For gateway i, from 0: FOLDER/i/link.json is its link, FOLDER/i/cloud.sock
 * where its forebay-cloud connects, "gw-i" its name (and its certificate's). Their batches are spread over the
 * interval. At the end of stdin no more batches are sealed; once everything is accepted, it ends. stdout: see core.h.
 */
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/fleet/core.h"
#include "tests/fleet/field.h"

#define COUNT_MAX 10000
#define INTERVAL_MAX_MS (1000u * FIELD_ROUNDS_MAX)
#define TICK_US 50000
#define OUTPUT_BYTES (256 * 1024)

struct fleet {
    sd_event *event;
    sd_event_source *tick;
    struct core *cores[COUNT_MAX]; /* count of them */
    size_t count;
    bool ending;
};

static bool is_empty(const struct fleet *fleet) {
    for (size_t i = 0; i < fleet->count; i++)
        if (!core_is_empty(fleet->cores[i]))
            return false;
    return true;
}

static int on_tick(sd_event_source *source, uint64_t now_us, void *user) {
    (void)now_us;
    struct fleet *fleet = user;
    fflush(stdout);
    if (fleet->ending && is_empty(fleet))
        sd_event_exit(fleet->event, EXIT_SUCCESS);
    sd_event_source_set_time_relative(source, TICK_US);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int on_input(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)events;
    struct fleet *fleet = user;
    char ignored[64];
    if (read(descriptor, ignored, sizeof ignored) > 0)
        return 0;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    for (size_t i = 0; i < fleet->count; i++)
        core_stop_sealing(fleet->cores[i]);
    fleet->ending = true;
    return 0;
}

static unsigned long number(const char *text, unsigned long most) {
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > most) {
        fprintf(stderr, "fleet_cores: %s: not a number of 1 to %lu\n", text, most);
        exit(2);
    }
    return value;
}

static void make_cores(struct fleet *fleet, char **words) {
    const unsigned long interval_ms = number(words[3], INTERVAL_MAX_MS), tags = number(words[4], FIELD_TAGS_MAX);
    fleet->count = number(words[2], COUNT_MAX);
    for (size_t i = 0; i < fleet->count; i++) {
        char folder[PATH_MAX], gateway[32];
        snprintf(folder, sizeof folder, "%s/%zu", words[1], i);
        snprintf(gateway, sizeof gateway, "gw-%zu", i);
        const struct core_settings settings = {.folder = folder,
                                               .gateway = gateway,
                                               .first_ms = (uint32_t)(interval_ms * (i + 1) / fleet->count),
                                               .interval_ms = (uint32_t)interval_ms,
                                               .tags = (uint32_t)tags};
        fleet->cores[i] = core_new(fleet->event, &settings);
    }
}

int main(int argc, char **argv) {
    static struct fleet fleet;
    if (argc != 5) {
        fputs("Usage: fleet_cores FOLDER COUNT INTERVAL_MS TAGS\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES);
    int done = sd_event_new(&fleet.event);
    assert(done >= 0);
    make_cores(&fleet, argv);
    done = sd_event_add_io(fleet.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &fleet);
    assert(done >= 0);
    done = sd_event_add_time(fleet.event, &fleet.tick, CLOCK_MONOTONIC, 0, TICK_US / 10, on_tick, &fleet);
    assert(done >= 0);
    puts("{\"what\":\"ready\"}");
    const int ended = sd_event_loop(fleet.event);
    for (size_t i = 0; i < fleet.count; i++)
        core_free(fleet.cores[i]);
    sd_event_source_unref(fleet.tick);
    sd_event_unref(fleet.event);
    return ended;
}
