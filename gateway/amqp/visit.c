#include "gateway/amqp/visit.h"

#include <stdlib.h>

struct visit {
    struct amqp *amqp;
    const struct visit_handlers *handlers;
    void *user;
    bool taken;
};

static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    struct visit *visit = user;
    if (visit->handlers->step != NULL)
        visit->handlers->step(amqp, step, visit->user);
    if (step != AMQP_UP)
        return;
    visit->taken = true;
    amqp_close(amqp);
}

static void on_closed(struct amqp *amqp, enum amqp_step step, const char *reason, void *user) {
    const struct visit *visit = user;
    visit->handlers->done(amqp, visit->taken, step, reason, visit->user);
}

static const struct amqp_handlers amqp_handlers = {.step = on_step, .closed = on_closed};

enum fb_error visit_start(sd_event *event, const struct amqp_settings *settings, const struct visit_handlers *handlers,
                          void *user, struct visit **ret_visit, struct fb_cause *cause) {
    struct visit *visit = calloc(1, sizeof *visit);
    if (visit == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    visit->handlers = handlers;
    visit->user = user;
    struct amqp_settings own = *settings;
    own.handlers = &amqp_handlers;
    own.user = visit;
    const enum fb_error error = amqp_connect(event, &own, &visit->amqp, cause);
    if (error != FB_OK)
        free(visit);
    else
        *ret_visit = visit;
    return error;
}

void visit_end(struct visit *visit) {
    if (visit == NULL)
        return;
    amqp_free(visit->amqp);
    free(visit);
}
