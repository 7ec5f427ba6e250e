#include "drivers/recorder.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct header {
    int64_t time_us;
    uint16_t length;
    uint16_t direction;
    uint32_t reserved; /* 0 */
};

struct recorder {
    _Atomic uint64_t tail; /* where the oldest whole frame begins; moved on before its bytes are overwritten */
    _Atomic uint64_t head; /* where the next frame will begin */
    _Atomic uint32_t turns;
    uint8_t bytes[RECORDER_RING_BYTES];
};

static struct recorder *used;

enum fb_error recorder_new(struct recorder **ret_recorder) {
    void *memory = mmap(NULL, sizeof(struct recorder), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return FB_MEMORY;
    recorder_share(memory, false);
    *ret_recorder = memory;
    return FB_OK;
}

void recorder_free(struct recorder *recorder) {
    if (recorder != NULL)
        munmap(recorder, sizeof *recorder);
}

void recorder_share(struct recorder *recorder, bool shared) {
    madvise(recorder, sizeof *recorder, shared ? MADV_DOFORK : MADV_DONTFORK);
}

void recorder_use(struct recorder *recorder) {
    used = recorder;
}

void recorder_note(enum recorder_direction direction, const void *bytes, size_t length) {
    if (used == NULL || length == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    recorder_add(used, now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000, direction, bytes, length);
}

void recorder_turn(void) {
    if (used != NULL)
        atomic_fetch_add_explicit(&used->turns, 1, memory_order_relaxed);
}

uint32_t recorder_turns(const struct recorder *recorder) {
    return atomic_load_explicit(&recorder->turns, memory_order_relaxed);
}

static void put(struct recorder *recorder, uint64_t position, const void *bytes, size_t length) {
    const size_t at = position % RECORDER_RING_BYTES;
    const size_t first = length < RECORDER_RING_BYTES - at ? length : RECORDER_RING_BYTES - at;
    memcpy(recorder->bytes + at, bytes, first);
    memcpy(recorder->bytes, (const uint8_t *)bytes + first, length - first);
}

static void get(const struct recorder *recorder, uint64_t position, void *ret_bytes, size_t length) {
    const size_t at = position % RECORDER_RING_BYTES;
    const size_t first = length < RECORDER_RING_BYTES - at ? length : RECORDER_RING_BYTES - at;
    memcpy(ret_bytes, recorder->bytes + at, first);
    memcpy((uint8_t *)ret_bytes + first, recorder->bytes, length - first);
}

static void make_room(struct recorder *recorder, uint64_t head, size_t needed) {
    uint64_t tail = atomic_load_explicit(&recorder->tail, memory_order_relaxed);
    tail = tail < head ? tail : head;
    while (head + needed - tail > RECORDER_RING_BYTES) {
        struct header oldest;
        get(recorder, tail, &oldest, sizeof oldest);
        tail += sizeof oldest + oldest.length;
    }
    atomic_store_explicit(&recorder->tail, tail, memory_order_relaxed);
    /* No byte may be overwritten before readers can see that it is gone. */
    atomic_thread_fence(memory_order_seq_cst);
}

void recorder_add(struct recorder *recorder, int64_t time_us, enum recorder_direction direction, const void *bytes,
                  size_t length) {
    const size_t kept = length < RECORDER_FRAME_BYTES_MAX ? length : RECORDER_FRAME_BYTES_MAX;
    const struct header header = {time_us, (uint16_t)kept, (uint16_t)direction, 0};
    const uint64_t head = atomic_load_explicit(&recorder->head, memory_order_relaxed);
    make_room(recorder, head, sizeof header + kept);
    put(recorder, head, &header, sizeof header);
    put(recorder, head + sizeof header, bytes, kept);
    atomic_store_explicit(&recorder->head, head + sizeof header + kept, memory_order_release);
}

void recorder_read(const struct recorder *recorder, uint64_t after, struct recorder_cut *ret_cut) {
    const uint64_t head = atomic_load_explicit(&recorder->head, memory_order_acquire);
    const uint64_t tail = atomic_load_explicit(&recorder->tail, memory_order_relaxed);
    uint64_t from = after >= tail && after <= head ? after : tail;
    ret_cut->next = head;
    ret_cut->at = 0;
    ret_cut->used = 0;
    ret_cut->lost = after < tail && after > 0 ? tail - after : 0;
    if (from > head || head - from > RECORDER_RING_BYTES)
        return; /* nonsense: an honest writer never gets there */
    ret_cut->used = head - from;
    get(recorder, from, ret_cut->bytes, ret_cut->used);
    atomic_thread_fence(memory_order_seq_cst);
    const uint64_t tail_now = atomic_load_explicit(&recorder->tail, memory_order_relaxed);
    if (tail_now > from) {
        const uint64_t gone = tail_now - from;
        ret_cut->at = gone < ret_cut->used ? (size_t)gone : ret_cut->used;
        ret_cut->lost += ret_cut->at;
    }
}

uint64_t recorder_position(void) {
    return used != NULL ? atomic_load_explicit(&used->head, memory_order_relaxed) : 0;
}

void recorder_read_used(uint64_t after, struct recorder_cut *ret_cut) {
    ret_cut->used = ret_cut->at = 0;
    if (used != NULL)
        recorder_read(used, after, ret_cut);
}

bool recorder_next(struct recorder_cut *cut, struct recorder_frame *ret_frame) {
    struct header header;
    if (cut->used - cut->at < sizeof header)
        return false;
    memcpy(&header, cut->bytes + cut->at, sizeof header);
    const size_t left = cut->used - cut->at - sizeof header;
    if (header.length == 0 || header.length > RECORDER_FRAME_BYTES_MAX || header.length > left ||
        header.direction > RECORDER_IN)
        return false;
    *ret_frame = (struct recorder_frame){.time_us = header.time_us,
                                         .direction = (enum recorder_direction)header.direction,
                                         .bytes = cut->bytes + cut->at + sizeof header,
                                         .length = header.length};
    cut->at += sizeof header + header.length;
    return true;
}
