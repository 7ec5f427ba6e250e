#include "gateway/config/check_cloud.h"

#include <stdio.h>
#include <string.h>

/* Where the value stands when it is there, else where the section begins. */
static void fail(struct check *check, const struct tree_node *map, const char *key, const char *text) {
    char place[CHECK_PLACE_MAX];
    const struct tree_node *node = tree_get(map, key);
    check_fail(check, node != NULL ? node : map->key, check_place("cloud", key, place), "%s", text);
}

static bool given(const struct tree_node *map, const char *key) {
    return tree_get(map, key) != NULL;
}

/* False when what is given is none of the words, which has been reported. */
static bool profile_known(const struct tree_node *map, const struct link_settings *link) {
    const struct tree_node *node = tree_get(map, "profile");
    return node == NULL || (node->kind == TREE_TEXT && strcmp(node->text, cloud_kind_words[link->profile]) == 0);
}

void check_cloud_address(struct check *check, const struct tree_node *node, const char *place, enum cloud_kind kind,
                         const char *address) {
    char address_place[CHECK_PLACE_MAX];
    check_place(place, "address", address_place);
    if (node == NULL)
        return;
    if (!cloud_template_valid(address))
        check_fail(check, node, address_place, "only {gateway} and {kind} may stand in braces");
    else if (cloud_address_varies(address) && cloud_profile(kind)->tokens)
        check_fail(check, node, address_place, "{kind} is for the profile amqp only");
}

static void check_address(struct check *check, const struct tree_node *map, struct link_settings *link) {
    const struct cloud_profile *profile = cloud_profile(link->profile);
    if (!given(map, "address") && profile->address != NULL)
        snprintf(link->address, sizeof link->address, "%s", profile->address);
    else if (!given(map, "address"))
        fail(check, map, "address", "is missing; give where batches go, like /queues/readings");
    check_cloud_address(check, tree_get(map, "address"), "cloud", link->profile, link->address);
}

/* How the gateway shows who it is. */
static void check_identity(struct check *check, const struct tree_node *map, const struct link_settings *link) {
    const struct cloud_profile *profile = cloud_profile(link->profile);
    const bool token = given(map, "token_key"), certificate = given(map, "certificate");
    if (token && !profile->tokens)
        fail(check, map, "token_key", "is for the profiles azure-iothub and azure-eventhubs only");
    else if (certificate && !profile->certificates)
        fail(check, map, "certificate", "Event Hubs takes no client certificates; give token_key and token_policy");
    else if (token && certificate)
        fail(check, map, "token_key", "give either a certificate and its key, or token_key");
    else if (!token && !profile->certificates)
        fail(check, map, "token_key", "is missing; give the file with the key of a policy that may send");
    else if (!token && !certificate)
        fail(check, map, "certificate", "is missing; give the PEM file of this gateway's certificate");
    if (!token && profile->certificates && !given(map, "key"))
        fail(check, map, "key", "is missing; give the PEM file of this gateway's private key");
    if (token && profile->policy && !given(map, "token_policy"))
        fail(check, map, "token_policy", "is missing; give the name of the policy whose key token_key holds");
    if (!token && given(map, "token_policy"))
        fail(check, map, "token_policy", "is for token_key only");
}

void check_cloud_profile(struct check *check, const struct tree_node *map, struct link_settings *link) {
    if (profile_known(map, link)) {
        check_address(check, map, link);
        check_identity(check, map, link);
    }
    if (link->compression != CLOUD_NONE && link->encoding == CLOUD_BATCH)
        fail(check, map, "compression", "is for encoding: senml+json only; a batch is compressed already");
}
