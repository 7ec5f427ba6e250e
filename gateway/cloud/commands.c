#include "gateway/cloud/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/log.h"

#define REPLY_ID_MAX 96

void commands_init(struct commands *commands, commands_ask ask, void *user) {
    *commands = (struct commands){.ask = ask, .user = user};
}

static void forget(struct command *command) {
    free(command->bytes);
    free(command->reply);
    *command = (struct command){0};
}

static void forget_all(struct commands *commands) {
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++)
        forget(&commands->places[i]);
}

void commands_done(struct commands *commands) {
    forget_all(commands);
}

static struct command *find_id(struct commands *commands, uint64_t id) {
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++)
        if (commands->places[i].id == id && id != 0)
            return &commands->places[i];
    return NULL;
}

/* The peer will hand out again what it has no answer for. */
static void part_from_session(struct commands *commands) {
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++)
        commands->places[i].live = commands->places[i].sent = false;
}

static void set_state(struct commands *commands, enum commands_state state, const char *reason) {
    if (state == COMMANDS_UP)
        log_event(LOG_LEVEL_NOTICE, "commands-up", "address=%s replies=%s", commands->address, commands->replies);
    else if (reason[0] != '\0' && strcmp(reason, commands->reason) != 0)
        log_event(LOG_LEVEL_WARNING, "commands-down", "%s", reason);
    commands->state = state;
    snprintf(commands->reason, sizeof commands->reason, "%s", reason);
}

static void apply(struct commands *commands) {
    const bool wanted = commands->address[0] != '\0';
    struct fb_cause cause;
    part_from_session(commands);
    if (commands->amqp != NULL &&
        amqp_side(commands->amqp, wanted ? commands->address : NULL, commands->replies, &cause) != FB_OK)
        set_state(commands, COMMANDS_WAITING, cause.text);
    else
        set_state(commands, wanted && commands->amqp != NULL ? COMMANDS_CONNECTING : COMMANDS_OFF, "");
}

void commands_configure(struct commands *commands, const char *address, const char *replies, const char *gateway) {
    snprintf(commands->gateway, sizeof commands->gateway, "%s", gateway);
    if (strcmp(address, commands->address) == 0 && strcmp(replies, commands->replies) == 0)
        return;
    snprintf(commands->address, sizeof commands->address, "%s", address);
    snprintf(commands->replies, sizeof commands->replies, "%s", replies);
    forget_all(commands);
    apply(commands);
}

void commands_link(struct commands *commands, struct amqp *amqp) {
    if (commands->amqp == amqp)
        return;
    commands->amqp = amqp;
    part_from_session(commands);
    if (amqp != NULL && commands->address[0] != '\0')
        apply(commands);
    else
        set_state(commands, COMMANDS_OFF, "");
}

void commands_core(struct commands *commands, bool present) {
    commands->core_present = present;
    for (size_t i = 0; present && i < AMQP_SIDE_CREDIT; i++)
        if (commands->places[i].id != 0 && !commands->places[i].answered)
            commands->ask(&commands->places[i], commands->user);
}

static void settle(struct commands *commands, struct command *command) {
    amqp_side_answer(commands->amqp, command->delivery, command->outcome, command->reason);
    forget(command);
}

static enum fb_error send_reply(struct commands *commands, const struct command *command, struct fb_cause *cause) {
    char id[REPLY_ID_MAX];
    snprintf(id, sizeof id, "%.63s/reply/%llu", commands->gateway, (unsigned long long)command->id);
    const struct amqp_message message = {
        .message_id = id,
        .subject = "reply",
        .group_id = commands->gateway,
        .content_type = "application/json",
        .correlation_id = command->message_id,
        .body = command->reply,
        .body_length = command->reply_length,
    };
    return amqp_side_send(commands->amqp, command->id, &message, cause);
}

