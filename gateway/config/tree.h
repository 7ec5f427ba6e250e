/* tree.h - one YAML document as a small tree that remembers where everything stood. Used by config. Pure.
 *
 * A subset, by intent: maps, lists and text of one document. Refused: directives, anchors, aliases, tags, merge keys,
 * keys that are not text, keys that come twice. What the text means (a number, a duration) is not decided here. */
#ifndef FB_CONFIG_TREE_H
#define FB_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/common/error.h"
#include "gateway/config/config.h"

#define TREE_DEPTH_MAX 8      /* lists and maps inside each other */
#define TREE_KEYS_MAX 64      /* keys of one map: keeps the search for duplicates short */
#define TREE_NODES_MAX 200000 /* values and keys of the document: 24 for each of PLANT_TAGS_MAX tags */

enum tree_kind { TREE_TEXT, TREE_MAP, TREE_LIST };

struct tree_node {
    enum tree_kind kind;
    unsigned line, column;          /* where it starts, 1 and up */
    struct tree_node *key;          /* a TREE_TEXT, if it is inside a map */
    struct tree_node *next;         /* of the same map or list */
    struct tree_node *first, *last; /* of a map or list */
    size_t count;                   /* of a map or list */
    bool quoted;                    /* of a text: stands in quotes or as a block, so it cannot be a number */
    char text[];                    /* of a text; UTF-8, ends with NUL */
};

/* Read length bytes of UTF-8. ret_root: yours on success, end it with tree_free(); untouched otherwise.
 * FB_INVALID, FB_LIMIT, FB_MEMORY: report has at least one entry. Success may leave entries for duplicate keys too. */
enum fb_error tree_read(const char *text, size_t length, struct tree_node **ret_root,
                        struct config_report *report) FB_MUST_USE;
void tree_free(struct tree_node *node); /* NULL is fine */

/* The value of a key; NULL when map is NULL, is no map or has no such key. */
const struct tree_node *tree_get(const struct tree_node *map, const char *key);

/* A copy of the node and its key; empty, when it is a map or list. at: where it is said to stand, NULL for where the
 * original does. NULL: out of memory. */
struct tree_node *tree_new(const struct tree_node *node, const struct tree_node *at);
/* The same with all that is in it. */
struct tree_node *tree_copy(const struct tree_node *node, const struct tree_node *at);
/* Put node, which then belongs to it, behind the last of a map or list. False: node is NULL. */
bool tree_append(struct tree_node *parent, struct tree_node *node);

/* True for a text that says nothing: empty, or a plain "~" or "null". */
bool tree_empty(const struct tree_node *node);

#endif
