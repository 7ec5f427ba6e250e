/* options.h - what several commands share: reading the configuration they are about, and saying what is wrong with it.
 */
#ifndef FB_CLI_OPTIONS_H
#define FB_CLI_OPTIONS_H

#include <stdbool.h>

#include "gateway/config/config.h"

/* Load the file and print its errors to standard error, a line each. ret_config: yours on success. */
bool options_load_config(const char *file, struct config *ret_config);

/* The folder this program stands in ("/usr/bin"), for finding the others beside it. False (and a line on standard
 * error) when it cannot be found. */
bool options_own_folder(char *ret_folder, size_t size);

#endif
