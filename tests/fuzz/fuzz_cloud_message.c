// links: gateway/cloud/cloud_message.c gateway/cloud/window.c gateway/common/link_settings.c gateway/common/json.c gateway/common/message.c gateway/common/error.c gateway/common/pin.c gateway/common/cloud_profile.c
/* What core says to forebay-cloud: a run of packets, each behind two bytes of length, taken apart and led through the
 * window as the link does. */
#include <assert.h>
#include <string.h>

#include "gateway/cloud/cloud_message.h"
#include "gateway/cloud/window.h"

#define WINDOW_MESSAGES 4
#define WINDOW_BYTES (256 * 1024)

static void check(const struct window *window) {
    assert(window->count <= window->capacity);
    assert(window->granted_messages <= WINDOW_MESSAGES);
    assert((window->open == 0) == (window->bytes == 0));
    assert(window->open <= window->count && window->waiting_bytes <= window->bytes);
}

static void use(struct window *window, const struct cloud_message *message, int64_t now_ms) {
    struct window_parcel *parcel = NULL;
    if (message->type == PROTOCOL_PARCEL) {
        if (window_take(window, message->kind, message->number, message->length, now_ms, &parcel) == FB_OK) {
            assert(window_of_delivery(window, parcel->delivery) == parcel);
            if (message->bytes[0] & 1)
                window_sent(window, parcel);
        }
    } else if (message->type == PROTOCOL_SETTLED) {
        for (size_t i = 0; i < message->count; i++) {
            parcel = window_of_number(window, message->kind, cloud_message_number(message, i));
            if (parcel != NULL && parcel->state == WINDOW_SENT)
                window_decided(window, parcel);
            else if (parcel != NULL)
                window_forget(window, parcel);
        }
    } else if (!message->has_link) {
        window_forget_all(window);
    }
    uint32_t messages, bytes;
    if (window_grant(window, &messages, &bytes))
        assert(messages >= WINDOW_GRANT_MESSAGES_MIN && bytes > 0 && bytes <= WINDOW_BYTES);
    check(window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct window window;
    if (window_init(&window, WINDOW_MESSAGES, WINDOW_BYTES, NULL) != FB_OK)
        return 0;
    uint16_t length;
    for (int64_t now_ms = 1; size >= sizeof length; now_ms++) {
        memcpy(&length, data, sizeof length);
        data += sizeof length;
        size -= sizeof length;
        const size_t packet = length < size ? length : size;
        struct message_reader reader;
        struct cloud_message message;
        if (message_open(data, packet, &reader) == FB_OK && cloud_message_read(&reader, &message, NULL) == FB_OK)
            use(&window, &message, now_ms);
        data += packet;
        size -= packet;
    }
    window_done(&window);
    return 0;
}
