// links: drivers/ring.c gateway/common/message.c gateway/common/reading.c gateway/common/quality.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/ring.h"
#include "gateway/common/protocol.h"

/* What core would have of it. */
struct core {
    uint64_t sequence; /* last taken */
    uint64_t readings, lost;
    uint32_t last_tag; /* tags are numbered through in these tests */
    int64_t lost_from_ms, lost_to_ms;
    unsigned messages;
};

static uint32_t next_tag;

static void add(struct ring *ring, size_t count) {
    struct reading readings[RING_READINGS_MAX];
    for (size_t i = 0; i < count; i++, next_tag++)
        readings[i] = reading_integer(next_tag, 1000 + next_tag, 0, next_tag);
    ring_add(ring, readings, count);
}

/* Each takes two units. */
static void add_texts(struct ring *ring, size_t count) {
    struct reading readings[RING_READINGS_MAX + READING_UNITS_MAX];
    size_t units = 0;
    for (size_t i = 0; i < count; i++, next_tag++)
        units += reading_make_text(next_tag, 1000 + next_tag, 0, "in operation", 12, readings + units);
    ring_add(ring, readings, units);
}

static void add_sealed(struct ring *ring, size_t messages, size_t readings) {
    for (size_t i = 0; i < messages; i++) {
        add(ring, readings);
        ring_seal(ring);
    }
}

static void take_readings(struct core *core, struct message_reader *reader) {
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    assert_int_equal(length % sizeof(struct reading), 0);
    static struct reading readings[RING_READINGS_MAX];
    assert_in_range(length, sizeof readings[0], sizeof readings);
    const size_t units = length / sizeof readings[0];
    memcpy(readings, bytes, length); /* those in a packet are not aligned */
    assert_true(readings_valid(readings, units));
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        assert_true(readings[i].tag > core->last_tag);
        core->last_tag = readings[i].tag;
        core->readings++;
    }
}

/* Returns false when nothing is left. */
static bool take_one(struct ring *ring, struct core *core) {
    struct message_writer writer;
    if (!ring_next(ring, &writer))
        return false;
    assert_int_equal(message_finish(&writer), FB_OK);
    struct message_reader reader;
    assert_int_equal(message_open(writer.data, writer.used, &reader), FB_OK);
    assert_int_equal(message_get_u64(&reader), core->sequence + 1);
    core->sequence++;
    core->messages++;
    if (reader.type == PROTOCOL_READINGS) {
        take_readings(core, &reader);
    } else {
        assert_int_equal(reader.type, PROTOCOL_READINGS_LOST);
        core->lost_from_ms = (int64_t)message_get_u64(&reader);
        core->lost_to_ms = (int64_t)message_get_u64(&reader);
        core->lost += message_get_u64(&reader);
    }
    assert_true(message_done(&reader));
    return true;
}

static void take_all(struct ring *ring, struct core *core) {
    while (take_one(ring, core))
        ;
}

static struct ring new_ring(size_t chunks) {
    struct ring ring;
    ring_init(&ring, chunks);
    next_tag = 1;
    return ring;
}

static void readings_gather_until_the_message_is_sealed(void **state) {
    (void)state;
    struct ring ring = new_ring(4);
    struct core core = {0};
    add(&ring, 3);
    add(&ring, 4);
    assert_true(ring_is_open(&ring));
    take_all(&ring, &core);
    assert_int_equal(core.messages, 0);
    ring_seal(&ring);
    take_all(&ring, &core);
    assert_int_equal(core.messages, 1);
    assert_int_equal(core.readings, 7);
    ring_done(&ring);
}

static void a_full_message_is_followed_by_another(void **state) {
    (void)state;
    struct ring ring = new_ring(4);
    struct core core = {0};
    add(&ring, 1000);
    add(&ring, 25);
    take_all(&ring, &core);
    assert_int_equal(core.readings, 1000);
    ring_seal(&ring);
    take_all(&ring, &core);
    assert_int_equal(core.readings, 1025);
    assert_int_equal(core.messages, 2);
    ring_done(&ring);
}

static void a_text_counts_as_one_reading_and_takes_the_room_of_its_units(void **state) {
    (void)state;
    struct ring ring = new_ring(2);
    struct core core = {0};
    add_texts(&ring, 500);
    add(&ring, 24);
    add(&ring, 1); /* one unit too many for the message */
    take_all(&ring, &core);
    assert_int_equal(core.readings, 524);
    for (size_t i = 0; i < 200; i++)
        add_texts(&ring, 100);
    ring_seal(&ring);
    take_all(&ring, &core);
    assert_true(core.lost > 0);
    assert_int_equal(core.readings + core.lost, 525 + 20000 + 524); /* the first message was not committed: lost, too */
    ring_done(&ring);
}

static void what_is_committed_takes_no_memory(void **state) {
    (void)state;
    struct ring ring = new_ring(RING_CHUNKS_MAX);
    struct core core = {0};
    for (int second = 0; second < 2000; second++) {
        add_sealed(&ring, 2, 500);
        take_all(&ring, &core);
        assert_true(ring_commit(&ring, core.sequence - 1));
        assert_true(ring_bytes(&ring) <= 3 * RING_CHUNK_BYTES);
    }
    assert_int_equal(core.readings, 2000000);
    assert_int_equal(core.lost, 0);
    ring_done(&ring);
}

static void a_commit_of_what_was_never_sent_is_refused(void **state) {
    (void)state;
    struct ring ring = new_ring(4);
    struct core core = {0};
    add_sealed(&ring, 2, 1);
    assert_false(ring_commit(&ring, 1));
    take_one(&ring, &core);
    assert_true(ring_commit(&ring, 1));
    assert_false(ring_commit(&ring, 2));
    ring_done(&ring);
}

