/* receive.c - `forebay receive`: the other end of the link, for the demo, small sites, and whoever reads a broker's
 * queue. docs/receive.md describes it. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/command.h"
#include "gateway/common/log.h"
#include "gateway/receive/receiver.h"
#include "gateway/receive/session.h"

static const char usage[] =
    "Usage: forebay receive --listen ADDRESS:PORT | --from amqps://HOST[:PORT]/ADDRESS\n"
    "         --ca FILE --certificate FILE --key FILE --state FOLDER\n"
    "         [--output FILE|-] [--format ndjson|csv] [--events FILE]\n"
    "         [--keep-batches FOLDER] [--count N] [--once]\n"
    "\n"
    "Receive batches over mutual TLS and write their readings as lines, each exactly once.\n"
    "\n"
    "  --listen ADDRESS:PORT  be the peer that gateways connect to\n"
    "  --from URL             fetch from a broker's queue\n"
    "  --ca FILE              the authorities that are trusted (PEM)\n"
    "  --certificate FILE     our certificate and chain (PEM)\n"
    "  --key FILE             its private key (PEM)\n"
    "  --state FOLDER         remembers what has arrived; made if absent\n"
    "  --output FILE          where the lines go; - is standard output, the default\n"
    "  --format WORD          ndjson (the default) or csv\n"
    "  --events FILE          where the gateways' events go (default: events.ndjson in --state)\n"
    "  --keep-batches FOLDER  keep every batch as it came, for forebay verify\n"
    "  --count N              end after at least N readings\n"
    "  --once                 end when nothing has come for 3 seconds\n"
    "  --help                 show this\n";

struct arguments {
    const char *listen, *from, *ca, *certificate, *key, *folder, *output, *format, *events, *keep, *count;
    bool once, help;
};

/* Every option with a value: where it goes, and whether it must be given. */
static const struct text_option {
    const char *name;
    size_t offset;
    bool required;
} text_options[] = {
    {"listen", offsetof(struct arguments, listen), false},
    {"from", offsetof(struct arguments, from), false},
    {"ca", offsetof(struct arguments, ca), true},
    {"certificate", offsetof(struct arguments, certificate), true},
    {"key", offsetof(struct arguments, key), true},
    {"state", offsetof(struct arguments, folder), true},
    {"output", offsetof(struct arguments, output), false},
    {"format", offsetof(struct arguments, format), false},
    {"events", offsetof(struct arguments, events), false},
    {"keep-batches", offsetof(struct arguments, keep), false},
    {"count", offsetof(struct arguments, count), false},
};
#define TEXT_OPTIONS (sizeof text_options / sizeof text_options[0])

static const char **text_of(struct arguments *arguments, size_t option) {
    return (const char **)((char *)arguments + text_options[option].offset);
}

static enum fb_error read_options(int argc, char **argv, struct arguments *arguments, struct fb_cause *cause) {
    struct option options[TEXT_OPTIONS + 3] = {{0}};
    for (size_t i = 0; i < TEXT_OPTIONS; i++)
        options[i] = (struct option){text_options[i].name, required_argument, NULL, 't'};
    options[TEXT_OPTIONS] = (struct option){"once", no_argument, NULL, 'o'};
    options[TEXT_OPTIONS + 1] = (struct option){"help", no_argument, NULL, 'h'};
    int chosen = 0, letter;
    optind = 0; /* the command's own parser may have run before */
    opterr = 0;
    while ((letter = getopt_long(argc, argv, ":h", options, &chosen)) != -1) {
        if (letter == 't')
            *text_of(arguments, (size_t)chosen) = optarg;
        else if (letter == 'o')
            arguments->once = true;
        else if (letter == 'h')
            arguments->help = true;
        else
            return fb_fail(cause, FB_INVALID, "%s: %s; see forebay receive --help", argv[optind - 1],
                           letter == ':' ? "its value is missing" : "no such option");
    }
    return optind == argc ? FB_OK
                          : fb_fail(cause, FB_INVALID, "%s: not expected; see forebay receive --help", argv[optind]);
}

static enum fb_error check_required(struct arguments *arguments, struct fb_cause *cause) {
    if ((arguments->listen != NULL) == (arguments->from != NULL))
        return fb_fail(cause, FB_INVALID, "say either --listen or --from; see forebay receive --help");
    for (size_t i = 0; i < TEXT_OPTIONS; i++)
        if (text_options[i].required && *text_of(arguments, i) == NULL)
            return fb_fail(cause, FB_INVALID, "--%s is missing; see forebay receive --help", text_options[i].name);
    return FB_OK;
}

static enum fb_error parse_count(const char *text, uint64_t *ret_count, struct fb_cause *cause) {
    char *rest;
    errno = 0;
    const unsigned long long count = strtoull(text, &rest, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *rest != '\0' || count == 0)
        return fb_fail(cause, FB_INVALID, "--count %s: not a number of readings, 1 or more", text);
    *ret_count = count;
    return FB_OK;
}

static enum fb_error interpret(struct arguments *arguments, struct session_settings *session,
                               struct receiver_settings *receiver, struct fb_cause *cause) {
    enum fb_error error = check_required(arguments, cause);
    if (error == FB_OK && arguments->count != NULL)
        error = parse_count(arguments->count, &session->count, cause);
    if (error == FB_OK)
        error = arguments->listen != NULL ? endpoint_parse_listen(arguments->listen, &session->endpoint, cause)
                                          : endpoint_parse_from(arguments->from, &session->endpoint, cause);
    const int format = lines_format_from_word(arguments->format);
    if (error == FB_OK && format < 0)
        error = fb_fail(cause, FB_INVALID, "--format %s: it is either ndjson or csv", arguments->format);
    if (error != FB_OK)
        return error;
    session->listen = arguments->listen != NULL;
    session->ca = arguments->ca;
    session->certificate = arguments->certificate;
    session->key = arguments->key;
    session->once = arguments->once;
    *receiver = (struct receiver_settings){.folder = arguments->folder,
                                           .output = arguments->output,
                                           .format = (enum lines_format)format,
                                           .events = arguments->events,
                                           .keep = arguments->keep};
    return FB_OK;
}

static enum fb_error receive(const struct session_settings *session, const struct receiver_settings *settings,
                             struct fb_cause *cause) {
    struct receiver *receiver;
    enum fb_error error = receiver_open(settings, &receiver, cause);
    if (error != FB_OK)
        return error;
    error = session_run(session, receiver, cause);
    receiver_close(receiver);
    return error;
}

int receive_main(int argc, char **argv) {
    struct arguments arguments = {.output = "-", .format = "ndjson"};
    struct session_settings session = {0};
    struct receiver_settings receiver;
    struct fb_cause cause = {""};
    enum fb_error error = read_options(argc, argv, &arguments, &cause);
    if (error == FB_OK && arguments.help) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (error == FB_OK)
        error = interpret(&arguments, &session, &receiver, &cause);
    if (error != FB_OK) {
        fprintf(stderr, "forebay receive: %s\n", cause.text);
        return 2;
    }
    /* A reader of standard output that leaves is an error to tell, not a reason to die. */
    signal(SIGPIPE, SIG_IGN);
    log_open("forebay receive");
    error = receive(&session, &receiver, &cause);
    if (error != FB_OK)
        fprintf(stderr, "forebay receive: %s\n", cause.text);
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
