/* A token instead of a certificate (claims-based security): a session of its own with a pair of links to the node $cbs,
 * a token put there before the main link is asked for, and again at 80 % of each token's life, on the same connection.
 */
#include <openssl/crypto.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/connection.h"
#include "gateway/amqp/put_token.h"
#include "gateway/amqp/sas_token.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"

#define KEY_FILE_BYTES_MAX 1024
#define ANSWER_BYTES_MAX 16384
#define ANSWER_CREDIT 4
#define RENEW_PERCENT 80
#define TIMER_ACCURACY_US 100000

struct cbs {
    char *key_file, *policy, *resource;
    bool key_is_base64;
    uint32_t life_ms;
    pn_session_t *session; /* NULL before and after */
    pn_link_t *sender, *receiver;
    bool waiting; /* for the answer to a token */
    bool granted; /* a token has been taken */
    uint64_t asked;
    sd_event_source *timer; /* of the renewal, then of its answer */
};

static char *copy(const char *text) {
    return strdup(text == NULL ? "" : text);
}

enum fb_error cbs_new(const struct amqp_token_settings *settings, struct cbs **ret_cbs, struct fb_cause *cause) {
    struct cbs *cbs = calloc(1, sizeof *cbs);
    if (cbs == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    cbs->key_file = copy(settings->key_file);
    cbs->policy = copy(settings->policy);
    cbs->resource = copy(settings->resource);
    cbs->key_is_base64 = settings->key_is_base64;
    cbs->life_ms = settings->life_ms;
    *ret_cbs = cbs;
    if (cbs->key_file != NULL && cbs->policy != NULL && cbs->resource != NULL)
        return FB_OK;
    return fb_fail(cause, FB_MEMORY, "out of memory");
}

void cbs_end(struct cbs *cbs) {
    if (cbs == NULL)
        return;
    cbs->timer = sd_event_source_disable_unref(cbs->timer);
    cbs->session = NULL;
    cbs->sender = cbs->receiver = NULL;
}

void cbs_free(struct cbs *cbs) {
    if (cbs == NULL)
        return;
    cbs_end(cbs);
    free(cbs->key_file);
    free(cbs->policy);
    free(cbs->resource);
    free(cbs);
}

bool cbs_owns(const struct amqp *amqp, const pn_session_t *session) {
    return amqp->cbs != NULL && session != NULL && amqp->cbs->session == session;
}

void cbs_open(struct amqp *amqp) {
    struct cbs *cbs = amqp->cbs;
    connection_step(amqp, AMQP_OPEN);
    if (connection_over(amqp))
        return;
    cbs->session = pn_session(amqp->driver.connection);
    if (cbs->session == NULL) {
        connection_end(amqp, "out of memory");
        return;
    }
    pn_session_set_incoming_capacity(cbs->session, 2 * CONNECTION_FRAME_BYTES_MAX);
    pn_session_open(cbs->session);
    cbs->sender = pn_sender(cbs->session, "cbs-sender");
    pn_terminus_set_address(pn_link_source(cbs->sender), PUT_TOKEN_REPLY_TO);
    pn_terminus_set_address(pn_link_target(cbs->sender), PUT_TOKEN_NODE);
    cbs->receiver = pn_receiver(cbs->session, "cbs-receiver");
    pn_terminus_set_address(pn_link_source(cbs->receiver), PUT_TOKEN_NODE);
    pn_terminus_set_address(pn_link_target(cbs->receiver), PUT_TOKEN_REPLY_TO);
    pn_link_set_max_message_size(cbs->receiver, ANSWER_BYTES_MAX);
    pn_link_open(cbs->sender);
    pn_link_open(cbs->receiver);
    pn_link_flow(cbs->receiver, ANSWER_CREDIT);
}

/* The key is read for every token, so that a new one counts without a restart. */
static enum fb_error make_token(const struct cbs *cbs, int64_t expiry_ms, char ret_token[static SAS_TOKEN_MAX],
                                struct fb_cause *cause) {
    uint8_t key[SAS_TOKEN_KEY_MAX];
    size_t length = 0, key_length = 0;
    char *text = NULL;
    enum fb_error error = file_read(cbs->key_file, KEY_FILE_BYTES_MAX, &text, &length, cause);
    if (error != FB_OK)
        return error;
    error = sas_token_key(text, length, cbs->key_is_base64, key, &key_length, cause);
    OPENSSL_cleanse(text, length);
    free(text);
    if (error != FB_OK)
        return fb_context(cause, error, "%s", cbs->key_file);
    error = sas_token_make(key, key_length, cbs->resource, cbs->policy, expiry_ms / 1000, ret_token, cause);
    OPENSSL_cleanse(key, sizeof key);
    return error;
}

static enum fb_error make_request(const struct cbs *cbs, char **ret_bytes, size_t *ret_length, struct fb_cause *cause) {
    char token[SAS_TOKEN_MAX];
    const int64_t expiry_ms = clock_utc_ms() + cbs->life_ms;
    enum fb_error error = make_token(cbs, expiry_ms, token, cause);
    if (error == FB_OK)
        error = put_token_request(token, cbs->resource, expiry_ms, ret_bytes, ret_length, cause);
    OPENSSL_cleanse(token, sizeof token);
    return error;
}

static void give_up(struct amqp *amqp, const char *reason) {
    connection_reason(amqp, "%s", reason);
    pump_goodbye(amqp, NULL, NULL);
}

static void ask(struct amqp *amqp) {
    struct cbs *cbs = amqp->cbs;
    struct fb_cause cause;
    char *bytes = NULL;
    size_t length = 0;
    if (make_request(cbs, &bytes, &length, &cause) != FB_OK) {
        give_up(amqp, cause.text);
        return;
    }
    cbs->asked++;
    cbs->waiting = true;
    pn_delivery(cbs->sender, pn_dtag((const char *)&cbs->asked, sizeof cbs->asked));
    pn_link_send(cbs->sender, bytes, length);
    pn_link_advance(cbs->sender);
    OPENSSL_cleanse(bytes, length);
    free(bytes);
}

static void arm(struct amqp *amqp, uint64_t wait_ms);

static int on_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct amqp *amqp = user;
    connection_enter(amqp);
    if (amqp->cbs->waiting)
        connection_end(amqp, "the peer did not answer our new token in %u ms", amqp->settings.open_timeout_ms);
    else if (!amqp->closing) {
        ask(amqp);
        arm(amqp, amqp->settings.open_timeout_ms);
        connection_wake(amqp);
    }
    connection_leave(amqp);
    return 0;
}

