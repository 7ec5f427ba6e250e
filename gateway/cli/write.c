/* write.c - `forebay write`: asks the running gateway to write one value to one register that its configuration opens.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"

/* Beyond what core waits for forebay-field. */
#define TIMEOUT_MS 60000

static const char help[] =
    "Usage: forebay write --reason TEXT [-c FILE] [--] INSTRUMENT NAME VALUE\n"
    "\n"
    "Writes one value to one register of an instrument, through the running gateway. The\n"
    "configuration must open the register, and the value lie in the range it gives\n"
    "(docs/configuration.md, writes). Who wrote what, when and why, and what became of it\n"
    "stands in `forebay audit`.\n"
    "\n"
    "  --reason TEXT      why, in at most 200 bytes\n"
    "  -c, --config FILE  the configuration of the running gateway (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --                 stands before a VALUE below 0\n"
    "  --help             show this\n"
    "\n"
    "Exit status: 0 when the instrument has confirmed it; 1 when not, and the words say whether\n"
    "it may be done all the same; 2 wrong usage.\n";

struct arguments {
    const char *config_file, *instrument, *name, *reason;
    double value;
};

static int wrong(const char *text) {
    fprintf(stderr, "forebay: %s\n%s", text, help);
    return 2;
}

static bool read_value(const char *text, double *ret_value) {
    char *end;
    *ret_value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret_value);
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {{"reason", required_argument, NULL, 'r'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'c') {
            arguments->config_file = optarg;
        } else if (option == 'r') {
            arguments->reason = optarg;
        } else {
            fputs("forebay: see forebay write --help\n", stderr);
            return 2;
        }
    }
    if (argc - optind != 3 || arguments->reason == NULL)
        return wrong("it needs an instrument, the name of a register, a value, and the reason");
    arguments->instrument = argv[optind];
    arguments->name = argv[optind + 1];
    return read_value(argv[optind + 2], &arguments->value) ? -1 : wrong("VALUE is a number");
}

static const char *text_of(const json_t *result, const char *key) {
    const char *text = json_string_value(json_object_get(result, key));
    return text != NULL ? text : "";
}

/* What the instrument said. FB_OK when it has confirmed the write. */
static enum fb_error judge(const json_t *result, struct fb_cause *cause) {
    const char *quality = text_of(result, "quality"), *reason = text_of(result, "reason");
    const json_int_t exception = json_integer_value(json_object_get(result, "exception"));
    if (strcmp(quality, "good") == 0)
        return FB_OK;
    if (exception != 0)
        return fb_fail(cause, FB_DENIED, "the instrument refused it: Modbus exception %d", (int)exception);
    if (text_of(result, "sent")[0] == '\0')
        return fb_fail(cause, FB_CLOSED, "nothing was sent: %s%s%s", quality, reason[0] != '\0' ? ": " : "", reason);
    return fb_fail(cause, FB_TIMEOUT, "the instrument did not confirm it (%s); it may be done all the same: look there",
                   reason[0] != '\0' ? reason : quality);
}

static enum fb_error write_value(const struct arguments *arguments, struct fb_cause *cause) {
    struct config config;
    if (!options_load_config(arguments->config_file, &config))
        return fb_fail(cause, FB_INVALID, "%s was refused", arguments->config_file);
    json_t *result = NULL,
           *request = json_pack("{s:s, s:s, s:s, s:f, s:s}", "call", "write", "instrument", arguments->instrument,
                                "name", arguments->name, "value", arguments->value, "reason", arguments->reason);
    enum fb_error error = request != NULL ? client_request(config.run, request, TIMEOUT_MS, &result, cause)
                                          : fb_fail(cause, FB_INVALID, "the words are not UTF-8");
    if (error == FB_OK)
        error = judge(result, cause);
    json_decref(request);
    json_decref(result);
    config_done(&config);
    return error;
}

int write_main(int argc, char **argv) {
    struct arguments arguments = {.config_file = COMMAND_CONFIG_DEFAULT};
    struct fb_cause cause;
    const int done = parse(argc, argv, &arguments);
    if (done >= 0)
        return done;
    if (write_value(&arguments, &cause) != FB_OK) {
        fprintf(stderr, "forebay: %s\n", cause.text);
        return EXIT_FAILURE;
    }
    printf("%s: %s is %.15g\n", arguments.instrument, arguments.name, arguments.value);
    return EXIT_SUCCESS;
}
