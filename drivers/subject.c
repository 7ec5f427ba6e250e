#include "drivers/subject.h"

#include "drivers/decode.h"
#include "gateway/common/quality.h"

/* Exception codes: application protocol V1.1b3, section 7. */
#define EXCEPTION_ADDRESS 2
#define EXCEPTION_VALUE 3 /* also how some refuse a count or an address */
/* Gateway target device failed to respond: as silent as a time-out. */
#define EXCEPTION_GATEWAY_TARGET 11

uint32_t subject_timeout_ms(const struct subject *subject, const struct plant_bus *bus, bool shared) {
    return shared ? patience_ms(&subject->patience, bus->timeout_ms) : bus->timeout_ms;
}

uint32_t subject_probe_ms(const struct subject *subject, const struct plant_bus *bus, uint32_t gap_ms) {
    return patience_probe_ms(&subject->patience, subject->health.probes, gap_ms, bus->timeout_ms);
}

static bool is_silent(const struct connection_result *result) {
    return result->quality == QUALITY_TIMEOUT ||
           (result->quality == QUALITY_EXCEPTION && result->detail == EXCEPTION_GATEWAY_TARGET);
}

void subject_note(struct subject *subject, const struct connection_result *result, const struct plant_bus *bus,
                  bool shared, struct subject_times times) {
    const int64_t now_ms = (int64_t)(times.ended_us / 1000);
    subject->failed_quality = result->quality;
    subject->failed_detail = result->detail;
    if (!result->sent)
        return;
    if (is_silent(result)) {
        health_failed(&subject->health, times.due_us, bus->timeout_ms, shared, now_ms);
        patience_failed(&subject->patience);
    } else if (result->quality == QUALITY_BAD_REPLY && !result->is_short) {
        health_failed(&subject->health, times.due_us, 0, shared, now_ms);
    } else if (result->quality != QUALITY_NOT_CONNECTED) {
        health_answered(&subject->health);
        patience_answered(&subject->patience, times.ended_us - times.began_us);
    }
}

struct connection_result subject_spared(const struct subject *subject) {
    return (struct connection_result){.quality = subject->failed_quality, .detail = subject->failed_detail};
}

void subject_watch(struct subject *subject, const struct plan_request *request, uint8_t quality, const uint8_t *data) {
    if ((request->watches & PLAN_HEARTBEAT) != 0 && data != NULL)
        pulse_heard(&subject->pulse, decode_watch(request, PLAN_HEARTBEAT, data));
    else if ((request->watches & PLAN_HEARTBEAT) != 0 && quality != QUALITY_NOT_CONNECTED)
        pulse_missed(&subject->pulse);
    if ((request->watches & PLAN_SERVICE) != 0 && data != NULL)
        pulse_service(&subject->pulse, decode_watch(request, PLAN_SERVICE, data));
}

bool subject_lacks_registers(struct plan_request *request, const struct connection_result *result) {
    if (result->quality == QUALITY_GOOD)
        request->short_replies = 0;
    else if (result->is_short && request->short_replies < SUBJECT_SHORT_REPLIES)
        request->short_replies++;
    const bool refused = result->quality == QUALITY_EXCEPTION &&
                         (result->detail == EXCEPTION_ADDRESS || result->detail == EXCEPTION_VALUE);
    return refused || (result->is_short && request->short_replies == SUBJECT_SHORT_REPLIES);
}

struct subject *subject_next_probe(struct subject *subjects, size_t count) {
    struct subject *next = NULL;
    for (size_t i = 0; i < count; i++)
        if (health_dead(&subjects[i].health) &&
            (next == NULL || subjects[i].health.probe_at_ms < next->health.probe_at_ms))
            next = &subjects[i];
    return next;
}
