#include "gateway/config/check_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/report.h"

struct named {
    const struct tree_node *name;
    size_t index; /* of the entry */
};

const char *check_list_place(const char *place, size_t index, char ret_place[static CHECK_PLACE_MAX]) {
    snprintf(ret_place, CHECK_PLACE_MAX, "%s[%zu]", place, index);
    return ret_place;
}

static int name_order(const void *a, const void *b) {
    const struct named *left = a, *right = b;
    const int order = strcmp(left->name->text, right->name->text);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static size_t collect_names(const struct tree_node *list, struct named *names) {
    size_t count = 0, index = 0;
    for (const struct tree_node *entry = list->first; entry != NULL; entry = entry->next, index++) {
        const struct tree_node *name = tree_get(entry, "name");
        if (name != NULL && name->kind == TREE_TEXT && plant_name_valid(name->text))
            names[count++] = (struct named){name, index};
    }
    return count;
}

/* Sorted, those with the same name are neighbours: thousands of tags take no time. */
static void check_names(struct check *check, const struct tree_node *list, const char *place) {
    struct named *names = calloc(list->count, sizeof *names);
    if (names == NULL) {
        check_fail(check, list, place, "out of memory");
        return;
    }
    const size_t count = collect_names(list, names);
    qsort(names, count, sizeof *names, name_order);
    for (size_t i = 1; i < count; i++) {
        const struct tree_node *name = names[i].name, *before = names[i - 1].name;
        if (strcmp(name->text, before->text) != 0)
            continue;
        char entry[CHECK_PLACE_MAX], key[CHECK_PLACE_MAX];
        check_place(check_list_place(place, names[i].index, entry), "name", key);
        check_fail(check, name, key, "%s was given before, in line %u; change one of them", name->text, before->line);
    }
    free(names);
}

bool check_list(struct check *check, const struct tree_node *list, const char *place, size_t least, size_t most) {
    if (list->count < least || list->count > most) {
        check_fail(check, list, place, "has %zu entries; allowed are %zu to %zu", list->count, least, most);
        return false;
    }
    if (list->count > 0)
        check_names(check, list, place);
    return true;
}
