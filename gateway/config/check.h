/* check.h - one map of the document against one table of its keys, into one struct. Used by config and check_plant.
 *
 * A row of the table says all there is to a key: its type, its member, whether it must be there, its default in the
 * words of the configuration, its range, its allowed words. Pure. */
#ifndef FB_CONFIG_CHECK_H
#define FB_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/config/config.h"
#include "gateway/config/tree.h"

/* Bytes with NUL of a place in the document: "instruments[12].tags[3].address". */
#define CHECK_PLACE_MAX 128

enum check_type {
    CHECK_TEXT,         /* char[]; max: bytes, 0 for all that fit */
    CHECK_CONTROL_TEXT, /* char[]: control characters are allowed, and stored as plant_lines_bytes() reads them */
    CHECK_NAME,         /* char[]: a name of the plant */
    CHECK_HOST,         /* char[]: a DNS name or an address */
    CHECK_PATH,         /* char[]: made absolute; max as for CHECK_TEXT */
    CHECK_KEY,          /* char[]: the same, or a key in a token: see pkcs11_uri.h */
    CHECK_PIN,          /* char[PIN_TEXT_MAX] */
    CHECK_NUMBER,       /* unsigned of 1, 2, 4 or 8 bytes, min..max */
    CHECK_DURATION,     /* the same, in ms */
    CHECK_SIZE,         /* the same, in bytes */
    CHECK_RATE,         /* the same, in bytes a second */
    CHECK_MASK,         /* unsigned of 1, 2, 4 or 8 bytes, 1..max: 16 or 0x0010 */
    CHECK_DECIMAL,      /* struct plant_decimal */
    CHECK_REAL,         /* double */
    CHECK_WORD,         /* enum: the index of the word */
    CHECK_MAP,          /* the caller reads it */
    CHECK_LIST,         /* the caller reads it */
};

struct check_key {
    const char *name;
    enum check_type type;
    size_t offset, size;  /* of the member in the struct, bytes; CHECK_MEMBER() gives both */
    const char *wanted;   /* what to give when it is missing; NULL: it may be left out */
    const char *standard; /* what stands when it is left out; NULL: the member is not touched then */
    uint64_t min, max;
    const char *const *words; /* NULL at the end */
};

#define CHECK_MEMBER(type, member) offsetof(type, member), sizeof(((type *)0)->member)

struct check_table {
    const struct check_key *keys; /* at most TREE_KEYS_MAX */
    size_t count;
    const struct check_table *other; /* keys that another variant of the section has, NULL for none ... */
    const char *other_is;            /* ... and what to say to them: "is for ... only" */
};

struct check {
    struct config_report *report;
    const char *folder; /* relative paths start there; profiles of the plant's own are in "profiles" in it */
};

/* Check map against table, report all that is wrong, fill target. map: NULL when the section is left out, which leaves
 * the defaults. place: of the map, "" for the document. */
void check_section(struct check *check, const struct check_table *table, const struct tree_node *map, const char *place,
                   void *target);

/* The same for one value: key's row, which need not stand in a table; place: of the value itself. */
void check_value(struct check *check, const struct check_key *key, const struct tree_node *node, const char *place,
                 void *target);

/* Add "place: ..." where the node stands. place: "" for the document. */
void check_fail(struct check *check, const struct tree_node *node, const char *place, const char *format, ...)
    FB_PRINTF(4, 5);

/* "place.key", or key alone when place is "". Returns ret_place. */
const char *check_place(const char *place, const char *key, char ret_place[static CHECK_PLACE_MAX]);

#endif
