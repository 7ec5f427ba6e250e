/* link_desk.h - for tests: forebay-cloud's link to a server of ours, and what core would see of it. */
#ifndef FB_TESTS_LINK_DESK_H
#define FB_TESTS_LINK_DESK_H

#include "gateway/cloud/link.h"
#include "tests/unit/amqp_world.h"

#define DESK_STORE "0123456789abcdef"

struct desk {
    struct world world;
    struct link *link;
    struct link_settings settings; /* for the world's server; change them before desk_come_up() */
    uint32_t bytes_most;
    unsigned ups, downs, nexts, decisions;
    uint32_t messages, bytes; /* of the last grant */
    enum parcel_kind kind;    /* of the last decision, as are the next three */
    uint64_t number;
    enum parcel_outcome outcome;
    char reason[FB_CAUSE_MAX];
    bool stopped;
    const char *stop_at;        /* link_stop() is called within this record ("what"); NULL: never */
    unsigned attempts, returns; /* records, and of those "return" with "up" */
    json_t *attempt;            /* the last one */
};

/* Setup and teardown: *state is the desk. */
int desk_open(void **state);
int desk_close(void **state);

/* Configure the link, and run until it is up. */
void desk_come_up(struct desk *desk);
void desk_forward(struct desk *desk, enum parcel_kind kind, uint64_t number, const uint8_t *bytes, size_t length);

#endif
