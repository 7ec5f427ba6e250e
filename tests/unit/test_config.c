// links: gateway/config/address.c gateway/config/check.c gateway/config/check_bus.c gateway/config/check_commands.c gateway/config/check_instrument.c gateway/config/check_lines.c gateway/config/profile.c gateway/config/check_list.c gateway/config/config.c gateway/config/report.c gateway/config/tree.c gateway/config/value.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c drivers/plan.c gateway/config/check_quality.c gateway/common/plant_lines.c gateway/config/check_trust.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/config/check_writes.c gateway/common/plant_write.c gateway/config/check_endpoints.c gateway/common/cloud_profile.c gateway/config/check_cloud.c
/* A whole configuration read into its struct, its defaults, and the limits of what is read. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/config/config.h"

static const char least[] = "gateway: {name: g}\n"
                            "buses: [{name: b, kind: modbus-tcp, host: h.example}]\n"
                            "instruments: [{name: i, bus: b, unit: 0, addresses: base-0, interval: 1s,\n"
                            "  tags: [{name: t, address: 0, type: bit}]}]\n";

static enum fb_error parse(const char *text, struct config *ret_config, struct config_report *report) {
    *report = (struct config_report){.file = "test.yaml"};
    return config_parse(text, strlen(text), "/etc/forebay", ret_config, report);
}

static void load_good(struct config *ret_config) {
    struct config_report report;
    const enum fb_error error = config_load("tests/data/config/good.yaml", ret_config, &report);
    if (error != FB_OK)
        print_error("%u:%u: %s\n", report.errors[0].line, report.errors[0].column, report.errors[0].text);
    assert_int_equal(error, FB_OK);
}

/* Of name in the folder of good.yaml. */
static void assert_in_folder(const char *path, const char *name) {
    char folder[PATH_MAX], expected[PATH_MAX + 64];
    assert_non_null(realpath("tests/data/config", folder));
    snprintf(expected, sizeof expected, "%s/%s", folder, name);
    assert_string_equal(path, expected);
}

static void gateway_store_and_page_are_read(void **state) {
    (void)state;
    struct config config;
    load_good(&config);
    assert_string_equal(config.name, "plant-north");
    assert_in_folder(config.data, "data");
    assert_string_equal(config.run, "/run/forebay-north");
    assert_int_equal(config.commit_interval_ms, 500);
    assert_int_equal(config.forward_interval_ms, 20000);
    assert_int_equal(config.forward_interval_offline_ms, 240000);
    assert_int_equal(config.quota_bytes, UINT64_C(2) << 30);
    assert_true(config.has_page);
    assert_string_equal(config.page.listen, "::1");
    assert_int_equal(config.page.port, 9443);
    assert_in_folder(config.page.certificate, "pki/page.pem");
    assert_in_folder(config.page.key, "pki/page.key");
    config_done(&config);
}

static void cloud_is_read(void **state) {
    (void)state;
    struct config config;
    load_good(&config);
    const struct link_settings *link = &config.link;
    assert_true(config.has_cloud);
    assert_string_equal(link->gateway, "plant-north");
    assert_string_equal(link->host, "broker.example");
    assert_int_equal(link->port, 5672);
    assert_string_equal(link->address, "/exchanges/readings/north");
    assert_in_folder(link->ca, "pki/ca.pem");
    assert_in_folder(link->certificate, "pki/gateway.pem");
    assert_string_equal(link->key, "/secret/gateway.key");
    assert_int_equal(link->window_messages, 128);
    assert_int_equal(link->window_bytes, 512 * 1024);
    assert_int_equal(link->connect_timeout_ms, 5000);
    assert_int_equal(link->open_timeout_ms, 12000);
    assert_int_equal(link->idle_timeout_ms, 30000);
    assert_int_equal(link->retry_first_ms, 200);
    assert_int_equal(link->retry_most_ms, 240000);
    config_done(&config);
}

static void trust_is_read(void **state) {
    (void)state;
    static const char text[] =
        "gateway: {name: a}\nbuses: []\ninstruments: []\n"
        "cloud: {host: h, address: a, ca: c, certificate: c, key_pin_file: secret/pin,\n"
        "  key: \"pkcs11:object=gateway?module-path=/usr/lib/softhsm/libsofthsm2.so\",\n"
        "  pin: [\"sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"], crl: [a.pem, /b.pem]}\n";
    struct config config;
    struct config_report report = {.file = "a.yaml"};
    assert_int_equal(config_parse(text, sizeof text - 1, "/etc/forebay", &config, &report), FB_OK);
    const struct link_settings *link = &config.link;
    assert_string_equal(link->key, "pkcs11:object=gateway?module-path=/usr/lib/softhsm/libsofthsm2.so");
    assert_string_equal(link->key_pin_file, "/etc/forebay/secret/pin");
    assert_int_equal(link->pin_count, 1);
    assert_string_equal(link->pins[0], "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_int_equal(link->crl_count, 2);
    assert_string_equal(link->crls[0], "/etc/forebay/a.pem");
    assert_string_equal(link->crls[1], "/b.pem");
    config_done(&config);
}

