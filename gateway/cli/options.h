/* options.h - what several commands share: reading the configuration they are about, and saying what is wrong with it.
 */
#ifndef FB_CLI_OPTIONS_H
#define FB_CLI_OPTIONS_H

#include <stdbool.h>

#include "gateway/config/config.h"

/* Load the file and print its errors to standard error, a line each. ret_config: yours on success. */
bool options_load_config(const char *file, struct config *ret_config);

/* Which gateway a command speaks to. */
struct options_gateway {
    const char *config_file;
    const char *run; /* its run folder; NULL: the configuration's */
};

/* An option of one command: a text, or a flag. Ends with one of all zeros. */
struct options_word {
    const char *name;
    const char **text; /* where its argument goes, borrowed from argv */
    bool *flag;
};
#define OPTIONS_WORDS_MAX 8

/* Take a command's own options, and -c, --config, --run and --help, which prints help. Returns -1 to go on with the
 * words from optind on, else the exit status. */
int options_parse(int argc, char **argv, const char *help, const struct options_word *words,
                  struct options_gateway *ret_gateway);

/* Do a command's work with the gateway's run folder. Returns what the work does, or 1 when the configuration is wrong.
 */
int options_work(const struct options_gateway *gateway, int (*work)(const char *run, void *user), void *user);

/* Print the errors to standard error, a line each. */
void options_print_report(const struct config_report *report);

/* Read a plain number in least..most, hexadecimal with 0x too. False when it is none. */
bool options_number(const char *text, unsigned least, unsigned most, unsigned *ret_number);

/* The bus of that name, NULL when there is none. Borrowed from the plant. */
const struct plant_bus *options_find_bus(const struct plant *plant, const char *name);

/* The folder this program stands in ("/usr/bin"), for finding the others beside it. False (and a line on standard
 * error) when it cannot be found. */
bool options_own_folder(char *ret_folder, size_t size);

#endif
