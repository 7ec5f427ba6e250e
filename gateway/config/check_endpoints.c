#include "gateway/config/check_endpoints.h"

#include <string.h>

#include "gateway/config/check_cloud.h"
#include "gateway/config/check_list.h"

#define SPARE(member) CHECK_MEMBER(struct link_endpoint, member)

static const struct check_key endpoint_keys[] = {
    {"host", CHECK_HOST, SPARE(host), .wanted = "the broker's name, as its certificate has it"},
    {"port", CHECK_NUMBER, SPARE(port), .standard = "5671", .min = 1, .max = UINT16_MAX},
    {"address", CHECK_TEXT, SPARE(address)},
};
static const struct check_table endpoint_table = {endpoint_keys, sizeof endpoint_keys / sizeof endpoint_keys[0]};

static void take(struct link_settings *settings, size_t index, const struct link_endpoint *endpoint) {
    if (index > 0) {
        settings->spares[index - 1] = *endpoint;
        settings->spare_count = (uint8_t)index;
        return;
    }
    memcpy(settings->host, endpoint->host, sizeof settings->host);
    settings->port = endpoint->port;
    memcpy(settings->address, endpoint->address, sizeof settings->address);
}

static void check_entries(struct check *check, const struct tree_node *list, const char *place,
                          struct link_settings *settings) {
    char address[LINK_TEXT_MAX];
    memcpy(address, settings->address, sizeof address);
    size_t index = 0;
    for (const struct tree_node *entry = list->first; entry != NULL; entry = entry->next, index++) {
        char entry_place[CHECK_PLACE_MAX];
        struct link_endpoint endpoint = {0};
        memcpy(endpoint.address, address, sizeof address);
        check_section(check, &endpoint_table, entry, check_list_place(place, index, entry_place), &endpoint);
        check_cloud_address(check, tree_get(entry, "address"), entry_place, settings->profile, endpoint.address);
        take(settings, index, &endpoint);
    }
}

void check_endpoints(struct check *check, const struct tree_node *map, const char *place,
                     struct link_settings *settings) {
    const struct tree_node *list = tree_get(map, "endpoints"), *host = tree_get(map, "host");
    const struct tree_node *port = tree_get(map, "port");
    char key[CHECK_PLACE_MAX];
    if (list == NULL && host == NULL)
        check_fail(check, map->key != NULL ? map->key : map, check_place(place, "host", key),
                   "is missing; give the broker's name, as its certificate has it");
    if (list == NULL || list->kind != TREE_LIST)
        return;
    if (host != NULL || port != NULL)
        check_fail(check, host != NULL ? host : port, check_place(place, host != NULL ? "host" : "port", key),
                   "stands beside endpoints; put it into the first of them");
    check_place(place, "endpoints", key);
    if (check_list(check, list, key, 1, LINK_SPARES_MAX + 1))
        check_entries(check, list, key, settings);
}
