#include "gateway/cloud/link_expiry.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"

#define TIMER_ACCURACY_US 1000
#define LAST_SECOND_MS 1000
#define EARLY_MOST_MS (10 * 60 * 1000)
#define EARLY_PART 10 /* of the time that is left, at most one such part */

struct link_expiry {
    const struct certificates *certificates;
    void (*expired)(const char *reason, void *user);
    void *user;
    sd_event_source *timer;
    bool early;       /* the timer runs ahead of the end */
    int64_t shown_ms; /* UTC: the end of the certificate that a connection was ended ahead for */
};

static int on_expired(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct link_expiry *expiry = user;
    char reason[FB_CAUSE_MAX];
    const struct certificates_end end = certificates_end(expiry->certificates);
    snprintf(reason, sizeof reason, "closed here, because the certificate of %s %s", end.subject,
             expiry->early ? "expires soon, and may have been renewed" : "has expired");
    if (expiry->early)
        expiry->shown_ms = end.at_ms;
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

int64_t link_expiry_ahead_ms(int64_t now_ms, int64_t end_ms, uint32_t random) {
    const int64_t part_ms = (end_ms - now_ms) / EARLY_PART, most_ms = part_ms < EARLY_MOST_MS ? part_ms : EARLY_MOST_MS;
    return end_ms - (int64_t)((uint64_t)random * (uint64_t)most_ms / UINT32_MAX);
}

void link_expiry_start(struct link_expiry *expiry) {
    const struct certificates_end end = certificates_end(expiry->certificates);
    const int64_t end_ms = end.at_ms + LAST_SECOND_MS, now_ms = clock_utc_ms();
    if (end_ms <= now_ms) /* or none is known */
        return;
    /* Ours needs none of it: that file is looked at all the time. */
    expiry->early = end.peers && end.at_ms != expiry->shown_ms;
    const int64_t at_ms = expiry->early ? link_expiry_ahead_ms(now_ms, end_ms, backoff_random()) : end_ms;
    sd_event_source_set_time(expiry->timer, (uint64_t)at_ms * 1000);
    sd_event_source_set_enabled(expiry->timer, SD_EVENT_ONESHOT);
}

void link_expiry_stop(struct link_expiry *expiry) {
    sd_event_source_set_enabled(expiry->timer, SD_EVENT_OFF);
}
