#include "gateway/config/check_commands.h"

#include <string.h>

#include "gateway/config/check_list.h"
#include "gateway/config/report.h"

#define PLACE "cloud.commands"
#define SETTINGS(member) CHECK_MEMBER(struct command_settings, member)
#define KEY(member) CHECK_MEMBER(struct command_key, member)

static const struct check_key commands_keys[] = {
    {"address", CHECK_TEXT, SETTINGS(address), .wanted = "where commands come from, like /queues/plant.commands"},
    {"replies", CHECK_TEXT, SETTINGS(replies), .wanted = "where replies go, like /queues/plant.replies"},
    {"keys", CHECK_LIST, .wanted = "the list of the keys that may sign commands"},
    {"allow", CHECK_LIST, .wanted = "the list of the commands that are allowed"},
};
static const struct check_key key_keys[] = {
    {"name", CHECK_NAME, KEY(name), .wanted = "the name that the audit shows for this key"},
    {"file", CHECK_PATH, KEY(file), .wanted = "the PEM file of the public key"},
};
static const struct check_table commands_table = {commands_keys, sizeof commands_keys / sizeof commands_keys[0]};
static const struct check_table key_table = {key_keys, sizeof key_keys / sizeof key_keys[0]};

static void check_keys(struct check *check, const struct tree_node *list, struct command_settings *settings) {
    if (!check_list(check, list, PLACE ".keys", 1, COMMAND_KEYS_MAX))
        return;
    for (const struct tree_node *entry = list->first; entry != NULL; entry = entry->next) {
        char place[CHECK_PLACE_MAX];
        check_list_place(PLACE ".keys", settings->key_count, place);
        check_section(check, &key_table, entry, place, &settings->keys[settings->key_count++]);
    }
}

static void allow(struct check *check, const struct tree_node *entry, const char *place,
                  struct command_settings *settings) {
    for (size_t i = 0; i < COMMAND_KINDS; i++)
        if (strcmp(command_words[i], entry->text) == 0) {
            settings->allowed |= 1u << i;
            return;
        }
    char quote[REPORT_QUOTE_MAX], hint[FB_CAUSE_MAX / 2];
    report_hint(entry->text, command_words, COMMAND_KINDS, "allowed are", hint, sizeof hint);
    check_fail(check, entry, place, "%s is unknown%s", report_quote(entry->text, quote), hint);
}

static void check_allow(struct check *check, const struct tree_node *list, struct command_settings *settings) {
    size_t index = 0;
    for (const struct tree_node *entry = list->first; entry != NULL; entry = entry->next, index++) {
        char place[CHECK_PLACE_MAX];
        check_list_place(PLACE ".allow", index, place);
        if (entry->kind == TREE_TEXT)
            allow(check, entry, place, settings);
        else
            check_fail(check, entry, place, "is no word; give one like status");
    }
}

void check_commands(struct check *check, const struct tree_node *map, struct command_settings *settings) {
    check_section(check, &commands_table, map, PLACE, settings);
    const struct tree_node *keys = tree_get(map, "keys"), *allowed = tree_get(map, "allow");
    if (keys != NULL && keys->kind == TREE_LIST)
        check_keys(check, keys, settings);
    if (allowed != NULL && allowed->kind == TREE_LIST)
        check_allow(check, allowed, settings);
}
