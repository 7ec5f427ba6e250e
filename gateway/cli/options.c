#include "gateway/cli/options.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
