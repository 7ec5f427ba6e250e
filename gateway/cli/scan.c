/* scan.c - `forebay scan`: which units answer on a bus that nobody polls. Slow on purpose, reads only, ends on Ctrl-C.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/command.h"
#include "gateway/cli/interrupt.h"
#include "gateway/cli/options.h"
#include "gateway/cli/target.h"
#include "gateway/common/quality.h"
#include "gateway/config/value.h"

#define VARIANTS_MAX 32
#define TIMEOUT_STANDARD_MS 200
#define PAUSE_MS 50
#define PORT_STANDARD 502
#define EXCEPTION_GATEWAY_PATH 10
#define EXCEPTION_GATEWAY_TARGET 11

static const char help[] = "Usage: forebay scan BUS [-c FILE] [--units A-B]\n"
                           "       forebay scan --host HOST ... [--port N] [--units A-B] [--timeout MS]\n"
                           "       forebay scan --device FILE [--baud N ...] [--parity WORD ...] [--units A-B]\n"
                           "                    [--timeout MS]\n"
                           "\n"
                           "Asks each unit number for one register and lists those that answer, be it with an error.\n"
                           "BUS must have no instruments in the configuration; a host or port must not be in use by\n"
                           "a running gateway. Only reads, one unit at a time; Ctrl-C ends it.\n"
                           "\n"
                           "  -c, --config FILE  the configuration with the bus (default " COMMAND_CONFIG_DEFAULT ")\n"
                           "  --units A-B        which (default 1-247)\n"
                           "  --host HOST        a Modbus TCP server, may come several times\n"
                           "  --port N           its port (default 502)\n"
                           "  --device FILE      a serial port; each speed is tried with each parity\n"
                           "  --baud N           may come several times (default 9600 and 19200)\n"
                           "  --parity WORD      none, even or odd; may come several times (default even and none)\n"
                           "  --timeout MS       how long to wait for each unit, 20 to 5000 (default 200)\n"
                           "  --help             show this\n";

struct arguments {
    const char *config_file, *bus, *device;
    const char *hosts[VARIANTS_MAX];
    size_t host_count;
    unsigned bauds[VARIANTS_MAX];
    size_t baud_count;
    enum plant_parity parities[VARIANTS_MAX];
    size_t parity_count;
    unsigned first, last, port, timeout_ms;
};

struct tally {
    unsigned asked, found;
};

static bool parse_units(const char *text, struct arguments *arguments) {
    char first[8];
    const char *dash = strchr(text, '-');
    const size_t length = dash != NULL ? (size_t)(dash - text) : 0;
    if (length == 0 || length >= sizeof first)
        return options_number(text, 0, UINT8_MAX, &arguments->first) && ((arguments->last = arguments->first), true);
    memcpy(first, text, length);
    first[length] = '\0';
    return options_number(first, 0, UINT8_MAX, &arguments->first) &&
           options_number(dash + 1, arguments->first, UINT8_MAX, &arguments->last);
}

static bool add_host(const char *text, struct arguments *arguments) {
    struct fb_cause cause;
    if (arguments->host_count == VARIANTS_MAX || value_host(text, &cause) != FB_OK)
        return false;
    arguments->hosts[arguments->host_count++] = text;
    return true;
}

static bool add_baud(const char *text, struct arguments *arguments) {
    if (arguments->baud_count == VARIANTS_MAX)
        return false;
    unsigned *baud = &arguments->bauds[arguments->baud_count++];
    return options_number(text, PLANT_BAUD_MIN, PLANT_BAUD_MAX, baud);
}

static bool add_parity(const char *text, struct arguments *arguments) {
    for (unsigned i = 0; i <= PLANT_PARITY_ODD && arguments->parity_count < VARIANTS_MAX; i++)
        if (strcmp(plant_parity_words[i], text) == 0) {
            arguments->parities[arguments->parity_count++] = (enum plant_parity)i;
            return true;
        }
    return false;
}

static bool set_config(const char *text, struct arguments *arguments) {
    arguments->config_file = text;
    return true;
}

static bool set_device(const char *text, struct arguments *arguments) {
    arguments->device = text;
    return strlen(text) < PLANT_PATH_MAX;
}

static bool set_port(const char *text, struct arguments *arguments) {
    return options_number(text, 1, UINT16_MAX, &arguments->port);
}

static bool set_timeout(const char *text, struct arguments *arguments) {
    return options_number(text, 20, 5000, &arguments->timeout_ms);
}

static const struct {
    const char *name;
    bool (*take)(const char *text, struct arguments *arguments);
} takers[] = {
    {"config", set_config}, {"units", parse_units}, {"host", add_host},     {"port", set_port},
    {"device", set_device}, {"baud", add_baud},     {"parity", add_parity}, {"timeout", set_timeout},
};
#define TAKERS (sizeof takers / sizeof takers[0])

static bool one_way(int argc, const struct arguments *arguments) {
    const bool by_name = optind + 1 == argc;
    return optind + 1 >= argc && (by_name + (arguments->host_count > 0) + (arguments->device != NULL)) == 1;
}

static void fill_standards(struct arguments *arguments) {
    if (arguments->baud_count == 0) {
        arguments->bauds[arguments->baud_count++] = 9600;
        arguments->bauds[arguments->baud_count++] = 19200;
    }
    if (arguments->parity_count == 0) {
        arguments->parities[arguments->parity_count++] = PLANT_PARITY_EVEN;
        arguments->parities[arguments->parity_count++] = PLANT_PARITY_NONE;
    }
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    struct option options[TAKERS + 2] = {{"help", no_argument, NULL, 'h'}};
    for (size_t i = 0; i < TAKERS; i++)
        options[i + 1] = (struct option){takers[i].name, required_argument, NULL, (int)(256 + i)};
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'c')
            arguments->config_file = optarg;
        else
            good = good && option >= 256 && takers[option - 256].take(optarg, arguments);
    }
    arguments->bus = argv[optind];
    fill_standards(arguments);
    if (good && one_way(argc, arguments))
        return -1;
    fputs(help, stderr);
    return 2;
}

static void print_found(const struct target *target, unsigned unit, const struct target_reply *reply) {
    const struct plant_bus *bus = &target->bus;
    if (bus->device[0] != '\0')
        printf("%s %u baud parity %s ", bus->device, bus->baud, plant_parity_word(bus->parity));
    else
        printf("%s port %u ", bus->host, bus->port);
    if (reply->exception != 0)
        printf("unit %u answers (exception %u)\n", unit, reply->exception);
    else
        printf("unit %u answers%s%s\n", unit,
               reply->good ? "" : ", but not as it should: ", reply->good ? "" : reply->reason);
    fflush(stdout);
}

/* Gateways between TCP and a line answer for units that are not there: application protocol V1.1b3, section 7. */
static bool answers(const struct target_reply *reply) {
    const bool nobody = reply->exception == EXCEPTION_GATEWAY_PATH || reply->exception == EXCEPTION_GATEWAY_TARGET;
    return !nobody && (reply->good || reply->exception != 0 || reply->received_length > 0);
}

