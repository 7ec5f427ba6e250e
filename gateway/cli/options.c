#include "gateway/cli/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/command.h"

void options_print_report(const struct config_report *report) {
    for (size_t i = 0; i < report->count; i++) {
        const struct config_error *error = &report->errors[i];
        if (error->line > 0)
            fprintf(stderr, "%s:%u:%u: %s\n", report->file, error->line, error->column, error->text);
        else
            fprintf(stderr, "%s: %s\n", report->file, error->text);
    }
}

bool options_load_config(const char *file, struct config *ret_config) {
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return false;
    const bool good = config_load(file, ret_config, report) == FB_OK;
    if (!good)
        options_print_report(report);
    free(report);
    return good;
}

#define FIRST_WORD 256 /* above all letters */

/* The options of every command, and behind them the command's own. */
static void list(const struct options_word *words, struct option *ret_options) {
    static const struct option common[] = {{"config", required_argument, NULL, 'c'},
                                           {"run", required_argument, NULL, 'r'},
                                           {"help", no_argument, NULL, 'h'}};
    memcpy(ret_options, common, sizeof common);
    struct option *option = ret_options + sizeof common / sizeof common[0];
    for (int i = 0; words[i].name != NULL; i++, option++) {
        assert(i < OPTIONS_WORDS_MAX);
        const int has_argument = words[i].text != NULL ? required_argument : no_argument;
        *option = (struct option){words[i].name, has_argument, NULL, FIRST_WORD + i};
    }
    *option = (struct option){0};
}

static void take(const struct options_word *word) {
    if (word->text != NULL)
        *word->text = optarg;
    else
        *word->flag = true;
}

int options_parse(int argc, char **argv, const char *help, const struct options_word *words,
                  struct options_gateway *ret_gateway) {
    struct option options[3 + OPTIONS_WORDS_MAX + 1];
    list(words, options);
    *ret_gateway = (struct options_gateway){.config_file = COMMAND_CONFIG_DEFAULT};
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'c')
            ret_gateway->config_file = optarg;
        else if (option == 'r')
            ret_gateway->run = optarg;
        else if (option >= FIRST_WORD)
            take(&words[option - FIRST_WORD]);
        else
            return 2;
    }
    return -1;
}

int options_work(const struct options_gateway *gateway, int (*work)(const char *run, void *user), void *user) {
    struct config config;
    if (gateway->run != NULL)
        return work(gateway->run, user);
    if (!options_load_config(gateway->config_file, &config))
        return EXIT_FAILURE;
    const int status = work(config.run, user);
    config_done(&config);
    return status;
}

bool options_number(const char *text, unsigned least, unsigned most, unsigned *ret_number) {
    char *end;
    errno = 0;
    const unsigned long number = strtoul(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < least || number > most)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

const struct plant_bus *options_find_bus(const struct plant *plant, const char *name) {
    for (size_t i = 0; i < plant->bus_count; i++)
        if (strcmp(plant->buses[i].name, name) == 0)
            return &plant->buses[i];
    return NULL;
}

bool options_own_folder(char *ret_folder, size_t size) {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) {
        fputs("forebay: cannot find its own folder through /proc\n", stderr);
        return false;
    }
    path[length] = '\0';
    return (size_t)snprintf(ret_folder, size, "%s", dirname(path)) < size;
}
