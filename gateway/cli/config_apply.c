/* config_apply.c - `forebay config apply`: a person at the plant puts a configuration that is kept, as one that the
 * cloud has proposed, into the configuration file and into force. Who may write that file may do so, nobody else. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/common/file.h"

#define TIMEOUT_MS 30000
#define MODE_STANDARD 0640
#define REASON_BYTES_MAX 512

static const char help[] =
    "Usage: forebay config apply NUMBER [-c FILE]\n"
    "\n"
    "Writes the kept configuration with this number, as one that the cloud has proposed, into the\n"
    "configuration file and applies it. When the gateway refuses it, the file stays as it was.\n"
    "\n"
    "  -c, --config FILE  the configuration of the running gateway (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --help             show this\n";

static enum fb_error fetch(const char *run, json_int_t number, json_t **ret_kept, struct fb_cause *cause) {
    json_t *request = json_pack("{s:s, s:I}", "call", "configuration", "number", number);
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, ret_kept, cause);
    json_decref(request);
    return error;
}

static enum fb_error reload(const char *run, json_int_t number, const json_t *kept, struct fb_cause *cause) {
    const char *author = json_string_value(json_object_get(kept, "author"));
    const char *why = json_string_value(json_object_get(kept, "reason"));
    char reason[REASON_BYTES_MAX];
    snprintf(reason, sizeof reason, "configuration %lld of %.64s: %.400s", (long long)number,
             author != NULL ? author : "?", why != NULL ? why : "");
    json_t *whole = json_string(reason); /* one that was cut within a character is left out */
    json_t *request = json_pack("{s:s, s:o}", "call", "reload", "reason", whole != NULL ? whole : json_string(""));
    json_t *result = NULL;
    const enum fb_error error = client_request(run, request, TIMEOUT_MS, &result, cause);
    json_decref(request);
    json_decref(result);
    return error;
}

static unsigned mode_of(const char *file) {
    struct stat status;
    return stat(file, &status) == 0 ? status.st_mode & 0777u : MODE_STANDARD;
}

static enum fb_error replace(const char *file, const char *run, json_int_t number, const json_t *kept,
                             struct fb_cause *cause) {
    const json_t *document = json_object_get(kept, "document");
    FB_CLEANUP(file_free) char *before = NULL;
    size_t length;
    const unsigned mode = mode_of(file);
    enum fb_error error = file_read(file, CONFIG_BYTES_MAX, &before, &length, cause);
    if (error == FB_OK)
        error = file_write(file, json_string_value(document), json_string_length(document), mode, cause);
    if (error != FB_OK)
        return error;
    error = reload(run, number, kept, cause);
    struct fb_cause again;
    if (error != FB_OK && file_write(file, before, length, mode, &again) != FB_OK)
        return fb_context(cause, error, "%s could not be put back", file);
    return error;
}

static int apply(const char *file, json_int_t number) {
    struct config config;
    struct fb_cause cause;
    json_t *kept = NULL;
    if (!options_load_config(file, &config))
        return EXIT_FAILURE;
    enum fb_error error = fetch(config.run, number, &kept, &cause);
    if (error == FB_OK)
        error = replace(file, config.run, number, kept, &cause);
    if (error == FB_OK)
        printf("configuration %lld is in force\n", (long long)number);
    else
        fprintf(stderr, "forebay: %s\n", cause.text);
    json_decref(kept);
    config_done(&config);
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int config_apply_main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *file = COMMAND_CONFIG_DEFAULT;
    unsigned number = 0;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option != 'c')
            return 2;
        file = optarg;
    }
    if (argc - optind == 2 && strcmp(argv[optind], "apply") == 0 &&
        options_number(argv[optind + 1], 1, INT32_MAX, &number))
        return apply(file, (json_int_t)number);
    fputs(help, stderr);
    return 2;
}
