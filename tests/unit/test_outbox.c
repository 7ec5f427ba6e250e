// links: drivers/outbox.c drivers/inbox.c gateway/common/message.c gateway/common/reading.c gateway/common/quality.c
/* A worker's outbox and its parent's inbox, over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/inbox.h"
#include "gateway/common/protocol.h"

struct world {
    struct outbox outbox;
    struct inbox_message message;
    int sockets[2];
};

static struct world *new_world(void) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, world->sockets), 0);
    outbox_init(&world->outbox, world->sockets[0]);
    return world;
}

static void free_world(struct world *world) {
    close(world->sockets[0]);
    close(world->sockets[1]);
    free(world->outbox.kept);
    free(world);
}

/* Returns false when nothing has come. */
static bool take(struct world *world) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    const ssize_t got = recv(world->sockets[1], packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0)
        return false;
    struct message_reader reader;
    assert_int_equal(message_open(packet, (size_t)got, &reader), FB_OK);
    assert_int_equal(inbox_take(&reader, &world->message), FB_OK);
    return true;
}

static void send_numbered(struct world *world, int64_t first, size_t count) {
    static struct reading readings[3000];
    for (size_t i = 0; i < count; i++)
        readings[i] = reading_integer(1, first + (int64_t)i, 0, first + (int64_t)i);
    outbox_send_readings(&world->outbox, readings, count);
}

static void readings_arrive_as_they_were(void **state) {
    (void)state;
    struct world *world = new_world();
    send_numbered(world, 100, 3);
    assert_true(take(world));
    assert_int_equal(world->message.units, 3);
    assert_int_equal(world->message.readings[2].value.integer, 102);
    free_world(world);
}

static void many_readings_are_cut_into_messages(void **state) {
    (void)state;
    struct world *world = new_world();
    send_numbered(world, 0, 2500);
    static const size_t counts[] = {1024, 1024, 452};
    for (size_t i = 0; i < 3; i++) {
        assert_true(take(world));
        assert_int_equal(world->message.units, counts[i]);
    }
    assert_false(take(world));
    free_world(world);
}

/* A parent that does not read for a while: what does not fit into the socket waits, in its order. */
static void a_full_socket_costs_nothing_for_a_while(void **state) {
    (void)state;
    struct world *world = new_world();
    int64_t sent = 0, taken = 0;
    for (; world->outbox.kept_to < 5000; sent += 10)
        send_numbered(world, sent, 10);
    assert_true(outbox_waits(&world->outbox));
    while (taken < sent) {
        if (!take(world)) {
            outbox_flush(&world->outbox);
            assert_true(take(world));
        }
        for (size_t i = 0; i < world->message.units; i++)
            assert_int_equal(world->message.readings[i].value.integer, taken++);
    }
    outbox_flush(&world->outbox);
    assert_false(outbox_waits(&world->outbox));
    assert_null(world->outbox.kept);
    assert_int_equal(world->outbox.lost, 0);
    send_numbered(world, sent, 10);
    assert_true(take(world));
    assert_int_equal(world->message.readings[0].value.integer, sent);
    free_world(world);
}

static void what_is_more_than_can_be_kept_is_accounted_for(void **state) {
    (void)state;
    struct world *world = new_world();
    int64_t sent = 0;
    for (; world->outbox.lost == 0; sent += 10)
        send_numbered(world, sent, 10);
    send_numbered(world, sent, 10);
    sent += 10;
    assert_int_equal(world->outbox.lost, 20);
    assert_in_range(world->outbox.kept_to, OUTBOX_KEPT_MAX - 9, OUTBOX_KEPT_MAX);
    uint64_t taken = 0;
    for (; outbox_waits(&world->outbox); outbox_flush(&world->outbox))
        while (take(world))
            taken += world->message.units;
    while (take(world))
        taken += world->message.units;
    assert_int_equal(taken, sent - 20);
    send_numbered(world, sent, 10);
    assert_true(take(world));
    assert_int_equal(world->message.type, PROTOCOL_READINGS_LOST);
    assert_int_equal(world->message.lost, 20);
    assert_int_equal(world->message.lost_from_ms, sent - 20);
    assert_int_equal(world->message.lost_to_ms, sent - 1);
    assert_true(take(world));
    assert_int_equal(world->message.readings[0].value.integer, sent);
    assert_int_equal(world->outbox.lost, 0);
    free_world(world);
}

static void messages_end_between_texts(void **state) {
    (void)state;
    struct world *world = new_world();
    static struct reading readings[3 * 500];
    for (size_t i = 0; i < 500; i++) {
        struct reading units[READING_UNITS_MAX];
        assert_int_equal(reading_make_text(1, (int64_t)i, 0, "a text of more than 24 bytes", 28, units), 3);
        memcpy(readings + 3 * i, units, 3 * sizeof *units);
    }
    outbox_send_readings(&world->outbox, readings, 1500);
    assert_true(take(world));
    assert_int_equal(world->message.units, 1023);
    assert_true(take(world));
    assert_int_equal(world->message.units, 477);
    assert_int_equal(world->message.readings[0].time_ms, 341);
    while (world->outbox.lost == 0)
        outbox_send_readings(&world->outbox, readings, 1023);
    assert_int_equal(world->outbox.lost, 341);
    assert_int_equal(world->outbox.lost_to_ms, 340);
    free_world(world);
}

static void a_status_arrives_as_text(void **state) {
    (void)state;
    struct world *world = new_world();
    outbox_send_status(&world->outbox, "{\"name\":\"b\"}");
    assert_true(take(world));
    assert_int_equal(world->message.status_length, 12);
    assert_memory_equal(world->message.status, "{\"name\":\"b\"}", 12);
    free_world(world);
}

static void an_untrue_worker_is_refused(void **state) {
    (void)state;
    struct reading good = reading_integer(1, 1000, 0, 5), bad = good;
    bad.tag = 0;
    static const uint64_t zero = 0, one = 1;
    const struct {
        uint8_t type;
        const void *first, *second;
        size_t first_length, second_length;
    } rows[] = {
        {PROTOCOL_READINGS, &zero, &bad, 8, sizeof bad},
        {PROTOCOL_READINGS, &one, &good, 8, sizeof good},
        {PROTOCOL_READINGS, &zero, &good, 8, sizeof good - 1},
        {PROTOCOL_READINGS, &zero, NULL, 8, 0},
        {PROTOCOL_READINGS_LOST, &zero, NULL, 8, 0},
        {PROTOCOL_BUS_STATUS, "a\0b", NULL, 3, 0},
        {PROTOCOL_FIELD_HELLO, &zero, NULL, 8, 0},
    };
    static struct inbox_message message;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t packet[256];
        struct message_writer writer = message_begin(packet, sizeof packet, rows[i].type, 0);
        message_put_bytes(&writer, rows[i].first, rows[i].first_length);
        message_put_bytes(&writer, rows[i].second, rows[i].second_length);
        assert_int_equal(message_finish(&writer), FB_OK);
        struct message_reader reader;
        assert_int_equal(message_open(packet, writer.used, &reader), FB_OK);
        assert_int_equal(inbox_take(&reader, &message), FB_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_arrive_as_they_were),
        cmocka_unit_test(many_readings_are_cut_into_messages),
        cmocka_unit_test(a_full_socket_costs_nothing_for_a_while),
        cmocka_unit_test(what_is_more_than_can_be_kept_is_accounted_for),
        cmocka_unit_test(messages_end_between_texts),
        cmocka_unit_test(a_status_arrives_as_text),
        cmocka_unit_test(an_untrue_worker_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
