// links: gateway/cli/advice.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cli/advice.h"

static struct advice_case failure_at(enum amqp_step step, const char *reason) {
    return (struct advice_case){.step = step,
                                .reason = reason,
                                .host = "broker.example",
                                .port = 5671,
                                .address = "/queues/readings",
                                .peer = "192.0.2.7",
                                .issuer = "/CN=Plant firewall"};
}

static void every_step_has_advice(void **state) {
    (void)state;
    for (int step = AMQP_DNS; step <= AMQP_UP; step++) {
        char text[ADVICE_TEXT_MAX];
        const struct advice_case failure = failure_at((enum amqp_step)step, "something else");
        advice_find(&failure, text);
        assert_true(strlen(text) > 20);
        assert_null(strchr(text, '{'));
    }
}

static void the_words_of_the_reason_decide(void **state) {
    (void)state;
    static const struct {
        enum amqp_step step;
        const char *reason;
        enum advice_to to;
        const char *words;
    } cases[] = {
        {AMQP_TCP, "192.0.2.7 port 5671: no answer in time", ADVICE_TO_IT,
         "Nothing comes back from broker.example (192.0.2.7) port 5671"},
        {AMQP_TCP, "192.0.2.7 port 5671: Network is unreachable", ADVICE_TO_IT, "no way to broker.example"},
        {AMQP_TLS, "certificate of a was issued by b, which is not among the authorities in c", ADVICE_TO_IT,
         "issued by /CN=Plant firewall, which is not our authority"},
        {AMQP_TLS, "the peer refused with TLS alert 48 (unknown CA): it does not trust", ADVICE_TO_BROKER,
         "The broker has refused us"},
        {AMQP_SASL, "the peer offers none of our ways to sign in (EXTERNAL); it offers PLAIN", ADVICE_TO_BROKER,
         "rabbitmq_auth_mechanism_ssl enabled and auth_mechanisms"},
        {AMQP_SASL, "the peer offers none of our ways to sign in (ANONYMOUS); it offers PLAIN", ADVICE_TO_BROKER,
         "The service at broker.example offers none"},
        {AMQP_ATTACH, "the peer ended the session for x: amqp:not-found: no queue", ADVICE_TO_BROKER,
         "What /queues/readings names does not exist"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[ADVICE_TEXT_MAX];
        const struct advice_case failure = failure_at(cases[i].step, cases[i].reason);
        assert_int_equal(advice_find(&failure, text), cases[i].to);
        if (strstr(text, cases[i].words) == NULL)
            fail_msg("expected \"%s\", got \"%s\"", cases[i].words, text);
    }
}

static void names_of_any_length_fit(void **state) {
    (void)state;
    char long_name[4 * ADVICE_TEXT_MAX], text[ADVICE_TEXT_MAX];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct advice_case failure = failure_at(AMQP_TCP, "");
    failure.host = long_name;
    advice_find(&failure, text);
    assert_int_equal(strlen(text), ADVICE_TEXT_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_has_advice),
        cmocka_unit_test(the_words_of_the_reason_decide),
        cmocka_unit_test(names_of_any_length_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
