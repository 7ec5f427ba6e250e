#include "gateway/config/profile_check.h"

#include <stdio.h>
#include <string.h>

#include "gateway/config/check.h"
#include "gateway/config/check_bus.h"
#include "gateway/config/check_instrument.h"
#include "gateway/config/check_list.h"
#include "gateway/config/report.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define ABOUT(member) CHECK_MEMBER(struct profile_about, member)

static const struct check_key about_keys[] = {
    {"model", CHECK_TEXT, ABOUT(model), .wanted = "the maker's name of the model"},
    {"maker", CHECK_TEXT, ABOUT(maker), .wanted = "who makes it"},
    {"manual", CHECK_TEXT, ABOUT(manual), .wanted = "the document the facts come from"},
    {"note", CHECK_TEXT, ABOUT(note)},
};
static const struct check_table about_table = {about_keys, COUNT(about_keys)};

static const char *const not_for_profiles[] = {"name", "bus", "unit", "profile", "writes"};

static bool is_true(const struct tree_node *node) {
    return node->kind == TREE_TEXT && strcmp(node->text, "true") == 0;
}

static void check_flag(struct check *check, const struct tree_node *tag, const char *place, const char *key) {
    const struct tree_node *node = tree_get(tag, key);
    char at[CHECK_PLACE_MAX];
    if (node != NULL && !is_true(node))
        check_fail(check, node, check_place(place, key, at), "allowed is true; leave it out otherwise");
}

/* A fact has a source, or says that it has none. */
static void check_tag_head(struct check *check, const struct tree_node *tag, const char *place) {
    const struct tree_node *source = tree_get(tag, "source");
    const bool unproven = tree_get(tag, "unproven") != NULL;
    check_flag(check, tag, place, "unproven");
    check_flag(check, tag, place, "optional");
    if (source != NULL && (source->kind != TREE_TEXT || tree_empty(source)))
        check_fail(check, source, place, "source: give the place in the manual");
    else if ((source != NULL) == unproven)
        check_fail(check, tag, place, "give either source, the place in the manual, or unproven: true");
}

static void check_head(struct check *check, const struct tree_node *root, struct profile_about *about) {
    const struct tree_node *section = tree_get(root, "about"), *tags = tree_get(root, "tags");
    if (section == NULL)
        check_fail(check, root, "about", "is missing; give a section with model, maker and manual");
    else
        check_section(check, &about_table, section, "about", about);
    for (size_t i = 0; i < COUNT(not_for_profiles); i++) {
        const struct tree_node *node = tree_get(root, not_for_profiles[i]);
        if (node != NULL)
            check_fail(check, node, not_for_profiles[i], "is for instruments, not for their profile; remove it");
    }
    char place[CHECK_PLACE_MAX];
    size_t index = 0;
    if (tags != NULL && tags->kind == TREE_LIST)
        for (const struct tree_node *tag = tags->first; tag != NULL; tag = tag->next)
            check_tag_head(check, tag, check_list_place("tags", index++, place));
}

/* A document with a bus and an instrument that has nothing but what the profile leaves to it. */
static enum fb_error make_sample(const struct profile *profile, struct tree_node **ret_root,
                                 struct config_report *report) {
    char text[512];
    const struct tree_node *root = profile->root;
    const bool lines = tree_get(root, "protocol") != NULL;
    snprintf(text, sizeof text,
             "buses: [{name: b, kind: %s, host: h, port: 1}]\n"
             "instruments: [{name: i, bus: b, unit: 1%s%s}]\n",
             lines ? "serial-tcp" : "modbus-tcp", tree_get(root, "interval") == NULL ? ", interval: 10s" : "",
             lines || tree_get(root, "word_order") != NULL ? "" : ", word_order: abcd");
    return tree_read(text, strlen(text), ret_root, report);
}

/* All tags by name, so that the optional ones come as well. */
static bool name_tags(struct tree_node *instrument, const struct tree_node *tags) {
    struct tree_node *list = tree_new(tags, NULL);
    if (!tree_append(instrument, list))
        return false;
    for (const struct tree_node *tag = tags->first; tag != NULL; tag = tag->next) {
        const struct tree_node *name = tree_get(tag, "name");
        struct tree_node *named = tree_new(tag, NULL);
        if (!tree_append(list, named) || (name != NULL && !tree_append(named, tree_copy(name, NULL))))
            return false;
    }
    return true;
}

static enum fb_error merge_sample(const struct profile *profile, struct tree_node *list) {
    const struct tree_node *tags = tree_get(profile->root, "tags");
    if (tags != NULL && tags->kind == TREE_LIST && !name_tags(list->first, tags))
        return FB_MEMORY;
    struct tree_node *merged = profile_merge(profile, list->first, NULL);
    if (merged == NULL)
        return FB_MEMORY;
    tree_free(list->first);
    list->first = list->last = merged;
    return FB_OK;
}

enum fb_error profile_check(const struct profile *profile, struct profile_about *ret_about, struct plant *ret_plant,
                            struct config_report *report) {
    struct check check = {report, "/"};
    struct tree_node *sample = NULL;
    *report = (struct config_report){.file = profile->file};
    *ret_about = (struct profile_about){0};
    *ret_plant = (struct plant){0};
    check_head(&check, profile->root, ret_about);
    enum fb_error error = make_sample(profile, &sample, report);
    if (error != FB_OK)
        return error;
    struct tree_node *buses = sample->first, *instruments = buses->next;
    error = merge_sample(profile, instruments);
    if (error == FB_OK) {
        check_buses(&check, buses, ret_plant);
        check_instruments(&check, instruments, ret_plant);
        report_sort(report);
        error = report->count > 0 ? FB_INVALID : FB_OK;
    }
    tree_free(sample);
    return error;
}
