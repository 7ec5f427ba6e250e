#include "drivers/ring.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/common/protocol.h"

#define SEQUENCE_OFFSET MESSAGE_HEADER_BYTES
#define LOSS_PACKET_BYTES (MESSAGE_HEADER_BYTES + 4 * sizeof(uint64_t))

/* One message; its packet follows, in steps of 8 bytes. */
struct ring_entry {
    uint64_t sequence; /* 0: not sent */
    uint64_t readings;
    int64_t from_ms, to_ms;
    uint32_t packet_bytes;
};

struct ring_chunk {
    struct ring_chunk *next;
    size_t begin, end; /* of the live entries */
    _Alignas(uint64_t) uint8_t bytes[RING_CHUNK_BYTES - 3 * sizeof(size_t)];
};

_Static_assert(sizeof(struct ring_chunk) == RING_CHUNK_BYTES, "a chunk is mapped as a whole");

static struct ring_entry *entry_at(struct ring_chunk *chunk, size_t offset) {
    return (struct ring_entry *)(chunk->bytes + offset);
}

static uint8_t *entry_packet(struct ring_entry *entry) {
    return (uint8_t *)(entry + 1);
}

static size_t entry_bytes(uint32_t packet_bytes) {
    return sizeof(struct ring_entry) + ((packet_bytes + 7u) & ~7u);
}

void ring_init(struct ring *ring, size_t chunks_most) {
    *ring = (struct ring){.chunks_most = chunks_most, .next_sequence = 1};
}

static void unmap_all(struct ring_chunk *chunk) {
    while (chunk != NULL) {
        struct ring_chunk *next = chunk->next;
        munmap(chunk, sizeof *chunk);
        chunk = next;
    }
}

void ring_done(struct ring *ring) {
    unmap_all(ring->first);
    unmap_all(ring->spare);
    *ring = (struct ring){0};
}

static void extend_loss(struct ring_loss *loss, uint64_t readings, int64_t from_ms, int64_t to_ms) {
    if (loss->readings == 0 || from_ms < loss->from_ms)
        loss->from_ms = from_ms;
    if (loss->readings == 0 || to_ms > loss->to_ms)
        loss->to_ms = to_ms;
    loss->readings += readings;
}

/* The loss counts as sent only as long as all that it stands for was. */
static void drop_entry(struct ring *ring, const struct ring_entry *entry) {
    const bool was_sent = ring->loss.readings == 0 || ring->loss.sequence != 0;
    extend_loss(&ring->loss, entry->readings, entry->from_ms, entry->to_ms);
    ring->loss.sequence = was_sent ? entry->sequence : 0;
}

static void retire_first(struct ring *ring) {
    struct ring_chunk *chunk = ring->first;
    ring->first = chunk->next;
    if (ring->first == NULL)
        ring->last = NULL;
    if (ring->cursor_chunk == chunk) {
        ring->cursor_chunk = ring->first;
        ring->cursor_offset = 0;
    }
    ring->chunk_count--;
    if (ring->spare == NULL) {
        chunk->next = NULL;
        ring->spare = chunk;
    } else {
        munmap(chunk, sizeof *chunk);
    }
}

static void drop_oldest_chunk(struct ring *ring) {
    struct ring_chunk *chunk = ring->first;
    while (chunk->begin < chunk->end) {
        const struct ring_entry *entry = entry_at(chunk, chunk->begin);
        drop_entry(ring, entry);
        chunk->begin += entry_bytes(entry->packet_bytes);
    }
    retire_first(ring);
}

