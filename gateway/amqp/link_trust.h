/* link_trust.h - the trust of the link, from its settings. Used by forebay-cloud and `forebay doctor`. */
#ifndef FB_AMQP_LINK_TRUST_H
#define FB_AMQP_LINK_TRUST_H

#include "gateway/amqp/amqp.h"
#include "gateway/common/link_settings.h"

/* As amqp_trust_load(). */
enum fb_error link_trust_load(const struct link_settings *settings, struct amqp_trust **ret_trust,
                              struct fb_cause *cause) FB_MUST_USE;

#endif
