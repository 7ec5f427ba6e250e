/* advice.h - what to do about a link that cannot be made, and whom to tell. Pure. Used by `forebay doctor`. */
#ifndef FB_CLI_ADVICE_H
#define FB_CLI_ADVICE_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"

#define ADVICE_TEXT_MAX 1024 /* bytes with NUL */

/* What is known of the failure; strings borrowed. */
struct advice_case {
    enum amqp_step step;
    const char *reason; /* of gateway/amqp, see docs/link.md */
    const char *host;
    uint16_t port;
    const char *address; /* AMQP */
    const char *peer;    /* address in numbers; "" if it came to none */
    const char *issuer;  /* of the last certificate that was shown; "" for none */
};

enum advice_to { ADVICE_TO_IT, ADVICE_TO_BROKER, ADVICE_TO_OWNER };
/* "Tell the plant's IT", "Tell whoever runs the broker", "To do on this gateway" */
const char *advice_to_words(enum advice_to to);

/* What to do, in one paragraph; returns whose business it is. */
enum advice_to advice_find(const struct advice_case *failure, char ret_text[static ADVICE_TEXT_MAX]);

#endif
