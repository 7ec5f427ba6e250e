/* store.c - `forebay store`: changes the store's key, salvages what was set aside, checks everything; on the running
 * gateway, which does the work. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"

#define TIMEOUT_MS 5000
#define POLL_MS 200
/* In a row without an answer: the gateway starts again within seconds when it has to. */
#define SILENCE_MOST (30000 / POLL_MS)

static const char help[] =
    "Usage: forebay store rekey|check [-c FILE | --run FOLDER]\n"
    "       forebay store salvage [--history] [--key FILE] [-c FILE | --run FOLDER] SET-ASIDE\n"
    "\n"
    "Works on the store of the running gateway, which goes on meanwhile; waits for the end. After an\n"
    "interruption the gateway still goes on with it.\n"
    "\n"
    "  rekey    put the store under a new key\n"
    "  salvage  bring batches of a file that was set aside into the store: those that were not\n"
    "           sent yet, or with --history those that were\n"
    "  check    read everything and hold it against its checksums\n"
    "\n"
    "  --key FILE         the key file of what was set aside, where it is another than the store's\n"
    "  -c, --config FILE  its configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
    "  --help             show this\n";

struct arguments {
    const char *job;
    const char *file;
    const char *key; /* NULL: the gateway's */
    struct options_gateway gateway;
    bool history;
};

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    const struct options_word words[] = {
        {"history", .flag = &arguments->history}, {"key", .text = &arguments->key}, {0}};
    const int done = options_parse(argc, argv, help, words, &arguments->gateway);
    if (done >= 0)
        return done;
    arguments->job = optind < argc ? argv[optind] : "";
    arguments->file = optind + 1 < argc ? argv[optind + 1] : NULL;
    const bool is_salvage = strcmp(arguments->job, "salvage") == 0;
    const bool is_other = strcmp(arguments->job, "rekey") == 0 || strcmp(arguments->job, "check") == 0;
    if ((is_salvage && optind + 2 == argc) ||
        (is_other && optind + 1 == argc && !arguments->history && arguments->key == NULL))
        return -1;
    fputs(help, stderr);
    return 2;
}

/* The whole path for the gateway, which has another working folder; NULL stays "". */
static bool find(const char *file, char ret_path[static PATH_MAX]) {
    ret_path[0] = '\0';
    if (file == NULL || realpath(file, ret_path) != NULL)
        return true;
    fprintf(stderr, "forebay: %s: there is no such file\n", file);
    return false;
}

static bool ask(const struct arguments *arguments, const char *run) {
    char call[32], path[PATH_MAX], key[PATH_MAX];
    struct fb_cause cause;
    snprintf(call, sizeof call, "store-%s", arguments->job);
    if (!find(arguments->file, path) || !find(arguments->key, key))
        return false;
    json_t *request = json_pack("{s:s, s:s, s:s*, s:b}", "call", call, "file", path, "key",
                                arguments->key != NULL ? key : NULL, "history", arguments->history);
    json_t *result = NULL;
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, &cause);
    json_decref(request);
    json_decref(result);
    if (error == FB_AGAIN && arguments->file == NULL) /* the one that goes on is as good */
        return true;
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
    return error == FB_OK;
}

static long long number(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_progress(const struct arguments *arguments, const json_t *job) {
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s: %5.1f %% %.60s\x1b[K", arguments->job,
                json_number_value(json_object_get(job, "done_percent")),
                json_string_value(json_object_get(job, "reason")));
}

static int print_end(const struct arguments *arguments, const json_t *job, bool good) {
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
    if (!good) {
        fprintf(stderr, "forebay: %s: %s\n", arguments->job, json_string_value(json_object_get(job, "reason")));
        return EXIT_FAILURE;
    }
    if (strcmp(arguments->job, "rekey") == 0)
        puts("the store is under its new key");
    else if (strcmp(arguments->job, "check") == 0)
        printf("%lld batches checked, %lld unreadable\n", number(job, "batches"), number(job, "unreadable"));
    else
        printf("%lld batches with %lld readings salvaged, %lld unreadable\n", number(job, "batches"),
               number(job, "readings"), number(job, "unreadable"));
    return json_integer_value(json_object_get(job, "unreadable")) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Returns -1 while it goes on. */
static int look(const struct arguments *arguments, const json_t *status) {
    const json_t *upkeep = json_object_get(json_object_get(status, "store"), "upkeep");
    const json_t *job = json_object_get(upkeep, arguments->job);
    const char *state = json_string_value(json_object_get(job, "state"));
    if (state == NULL)
        return -1;
    const bool done = strcmp(state, "done") == 0;
    /* idle: the gateway has started again; what was not finished is waiting or running then */
    if (done || strcmp(state, "failed") == 0 || strcmp(state, "idle") == 0)
        return print_end(arguments, job, done);
    print_progress(arguments, job);
    return -1;
}

static int follow(const struct arguments *arguments, const char *run) {
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    struct fb_cause cause = {0};
    int silence = 0;
    while (silence < SILENCE_MOST) {
        json_t *status;
        nanosleep(&pause, NULL);
        if (client_call(run, "status", TIMEOUT_MS, &status, &cause) != FB_OK) {
            silence++;
            continue;
        }
        silence = 0;
        const int end = look(arguments, status);
        json_decref(status);
        if (end >= 0)
            return end;
    }
    fprintf(stderr, "forebay: %s\n", cause.text);
    return EXIT_FAILURE;
}

static int work(const char *run, void *user) {
    const struct arguments *arguments = user;
    return ask(arguments, run) ? follow(arguments, run) : EXIT_FAILURE;
}

int store_main(int argc, char **argv) {
    struct arguments arguments = {0};
    const int done = parse(argc, argv, &arguments);
    return done >= 0 ? done : options_work(&arguments.gateway, work, &arguments);
}