/* As far as it can go now. */
static void advance(struct commands *commands, struct command *command) {
    struct fb_cause cause;
    if (!command->answered || !command->live || command->sent || commands->amqp == NULL)
        return;
    if (command->reply == NULL) {
        settle(commands, command);
        return;
    }
    const enum fb_error error = send_reply(commands, command, &cause);
    command->sent = error == FB_OK;
    if (error == FB_OK || error == FB_AGAIN)
        return;
    log_event(LOG_LEVEL_WARNING, "reply-lost", "%s", cause.text);
    settle(commands, command);
}

void commands_side_writable(struct commands *commands) {
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++)
        if (commands->places[i].id != 0)
            advance(commands, &commands->places[i]);
}

void commands_reply(struct commands *commands, const struct cloud_message *reply) {
    struct command *command = find_id(commands, reply->number);
    if (command == NULL || command->answered)
        return;
    command->answered = true;
    command->outcome = reply->accepted ? AMQP_ACCEPTED : AMQP_REJECTED;
    snprintf(command->reason, sizeof command->reason, "%.*s", (int)reply->reason_length, reply->reason);
    if (reply->length > 0 && (command->reply = malloc(reply->length)) != NULL) {
        memcpy(command->reply, reply->bytes, reply->length);
        command->reply_length = reply->length;
    }
    advance(commands, command);
}

void commands_side_changed(struct commands *commands, bool up, const char *reason) {
    part_from_session(commands);
    set_state(commands, up ? COMMANDS_UP : COMMANDS_WAITING, reason);
}

/* One that the peer had handed out before, and may have the answer already. */
static struct command *find_again(struct commands *commands, const struct amqp_message *message) {
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++) {
        struct command *command = &commands->places[i];
        if (command->id != 0 && !command->live && command->length == message->body_length &&
            memcmp(command->bytes, message->body, command->length) == 0)
            return command;
    }
    return NULL;
}

/* The peer has credit for as many as there are places, so one is free, or kept for a message that may never come
 * again: the oldest such gives way. */
static struct command *make_place(struct commands *commands) {
    struct command *place = NULL;
    for (size_t i = 0; i < AMQP_SIDE_CREDIT; i++) {
        struct command *command = &commands->places[i];
        if (!command->live && (place == NULL || command->id < place->id))
            place = command;
    }
    if (place != NULL)
        forget(place);
    return place;
}

static struct command *keep(struct commands *commands, const struct amqp_message *message) {
    struct command *command = make_place(commands);
    uint8_t *bytes = command != NULL ? malloc(message->body_length + 1) : NULL;
    if (bytes == NULL)
        return NULL;
    if (message->body_length > 0)
        memcpy(bytes, message->body, message->body_length);
    *command = (struct command){.id = ++commands->last_id, .bytes = bytes, .length = message->body_length};
    snprintf(command->message_id, sizeof command->message_id, "%s", message->message_id);
    return command;
}

void commands_side_received(struct commands *commands, uint64_t delivery, const struct amqp_message *message) {
    struct command *command = find_again(commands, message);
    const bool again = command != NULL;
    if (!again)
        command = keep(commands, message);
    if (command == NULL) {
        amqp_side_answer(commands->amqp, delivery, AMQP_RELEASED, NULL);
        return;
    }
    command->delivery = delivery;
    command->live = true;
    if (!again && commands->core_present)
        commands->ask(command, commands->user);
    else
        advance(commands, command);
}

void commands_side_outcome(struct commands *commands, uint64_t id, enum amqp_outcome outcome, const char *reason) {
    struct command *command = find_id(commands, id);
    if (command == NULL || !command->sent)
        return;
    if (outcome != AMQP_ACCEPTED)
        log_event(LOG_LEVEL_WARNING, "reply-refused", "%s", reason);
    settle(commands, command);
}

const char *commands_state_word(enum commands_state state) {
    static const char *const words[] = {"off", "connecting", "up", "waiting"};
    return words[state];
}
