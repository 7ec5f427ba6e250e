/* prove.h - the part of `forebay probe` that keeps proofs with the gateway. Used by probe.c. */
#ifndef FB_CLI_PROVE_H
#define FB_CLI_PROVE_H

#include "gateway/common/error.h"

/* Read the tag (INSTRUMENT/TAG) as the configuration says, through the running gateway, and keep what came as proof
 * when it is what the display shows. Prints both. FB_NOT_FOUND: it is not. */
enum fb_error prove_tag(const char *config_file, const char *tag, const char *display,
                        struct fb_cause *cause) FB_MUST_USE;

/* Print for each tag by whom it was proven and when; with a tag (NULL: none) all its proofs as they are kept. */
enum fb_error prove_list(const char *config_file, const char *tag, struct fb_cause *cause) FB_MUST_USE;

#endif
