#include "gateway/config/profile.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "gateway/config/report.h"

void profile_folders(const char *folder, struct profile_folders *ret_folders) {
    static const char *const own[] = {"profiles", "../share/forebay/profiles"};
    char path[PATH_MAX];
    snprintf(ret_folders->paths[0], CONFIG_PATH_MAX, "%s/profiles", folder);
    ret_folders->count = 1;
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = '\0';
    const char *program = dirname(path);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const int used = snprintf(ret_folders->paths[ret_folders->count], CONFIG_PATH_MAX, "%s/%s", program, own[i]);
        if (used > 0 && used < CONFIG_PATH_MAX)
            ret_folders->count++;
    }
}

static enum fb_error read_profile(const char *file, struct tree_node **ret_root, struct config_report *report) {
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length = 0;
    struct fb_cause cause;
    enum fb_error error = file_read(file, PROFILE_BYTES_MAX, &text, &length, &cause);
    if (error != FB_OK) {
        if (error != FB_NOT_FOUND)
            report_add(report, 0, 0, "%s", cause.text);
        return error;
    }
    struct tree_node *root = NULL;
    error = tree_read(text, length, &root, report);
    if (error == FB_OK && root->kind != TREE_MAP)
        report_add(report, root->line, root->column, "a profile must be a section of \"key: value\"");
    if (error == FB_OK && report->count > 0)
        error = FB_INVALID;
    if (error == FB_OK)
        *ret_root = root;
    else
        tree_free(root);
    return error;
}

enum fb_error profile_load(const struct profile_folders *folders, const char *name, struct profile *ret_profile,
                           struct config_report *report) {
    *ret_profile = (struct profile){0};
    snprintf(ret_profile->name, sizeof ret_profile->name, "%s", name);
    enum fb_error error = FB_NOT_FOUND;
    for (size_t i = 0; i < folders->count && error == FB_NOT_FOUND; i++) {
        snprintf(ret_profile->file, sizeof ret_profile->file, "%s/%s.yaml", folders->paths[i], name);
        *report = (struct config_report){.file = ret_profile->file};
        error = read_profile(ret_profile->file, &ret_profile->root, report);
    }
    return error;
}

void profile_done(struct profile *profile) {
    tree_free(profile->root);
    profile->root = NULL;
}

static bool is_one_of(const struct tree_node *key, const char *const *words) {
    for (; *words != NULL; words++)
        if (strcmp(key->text, *words) == 0)
            return true;
    return false;
}

/* What is under a key of from but not under it in target is copied behind target's own, but for the keys left out. */
static bool add_missing(struct tree_node *target, const struct tree_node *from, const char *const *left_out,
                        const struct tree_node *at) {
    for (const struct tree_node *node = from->first; node != NULL; node = node->next)
        if (!is_one_of(node->key, left_out) && tree_get(target, node->key->text) == NULL &&
            !tree_append(target, tree_copy(node, at)))
            return false;
    return true;
}

static const char *const no_key[] = {NULL};
static const char *const head_keys[] = {"about", "tags", NULL};
static const char *const tag_head_keys[] = {"source", "unproven", "optional", NULL};

static const struct tree_node *find_tag(const struct tree_node *tags, const struct tree_node *wanted) {
    const struct tree_node *name = tree_get(wanted, "name");
    if (name == NULL || name->kind != TREE_TEXT)
        return NULL;
    for (const struct tree_node *tag = tags->first; tag != NULL; tag = tag->next) {
        const struct tree_node *own = tree_get(tag, "name");
        if (own != NULL && own->kind == TREE_TEXT && strcmp(own->text, name->text) == 0)
            return tag;
    }
    return NULL;
}

/* The instrument's own list: each entry with what the profile knows of the tag of that name. */
static bool complete_tags(struct tree_node *own, const struct tree_node *tags, const struct tree_node *at) {
    for (struct tree_node *tag = own->first; tag != NULL; tag = tag->next) {
        const struct tree_node *known = find_tag(tags, tag);
        if (known != NULL && !add_missing(tag, known, tag_head_keys, at))
            return false;
    }
    return true;
}

static bool add_tags(struct tree_node *merged, const struct tree_node *tags, const struct tree_node *at) {
    struct tree_node *list = tree_new(tags, at);
    if (!tree_append(merged, list))
        return false;
    for (const struct tree_node *tag = tags->first; tag != NULL; tag = tag->next) {
        if (tree_get(tag, "optional") != NULL)
            continue;
        struct tree_node *copy = tree_new(tag, at);
        if (!tree_append(list, copy) || (tag->kind == TREE_MAP && !add_missing(copy, tag, tag_head_keys, at)))
            return false;
    }
    return true;
}

struct tree_node *profile_merge(const struct profile *profile, const struct tree_node *instrument,
                                const struct tree_node *at) {
    struct tree_node *merged = tree_new(instrument, NULL);
    const struct tree_node *tags = tree_get(profile->root, "tags");
    bool good = merged != NULL && add_missing(merged, instrument, no_key, NULL) &&
                add_missing(merged, profile->root, head_keys, at);
    if (good && tags != NULL && tags->kind == TREE_LIST) {
        struct tree_node *own = merged->first;
        while (own != NULL && strcmp(own->key->text, "tags") != 0)
            own = own->next;
        if (own == NULL)
            good = add_tags(merged, tags, at);
        else if (own->kind == TREE_LIST)
            good = complete_tags(own, tags, at);
    }
    if (good)
        return merged;
    tree_free(merged);
    return NULL;
}