/* The units of one bus. FB_IO: it cannot be opened; the rest of it is not tried. */
static enum fb_error scan_bus(struct target *target, const struct arguments *arguments, struct tally *tally,
                              struct fb_cause *cause) {
    static struct target_reply reply;
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    enum fb_error error = FB_OK;
    for (unsigned unit = arguments->first; unit <= arguments->last && error == FB_OK && !interrupt_came(); unit++) {
        fprintf(stderr, "\runit %u of %u to %u, %u found ", unit, arguments->first, arguments->last, tally->found);
        error = target_read(target, (uint8_t)unit, PLANT_HOLDING, 0, 1, &reply, cause);
        if (error != FB_OK)
            break;
        tally->asked++;
        if (answers(&reply)) {
            fputc('\n', stderr);
            print_found(target, unit, &reply);
            tally->found++;
        } else if (!reply.silent && reply.exception == 0) {
            error = fb_fail(cause, FB_IO, "%s", reply.reason);
        }
        nanosleep(&pause, NULL);
    }
    fputc('\n', stderr);
    return error;
}

static enum fb_error scan_by_name(const struct arguments *arguments, struct tally *tally, struct fb_cause *cause) {
    static struct target target;
    enum fb_error error = target_open(arguments->config_file, arguments->bus, &target, cause);
    if (error != FB_OK)
        return error;
    if (target.instrument_count > 0 && target.through_gateway)
        error = fb_fail(cause, FB_DENIED,
                        "bus %s is in use: the gateway polls %zu instruments on it; stop it, or take them out first",
                        arguments->bus, target.instrument_count);
    else
        error = scan_bus(&target, arguments, tally, cause);
    target_close(&target);
    return error;
}

