#include "gateway/cloud/window.h"

#include <stdlib.h>

/* Parcels of an old grant may arrive when the link has come back in the meantime. */
#define OPEN_MOST(messages_most) (2 * (messages_most) + 2 * WINDOW_GRANT_MESSAGES_MIN)

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

enum fb_error window_init(struct window *window, uint32_t messages_most, uint32_t bytes_most, struct fb_cause *cause) {
    const uint32_t capacity = OPEN_MOST(messages_most) + WINDOW_DECIDED_MAX;
    struct window_parcel *parcels = calloc(capacity, sizeof *parcels);
    if (parcels == NULL)
        return fb_fail(cause, FB_MEMORY, "no memory for a window of %u messages", messages_most);
    *window = (struct window){
        .messages_most = messages_most, .bytes_most = bytes_most, .parcels = parcels, .capacity = capacity};
    return FB_OK;
}

void window_done(struct window *window) {
    window_forget_all(window);
    free(window->parcels);
    *window = (struct window){0};
}

/* The first one: what is in use stays together at the front, where it is looked for. */
static struct window_parcel *free_place(struct window *window) {
    for (uint32_t i = 0; i < window->end; i++)
        if (window->parcels[i].state == WINDOW_FREE)
            return &window->parcels[i];
    return window->end < window->capacity ? &window->parcels[window->end++] : NULL;
}

static bool is_open(const struct window_parcel *parcel) {
    return parcel->state == WINDOW_WAITING || parcel->state == WINDOW_SENT;
}

static void stop_waiting(struct window *window, struct window_parcel *parcel) {
    if (parcel->state == WINDOW_WAITING)
        window->waiting_bytes -= parcel->length;
    free(parcel->bytes);
    parcel->bytes = NULL;
}

static void close_one(struct window *window, struct window_parcel *parcel) {
    stop_waiting(window, parcel);
    if (!is_open(parcel))
        return;
    window->open--;
    window->bytes -= parcel->length;
}

enum fb_error window_take(struct window *window, enum parcel_kind kind, uint64_t number, size_t length, int64_t now_ms,
                          struct window_parcel **ret_parcel) {
    window->granted_messages -= least(window->granted_messages, 1);
    window->granted_bytes -= least(window->granted_bytes, (uint32_t)length);
    if (window_of_number(window, kind, number) != NULL)
        return FB_AGAIN;
    struct window_parcel *parcel = window->open < OPEN_MOST(window->messages_most) ? free_place(window) : NULL;
    if (parcel == NULL)
        return FB_FULL;
    window->taken++;
    /* The place stands in the delivery's number, so that finding it again takes no search. */
    const uint64_t place = (uint64_t)(parcel - window->parcels);
    *parcel = (struct window_parcel){.state = WINDOW_WAITING,
                                     .kind = kind,
                                     .number = number,
                                     .delivery = window->taken * window->capacity + place,
                                     .since_ms = now_ms,
                                     .length = length};
    window->count++;
    window->open++;
    window->bytes += length;
    window->waiting_bytes += length;
    *ret_parcel = parcel;
    return FB_OK;
}

/* Catalogues are never historical, so they stay before the batches that need them. */
static bool goes_before(const struct window_parcel *a, const struct window_parcel *b) {
    return a->historical != b->historical ? !a->historical : a->delivery < b->delivery;
}

struct window_parcel *window_first_waiting(const struct window *window) {
    struct window_parcel *first = NULL;
    for (uint32_t i = 0; i < window->end; i++) {
        struct window_parcel *parcel = &window->parcels[i];
        if (parcel->state == WINDOW_WAITING && (first == NULL || goes_before(parcel, first)))
            first = parcel;
    }
    return first;
}

struct window_parcel *window_of_delivery(const struct window *window, uint64_t delivery) {
    if (window->capacity == 0)
        return NULL;
    struct window_parcel *parcel = &window->parcels[delivery % window->capacity];
    return parcel->state != WINDOW_FREE && parcel->delivery == delivery ? parcel : NULL;
}

