/* status.c - `forebay status` and `forebay reload`: ask and tell the running gateway. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"

#define STATUS_TIMEOUT_MS 5000
#define RELOAD_TIMEOUT_MS 30000

static const char status_help[] = "Usage: forebay status [-c FILE | --run FOLDER] [--json]\n"
                                  "\n"
                                  "Shows the state of the running gateway. Exit status 1 when none is running.\n"
                                  "\n"
                                  "  -c, --config FILE  its configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
                                  "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
                                  "  --json             as JSON, for programs (docs/api.md)\n"
                                  "  --help             show this\n";

static const char reload_help[] =
    "Usage: forebay reload [--reason TEXT] [-c FILE]\n"
    "\n"
    "Checks the configuration and applies what has changed to the running gateway; buses\n"
    "that did not change go on undisturbed, and no reading is lost. A wrong file changes\n"
    "nothing.\n"
    "\n"
    "  --reason TEXT      kept with the configuration (forebay config history)\n"
    "  -c, --config FILE  its configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --help             show this\n";

struct arguments {
    struct options_gateway gateway;
    const char *reason;
    bool json;
};

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, const char *help, struct arguments *arguments) {
    const struct options_word words[] = {
        {"reason", .text = &arguments->reason}, {"json", .flag = &arguments->json}, {0}};
    const int done = options_parse(argc, argv, help, words, &arguments->gateway);
    if (done >= 0 || optind == argc)
        return done;
    fputs(help, stderr);
    return 2;
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

static long long number(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_since(const json_t *object) {
    const time_t since_s = (time_t)(number(object, "since_ms") / 1000);
    struct tm local;
    char shown[32];
    if (since_s > 0 && localtime_r(&since_s, &local) != NULL && strftime(shown, sizeof shown, "%F %T", &local) > 0)
        printf(" since %s", shown);
}

static void print_line(const char *kind, const json_t *object) {
    const char *reason = text(object, "reason");
    printf("%-11s %-20s %-10s", kind, text(object, "name"), text(object, "state"));
    print_since(object);
    printf("%s%s", reason[0] != '\0' ? ": " : "", reason);
    if (json_object_get(object, "proven_tags") != NULL)
        printf(", %lld of %lld tags proven", number(object, "proven_tags"), number(object, "tags"));
    putchar('\n');
}

static void print_list(const char *kind, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        print_line(kind, json_array_get(list, i));
}

static void print_times(const json_t *bus, const char *key, const char *words) {
    const json_t *times = json_object_get(bus, key), *half = json_object_get(times, "p50");
    if (json_is_number(half))
        printf(", %s %.1f ms (99 %%: %.1f)", words, json_number_value(half),
               json_number_value(json_object_get(times, "p99")));
}

/* How busy and how punctual it is, and what went wrong so far. */
static void print_bus_figures(const json_t *bus) {
    const char *kind;
    json_t *count;
    printf("            load %.1f %%", json_number_value(json_object_get(bus, "load_percent")));
    print_times(bus, "lateness_ms", "late");
    print_times(bus, "response_ms", "answers in");
    printf(", %lld requests, %lld missed", number(bus, "requests"), number(bus, "overruns"));
    json_object_foreach(json_object_get(bus, "errors"), kind, count) if (json_integer_value(count) > 0)
        printf(", %s: %lld", kind, (long long)json_integer_value(count));
    putchar('\n');
}

static void print_buses(const json_t *buses) {
    for (size_t i = 0; i < json_array_size(buses); i++) {
        print_line("bus", json_array_get(buses, i));
        print_bus_figures(json_array_get(buses, i));
    }
}

/* What does not go although the link is up. */
static void print_lanes(const json_t *link) {
    const json_t *parked = json_object_get(link, "parked"), *month = json_object_get(link, "month");
    const json_t *catalogue = json_object_get(link, "catalogue");
    if (json_is_object(catalogue))
        printf("\nnames       readings arrive without their tags' names: %s", text(catalogue, "reason"));
    if (number(parked, "batches") > 0)
        printf("\nparked      %lld batches with %lld readings that the peer will not take: see forebay parked",
               number(parked, "batches"), number(parked, "readings"));
    if (json_is_integer(json_object_get(month, "budget")))
        printf("\nbudget      %-20s %.1f of %.1f MB%s", text(month, "month"), (double)number(month, "bytes") / 1e6,
               (double)number(month, "budget") / 1e6,
               json_is_true(json_object_get(month, "spent")) ? ": backlog waits for the next month" : "");
}

