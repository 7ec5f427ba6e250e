/* profile_check.h - a profile held against all that an instrument of the configuration must be, and its head against a
 * table of its own. Used by `forebay profiles` and the tests. Reads files. */
#ifndef FB_CONFIG_PROFILE_CHECK_H
#define FB_CONFIG_PROFILE_CHECK_H

#include "gateway/config/profile.h"

#define PROFILE_TEXT_MAX 512

struct profile_about {
    char model[PROFILE_TEXT_MAX];
    char maker[PROFILE_TEXT_MAX];
    char manual[PROFILE_TEXT_MAX]; /* where its facts come from */
    char note[PROFILE_TEXT_MAX];   /* what to know before use; "" for nothing */
};

/* Report all that is wrong with the profile, where it stands. ret_plant: one instrument with all its tags, also the
 * optional ones, as if it had been configured with unit 1, and where the profile leaves them open abcd and 10s; end it
 * with plant_done() in any case. FB_INVALID: report has at least one entry. FB_MEMORY. */
enum fb_error profile_check(const struct profile *profile, struct profile_about *ret_about, struct plant *ret_plant,
                            struct config_report *report) FB_MUST_USE;

#endif
