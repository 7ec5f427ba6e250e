/* trace.c - `forebay trace`: the raw frames of one bus of the running gateway, into a file for Wireshark. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/interrupt.h"
#include "gateway/cli/options.h"
#include "gateway/cli/pcapng.h"
#include "gateway/common/clock.h"
#include "gateway/common/hex.h"

#define CALL_TIMEOUT_MS 5000
/* At 10 looks a second the ring of a bus (16 KiB) keeps up with 1500 small requests a second. */
#define LOOK_INTERVAL_MS 100
#define MINUTES_MAX 1440
/* A bus that is polled fast fills a disk overnight, and Wireshark is slow beyond this. */
#define MEGABYTES_DEFAULT 100
#define MEGABYTES_MAX 100000

static const char help[] =
    "Usage: forebay trace BUS -o FILE.pcapng [-c FILE] [--minutes N] [--megabytes N]\n"
    "\n"
    "Writes the raw frames of one bus of the running gateway to a file that Wireshark opens:\n"
    "the last ones that the gateway still knows, then those of the next N minutes. Asks the\n"
    "instruments nothing. Ctrl-C, or a full file, ends it early; the file is good at any moment.\n"
    "\n"
    "  -o, --output FILE  where to write, overwritten\n"
    "  -c, --config FILE  the gateway's configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --minutes N        how long, 0 to 1440 (default 0: only what is known now)\n"
    "  --megabytes N      ends with a file of so many, 1 to 100000 (default 100)\n"
    "  --help             show this\n";

struct arguments {
    const char *config_file, *output, *bus;
    unsigned minutes, megabytes;
};

struct tracing {
    const char *run, *bus;
    struct pcapng pcapng;
    json_int_t after;
    unsigned long long frames, lost_bytes;
    uint64_t bytes_most; /* of the file */
    bool full;
};

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"output", required_argument, NULL, 'o'},
        {"minutes", required_argument, NULL, 'm'}, {"megabytes", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},          {0}};
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'c')
            arguments->config_file = optarg;
        else if (option == 'o')
            arguments->output = optarg;
        else if (option == 'm')
            good = good && options_number(optarg, 0, MINUTES_MAX, &arguments->minutes);
        else if (option == 'b')
            good = good && options_number(optarg, 1, MEGABYTES_MAX, &arguments->megabytes);
        else
            good = false;
    }
    arguments->bus = argv[optind];
    if (good && optind + 1 == argc && arguments->output != NULL)
        return -1;
    fputs(help, stderr);
    return 2;
}

static enum fb_error add_frame(struct tracing *tracing, const json_t *frame, struct fb_cause *cause) {
    uint8_t bytes[PCAPNG_FRAME_BYTES_MAX];
    const char *text = json_string_value(json_object_get(frame, "bytes"));
    const size_t length = text != NULL ? strlen(text) / 2 : 0;
    if (length == 0 || length > sizeof bytes || !hex_decode(text, bytes, length))
        return fb_fail(cause, FB_INVALID, "the gateway sent a frame that cannot be read");
    tracing->full = tracing->full || tracing->pcapng.bytes + PCAPNG_BLOCK_BYTES_MAX > tracing->bytes_most;
    if (tracing->full)
        return FB_OK;
    tracing->frames++;
    return pcapng_add(&tracing->pcapng, json_integer_value(json_object_get(frame, "time_us")),
                      json_is_true(json_object_get(frame, "out")), bytes, length, cause);
}

static enum fb_error take(struct tracing *tracing, struct fb_cause *cause) {
    json_t *request = json_pack("{s:s, s:s, s:I}", "call", "trace", "bus", tracing->bus, "after", tracing->after);
    json_t *result = NULL;
    enum fb_error error = client_request(tracing->run, request, CALL_TIMEOUT_MS, &result, cause);
    json_decref(request);
    size_t index;
    json_t *frame;
    json_array_foreach(json_object_get(result, "frames"), index, frame) if (error == FB_OK) error =
        add_frame(tracing, frame, cause);
    if (error == FB_OK) {
        tracing->after = json_integer_value(json_object_get(result, "next"));
        tracing->lost_bytes += (unsigned long long)json_integer_value(json_object_get(result, "lost"));
    }
    json_decref(result);
    return error;
}

static enum fb_error take_for(struct tracing *tracing, unsigned minutes, struct fb_cause *cause) {
    const struct timespec pause = {.tv_nsec = LOOK_INTERVAL_MS * 1000000};
    const int64_t until_ms = clock_monotonic_ms() + minutes * INT64_C(60000);
    if (minutes > 0)
        fprintf(stderr, "tracing for %u minute%s, until Ctrl-C\n", minutes, minutes == 1 ? "" : "s");
    enum fb_error error = take(tracing, cause);
    while (error == FB_OK && !tracing->full && !interrupt_came() && clock_monotonic_ms() < until_ms) {
        nanosleep(&pause, NULL);
        error = take(tracing, cause);
    }
    return error;
}

static enum pcapng_kind kind_of(const struct plant_bus *bus) {
    if (strcmp(plant_bus_kind_word(bus->kind), "modbus-tcp") == 0)
        return PCAPNG_MODBUS_TCP;
    return strncmp(plant_bus_kind_word(bus->kind), "modbus-", 7) == 0 ? PCAPNG_MODBUS_RTU : PCAPNG_TEXT;
}

static enum fb_error trace(const struct arguments *arguments, const struct config *config, FILE *file,
                           struct tracing *tracing, struct fb_cause *cause) {
    const struct plant_bus *bus = options_find_bus(&config->plant, arguments->bus);
    if (bus == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "%s is no bus of %s", arguments->bus, arguments->config_file);
    *tracing = (struct tracing){
        .run = config->run, .bus = arguments->bus, .bytes_most = arguments->megabytes * UINT64_C(1000000)};
    interrupt_catch();
    const enum fb_error error = pcapng_begin(&tracing->pcapng, file, kind_of(bus), bus->name, cause);
    return error == FB_OK ? take_for(tracing, arguments->minutes, cause) : error;
}

int trace_main(int argc, char **argv) {
    struct arguments arguments = {.config_file = COMMAND_CONFIG_DEFAULT, .megabytes = MEGABYTES_DEFAULT};
    const int done = parse(argc, argv, &arguments);
    struct config config;
    if (done >= 0)
        return done;
    if (!options_load_config(arguments.config_file, &config))
        return EXIT_FAILURE;
    struct tracing tracing = {0};
    struct fb_cause cause;
    FILE *file = fopen(arguments.output, "we");
    enum fb_error error = file == NULL ? fb_fail_errno(&cause, FB_IO, errno, "%s", arguments.output)
                                       : trace(&arguments, &config, file, &tracing, &cause);
    if (file != NULL && fclose(file) != 0 && error == FB_OK)
        error = fb_fail_errno(&cause, FB_IO, errno, "%s", arguments.output);
    config_done(&config);
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
    if (tracing.full)
        fprintf(stderr, "ended: %s has the %u MB that it may have (--megabytes)\n", arguments.output,
                arguments.megabytes);
    fprintf(stderr, "%llu frames%s\n", tracing.frames,
            tracing.lost_bytes > 0 ? "; some were overwritten before they could be fetched" : "");
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
