/* parked.c - `forebay parked`: the batches that the peer rejected again and again, and handing them out anew. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"

#define TIMEOUT_MS 5000

static const char help[] =
    "Usage: forebay parked [-c FILE | --run FOLDER] [--json]\n"
    "       forebay parked retry NUMBER|all [-c FILE | --run FOLDER]\n"
    "\n"
    "Lists the batches of the running gateway that were parked: the peer rejected them five times while it\n"
    "took others, or they are larger than it takes. They stay in the store and keep nothing from going.\n"
    "`forebay export --parked` writes them to files.\n"
    "\n"
    "  retry  hand one out again, or all, once what kept the peer from taking them is put right\n"
    "\n"
    "  --json             the list as JSON, a batch a line\n"
    "  -c, --config FILE  its configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
    "  --help             show this\n";

struct arguments {
    struct options_gateway gateway;
    const char *number; /* retry: "all" or a number; NULL: list */
    bool json;
};

static int fail(const struct fb_cause *cause) {
    fprintf(stderr, "forebay: %s\n", cause->text);
    return EXIT_FAILURE;
}

static const char *utc(json_int_t time_ms, char ret_text[static 32]) {
    const time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return ret_text;
}

static void print_one(const struct arguments *arguments, const json_t *parked) {
    json_int_t number = 0, readings = 0, since_ms = 0;
    const char *reason = "";
    char since[32];
    if (arguments->json) {
        json_dumpf(parked, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    json_unpack((json_t *)(uintptr_t)parked, "{s:I, s:I, s:I, s:s}", "number", &number, "readings", &readings,
                "since_ms", &since_ms, "reason", &reason);
    printf("%10" JSON_INTEGER_FORMAT "  %8" JSON_INTEGER_FORMAT "  %s  %s\n", number, readings, utc(since_ms, since),
           reason);
}

static int list(const struct arguments *arguments, const char *run) {
    json_int_t after = 0;
    size_t count;
    do {
        struct fb_cause cause;
        json_t *result, *request = json_pack("{s:s, s:I}", "call", "parked", "after", after);
        const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, &cause);
        json_decref(request);
        if (error != FB_OK)
            return fail(&cause);
        const json_t *parked = json_object_get(result, "parked");
        count = json_array_size(parked);
        if (after == 0 && !arguments->json)
            puts(count > 0 ? "     BATCH  READINGS  PARKED SINCE          REASON" : "no batch is parked");
        for (size_t i = 0; i < count; i++) {
            print_one(arguments, json_array_get(parked, i));
            after = json_integer_value(json_object_get(json_array_get(parked, i), "number"));
        }
        json_decref(result);
    } while (count > 0);
    return EXIT_SUCCESS;
}

static int retry(const struct arguments *arguments, const char *run) {
    struct fb_cause cause;
    char *end = NULL;
    json_t *result, *request = json_pack("{s:s}", "call", "parked-retry");
    if (strcmp(arguments->number, "all") != 0)
        json_object_set_new(request, "number", json_integer(strtoll(arguments->number, &end, 10)));
    if (end != NULL && (*end != '\0' || end == arguments->number)) {
        json_decref(request);
        fprintf(stderr, "forebay: %s: the number of a batch, or all, is expected\n", arguments->number);
        return 2;
    }
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, &cause);
    json_decref(request);
    if (error != FB_OK)
        return fail(&cause);
    printf("%" JSON_INTEGER_FORMAT " batches go out again\n", json_integer_value(json_object_get(result, "released")));
    json_decref(result);
    return EXIT_SUCCESS;
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    const struct options_word words[] = {{"json", .flag = &arguments->json}, {0}};
    const int done = options_parse(argc, argv, help, words, &arguments->gateway);
    if (done >= 0)
        return done;
    const bool is_retry = optind + 2 == argc && strcmp(argv[optind], "retry") == 0 && !arguments->json;
    if (is_retry)
        arguments->number = argv[optind + 1];
    if (is_retry || optind == argc)
        return -1;
    fputs(help, stderr);
    return 2;
}

static int work(const char *run, void *user) {
    const struct arguments *arguments = user;
    return arguments->number != NULL ? retry(arguments, run) : list(arguments, run);
}

int parked_main(int argc, char **argv) {
    struct arguments arguments = {0};
    const int done = parse(argc, argv, &arguments);
    return done >= 0 ? done : options_work(&arguments.gateway, work, &arguments);
}
