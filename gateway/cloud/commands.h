/* commands.h - signed commands on their way from the peer to core, and core's replies on their way back, over the side
 * session of the link (amqp.h). Nothing of them is looked at here: core verifies. Used by forebay-cloud's link.
 *
 *     peer --message--> waiting --COMMAND--> core --REPLY--> answered --reply accepted--> settled
 *
 * A command is settled at the peer only after its reply was. Of one that the peer hands out again after a broken
 * connection the reply is still here: it goes again, and core is not asked twice. */
#ifndef FB_CLOUD_COMMANDS_H
#define FB_CLOUD_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/cloud/cloud_message.h"
#include "gateway/common/command_settings.h"

enum commands_state { COMMANDS_OFF, COMMANDS_CONNECTING, COMMANDS_UP, COMMANDS_WAITING };

struct command {
    uint64_t id; /* for core; grows with each command; 0: this place is free */
    uint64_t delivery;
    bool live; /* delivery is of the present session */
    bool sent; /* the reply has been handed to the peer in this session */
    char message_id[COMMAND_ID_MAX];
    uint8_t *bytes; /* malloc, length of them */
    size_t length;
    bool answered; /* by core; the members below belong to that */
    enum amqp_outcome outcome;
    char reason[FB_CAUSE_MAX];
    uint8_t *reply; /* malloc, reply_length of them; NULL: there is none to send */
    size_t reply_length;
};

/* Hand a command to core. */
typedef void (*commands_ask)(const struct command *command, void *user);

struct commands {
    commands_ask ask;
    void *user;
    bool core_present;
    char address[LINK_TEXT_MAX], replies[LINK_TEXT_MAX]; /* "" when no commands are wanted */
    char gateway[64];
    struct amqp *amqp; /* borrowed, while the link is up; else NULL */
    uint64_t last_id;
    struct command places[AMQP_SIDE_CREDIT];
    enum commands_state state;
    char reason[FB_CAUSE_MAX]; /* of the last end */
};

void commands_init(struct commands *commands, commands_ask ask, void *user);
void commands_done(struct commands *commands);

/* From these addresses; address "": none. gateway: the gateway's name. The same as before change nothing. */
void commands_configure(struct commands *commands, const char *address, const char *replies, const char *gateway);
/* The link has come up, or, with NULL, has gone. */
void commands_link(struct commands *commands, struct amqp *amqp);
/* Core is there: everything it has not answered is handed to it. Or it has gone. */
void commands_core(struct commands *commands, bool present);
/* Core's answer. One to a command that is not here any more is passed over. */
void commands_reply(struct commands *commands, const struct cloud_message *reply);

/* What amqp reports of the side session, see struct amqp_handlers. */
void commands_side_changed(struct commands *commands, bool up, const char *reason);
void commands_side_received(struct commands *commands, uint64_t delivery, const struct amqp_message *message);
void commands_side_writable(struct commands *commands);
void commands_side_outcome(struct commands *commands, uint64_t id, enum amqp_outcome outcome, const char *reason);

/* "off", "connecting", "up", "waiting". Static storage. */
const char *commands_state_word(enum commands_state state);

#endif
