#include "gateway/cli/options.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool options_load_config(const char *file, struct config *ret_config) {
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return false;
    const bool good = config_load(file, ret_config, report) == FB_OK;
    for (size_t i = 0; !good && i < report->count; i++) {
        const struct config_error *error = &report->errors[i];
        if (error->line > 0)
            fprintf(stderr, "%s:%u:%u: %s\n", file, error->line, error->column, error->text);
        else
            fprintf(stderr, "%s: %s\n", file, error->text);
    }
    free(report);
    return good;
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