static void read_cloud(const char *cloud, struct config *config) {
    char text[1024];
    struct config_report report = {.file = "a.yaml"};
    snprintf(text, sizeof text, "gateway: {name: a}\nbuses: []\ninstruments: []\ncloud: {host: h, ca: c, %s}\n", cloud);
    assert_int_equal(config_parse(text, strlen(text), "/etc/forebay", config, &report), FB_OK);
}

static void profiles_are_read(void **state) {
    (void)state;
    struct config config;
    const struct link_settings *link = &config.link;
    read_cloud("address: a, certificate: c, key: k", &config);
    assert_int_equal(link->profile, CLOUD_AMQP);
    assert_int_equal(link->encoding, CLOUD_BATCH);
    assert_int_equal(link->token_life_ms, 3600000);
    config_done(&config);
    read_cloud("profile: azure-iothub, token_key: secret/key, encoding: senml+json, compression: gzip", &config);
    assert_int_equal(link->profile, CLOUD_AZURE_IOTHUB);
    assert_string_equal(link->address, "/devices/{gateway}/messages/events");
    assert_string_equal(link->token_key, "/etc/forebay/secret/key");
    assert_int_equal(link->encoding, CLOUD_SENML_JSON);
    assert_int_equal(link->compression, CLOUD_GZIP);
    config_done(&config);
    read_cloud("profile: azure-iothub, certificate: c, key: k, address: /devices/b/messages/events", &config);
    assert_string_equal(link->address, "/devices/b/messages/events");
    config_done(&config);
    read_cloud("profile: azure-eventhubs, address: hub, token_key: k, token_policy: send, token_life: 2h", &config);
    assert_int_equal(link->profile, CLOUD_AZURE_EVENTHUBS);
    assert_string_equal(link->token_policy, "send");
    assert_int_equal(link->token_life_ms, 7200000);
    config_done(&config);
}

static void buses_are_read(void **state) {
    (void)state;
    struct config config;
    load_good(&config);
    assert_int_equal(config.plant.bus_count, 2);
    const struct plant_bus *tcp = &config.plant.buses[0], *rtu = &config.plant.buses[1];
    assert_string_equal(tcp->name, "hall-1");
    assert_int_equal(tcp->kind, PLANT_MODBUS_TCP);
    assert_string_equal(tcp->host, "192.0.2.20");
    assert_int_equal(tcp->port, 1502);
    assert_int_equal(tcp->timeout_ms, 250);
    assert_int_equal(tcp->pause_ms, 3);
    assert_string_equal(tcp->device, "");
    assert_string_equal(rtu->name, "line-1");
    assert_int_equal(rtu->kind, PLANT_MODBUS_RTU);
    assert_string_equal(rtu->device, "/dev/ttyS1");
    assert_int_equal(rtu->baud, 19200);
    assert_int_equal(rtu->parity, PLANT_PARITY_EVEN);
    assert_int_equal(rtu->stop_bits, 2);
    assert_int_equal(rtu->timeout_ms, 1000);
    assert_int_equal(rtu->pause_ms, 10);
    assert_string_equal(rtu->host, "");
    config_done(&config);
}

static void assert_tag(const struct plant_tag *tag, const char *name, enum plant_table table, unsigned address,
                       enum plant_type type, enum plant_word_order word_order, unsigned interval_ms) {
    assert_string_equal(tag->name, name);
    assert_int_equal(tag->number, 0);
    assert_int_equal(tag->table, table);
    assert_int_equal(tag->address, address);
    assert_int_equal(tag->type, type);
    assert_int_equal(tag->word_order, word_order);
    assert_int_equal(tag->interval_ms, interval_ms);
}

