/* visit.h - a connection that sends nothing: it goes all the way to the first credit, and leaves. Shows whether a peer
 * would take the link, without disturbing the one that works. Used by forebay-cloud and `forebay doctor`. */
#ifndef FB_AMQP_VISIT_H
#define FB_AMQP_VISIT_H

#include "gateway/amqp/amqp.h"

struct visit;

struct visit_handlers {
    void (*step)(struct amqp *amqp, enum amqp_step step, void *user); /* as of amqp; may be NULL */
    /* Over. taken: the peer would take the link; else how far it came, and the reason. amqp: for what it met on its
     * way. Called once, from the loop; visit_end() may be called. */
    void (*done)(struct amqp *amqp, bool taken, enum amqp_step step, const char *reason, void *user);
};

/* settings: as for amqp_connect(), AMQP_SEND, but for handlers and user. The container must not be that of the link:
 * to a peer, the same name would be the same link coming anew. ret_visit: yours until visit_end(). */
enum fb_error visit_start(sd_event *event, const struct amqp_settings *settings, const struct visit_handlers *handlers,
                          void *user, struct visit **ret_visit, struct fb_cause *cause) FB_MUST_USE;
void visit_end(struct visit *visit); /* NULL is fine */

#endif
