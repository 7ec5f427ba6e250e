/* profile.h - a profile: the file that describes a model of instrument, and its merging into an instrument of the
 * configuration. Used by check_instrument and by the command line. Reads files; the merging is pure.
 *
 * A profile NAME is the file NAME.yaml with a section about (model, maker, manual, note) and the keys of an instrument
 * but name, bus, unit and profile. Each of its tags says where its facts come from (source), or that nobody has proven
 * them (unproven: true); optional ones are polled only when an instrument names them. drivers/profiles/README.md
 * describes it for people. */
#ifndef FB_CONFIG_PROFILE_H
#define FB_CONFIG_PROFILE_H

#include "gateway/common/error.h"
#include "gateway/config/config.h"
#include "gateway/config/tree.h"

#define PROFILE_BYTES_MAX (256 * 1024)
#define PROFILE_FOLDERS_MAX 3

struct profile_folders {
    char paths[PROFILE_FOLDERS_MAX][CONFIG_PATH_MAX];
    size_t count;
};

/* Where profiles are looked for, in this order: the folder "profiles" beside the configuration (folder: where that
 * stands), and those that came with the program. */
void profile_folders(const char *folder, struct profile_folders *ret_folders);

struct profile {
    char name[PLANT_NAME_MAX];
    char file[2 * CONFIG_PATH_MAX];
    struct tree_node *root; /* the whole file */
};

/* Read the first file of that name. FB_NOT_FOUND: none of the folders has it. FB_INVALID, FB_LIMIT, FB_IO: report says
 * what is wrong, its file being ret_profile->file. ret_profile: end it with profile_done() in any case. */
enum fb_error profile_load(const struct profile_folders *folders, const char *name, struct profile *ret_profile,
                           struct config_report *report) FB_MUST_USE;
void profile_done(struct profile *profile);

/* The instrument's map with what the profile adds: keys that it lacks; tags by name, its own keys first; all tags that
 * are not optional when it has no list of tags. at: where errors in what the profile brings are reported, NULL to
 * report them where they stand in the profile. NULL: out of memory. End it with tree_free(). */
struct tree_node *profile_merge(const struct profile *profile, const struct tree_node *instrument,
                                const struct tree_node *at);

#endif