static void instruments_and_tags_are_read(void **state) {
    (void)state;
    struct config config;
    load_good(&config);
    assert_int_equal(config.plant.instrument_count, 2);
    const struct plant_instrument *turbidity = &config.plant.instruments[0], *blower = &config.plant.instruments[1];
    assert_string_equal(turbidity->name, "turbidity-1");
    assert_int_equal(turbidity->bus, 1);
    assert_int_equal(turbidity->unit, 7);
    assert_int_equal(turbidity->registers_most, 100);
    assert_int_equal(turbidity->tag_count, 5);
    assert_tag(&turbidity->tags[0], "turbidity", PLANT_HOLDING, 0, PLANT_FLOAT32, PLANT_CDAB, 2000);
    assert_tag(&turbidity->tags[1], "flow", PLANT_HOLDING, 65535, PLANT_INT16, PLANT_CDAB, 10000);
    assert_tag(&turbidity->tags[2], "running", PLANT_COIL, 0, PLANT_BIT, PLANT_CDAB, 2000);
    assert_tag(&turbidity->tags[3], "open", PLANT_DISCRETE, 1, PLANT_BIT, PLANT_CDAB, 2000);
    assert_tag(&turbidity->tags[4], "level", PLANT_INPUT, 2, PLANT_UINT16, PLANT_CDAB, 2000);
    assert_string_equal(blower->name, "blower");
    assert_int_equal(blower->bus, 0);
    assert_int_equal(blower->unit, 255);
    assert_int_equal(blower->registers_most, 125);
    assert_int_equal(blower->tag_count, 2);
    assert_tag(&blower->tags[0], "hours", PLANT_INPUT, 0, PLANT_UINT64, PLANT_DCBA, 3600000);
    assert_tag(&blower->tags[1], "speed", PLANT_HOLDING, 65535, PLANT_INT16, PLANT_ABCD, 100);
    config_done(&config);
}

static void scale_unit_and_limits_are_exact(void **state) {
    (void)state;
    struct config config;
    load_good(&config);
    const struct plant_tag *plain = &config.plant.instruments[0].tags[0], *flow = &config.plant.instruments[0].tags[1];
    assert_string_equal(plain->unit, "NTU");
    assert_int_equal(plain->scale.mantissa, 1);
    assert_int_equal(plain->scale.exponent, 0);
    assert_int_equal(plain->offset.mantissa, 0);
    assert_false(plain->has_min || plain->has_max);
    assert_string_equal(flow->unit, "m³/h");
    assert_int_equal(flow->scale.mantissa, 1);
    assert_int_equal(flow->scale.exponent, -2);
    assert_int_equal(flow->offset.mantissa, -25);
    assert_int_equal(flow->offset.exponent, -1);
    assert_true(flow->has_min && flow->has_max);
    assert_true(flow->min == -1.5);
    assert_true(flow->max == 1000.0);
    config_done(&config);
}

static const char careful[] = "gateway: {name: g}\n"
                              "buses: [{name: b, kind: modbus-rtu-tcp, host: h.example, port: 4001, baud: 9600}]\n"
                              "instruments:\n"
                              "  - {name: i, bus: b, unit: 1, addresses: base-1, interval: 5s,\n"
                              "     heartbeat: {address: 10, interval: 1s}, service: {table: coil, address: 3},\n"
                              "     tags: [{name: level, address: 1, type: int16, no_value: [0xFFFF, 32768, -3],\n"
                              "             status: {address: 2, fault: 0x8000, maintenance: 1}},\n"
                              "            {name: step, address: 3, type: uint16, bits: 4..7},\n"
                              "            {name: pump, address: 3, type: bit, bits: 8},\n"
                              "            {name: count, address: 4, type: bcd32, word_order: abcd}]}\n";

static void what_qualifies_values_is_read(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    const enum fb_error error = parse(careful, &config, &report);
    if (error != FB_OK)
        print_error("%u:%u: %s\n", report.errors[0].line, report.errors[0].column, report.errors[0].text);
    assert_int_equal(error, FB_OK);
    assert_int_equal(config.plant.buses[0].kind, PLANT_MODBUS_RTU_TCP);
    const struct plant_instrument *instrument = &config.plant.instruments[0];
    const struct plant_watch heartbeat = {PLANT_HOLDING, 9, 0xffff, 1000}, service = {PLANT_COIL, 2, 1, 5000};
    assert_memory_equal(&instrument->heartbeat, &heartbeat, sizeof heartbeat);
    assert_memory_equal(&instrument->service, &service, sizeof service);
    const struct plant_tag *level = &instrument->tags[0];
    assert_int_equal(level->no_value_count, 3);
    assert_int_equal(level->no_value[0], 0xffff);
    assert_int_equal(level->no_value[1], 0x8000);
    assert_int_equal(level->no_value[2], 0xfffd);
    assert_int_equal(level->status.address, 1);
    assert_int_equal(level->status.fault, 0x8000);
    assert_int_equal(level->status.maintenance, 1);
    assert_int_equal(instrument->tags[1].bit_first, 4);
    assert_int_equal(instrument->tags[1].bit_count, 4);
    assert_int_equal(instrument->tags[2].bit_first, 8);
    assert_int_equal(instrument->tags[2].bit_count, 1);
    assert_int_equal(instrument->tags[3].type, PLANT_BCD32);
    config_done(&config);
}

