/* amqp_world.h - for tests: an AMQP client and an AMQP server of ours in one process, each on its own loop, so that
 * either can be made silent by not running it. */
#ifndef FB_TESTS_AMQP_WORLD_H
#define FB_TESTS_AMQP_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/validity.h"

/* One end and what it has seen. */
struct end {
    sd_event *event;
    struct amqp *amqp;
    struct amqp *earlier; /* server: the one before, which may still be in use; those before it are cut */
    struct amqp_trust *trust;
    enum amqp_step step;
    bool up; /* it has come to AMQP_UP */
    bool closed;
    enum amqp_step closed_step;
    char reason[600];
    struct validity_list peer_chain; /* when it closed */
    unsigned writables;
    unsigned outcomes;
    uint64_t last_delivery;
    enum amqp_outcome last_outcome;
    char last_reason[600];
    unsigned received;
    char message_id[128], subject[64], group_id[64], content_type[64];
    bool historical;
    uint8_t first_byte;
    size_t body_length;
    bool hold;                /* server: keep messages unanswered */
    enum amqp_outcome answer; /* server: what to answer */
    unsigned to_send;      /* client: messages of 4 KB that writable() sends, as many at a time as there is room for */
    unsigned free_at_step; /* client: call amqp_free() in the handler of this step; 0: never */
};

struct world {
    char folder[64];
    struct end client, server;
    int listener; /* descriptor */
    uint16_t port;
    sd_event_source *accept;
    struct amqp_settings client_settings, server_settings;
    bool server_silent; /* the server's loop does not run */
};

/* Folder with certificates "ca", "other-ca"; "server" and "client" of ca and many wrong ones (see the .c file). */
void world_open(struct world *world);
void world_close(struct world *world);

/* Files of the world as amqp_trust_load() takes them; their names hold until ten more calls of world_path(). */
struct amqp_trust_settings world_trust_settings(const struct world *world, const char *ca, const char *name,
                                                bool server);
/* Load an end's certificate; ca: the authority it trusts. */
void world_trust(struct world *world, struct end *end, const char *ca, const char *name);
/* Connect the client. Default host: 127.0.0.1. */
void world_connect(struct world *world);
/* Run both loops until *flag, or the client's or server's closed; fails the test after ten seconds. */
void world_run_until(struct world *world, const bool *flag);
/* Run both loops for so long. Returns the longest time in ms in which neither had a turn. */
int64_t world_run_for(struct world *world, int64_t duration_ms);
/* Run both loops until the client has come to this step; fails as world_run_until(). */
void world_run_to_step(struct world *world, enum amqp_step step);
/* The same until *counter >= wanted. */
void world_run_to_count(struct world *world, const unsigned *counter, unsigned wanted);
/* Connect with the present settings, expect the client to be refused in this step with this text in the reason. */
void world_expect_refusal(struct world *world, enum amqp_step step, const char *text);

const char *world_path(const struct world *world, const char *name, const char *ending);

#endif