static struct ring_chunk *map_chunk(struct ring *ring) {
    struct ring_chunk *chunk = ring->spare;
    ring->spare = NULL;
    if (chunk == NULL)
        chunk = mmap(NULL, sizeof *chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return chunk != MAP_FAILED ? chunk : NULL;
}

static bool add_chunk(struct ring *ring) {
    if (ring->chunk_count >= ring->chunks_most)
        drop_oldest_chunk(ring);
    struct ring_chunk *chunk = map_chunk(ring);
    if (chunk == NULL)
        return false;
    chunk->next = NULL;
    chunk->begin = 0;
    chunk->end = 0;
    if (ring->last != NULL)
        ring->last->next = chunk;
    else
        ring->first = chunk;
    ring->last = chunk;
    ring->chunk_count++;
    if (ring->cursor_chunk == NULL) {
        ring->cursor_chunk = chunk;
        ring->cursor_offset = 0;
    }
    return true;
}

static size_t room(const struct ring *ring) {
    return ring->last != NULL ? sizeof ring->last->bytes - ring->last->end : 0;
}

/* A new entry at the end, its packet begun with type and sequence; NULL without memory. */
static struct ring_entry *add_entry(struct ring *ring, uint8_t type, size_t payload_bytes) {
    const uint32_t packet_bytes = SEQUENCE_OFFSET + sizeof(uint64_t);
    if (room(ring) < entry_bytes((uint32_t)(packet_bytes + payload_bytes)) && !add_chunk(ring))
        return NULL;
    struct ring_entry *entry = entry_at(ring->last, ring->last->end);
    *entry = (struct ring_entry){.packet_bytes = packet_bytes};
    message_begin(entry_packet(entry), packet_bytes, type, 0);
    ring->last->end += entry_bytes(packet_bytes);
    return entry;
}

static void append(struct ring *ring, struct ring_entry *entry, const void *bytes, size_t length) {
    ring->last->end -= entry_bytes(entry->packet_bytes);
    memcpy(entry_packet(entry) + entry->packet_bytes, bytes, length);
    entry->packet_bytes += (uint32_t)length;
    ring->last->end += entry_bytes(entry->packet_bytes);
}

static void note_times(struct ring_entry *entry, const struct reading *readings, size_t units) {
    struct ring_loss span = {.readings = entry->readings, .from_ms = entry->from_ms, .to_ms = entry->to_ms};
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        extend_loss(&span, 1, readings[i].time_ms, readings[i].time_ms);
    entry->readings = span.readings;
    entry->from_ms = span.from_ms;
    entry->to_ms = span.to_ms;
}

/* Whether so many bytes of readings go into the open message. */
static bool fits(const struct ring *ring, size_t bytes) {
    const size_t most = SEQUENCE_OFFSET + sizeof(uint64_t) + RING_READINGS_MAX * sizeof(struct reading);
    return ring->open != NULL && ring->open->packet_bytes + bytes <= most && room(ring) >= bytes;
}

void ring_add(struct ring *ring, const struct reading *readings, size_t units) {
    assert(units > 0 && units <= RING_READINGS_MAX);
    const size_t bytes = units * sizeof *readings;
    if (!fits(ring, bytes))
        ring->open = add_entry(ring, PROTOCOL_READINGS, bytes);
    if (ring->open != NULL) {
        append(ring, ring->open, readings, bytes);
        note_times(ring->open, readings, units);
        return;
    }
    ring->loss.sequence = 0;
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        extend_loss(&ring->loss, 1, readings[i].time_ms, readings[i].time_ms);
}

void ring_add_loss(struct ring *ring, uint64_t readings, int64_t from_ms, int64_t to_ms) {
    const uint64_t payload[] = {(uint64_t)from_ms, (uint64_t)to_ms, readings};
    ring_seal(ring);
    struct ring_entry *entry = add_entry(ring, PROTOCOL_READINGS_LOST, sizeof payload);
    if (entry == NULL) {
        ring->loss.sequence = 0;
        extend_loss(&ring->loss, readings, from_ms, to_ms);
        return;
    }
    append(ring, entry, payload, sizeof payload);
    entry->readings = readings;
    entry->from_ms = from_ms;
    entry->to_ms = to_ms;
}

void ring_seal(struct ring *ring) {
    ring->open = NULL;
}

bool ring_is_open(const struct ring *ring) {
    return ring->open != NULL;
}

static struct message_writer next_loss(struct ring *ring) {
    struct ring_loss *loss = &ring->loss;
    loss->sequence = ring->next_sequence++;
    struct message_writer writer =
        message_begin(ring->loss_packet, sizeof ring->loss_packet, PROTOCOL_READINGS_LOST, 0);
    message_put_u64(&writer, loss->sequence);
    message_put_u64(&writer, (uint64_t)loss->from_ms);
    message_put_u64(&writer, (uint64_t)loss->to_ms);
    message_put_u64(&writer, loss->readings);
    return writer;
}

/* The entry under the cursor, NULL behind the last. */
static struct ring_entry *entry_at_cursor(struct ring *ring) {
    while (ring->cursor_chunk != NULL && ring->cursor_offset >= ring->cursor_chunk->end) {
        if (ring->cursor_chunk->next == NULL)
            return NULL;
        ring->cursor_chunk = ring->cursor_chunk->next;
        ring->cursor_offset = ring->cursor_chunk->begin;
    }
    return ring->cursor_chunk != NULL ? entry_at(ring->cursor_chunk, ring->cursor_offset) : NULL;
}

bool ring_next(struct ring *ring, struct message_writer *ret_writer) {
    if (ring->loss.readings > 0 && ring->loss.sequence == 0) {
        *ret_writer = next_loss(ring);
        return true;
    }
    struct ring_entry *entry = entry_at_cursor(ring);
    if (entry == NULL || entry == ring->open)
        return false;
    entry->sequence = ring->next_sequence++;
    memcpy(entry_packet(entry) + SEQUENCE_OFFSET, &entry->sequence, sizeof entry->sequence);
    ring->cursor_offset += entry_bytes(entry->packet_bytes);
    *ret_writer = (struct message_writer){
        .data = entry_packet(entry), .capacity = entry->packet_bytes, .used = entry->packet_bytes};
    return true;
}

void ring_resume(struct ring *ring, uint64_t sequence) {
    ring->next_sequence = sequence + 1;
    if (ring->loss.sequence > sequence)
        ring->loss.sequence = 0;
    ring->cursor_chunk = ring->first;
    ring->cursor_offset = ring->first != NULL ? ring->first->begin : 0;
    bool found = false;
    for (struct ring_chunk *chunk = ring->first; chunk != NULL; chunk = chunk->next) {
        for (size_t at = chunk->begin; at < chunk->end; at += entry_bytes(entry_at(chunk, at)->packet_bytes)) {
            struct ring_entry *entry = entry_at(chunk, at);
            if (entry->sequence > sequence)
                entry->sequence = 0;
            if (found || entry->sequence == 0)
                found = true;
            else {
                ring->cursor_chunk = chunk;
                ring->cursor_offset = at + entry_bytes(entry->packet_bytes);
            }
        }
    }
}

/* The oldest entry, if it was sent; chunks that have become empty are retired on the way. */
static struct ring_entry *first_sent(struct ring *ring) {
    while (ring->first != NULL && ring->first->begin == ring->first->end && ring->first->next != NULL)
        retire_first(ring);
    struct ring_chunk *chunk = ring->first;
    if (chunk == NULL || chunk->begin == chunk->end || entry_at(chunk, chunk->begin)->sequence == 0)
        return NULL;
    return entry_at(chunk, chunk->begin);
}

bool ring_commit(struct ring *ring, uint64_t sequence) {
    if (sequence >= ring->next_sequence)
        return false;
    if (ring->loss.sequence != 0 && ring->loss.sequence <= sequence)
        ring->loss = (struct ring_loss){0};
    for (struct ring_entry *entry = first_sent(ring); entry != NULL && entry->sequence <= sequence;
         entry = first_sent(ring))
        ring->first->begin += entry_bytes(entry->packet_bytes);
    return true;
}

size_t ring_bytes(const struct ring *ring) {
    return (ring->chunk_count + (ring->spare != NULL)) * RING_CHUNK_BYTES;
}