static void defaults_stand_where_nothing_is_said(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    assert_int_equal(parse(least, &config, &report), FB_OK);
    assert_string_equal(config.data, "/var/lib/forebay");
    assert_string_equal(config.run, "/run/forebay");
    assert_int_equal(config.commit_interval_ms, 1000);
    assert_int_equal(config.forward_interval_ms, 10000);
    assert_int_equal(config.forward_interval_offline_ms, 180000);
    assert_int_equal(config.quota_bytes, UINT64_C(8) << 30);
    assert_false(config.has_cloud);
    assert_false(config.has_page);
    assert_int_equal(config.plant.buses[0].port, 502);
    assert_int_equal(config.plant.buses[0].timeout_ms, 500);
    assert_int_equal(config.plant.buses[0].pause_ms, 0);
    assert_int_equal(config.plant.instruments[0].registers_most, 125);
    assert_int_equal(config.plant.instruments[0].tags[0].table, PLANT_HOLDING);
    config_done(&config);
}

static void byte_order_mark_and_windows_lines_are_read(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    char text[sizeof least * 2] = "\xef\xbb\xbf";
    size_t used = strlen(text);
    for (const char *at = least; *at != '\0'; at++) {
        if (*at == '\n')
            text[used++] = '\r';
        text[used++] = *at;
    }
    assert_int_equal(parse(text, &config, &report), FB_OK);
    config_done(&config);
}

static void the_example_of_the_documentation_is_good(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    assert_int_equal(config_load("docs/examples/forebay.yaml", &config, &report), FB_OK);
    config_done(&config);
}

static void a_missing_file_is_one_error_without_a_place(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    assert_int_equal(config_load("tests/data/config/absent.yaml", &config, &report), FB_NOT_FOUND);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.errors[0].line, 0);
    assert_string_equal(report.errors[0].text, "No such file or directory");
}

static void more_than_a_mebibyte_is_refused(void **state) {
    (void)state;
    struct config config;
    struct config_report report = {.file = "test.yaml"};
    const size_t length = CONFIG_BYTES_MAX + 1;
    FB_CLEANUP(file_free) char *text = malloc(length);
    memset(text, '#', length);
    memcpy(text, least, strlen(least));
    assert_int_equal(config_parse(text, length, "/", &config, &report), FB_LIMIT);
    assert_string_equal(report.errors[0].text, "larger than 1 MiB, the most that is read");
    assert_int_equal(config_parse(text, length - 1, "/", &config, &report), FB_OK);
    config_done(&config);
}

static void the_first_twenty_errors_are_reported_in_order(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    char text[4096] = "buses:\n";
    for (int i = 0; i < 30; i++)
        strcat(text, "- {name: Bad, kind: modbus-tcp, host: h.example}\n");
    strcat(text, "- {name: rtu, kind: modbus-rtu}\ngateway: {}\ninstruments: []\n");
    assert_int_equal(parse(text, &config, &report), FB_INVALID);
    assert_int_equal(report.count, CONFIG_ERRORS_MAX);
    for (size_t i = 1; i < report.count; i++)
        assert_true(report.errors[i - 1].line < report.errors[i].line);
}