static void core_gets_again_what_it_did_not_commit(void **state) {
    (void)state;
    struct ring ring = new_ring(8);
    struct core before = {0};
    add_sealed(&ring, 50, 100);
    take_all(&ring, &before);
    assert_true(ring_commit(&ring, 20));
    struct core after = {.sequence = 20, .readings = 2000, .last_tag = 2000};
    ring_resume(&ring, 20);
    take_all(&ring, &after);
    assert_int_equal(after.readings, 5000);
    assert_int_equal(after.sequence, 50);
    ring_done(&ring);
}

static void a_core_with_a_new_store_counts_from_one(void **state) {
    (void)state;
    struct ring ring = new_ring(8);
    struct core before = {0};
    add_sealed(&ring, 50, 100);
    take_all(&ring, &before);
    assert_true(ring_commit(&ring, 20));
    struct core fresh = {0};
    ring_resume(&ring, 0);
    take_all(&ring, &fresh);
    assert_int_equal(fresh.readings, 3000);
    assert_int_equal(fresh.sequence, 30);
    assert_true(ring_commit(&ring, 30));
    ring_done(&ring);
}

static void overflow_drops_the_oldest_and_says_so_without_a_gap(void **state) {
    (void)state;
    struct ring ring = new_ring(4);
    struct core core = {0};
    add_sealed(&ring, 10, 100);
    take_all(&ring, &core);
    assert_true(ring_commit(&ring, 4));
    /* Core is away: four of ten are safe, and far more comes than fits. */
    add_sealed(&ring, 1000, 100);
    assert_true(ring_bytes(&ring) <= 5 * RING_CHUNK_BYTES);
    struct core back = {.sequence = 4, .readings = 400, .last_tag = 400};
    ring_resume(&ring, 4);
    take_all(&ring, &back);
    assert_int_equal(back.readings + back.lost, 101000);
    assert_true(back.lost > 0 && back.readings > 5000);
    assert_int_equal(back.lost_from_ms, 1000 + 401);
    assert_int_equal(back.lost_to_ms, 1000 + 400 + (int64_t)back.lost);
    assert_int_equal(back.last_tag, 101000);
    assert_true(ring_commit(&ring, back.sequence));
    take_all(&ring, &back);
    assert_int_equal(back.readings + back.lost, 101000);
    ring_done(&ring);
}

static void a_loss_that_core_holds_is_not_told_again(void **state) {
    (void)state;
    struct ring ring = new_ring(2);
    struct core core = {0};
    add_sealed(&ring, 200, 100);
    take_one(&ring, &core);
    assert_true(core.lost > 0);
    ring_resume(&ring, 1);
    struct core alive = core;
    take_all(&ring, &alive);
    assert_int_equal(alive.lost, core.lost);
    ring_resume(&ring, 0);
    struct core dead = {0};
    take_all(&ring, &dead);
    assert_int_equal(dead.lost, core.lost);
    assert_int_equal(dead.readings + dead.lost, 20000);
    ring_done(&ring);
}

static void losses_of_workers_keep_their_place(void **state) {
    (void)state;
    struct ring ring = new_ring(4);
    struct core core = {0};
    add(&ring, 2);
    ring_add_loss(&ring, 9, 5, 6);
    add(&ring, 3);
    ring_seal(&ring);
    take_one(&ring, &core);
    assert_int_equal(core.readings, 2);
    take_one(&ring, &core);
    assert_int_equal(core.lost, 9);
    assert_int_equal(core.lost_from_ms, 5);
    take_all(&ring, &core);
    assert_int_equal(core.readings, 5);
    ring_done(&ring);
}

/* Whatever happens in whatever order: nothing is missing that is not told, and core never sees a gap. */
static void any_course_of_events_accounts_for_every_reading(void **state) {
    (void)state;
    srandom(1);
    for (int round = 0; round < 200; round++) {
        struct ring ring = new_ring(2 + (size_t)random() % 6);
        struct core core = {0}, safe = {0};
        bool away = false;
        for (int step = 0; step < 300; step++) {
            const long chance = random() % 100;
            if (chance < 40)
                add(&ring, 1 + (size_t)random() % 400);
            else if (chance < 60)
                add_texts(&ring, 1 + (size_t)random() % 200);
            else if (chance < 75)
                ring_seal(&ring);
            else if (chance < 95 && !away)
                take_one(&ring, &core);
            else if (chance < 97 && !away && core.sequence > 0) {
                assert_true(ring_commit(&ring, core.sequence));
                safe = core;
            } else if (chance >= 97) {
                away = !away;
                core = safe;
                ring_resume(&ring, core.sequence);
            }
        }
        ring_resume(&ring, safe.sequence);
        ring_seal(&ring);
        take_all(&ring, &safe);
        assert_true(safe.readings + safe.lost >= next_tag - 1);
        assert_true(safe.last_tag == next_tag - 1);
        ring_done(&ring);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_gather_until_the_message_is_sealed),
        cmocka_unit_test(a_full_message_is_followed_by_another),
        cmocka_unit_test(a_text_counts_as_one_reading_and_takes_the_room_of_its_units),
        cmocka_unit_test(what_is_committed_takes_no_memory),
        cmocka_unit_test(a_commit_of_what_was_never_sent_is_refused),
        cmocka_unit_test(core_gets_again_what_it_did_not_commit),
        cmocka_unit_test(a_core_with_a_new_store_counts_from_one),
        cmocka_unit_test(overflow_drops_the_oldest_and_says_so_without_a_gap),
        cmocka_unit_test(a_loss_that_core_holds_is_not_told_again),
        cmocka_unit_test(losses_of_workers_keep_their_place),
        cmocka_unit_test(any_course_of_events_accounts_for_every_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