static void arm(struct amqp *amqp, uint64_t wait_ms) {
    struct cbs *cbs = amqp->cbs;
    cbs->timer = sd_event_source_disable_unref(cbs->timer);
    if (sd_event_add_time_relative(amqp->event, &cbs->timer, CLOCK_MONOTONIC, wait_ms * 1000, TIMER_ACCURACY_US,
                                   on_timer, amqp) < 0)
        connection_end(amqp, "no timer for the next token: out of memory");
}

void cbs_link_ready(struct amqp *amqp) {
    const struct cbs *cbs = amqp->cbs;
    const bool answers = (pn_link_state(cbs->receiver) & PN_REMOTE_ACTIVE) != 0;
    if (answers && pn_link_credit(cbs->sender) > 0 && !cbs->waiting && !cbs->granted && !amqp->closing)
        ask(amqp);
}

void cbs_refused(struct amqp *amqp, const char *condition) {
    connection_reason(amqp, "the peer takes no tokens at " PUT_TOKEN_NODE "%s", condition);
    pump_goodbye(amqp, NULL, NULL);
}

static void judge(struct amqp *amqp, const char *bytes, size_t length) {
    struct cbs *cbs = amqp->cbs;
    struct put_token_answer answer;
    struct fb_cause cause;
    if (put_token_answer(bytes, length, &answer, &cause) != FB_OK) {
        give_up(amqp, cause.text);
        return;
    }
    if (answer.code < 200 || answer.code > 299) {
        connection_reason(amqp, "the peer refused our token for %s: %lld %s", cbs->resource, (long long)answer.code,
                          answer.description);
        pump_goodbye(amqp, NULL, NULL);
        return;
    }
    const bool first = !cbs->granted;
    cbs->waiting = false;
    cbs->granted = true;
    arm(amqp, (uint64_t)cbs->life_ms * RENEW_PERCENT / 100);
    if (first)
        events_open_link(amqp);
}

static void answered(struct amqp *amqp, pn_delivery_t *delivery) {
    char bytes[ANSWER_BYTES_MAX];
    const size_t length = pn_delivery_pending(delivery);
    if (length > sizeof bytes) {
        give_up(amqp, "the peer's answer to a token is too long");
        return;
    }
    if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery))
        return;
    const ssize_t got = length == 0 ? 0 : pn_link_recv(amqp->cbs->receiver, bytes, length);
    pn_link_advance(amqp->cbs->receiver);
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    pn_link_flow(amqp->cbs->receiver, 1);
    if (amqp->cbs->waiting && !amqp->closing)
        judge(amqp, bytes, got > 0 ? (size_t)got : 0);
}

void cbs_delivery(struct amqp *amqp, pn_delivery_t *delivery) {
    if (pn_link_is_receiver(pn_delivery_link(delivery))) {
        answered(amqp, delivery);
        return;
    }
    const uint64_t state = pn_delivery_remote_state(delivery);
    if (state == 0 && !pn_delivery_settled(delivery))
        return;
    pn_delivery_settle(delivery);
    if (state != PN_ACCEPTED && state != 0 && !amqp->closing)
        give_up(amqp, "the peer did not take our token, and gave no status");
}
