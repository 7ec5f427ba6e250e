/* revisions.c - `forebay config`: the configurations that were in force on the running gateway. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/common/file.h"

#define TIMEOUT_MS 10000

static const char help[] =
    "Usage: forebay config history [-c FILE | --run FOLDER]\n"
    "       forebay config show [NUMBER] [-c FILE | --run FOLDER]\n"
    "       forebay config diff [FROM] [TO] [-c FILE | --run FOLDER]\n"
    "       forebay config apply NUMBER [-c FILE]\n"
    "\n"
    "Every configuration that was in force is kept, with who brought it, when and why.\n"
    "\n"
    "  history  list them, the oldest first\n"
    "  show     print one as it was, without a number the newest\n"
    "  diff     what has changed, as diff(1) shows it: from one to another, from one to that before\n"
    "           it, or, without a number, the newest change; exit status 1 when there is a difference\n"
    "  apply    put one, as the cloud may have proposed it, into the configuration file and into force\n"
    "\n"
    "  -c, --config FILE  its configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
    "  --help             show this\n";

struct arguments {
    struct options_gateway gateway;
    json_int_t numbers[2];
    int number_count;
    int (*work)(const struct arguments *arguments, const char *run);
};

static bool ask(const char *run, json_t *request, json_t **ret_result) {
    struct fb_cause cause;
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, ret_result, &cause);
    json_decref(request);
    if (error != FB_OK)
        fprintf(stderr, "forebay: %s\n", cause.text);
    return error == FB_OK;
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

static void print_revision(const json_t *record) {
    const time_t time_s = (time_t)(json_integer_value(json_object_get(record, "time_ms")) / 1000);
    struct tm local;
    char shown[32] = "";
    if (localtime_r(&time_s, &local) != NULL)
        strftime(shown, sizeof shown, "%F %T", &local);
    printf("%6lld  %s  %.12s  %s%s%s%s\n", (long long)json_integer_value(json_object_get(record, "number")), shown,
           text(record, "hash"), text(record, "author"),
           json_is_true(json_object_get(record, "proposed")) ? " (proposed)" : "",
           text(record, "reason")[0] != '\0' ? ": " : "", text(record, "reason"));
}

static int history(const struct arguments *arguments, const char *run) {
    (void)arguments;
    json_int_t after = 0;
    size_t count;
    do {
        json_t *result, *record;
        size_t i;
        if (!ask(run, json_pack("{s:s, s:I}", "call", "configurations", "after", after), &result))
            return EXIT_FAILURE;
        json_array_foreach(json_object_get(result, "records"), i, record) {
            print_revision(record);
            after = json_integer_value(json_object_get(record, "number"));
        }
        count = i;
        json_decref(result);
    } while (count > 0);
    return EXIT_SUCCESS;
}

/* 0: there is none. */
static json_int_t newest(const char *run) {
    json_t *result;
    if (!ask(run, json_pack("{s:s, s:i}", "call", "configurations", "limit", 1), &result))
        return 0;
    const json_int_t last = json_integer_value(json_object_get(result, "last"));
    json_decref(result);
    if (last == 0)
        fputs("forebay: no configuration is kept yet\n", stderr);
    return last;
}

static int show(const struct arguments *arguments, const char *run) {
    const json_int_t number = arguments->number_count > 0 ? arguments->numbers[0] : newest(run);
    json_t *revision;
    if (number == 0 || !ask(run, json_pack("{s:s, s:I}", "call", "configuration", "number", number), &revision))
        return EXIT_FAILURE;
    const json_t *document = json_object_get(revision, "document");
    const size_t length = json_string_length(document);
    const bool good = fwrite(json_string_value(document), 1, length, stdout) == length && fflush(stdout) == 0;
    json_decref(revision);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The document in a file that has no name, and what diff is to call it. Returns its descriptor, -1: none. */
static int put_aside(const char *run, json_int_t number, char *ret_label, size_t size) {
    json_t *revision;
    if (!ask(run, json_pack("{s:s, s:I}", "call", "configuration", "number", number), &revision))
        return -1;
    const json_t *document = json_object_get(revision, "document");
    const size_t length = json_string_length(document);
    snprintf(ret_label, size, "configuration %lld (%s)", (long long)number, text(revision, "author"));
    int descriptor = memfd_create("configuration", 0);
    if (descriptor >= 0 && write(descriptor, json_string_value(document), length) != (ssize_t)length) {
        close(descriptor);
        descriptor = -1;
    }
    if (descriptor < 0)
        fputs("forebay: no room for the configuration in memory\n", stderr);
    json_decref(revision);
    return descriptor;
}

/* diff(1) is in every Debian, and people and tools know its form. */
static int run_diff(int from, int to, const char *from_label, const char *to_label) {
    char from_path[32], to_path[32];
    snprintf(from_path, sizeof from_path, "/dev/fd/%d", from);
    snprintf(to_path, sizeof to_path, "/dev/fd/%d", to);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        execlp("diff", "diff", "-u", "--label", from_label, "--label", to_label, from_path, to_path, (char *)NULL);
        fprintf(stderr, "forebay: diff: %s\n", strerror(errno));
        _exit(2);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return 2;
    return WEXITSTATUS(status);
}

static int diff(const struct arguments *arguments, const char *run) {
    char from_label[128], to_label[128];
    const json_int_t first = arguments->number_count > 0 ? arguments->numbers[0] : newest(run);
    const json_int_t from = arguments->number_count == 2 ? first : first - 1;
    const json_int_t to = arguments->number_count == 2 ? arguments->numbers[1] : first;
    if (first == 0)
        return 2;
    if (from == 0) {
        fputs("forebay: there is no configuration before the first\n", stderr);
        return 2;
    }
    FB_CLEANUP(file_close_descriptor) int from_file = put_aside(run, from, from_label, sizeof from_label);
    FB_CLEANUP(file_close_descriptor) int to_file = from_file >= 0 ? put_aside(run, to, to_label, sizeof to_label) : -1;
    return to_file >= 0 ? run_diff(from_file, to_file, from_label, to_label) : 2;
}

static const struct {
    const char *name;
    int numbers_most;
    int (*work)(const struct arguments *arguments, const char *run);
} jobs[] = {{"history", 0, history}, {"show", 1, show}, {"diff", 2, diff}};

static bool take_words(struct arguments *arguments, int count, char **words) {
    size_t job = 0;
    while (count > 0 && job < sizeof jobs / sizeof jobs[0] && strcmp(jobs[job].name, words[0]) != 0)
        job++;
    if (count == 0 || job == sizeof jobs / sizeof jobs[0] || count - 1 > jobs[job].numbers_most)
        return false;
    arguments->work = jobs[job].work;
    for (int i = 1; i < count; i++) {
        char *end;
        arguments->numbers[arguments->number_count++] = strtoll(words[i], &end, 10);
        if (*end != '\0' || arguments->numbers[i - 1] < 1)
            return false;
    }
    return true;
}

static int work(const char *run, void *user) {
    const struct arguments *arguments = user;
    return arguments->work(arguments, run);
}

int config_main(int argc, char **argv) {
    struct arguments arguments = {0};
    if (argc >= 2 && strcmp(argv[1], "apply") == 0)
        return config_apply_main(argc, argv);
    const int done = options_parse(argc, argv, help, (struct options_word[]){{0}}, &arguments.gateway);
    if (done >= 0)
        return done;
    if (take_words(&arguments, argc - optind, argv + optind))
        return options_work(&arguments.gateway, work, &arguments);
    fputs(help, stderr);
    return 2;
}