/* What cannot be opened is told and passed over: others may be there. */
static void scan_one(const struct plant_bus *bus, const struct arguments *arguments, struct tally *tally) {
    static struct target target;
    struct fb_cause cause;
    enum fb_error error = target_open_bus(bus, &target, &cause);
    if (error == FB_OK) {
        error = scan_bus(&target, arguments, tally, &cause);
        target_close(&target);
    }
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
}

static void scan_hosts(const struct arguments *arguments, struct tally *tally) {
    for (size_t i = 0; i < arguments->host_count && !interrupt_came(); i++) {
        struct plant_bus bus = {.name = "scan",
                                .kind = PLANT_MODBUS_TCP,
                                .port = (uint16_t)arguments->port,
                                .timeout_ms = arguments->timeout_ms};
        snprintf(bus.host, sizeof bus.host, "%s", arguments->hosts[i]);
        scan_one(&bus, arguments, tally);
    }
}

static void scan_device(const struct arguments *arguments, struct tally *tally) {
    for (size_t i = 0; i < arguments->baud_count * arguments->parity_count && !interrupt_came(); i++) {
        const enum plant_parity parity = arguments->parities[i % arguments->parity_count];
        struct plant_bus bus = {.name = "scan",
                                .kind = PLANT_MODBUS_RTU,
                                .baud = arguments->bauds[i / arguments->parity_count],
                                .parity = parity,
                                .stop_bits = parity == PLANT_PARITY_NONE ? 2 : 1,
                                .timeout_ms = arguments->timeout_ms};
        snprintf(bus.device, sizeof bus.device, "%s", arguments->device);
        fprintf(stderr, "%s at %u baud, parity %s\n", bus.device, bus.baud, plant_parity_word(parity));
        scan_one(&bus, arguments, tally);
    }
}

int scan_main(int argc, char **argv) {
    struct arguments arguments = {.config_file = COMMAND_CONFIG_DEFAULT,
                                  .first = PLANT_RTU_UNIT_MIN,
                                  .last = PLANT_RTU_UNIT_MAX,
                                  .port = PORT_STANDARD,
                                  .timeout_ms = TIMEOUT_STANDARD_MS};
    const int done = parse(argc, argv, &arguments);
    if (done >= 0)
        return done;
    struct tally tally = {0};
    struct fb_cause cause;
    enum fb_error error = FB_OK;
    interrupt_catch();
    if (arguments.bus != NULL)
        error = scan_by_name(&arguments, &tally, &cause);
    else if (arguments.device != NULL)
        scan_device(&arguments, &tally);
    else
        scan_hosts(&arguments, &tally);
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
    fprintf(stderr, "%u asked, %u found%s\n", tally.asked, tally.found, interrupt_came() ? "; ended early" : "");
    return error == FB_OK && tally.found > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
