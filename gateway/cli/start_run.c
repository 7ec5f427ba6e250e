/* start_run.c - `forebay run` becomes forebay-run, which stands beside it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/command.h"
#include "gateway/cli/options.h"

int run_main(int argc, char **argv) {
    (void)argc;
    char folder[PATH_MAX], path[PATH_MAX + 16];
    if (!options_own_folder(folder, sizeof folder))
        return 1;
    snprintf(path, sizeof path, "%s/forebay-run", folder);
    execv(path, argv);
    fprintf(stderr, "forebay: %s: %s\n", path, strerror(errno));
    return 1;
}