static void long_values_are_refused_with_their_limit(void **state) {
    (void)state;
    static const struct {
        const char *before; /* of the value, inside the section cloud */
        int length;
        const char *after;
        const char *error;
    } values[] = {
        {"host: h, address: ", 256, ", ca: c, certificate: c, key: k",
         "cloud.address: is 256 bytes long; allowed are at most 255"},
        {"host: h, address: a, ca: ", 1100, ", certificate: c, key: k",
         "cloud.ca: is 1113 bytes long; allowed are at most 1023"},
        {"host: h, address: a, ca: c, certificate: c, key: ", 3000, "", "cloud.key: is too long for a path"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct config config;
        struct config_report report;
        char text[5000];
        snprintf(text, sizeof text, "%scloud: {%s%0*d%s}\n", least, values[i].before, values[i].length, 1,
                 values[i].after);
        assert_int_equal(parse(text, &config, &report), FB_INVALID);
        assert_int_equal(report.count, 1);
        assert_string_equal(report.errors[0].text, values[i].error);
    }
}

static double seconds_for(const char *text, size_t length, enum fb_error expected) {
    struct timespec from, to;
    struct config config;
    struct config_report report = {.file = "test.yaml"};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    assert_int_equal(config_parse(text, length, "/", &config, &report), expected);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* The piece again and again. Returns how many bytes that is. */
static size_t fill(char *text, const char *piece, size_t most) {
    const size_t length = strlen(piece), used = most / length * length;
    for (size_t at = 0; at < used; at += length)
        memcpy(text + at, piece, length);
    return used;
}

/* Documents that cost libyaml, or a careless check, time that grows with the square of their size. */
static void hostile_documents_are_refused_fast(void **state) {
    (void)state;
    static const struct {
        const char *piece;
        enum fb_error expected;
    } hostiles[] = {
        {"[", FB_LIMIT},    {"%TAG !a! b\n", FB_INVALID}, {"- ", FB_LIMIT},     {"? ", FB_INVALID},
        {"{a: ", FB_LIMIT}, {"- a\n", FB_LIMIT},          {"a: b\n", FB_LIMIT}, {"'\n", FB_INVALID},
    };
    FB_CLEANUP(file_free) char *text = malloc(CONFIG_BYTES_MAX);
    /* In proportion to a plain list of a sixteenth of the size, on this machine; a square would be 256 times as much.
     */
    const size_t plain = fill(text, "- a\n", CONFIG_BYTES_MAX / 16);
    const double most_s = 4 * 16 * seconds_for(text, plain, FB_INVALID);
    for (size_t i = 0; i < sizeof hostiles / sizeof hostiles[0]; i++) {
        const size_t length = fill(text, hostiles[i].piece, CONFIG_BYTES_MAX);
        assert_true(seconds_for(text, length, hostiles[i].expected) < most_s);
    }
}

/* As an appliance is before anything was connected to it. */
static void a_gateway_may_have_no_instruments_yet(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    assert_int_equal(parse("gateway: {name: g}\nbuses: []\ninstruments: []\n", &config, &report), FB_OK);
    assert_int_equal(config.plant.bus_count + config.plant.instrument_count, 0);
    config_done(&config);
}

/* The largest plant, all tags of one instrument. */
static void eight_thousand_tags_are_read_fast(void **state) {
    (void)state;
    FB_CLEANUP(file_free) char *text = malloc(CONFIG_BYTES_MAX);
    int used = snprintf(text, CONFIG_BYTES_MAX,
                        "gateway: {name: g}\nbuses: [{name: b, kind: modbus-tcp, host: h}]\n"
                        "instruments: [{name: i, bus: b, unit: 1, addresses: base-0, interval: 1min, tags: [\n");
    for (int i = 0; i < PLANT_TAGS_MAX; i++)
        used +=
            snprintf(text + used, CONFIG_BYTES_MAX - (size_t)used, "{name: t-%d, address: %d, type: int16},\n", i, i);
    used += snprintf(text + used, CONFIG_BYTES_MAX - (size_t)used, "]}]\n");
    struct config config;
    struct config_report report;
    assert_int_equal(parse(text, &config, &report), FB_OK);
    assert_int_equal(config.plant.instruments[0].tag_count, PLANT_TAGS_MAX);
    config_done(&config);
    strcpy(text + used - strlen("]}]\n"), "{name: more, address: 1, type: int16}]}]\n");
    assert_int_equal(parse(text, &config, &report), FB_INVALID);
    assert_string_equal(report.errors[0].text, "instruments[0].tags: has 8193 entries; allowed are 1 to 8192");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateway_store_and_page_are_read),
        cmocka_unit_test(cloud_is_read),
        cmocka_unit_test(trust_is_read),
        cmocka_unit_test(profiles_are_read),
        cmocka_unit_test(buses_are_read),
        cmocka_unit_test(instruments_and_tags_are_read),
        cmocka_unit_test(what_qualifies_values_is_read),
        cmocka_unit_test(scale_unit_and_limits_are_exact),
        cmocka_unit_test(defaults_stand_where_nothing_is_said),
        cmocka_unit_test(byte_order_mark_and_windows_lines_are_read),
        cmocka_unit_test(the_example_of_the_documentation_is_good),
        cmocka_unit_test(a_missing_file_is_one_error_without_a_place),
        cmocka_unit_test(more_than_a_mebibyte_is_refused),
        cmocka_unit_test(the_first_twenty_errors_are_reported_in_order),
        cmocka_unit_test(long_values_are_refused_with_their_limit),
        cmocka_unit_test(hostile_documents_are_refused_fast),
        cmocka_unit_test(a_gateway_may_have_no_instruments_yet),
        cmocka_unit_test(eight_thousand_tags_are_read_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