struct window_parcel *window_of_number(const struct window *window, enum parcel_kind kind, uint64_t number) {
    for (uint32_t i = 0; i < window->end; i++) {
        struct window_parcel *parcel = &window->parcels[i];
        if (parcel->state != WINDOW_FREE && parcel->number == number && parcel->kind == kind)
            return parcel;
    }
    return NULL;
}

void window_sent(struct window *window, struct window_parcel *parcel) {
    stop_waiting(window, parcel);
    parcel->state = WINDOW_SENT;
    parcel->order = ++window->sent;
}

void window_decided(struct window *window, struct window_parcel *parcel) {
    close_one(window, parcel);
    parcel->state = WINDOW_DECIDED;
}

void window_forget(struct window *window, struct window_parcel *parcel) {
    close_one(window, parcel);
    window->count--;
    *parcel = (struct window_parcel){0};
    while (window->end > 0 && window->parcels[window->end - 1].state == WINDOW_FREE)
        window->end--;
}

void window_forget_all(struct window *window) {
    while (window->end > 0)
        window_forget(window, &window->parcels[window->end - 1]);
    window->granted_messages = 0;
    window->granted_bytes = 0;
}

bool window_grant(struct window *window, uint32_t *ret_messages, uint32_t *ret_bytes) {
    if (window->granted_messages >= WINDOW_GRANT_MESSAGES_MIN && window->granted_bytes > 0)
        return false;
    if (window->waiting_bytes > WINDOW_GRANT_BYTES_MAX / 2)
        return false;
    const uint32_t messages_most = most(window->messages_most, WINDOW_GRANT_MESSAGES_MIN);
    const uint32_t messages =
        least(messages_most - least(messages_most, window->open), window->capacity - window->count);
    const uint32_t bytes = window->bytes < window->bytes_most ? window->bytes_most - (uint32_t)window->bytes : 0;
    /* By quarters: one by one would cost a message of ours for each of core's. */
    if (messages < most(messages_most / 4, WINDOW_GRANT_MESSAGES_MIN) || bytes < window->bytes_most / 4)
        return false;
    window->granted_messages = messages;
    window->granted_bytes = least(bytes, WINDOW_GRANT_BYTES_MAX - (uint32_t)window->waiting_bytes);
    *ret_messages = window->granted_messages;
    *ret_bytes = window->granted_bytes;
    return true;
}

void window_answered(struct window *window, uint64_t delivery, int64_t now_ms) {
    const struct window_parcel *answered = window_of_delivery(window, delivery);
    if (answered == NULL)
        return;
    /* One of several messages that is begun is finished before any other is sent. */
    const uint64_t order = answered->order == 0 ? window->sent + 1 : answered->order;
    for (uint32_t i = 0; i < window->end; i++) {
        struct window_parcel *parcel = &window->parcels[i];
        if (parcel->state == WINDOW_SENT && parcel->order < order && parcel->overtaken_ms == 0)
            parcel->overtaken_ms = now_ms;
    }
}

int64_t window_due_ms(const struct window *window, int64_t answered_ms, uint32_t patience_ms) {
    int64_t due_ms = 0;
    for (uint32_t i = 0; i < window->end; i++) {
        const struct window_parcel *parcel = &window->parcels[i];
        if (!is_open(parcel))
            continue;
        int64_t from_ms = parcel->since_ms > answered_ms ? parcel->since_ms : answered_ms;
        if (parcel->overtaken_ms != 0)
            from_ms = parcel->overtaken_ms;
        if (due_ms == 0 || from_ms + patience_ms < due_ms)
            due_ms = from_ms + patience_ms;
    }
    return due_ms;
}

int64_t window_oldest_ms(const struct window *window) {
    int64_t oldest_ms = 0;
    for (uint32_t i = 0; i < window->end; i++) {
        const struct window_parcel *parcel = &window->parcels[i];
        if (is_open(parcel) && (oldest_ms == 0 || parcel->since_ms < oldest_ms))
            oldest_ms = parcel->since_ms;
    }
    return oldest_ms;
}