/* What wears flash; a day's rate only once it can be told. */
static void print_written(const json_t *store) {
    printf("            %.1f MB written since the start", (double)number(store, "written_bytes") / 1e6);
    if (json_is_integer(json_object_get(store, "written_bytes_per_day")))
        printf(", %.1f MB a day", (double)number(store, "written_bytes_per_day") / 1e6);
    putchar('\n');
}

/* What a certificate is for, and how long it holds. */
static void print_certificate(const json_t *certificate) {
    const json_t *days = json_object_get(certificate, "days_left");
    printf("certificate %-20s %s", text(certificate, "use"),
           text(certificate, text(certificate, "subject")[0] != '\0' ? "subject" : "file"));
    if (text(certificate, "error")[0] != '\0')
        printf(": %s\n", text(certificate, "error"));
    else if (!json_is_integer(days))
        puts(": nobody knows for how long");
    else if (json_integer_value(days) < 0)
        printf(": expired %lld days ago\n", -number(certificate, "days_left") - 1);
    else
        printf(": %lld days left\n", number(certificate, "days_left"));
}

static void print_status(const json_t *status) {
    const json_t *gateway = json_object_get(status, "gateway");
    const json_t *link = json_object_get(status, "link");
    const json_t *store = json_object_get(status, "store");
    const long long unsent_ms = number(store, "oldest_unsent_ms");
    printf("gateway     %-20s version %s, clock %s\n", text(gateway, "name"), text(gateway, "version"),
           text(gateway, "clock"));
    const char *config_error = text(json_object_get(gateway, "configuration"), "error");
    if (config_error[0] != '\0')
        printf("            the configuration on disk was refused: %s\n", config_error);
    printf("link        %-20s %s", text(link, "endpoint"), text(link, "state"));
    print_since(link);
    if (text(link, "reason")[0] != '\0')
        printf(", came to %s: %s", text(link, "step"), text(link, "reason"));
    const long long oldest_ms = number(link, "oldest_unacknowledged_ms");
    if (oldest_ms > 0)
        printf(", not accepted for %lld s", (number(gateway, "now_ms") - oldest_ms) / 1000);
    print_lanes(link);
    putchar('\n');
    const json_t *certificates = json_object_get(status, "certificates");
    for (size_t i = 0; i < json_array_size(certificates); i++)
        print_certificate(json_array_get(certificates, i));
    printf("store       %-20s %lld readings, %lld unsent", text(store, "state"), number(store, "readings"),
           number(store, "unsent_readings"));
    if (unsent_ms > 0)
        printf(" (oldest %lld s)", (number(gateway, "now_ms") - unsent_ms) / 1000);
    printf(", %lld lost, %.1f of %.1f MB\n", number(store, "lost_readings"), (double)number(store, "bytes") / 1e6,
           (double)number(store, "quota_bytes") / 1e6);
    print_written(store);
    print_buses(json_object_get(status, "buses"));
    print_list("instrument", json_object_get(status, "instruments"));
}

static bool call_in(const char *run, const struct arguments *arguments, const char *call, int timeout_ms,
                    json_t **ret_result) {
    struct fb_cause cause;
    json_t *request = json_pack("{s:s, s:s}", "call", call, "reason", arguments->reason);
    if (request == NULL) {
        fputs("forebay: --reason: a text in UTF-8 is expected\n", stderr);
        return false;
    }
    const enum fb_error error = client_request(run, request, timeout_ms, ret_result, &cause);
    json_decref(request);
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
    return error == FB_OK;
}

static int show_status(const char *run, void *user) {
    const struct arguments *arguments = user;
    json_t *status;
    if (!call_in(run, arguments, "status", STATUS_TIMEOUT_MS, &status))
        return EXIT_FAILURE;
    if (arguments->json) {
        json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        print_status(status);
    }
    json_decref(status);
    return EXIT_SUCCESS;
}

int status_main(int argc, char **argv) {
    struct arguments arguments = {.reason = ""};
    const int done = parse(argc, argv, status_help, &arguments);
    return done >= 0 ? done : options_work(&arguments.gateway, show_status, &arguments);
}

static int reload(const char *run, void *user) {
    json_t *result;
    if (!call_in(run, user, "reload", RELOAD_TIMEOUT_MS, &result))
        return EXIT_FAILURE;
    const json_t *changed = json_object_get(result, "changed");
    for (size_t i = 0; i < json_array_size(changed); i++)
        printf("changed: %s\n", json_string_value(json_array_get(changed, i)));
    if (json_array_size(changed) == 0)
        puts("nothing has changed");
    json_decref(result);
    return EXIT_SUCCESS;
}

int reload_main(int argc, char **argv) {
    struct arguments arguments = {.reason = ""};
    const int done = parse(argc, argv, reload_help, &arguments);
    return done >= 0 ? done : options_work(&arguments.gateway, reload, &arguments);
}
