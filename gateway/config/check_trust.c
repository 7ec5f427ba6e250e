#include "gateway/config/check_trust.h"

#include "gateway/common/pkcs11_uri.h"
#include "gateway/config/check_list.h"

/* The entries of a list, each by one row of a table that stands for the first of most members. Returns how many. */
static uint32_t check_entries(struct check *check, const struct tree_node *map, const struct check_key *row,
                              uint32_t most, void *target) {
    char place[CHECK_PLACE_MAX], entry_place[CHECK_PLACE_MAX];
    const struct tree_node *list = tree_get(map, row->name);
    /* Something else than a list has been reported with the section. */
    if (list == NULL || list->kind != TREE_LIST ||
        !check_list(check, list, check_place("cloud", row->name, place), 1, most))
        return 0;
    struct check_key key = *row;
    uint32_t count = 0;
    for (const struct tree_node *entry = list->first; entry != NULL; entry = entry->next, count++) {
        check_value(check, &key, entry, check_list_place(place, count, entry_place), target);
        key.offset += key.size;
    }
    return count;
}

void check_trust(struct check *check, const struct tree_node *map, struct link_settings *link) {
    static const struct check_key pin = {"pin", CHECK_PIN, CHECK_MEMBER(struct link_settings, pins[0])};
    static const struct check_key crl = {"crl", CHECK_PATH, CHECK_MEMBER(struct link_settings, crls[0])};
    link->pin_count = check_entries(check, map, &pin, LINK_PINS_MAX, link);
    link->crl_count = check_entries(check, map, &crl, LINK_CRLS_MAX, link);
    if (link->key_pin_file[0] != '\0' && link->key[0] != '\0' && !pkcs11_uri_is(link->key))
        check_fail(check, tree_get(map, "key_pin_file"), "cloud.key_pin_file",
                   "is for a key in a token (key: pkcs11:...) only; a key file must have no passphrase");
}
