#include "gateway/cloud/link_expiry.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/common/clock.h"

#define TIMER_ACCURACY_US 1000
#define LAST_SECOND_MS 1000

struct link_expiry {
    const struct certificates *certificates;
    void (*expired)(const char *reason, void *user);
    void *user;
    sd_event_source *timer;
};

static int on_expired(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    const struct link_expiry *expiry = user;
    char reason[FB_CAUSE_MAX];
    const char *subject;
    certificates_end_ms(expiry->certificates, &subject);
    snprintf(reason, sizeof reason, "closed here, because the certificate of %s has expired", subject);
    expiry->expired(reason, expiry->user);
    return 0;
}

enum fb_error link_expiry_new(sd_event *event, const struct certificates *certificates,
                              void (*expired)(const char *reason, void *user), void *user,
                              struct link_expiry **ret_expiry, struct fb_cause *cause) {
    struct link_expiry *expiry = calloc(1, sizeof *expiry);
    if (expiry == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *expiry = (struct link_expiry){.certificates = certificates, .expired = expired, .user = user};
    /* By the calendar, as certificates expire. */
    if (sd_event_add_time(event, &expiry->timer, CLOCK_REALTIME, 0, TIMER_ACCURACY_US, on_expired, expiry) < 0) {
        link_expiry_free(expiry);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    link_expiry_stop(expiry);
    *ret_expiry = expiry;
    return FB_OK;
}

void link_expiry_free(struct link_expiry *expiry) {
    if (expiry == NULL)
        return;
    sd_event_source_disable_unref(expiry->timer);
    free(expiry);
}

void link_expiry_start(struct link_expiry *expiry) {
    const int64_t end_ms = certificates_end_ms(expiry->certificates, NULL) + LAST_SECOND_MS;
    if (end_ms <= clock_utc_ms()) /* or none is known */
        return;
    sd_event_source_set_time(expiry->timer, (uint64_t)end_ms * 1000);
    sd_event_source_set_enabled(expiry->timer, SD_EVENT_ONESHOT);
}

void link_expiry_stop(struct link_expiry *expiry) {
    sd_event_source_set_enabled(expiry->timer, SD_EVENT_OFF);
}
