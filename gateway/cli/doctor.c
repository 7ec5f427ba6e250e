/* doctor.c - `forebay doctor`: makes the link's way to each endpoint of the configuration step by step, with the link's
 * own code, and says what to do, and whom to tell, where it stops. Sends nothing. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "gateway/amqp/link_connection.h"
#include "gateway/amqp/link_trust.h"
#include "gateway/amqp/trail.h"
#include "gateway/amqp/visit.h"
#include "gateway/cli/advice.h"
#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/common/clock.h"
#include "gateway/common/hex.h"

/* Exit status; that of a step is STATUS_STEP and the step's place: dns 10, tcp 11, tls 12, sasl 13 ... */
#define STATUS_CONFIGURATION 3
#define STATUS_FILES 4
#define STATUS_STEP 10

#define DETAIL_MAX 700
#define DATE_MAX 32

static const char help[] =
    "Usage: forebay doctor [-c FILE] [--json]\n"
    "\n"
    "Goes the link's way to each endpoint of the configuration, step by step, and shows how\n"
    "long each took; where it stops it says why, what to do, and whom to tell. Sends no\n"
    "readings, and leaves the running link alone.\n"
    "\n"
    "  -c, --config FILE  the configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --json             print one JSON object instead\n"
    "  --help             show this\n"
    "\n"
    "Exit status: 0 every endpoint would take the link, 1 failed, 2 wrong usage, 3 configuration,\n"
    "4 certificates or key, or where the first one that fails stops: 10 dns, 11 tcp, 12 tls,\n"
    "13 sasl, 14 open, 15 session, 16 attach, 17 credit, 18 afterwards.\n";

struct doctor {
    bool json;
    sd_event *event;
    const struct link_settings *settings;
    struct amqp_trust *trust;
    json_t *report, *endpoints;
    int status;

    /* Of the endpoint being visited. */
    struct link_endpoint endpoint;
    json_t *steps, *result;
    bool under_way; /* a step has begun */
    enum amqp_step step;
    int64_t step_ms; /* monotonic: since when */
};

static json_t *text_or_note(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(the text is not UTF-8)");
}

static void say_step(struct doctor *doctor, const char *step, const char *result, int64_t took_ms, const char *detail) {
    if (!doctor->json) {
        printf("  %-8s %-7s %6lld ms  %s\n", step, result, (long long)took_ms, detail);
        fflush(stdout);
    }
    json_array_append_new(doctor->steps, json_pack("{s:s, s:s, s:I, s:o}", "step", step, "result", result, "took_ms",
                                                   (json_int_t)took_ms, "detail", text_or_note(detail)));
}

static void list_addresses(const struct amqp_trail *trail, char *ret_text) {
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < trail->address_count; i++)
        used += (size_t)snprintf(ret_text + used, DETAIL_MAX - used, "%s%s", i > 0 ? ", " : "",
                                 trail->addresses[i].address);
}

/* What there is to say of a step that was passed. */
static void detail_of(const struct doctor *doctor, struct amqp *amqp, enum amqp_step step, char *ret_text) {
    static const char *const texts[] = {
        [AMQP_SASL] = "signed in",
        [AMQP_OPEN] = "connection opened",
        [AMQP_SESSION] = "session begun",
        [AMQP_CREDIT] = "it takes messages; none was sent",
        [AMQP_UP] = "",
    };
    if (step == AMQP_DNS)
        list_addresses(amqp_trail(amqp), ret_text);
    else if (step == AMQP_TCP)
        snprintf(ret_text, DETAIL_MAX, "%s port %u", amqp_peer_address(amqp), doctor->endpoint.port);
    else if (step == AMQP_TLS)
        snprintf(ret_text, DETAIL_MAX, "%s with %s", amqp_tls_version(amqp), amqp_peer_name(amqp));
    else if (step == AMQP_ATTACH)
        snprintf(ret_text, DETAIL_MAX, "the broker has attached us to %s", doctor->endpoint.address);
    else
        snprintf(ret_text, DETAIL_MAX, "%s", texts[step]);
}

static void date_text(int64_t time_ms, char ret_text[static DATE_MAX]) {
    const time_t time = (time_t)(time_ms / 1000);
    struct tm when;
    gmtime_r(&time, &when);
    strftime(ret_text, DATE_MAX, "%Y-%m-%d %H:%M:%S UTC", &when);
}

