#include "gateway/cloud/link_return.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/amqp/link_trust.h"
#include "gateway/amqp/trail.h"
#include "gateway/amqp/visit.h"
#include "gateway/cloud/attempt.h"
#include "gateway/cloud/endpoints.h"
#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"

#define TIMER_ACCURACY_US 1000

struct link_return {
    sd_event *event;
    const struct link_return_handlers *handlers;
    void *user;
    const struct link_settings *settings;
    uint32_t stay_ms;
    sd_event_source *timer;
    struct visit *visit; /* under way; else NULL */
};

static void arm(struct link_return *back) {
    const uint32_t wait_ms = endpoints_return_ms(back->stay_ms, backoff_random());
    sd_event_source_set_time_relative(back->timer, (uint64_t)wait_ms * 1000);
    sd_event_source_set_enabled(back->timer, SD_EVENT_ONESHOT);
}

/* The preferred endpoint has been asked; amqp: NULL when that could not even begin. */
static void on_visited(struct amqp *amqp, bool taken, enum amqp_step step, const char *reason, void *user) {
    struct link_return *back = user;
    const struct attempt asked = {
        .what = "return",
        .outcome = taken ? "up" : "failed",
        .endpoint = link_settings_endpoint(back->settings, 0),
        .step = step,
        .reason = taken ? "" : reason,
        .duration_ms = amqp == NULL ? 0 : clock_monotonic_ms() - amqp_trail(amqp)->began_ms,
    };
    json_t *attempt = attempt_to_json(&asked, amqp);
    visit_end(back->visit);
    back->visit = NULL;
    if (!taken)
        arm(back);
    back->handlers->asked(attempt, back->user);
    if (taken)
        back->handlers->taken(back->user);
}

static const struct visit_handlers visit_handlers = {.done = on_visited};

static int on_time(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct link_return *back = user;
    const struct link_endpoint preferred = link_settings_endpoint(back->settings, 0);
    struct link_connection wanted;
    struct fb_cause cause;
    char container[sizeof back->settings->gateway + sizeof "-return"];
    snprintf(container, sizeof container, "%s-return", back->settings->gateway);
    enum fb_error error = link_trust_connection(back->settings, &preferred, &wanted, &cause);
    wanted.settings.container = container;
    if (error == FB_OK)
        error = visit_start(back->event, &wanted.settings, &visit_handlers, back, &back->visit, &cause);
    amqp_trust_free(wanted.settings.trust);
    if (error != FB_OK)
        on_visited(NULL, false, AMQP_TLS, cause.text, back);
    return 0;
}

enum fb_error link_return_new(sd_event *event, const struct link_return_handlers *handlers, void *user,
                              struct link_return **ret_back, struct fb_cause *cause) {
    struct link_return *back = calloc(1, sizeof *back);
    if (back == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *back = (struct link_return){.event = sd_event_ref(event), .handlers = handlers, .user = user};
    if (sd_event_add_time(event, &back->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_time, back) < 0) {
        link_return_free(back);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    link_return_stop(back);
    *ret_back = back;
    return FB_OK;
}

void link_return_free(struct link_return *back) {
    if (back == NULL)
        return;
    visit_end(back->visit);
    sd_event_source_disable_unref(back->timer);
    sd_event_unref(back->event);
    free(back);
}

void link_return_start(struct link_return *back, const struct link_settings *settings, uint32_t stay_ms) {
    back->settings = settings;
    back->stay_ms = stay_ms;
    arm(back);
}

void link_return_stop(struct link_return *back) {
    visit_end(back->visit);
    back->visit = NULL;
    sd_event_source_set_enabled(back->timer, SD_EVENT_OFF);
}
