/* records.c - `forebay audit`, `forebay events`, `forebay attempts`: what the running gateway keeps beside readings. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/moment.h"
#include "gateway/cli/options.h"
#include "gateway/common/clock.h"

#define TIMEOUT_MS 10000
#define FOLLOW_MS 500

static const char help[] =
    "Usage: forebay %s [--after NUMBER] [--since TIME] [--json] [--follow] [-c FILE | --run FOLDER]\n"
    "\n"
    "Shows %s, the oldest first.\n"
    "\n"
    "  --after NUMBER     only those behind this one\n"
    "  --since TIME       only those since then\n"
    "  --json             as JSON, one in a line (docs/api.md)\n"
    "  --follow           go on with what is added\n"
    "  -c, --config FILE  the configuration of the running gateway (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
    "  --help             show this\n"
    "\n"
    "TIME is 2026-11-21, 2026-11-21T10:00 or 2026-11-21T10:00:30, in UTC, or now, or so long\n"
    "ago: 30s, 15m, 24h, 7d.\n";

/* What a line begins with; all other members follow with their names. */
struct kind {
    const char *call;
    const char *what;
    const char *lead[4];
};

static const struct kind kinds[] = {
    {"audit", "what people did to the gateway", {"who", "action", "outcome"}},
    {"events", "what happened to the gateway", {"severity", "event"}},
    {"attempts", "the attempts to communicate", {"endpoint", "step", "outcome"}},
};

struct arguments {
    const struct kind *kind;
    struct options_gateway gateway;
    int64_t after, since_ms;
    bool json, follow;
};

static enum fb_error take_number(const char *text, int64_t *ret_number, struct fb_cause *cause) {
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || number < 0 || errno != 0)
        return fb_fail(cause, FB_INVALID, "--after %s: it is the number of a record, or 0", text);
    *ret_number = number;
    return FB_OK;
}

static enum fb_error take_option(struct arguments *arguments, int letter, struct fb_cause *cause) {
    switch (letter) {
    case 'a':
        return take_number(optarg, &arguments->after, cause);
    case 's':
        return moment_option("--since", optarg, clock_utc_ms(), &arguments->since_ms, cause);
    case 'j':
        arguments->json = true;
        return FB_OK;
    case 'f':
        arguments->follow = true;
        return FB_OK;
    case 'r':
        arguments->gateway.run = optarg;
        return FB_OK;
    case 'c':
        arguments->gateway.config_file = optarg;
        return FB_OK;
    default:
        return fb_fail(cause, FB_INVALID, "see forebay %s --help", arguments->kind->call);
    }
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"after", required_argument, NULL, 'a'},  {"since", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},         {"follow", no_argument, NULL, 'f'},
        {"config", required_argument, NULL, 'c'}, {"run", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const struct kind *kind = arguments->kind;
    struct fb_cause cause;
    int letter;
    while ((letter = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (letter == 'h')
            return printf(help, kind->call, kind->what) < 0;
        if (take_option(arguments, letter, &cause) != FB_OK) {
            fprintf(stderr, "forebay: %s\n", cause.text);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, help, kind->call, kind->what);
    return 2;
}

/* A word as it is, anything else as JSON: what others have said never becomes a control character here. */
static void print_value(const json_t *value) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@+-";
    const char *text = json_string_value(value);
    if (text != NULL && text[0] != '\0' && strspn(text, plain) == strlen(text)) {
        fputs(text, stdout);
        return;
    }
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    fputs(dump != NULL ? dump : "?", stdout);
    free(dump);
}

static bool is_lead(const struct kind *kind, const char *key) {
    bool found = strcmp(key, "number") == 0 || strcmp(key, "time_ms") == 0;
    for (size_t i = 0; !found && kind->lead[i] != NULL; i++)
        found = strcmp(kind->lead[i], key) == 0;
    return found;
}

static void print_members(const struct kind *kind, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (is_lead(kind, key) || (strcmp(key, "details") == 0 && json_is_object(value)))
            continue;
        printf(" %s=", key);
        print_value(value);
    }
}

static void print_line(const struct kind *kind, json_t *record) {
    const time_t time_s = (time_t)(json_integer_value(json_object_get(record, "time_ms")) / 1000);
    struct tm local;
    char shown[32] = "";
    if (localtime_r(&time_s, &local) != NULL)
        strftime(shown, sizeof shown, "%F %T", &local);
    printf("%6lld  %s ", (long long)json_integer_value(json_object_get(record, "number")), shown);
    for (size_t i = 0; kind->lead[i] != NULL; i++) {
        putchar(' ');
        print_value(json_object_get(record, kind->lead[i]));
    }
    print_members(kind, record);
    print_members(kind, json_object_get(record, "details"));
    putchar('\n');
}

static void print_record(const struct arguments *arguments, json_t *record) {
    if (json_integer_value(json_object_get(record, "time_ms")) < arguments->since_ms)
        return;
    if (!arguments->json) {
        print_line(arguments->kind, record);
        return;
    }
    json_dumpf(record, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
}

static void print_gap(const struct arguments *arguments, json_int_t first) {
    if (first > arguments->after + 1 && arguments->since_ms == 0)
        fprintf(stderr, "forebay: %" PRId64 " to %lld are not kept any more\n", arguments->after + 1,
                (long long)first - 1);
}

/* ret_more: there may be others. */
static enum fb_error print_some(struct arguments *arguments, const char *run, bool *ret_more, struct fb_cause *cause) {
    json_t *request = json_pack("{s:s, s:I}", "call", arguments->kind->call, "after", (json_int_t)arguments->after);
    json_t *result, *record;
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, cause);
    json_decref(request);
    if (error != FB_OK)
        return error;
    const json_t *records = json_object_get(result, "records");
    size_t i;
    if (json_array_size(records) > 0)
        print_gap(arguments, json_integer_value(json_object_get(json_array_get(records, 0), "number")));
    json_array_foreach(records, i, record) {
        print_record(arguments, record);
        arguments->after = json_integer_value(json_object_get(record, "number"));
    }
    *ret_more = json_array_size(records) > 0;
    json_decref(result);
    return FB_OK;
}

/* A gateway that starts again while it is followed is waited for. */
static int show(const char *run, void *user) {
    struct arguments *arguments = user;
    const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000};
    struct fb_cause cause;
    bool more = true, began = false;
    while (more || arguments->follow) {
        const enum fb_error error = print_some(arguments, run, &more, &cause);
        if (error != FB_OK && !(began && arguments->follow)) {
            fprintf(stderr, "forebay: %s\n", cause.text);
            return EXIT_FAILURE;
        }
        began = true;
        if (fflush(stdout) != 0)
            return EXIT_FAILURE;
        if (!more || error != FB_OK)
            nanosleep(&pause, NULL);
    }
    return EXIT_SUCCESS;
}

static int records_main(const char *call, int argc, char **argv) {
    struct arguments arguments = {.kind = kinds, .gateway.config_file = COMMAND_CONFIG_DEFAULT};
    while (strcmp(arguments.kind->call, call) != 0)
        arguments.kind++;
    const int done = parse(argc, argv, &arguments);
    return done >= 0 ? done : options_work(&arguments.gateway, show, &arguments);
}

int audit_main(int argc, char **argv) {
    return records_main("audit", argc, argv);
}

int events_main(int argc, char **argv) {
    return records_main("events", argc, argv);
}

int attempts_main(int argc, char **argv) {
    return records_main("attempts", argc, argv);
}