static void print_chain(const struct doctor *doctor, const struct validity_list *chain) {
    for (size_t i = 0; !doctor->json && i < chain->count; i++) {
        const struct validity *one = &chain->entries[i];
        char from[DATE_MAX], until[DATE_MAX], hash[2 * sizeof one->hash + 1];
        date_text(one->from_ms, from);
        date_text(one->until_ms, until);
        hex_encode(one->hash, sizeof one->hash, hash);
        printf("             certificate %zu of the peer: %s\n               issued by %s\n"
               "               valid %s to %s\n               SHA-256 %s\n",
               i + 1, one->subject, one->issuer, from, until, hash);
    }
}

/* A step has begun, so the one before it was passed; or TLS again, since an address came to nothing. */
static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    struct doctor *doctor = user;
    const int64_t now_ms = clock_monotonic_ms();
    if (doctor->under_way && step > doctor->step) {
        char detail[DETAIL_MAX];
        detail_of(doctor, amqp, doctor->step, detail);
        say_step(doctor, amqp_step_word(doctor->step), "good", now_ms - doctor->step_ms, detail);
        if (doctor->step == AMQP_TLS)
            print_chain(doctor, amqp_peer_chain(amqp));
    }
    doctor->under_way = true;
    doctor->step = step;
    doctor->step_ms = now_ms;
}

static void say_advice(struct doctor *doctor, const struct advice_case *failure) {
    char text[ADVICE_TEXT_MAX];
    const char *whom = advice_to_words(advice_find(failure, text));
    if (!doctor->json)
        printf("\n  %s:\n  %s\n", whom, text);
    json_object_set_new(doctor->result, "whom", json_string(whom));
    json_object_set_new(doctor->result, "advice", text_or_note(text));
}

static void say_failure(struct doctor *doctor, struct amqp *amqp, enum amqp_step step, const char *reason) {
    const struct validity_list *chain = amqp_peer_chain(amqp);
    const struct advice_case failure = {
        .step = step,
        .reason = reason,
        .host = doctor->endpoint.host,
        .port = doctor->endpoint.port,
        .address = doctor->endpoint.address,
        .peer = amqp_peer_address(amqp),
        .issuer = chain->count > 0 ? chain->entries[chain->count - 1].issuer : "",
    };
    say_step(doctor, amqp_step_word(step), "FAILED", clock_monotonic_ms() - doctor->step_ms, reason);
    if (step == AMQP_TLS)
        print_chain(doctor, chain);
    say_advice(doctor, &failure);
    if (doctor->status == 0)
        doctor->status = STATUS_STEP + (int)step;
}

/* Addresses that came to nothing cost time even where the next one works. */
static void say_addresses(struct doctor *doctor, const struct amqp_trail *trail) {
    for (size_t i = 0; !doctor->json && trail->address_count > 1 && i < trail->address_count; i++)
        if (trail->addresses[i].reason[0] != '\0')
            printf("  note: the address %s came to nothing in step %s: %s\n", trail->addresses[i].address,
                   amqp_step_word(trail->addresses[i].step), trail->addresses[i].reason);
}

static void on_done(struct amqp *amqp, bool taken, enum amqp_step step, const char *reason, void *user) {
    struct doctor *doctor = user;
    const struct amqp_trail *trail = amqp_trail(amqp);
    if (!taken)
        say_failure(doctor, amqp, step, reason);
    say_addresses(doctor, trail);
    json_object_set_new(doctor->result, "taken", json_boolean(taken));
    json_object_set_new(doctor->result, "step", json_string(amqp_step_word(step)));
    json_object_set_new(doctor->result, "reason", text_or_note(taken ? "" : reason));
    json_object_set_new(doctor->result, "peer", json_string(amqp_peer_address(amqp)));
    json_object_set_new(doctor->result, "peer_name", text_or_note(amqp_peer_name(amqp)));
    json_object_set_new(doctor->result, "tls", json_string(amqp_tls_version(amqp)));
    json_object_set_new(doctor->result, "chain", trail_chain_to_json(amqp_peer_chain(amqp)));
    json_object_set_new(doctor->result, "failed_addresses", trail_failed_to_json(trail));
    sd_event_exit(doctor->event, 0);
}

static const struct visit_handlers visit_handlers = {.step = on_step, .done = on_done};

static enum fb_error visit(struct doctor *doctor, struct fb_cause *cause) {
    char container[sizeof doctor->settings->gateway + sizeof "-doctor"];
    snprintf(container, sizeof container, "%s-doctor", doctor->settings->gateway);
    struct link_connection wanted;
    if (link_connection_make(doctor->settings, &doctor->endpoint, &wanted, cause) != FB_OK)
        return FB_LIMIT;
    wanted.settings.trust = doctor->trust;
    wanted.settings.container = container;
    const int made = sd_event_new(&doctor->event);
    if (made < 0)
        return fb_fail_errno(cause, FB_IO, -made, "event loop");
    struct visit *under_way = NULL;
    enum fb_error error = visit_start(doctor->event, &wanted.settings, &visit_handlers, doctor, &under_way, cause);
    if (error == FB_OK && sd_event_loop(doctor->event) < 0)
        error = fb_fail(cause, FB_IO, "event loop");
    visit_end(under_way);
    doctor->event = sd_event_unref(doctor->event);
    return error;
}

static enum fb_error visit_endpoint(struct doctor *doctor, size_t rank, struct fb_cause *cause) {
    char url[LINK_URL_MAX];
    doctor->endpoint = link_settings_endpoint(doctor->settings, rank);
    link_endpoint_url(&doctor->endpoint, url);
    doctor->steps = json_array();
    doctor->result =
        json_pack("{s:s, s:s, s:o}", "endpoint", url, "address", doctor->endpoint.address, "steps", doctor->steps);
    json_array_append_new(doctor->endpoints, doctor->result);
    doctor->under_way = false;
    if (!doctor->json)
        printf("\n%s, to %s\n", url, doctor->endpoint.address);
    return visit(doctor, cause);
}

static void say_clock(const struct doctor *doctor, const char *name) {
    char date[DATE_MAX];
    const int64_t now_ms = clock_utc_ms();
    date_text(now_ms, date);
    const char *state = clock_state_word(clock_state());
    if (!doctor->json)
        printf("gateway %s, clock %s (%s), endpoints %u\n", name, date, state, 1u + doctor->settings->spare_count);
    json_object_set_new(doctor->report, "gateway", json_string(name));
    json_object_set_new(doctor->report, "now_ms", json_integer(now_ms));
    json_object_set_new(doctor->report, "clock", json_string(state));
}

static enum fb_error load_trust(struct doctor *doctor, struct fb_cause *cause) {
    const struct link_settings *settings = doctor->settings;
    const enum fb_error error = link_trust_load(settings, &doctor->trust, cause);
    json_object_set_new(doctor->report, "files", text_or_note(error == FB_OK ? "good" : cause->text));
    if (error == FB_OK && !doctor->json)
        printf("certificate, key and authorities can be used\n");
    return error;
}

static int examine(struct doctor *doctor, const struct config *config) {
    struct fb_cause cause;
    say_clock(doctor, config->name);
    if (load_trust(doctor, &cause) != FB_OK) {
        fprintf(stderr, "forebay: %s\n", cause.text);
        return STATUS_FILES;
    }
    for (size_t rank = 0; rank <= doctor->settings->spare_count; rank++)
        if (visit_endpoint(doctor, rank, &cause) != FB_OK) {
            fprintf(stderr, "forebay: %s\n", cause.text);
            return EXIT_FAILURE;
        }
    return doctor->status;
}

static int run(const char *file, bool json) {
    struct config config;
    if (!options_load_config(file, &config))
        return STATUS_CONFIGURATION;
    int status = STATUS_CONFIGURATION;
    if (!config.has_cloud) {
        fprintf(stderr, "forebay: %s has no section cloud, so there is no link to examine\n", file);
    } else {
        struct doctor doctor = {.json = json, .settings = &config.link};
        doctor.endpoints = json_array();
        doctor.report = json_pack("{s:o}", "endpoints", doctor.endpoints);
        status = examine(&doctor, &config);
        json_object_set_new(doctor.report, "status", json_integer(status));
        if (json)
            json_dumpf(doctor.report, stdout, JSON_INDENT(2));
        if (json)
            putchar('\n');
        else
            puts(status == 0 ? "\nThe link can be made." : "\nThe link cannot be made everywhere; see above.");
        amqp_trust_free(doctor.trust);
        json_decref(doctor.report);
    }
    config_done(&config);
    return status;
}

int doctor_main(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = COMMAND_CONFIG_DEFAULT;
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option != 'c' && option != 'j')
            return 2;
        if (option == 'c')
            file = optarg;
        else
            json = true;
    }
    if (optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    return run(file, json);
}
