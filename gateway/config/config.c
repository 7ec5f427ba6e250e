#include "gateway/config/config.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/config/check.h"
#include "gateway/config/check_bus.h"
#include "gateway/config/check_cloud.h"
#include "gateway/config/check_commands.h"
#include "gateway/config/check_endpoints.h"
#include "gateway/config/check_instrument.h"
#include "gateway/config/check_trust.h"
#include "gateway/config/report.h"
#include "gateway/config/tree.h"
#include "gateway/config/value.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define CONFIG(member) CHECK_MEMBER(struct config, member)

/* Core's sockets in it are named with up to 16 bytes more; the kernel takes 107 in all (sun_path, unix(7)). */
#define RUN_BYTES_MAX 90

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

static const struct check_key document_keys[] = {
    {"gateway", CHECK_MAP, .wanted = "a section with the gateway's name"},
    {"store", CHECK_MAP},
    {"cloud", CHECK_MAP},
    {"page", CHECK_MAP},
    {"buses", CHECK_LIST, .wanted = "the list of the paths to instruments"},
    {"instruments", CHECK_LIST, .wanted = "the list of the instruments"},
};

static const struct check_key gateway_keys[] = {
    {"name", CHECK_NAME, CONFIG(name), .wanted = "the name the cloud knows this gateway by"},
    {"data", CHECK_PATH, CONFIG(data), .standard = "/var/lib/forebay"},
    {"run", CHECK_PATH, CONFIG(run), .standard = "/run/forebay", .max = RUN_BYTES_MAX},
};

static const struct check_key store_keys[] = {
    {"commit_interval", CHECK_DURATION, CONFIG(commit_interval_ms), .standard = "1s", .min = 100, .max = MINUTE_MS},
    {"forward_interval", CHECK_DURATION, CONFIG(forward_interval_ms), .standard = "10s", .min = SECOND_MS,
     .max = 60 * MINUTE_MS},
    {"forward_interval_offline", CHECK_DURATION, CONFIG(forward_interval_offline_ms), .standard = "3min",
     .min = SECOND_MS, .max = 60 * MINUTE_MS},
    {"quota", CHECK_SIZE, CONFIG(quota_bytes), .standard = "8GB", .min = 16 * MIB, .max = 16 * MIB * MIB},
};

#define LINK_TIMEOUT .min = LINK_TIMEOUT_MIN_MS, .max = LINK_TIMEOUT_MAX_MS

static const char *const no_or_yes[] = {[DELIVERY_EVENTS_NO] = "false", [DELIVERY_EVENTS_YES] = "true", NULL};

static const struct check_key cloud_keys[] = {
    {"host", CHECK_HOST, CONFIG(link.host)},
    {"port", CHECK_NUMBER, CONFIG(link.port), .standard = "5671", .min = 1, .max = UINT16_MAX},
    {"endpoints", CHECK_LIST},
    {"profile", CHECK_WORD, CONFIG(link.profile), .standard = "amqp", .words = cloud_kind_words},
    {"address", CHECK_TEXT, CONFIG(link.address)},
    {"ca", CHECK_PATH, CONFIG(link.ca), .wanted = "the PEM file of the authority that signed the broker's certificate"},
    {"certificate", CHECK_PATH, CONFIG(link.certificate)},
    {"key", CHECK_KEY, CONFIG(link.key)},
    {"key_pin_file", CHECK_PATH, CONFIG(link.key_pin_file)},
    {"pin", CHECK_LIST},
    {"crl", CHECK_LIST},
    {"token_key", CHECK_PATH, CONFIG(link.token_key)},
    {"token_policy", CHECK_TEXT, CONFIG(link.token_policy)},
    {"token_life", CHECK_DURATION, CONFIG(link.token_life_ms), .standard = "1h", .min = LINK_TOKEN_LIFE_MIN_MS,
     .max = LINK_TOKEN_LIFE_MAX_MS},
    {"encoding", CHECK_WORD, CONFIG(link.encoding), .standard = "batch", .words = cloud_encoding_words},
    {"compression", CHECK_WORD, CONFIG(link.compression), .standard = "none", .words = cloud_compression_words},
    {"window_messages", CHECK_NUMBER, CONFIG(link.window_messages), .standard = "256", .min = LINK_WINDOW_MESSAGES_MIN,
     .max = LINK_WINDOW_MESSAGES_MAX},
    {"window_bytes", CHECK_SIZE, CONFIG(link.window_bytes), .standard = "4MB", .min = LINK_WINDOW_BYTES_MIN,
     .max = LINK_WINDOW_BYTES_MAX},
    {"connect_timeout", CHECK_DURATION, CONFIG(link.connect_timeout_ms), .standard = "10s", LINK_TIMEOUT},
    {"open_timeout", CHECK_DURATION, CONFIG(link.open_timeout_ms), .standard = "15s", LINK_TIMEOUT},
    {"idle_timeout", CHECK_DURATION, CONFIG(link.idle_timeout_ms), .standard = "60s", .min = LINK_IDLE_MIN_MS,
     .max = LINK_TIMEOUT_MAX_MS},
    {"ack_timeout", CHECK_DURATION, CONFIG(link.ack_timeout_ms), .standard = "60s", LINK_TIMEOUT},
    {"return_after", CHECK_DURATION, CONFIG(link.return_after_ms), .standard = "30min", .min = LINK_RETURN_MIN_MS,
     .max = LINK_RETURN_MAX_MS},
    {"retry_first", CHECK_DURATION, CONFIG(link.retry_first_ms), .standard = "1s", .min = LINK_RETRY_FIRST_MIN_MS,
     .max = LINK_RETRY_FIRST_MAX_MS},
    {"retry_most", CHECK_DURATION, CONFIG(link.retry_most_ms), .standard = "5min", .min = LINK_RETRY_MOST_MIN_MS,
     .max = LINK_RETRY_MOST_MAX_MS},
    {"commands", CHECK_MAP},
    {"backlog_rate", CHECK_RATE, CONFIG(delivery.backlog_bytes_per_s), .min = KIB, .max = 1024 * MIB},
    {"monthly_budget", CHECK_SIZE, CONFIG(delivery.month_bytes), .min = MIB, .max = MIB * MIB},
    {"events", CHECK_WORD, CONFIG(delivery.events), .standard = "true", .words = no_or_yes},
};

static const struct check_key page_keys[] = {
    {"listen", CHECK_HOST, CONFIG(page.listen), .standard = "127.0.0.1"},
    {"port", CHECK_NUMBER, CONFIG(page.port), .standard = "8443", .min = 1, .max = UINT16_MAX},
    {"certificate", CHECK_PATH, CONFIG(page.certificate), .wanted = "the PEM file of the page's certificate"},
    {"key", CHECK_PATH, CONFIG(page.key), .wanted = "the PEM file of the page's private key"},
};

static const struct check_table document_table = {document_keys, COUNT(document_keys)};
static const struct check_table gateway_table = {gateway_keys, COUNT(gateway_keys)};
static const struct check_table store_table = {store_keys, COUNT(store_keys)};
static const struct check_table cloud_table = {cloud_keys, COUNT(cloud_keys)};
static const struct check_table page_table = {page_keys, COUNT(page_keys)};

/* The section, NULL when it is missing or something else: both are reported with the document. */
static const struct tree_node *section(const struct tree_node *root, const char *key, enum tree_kind kind) {
    const struct tree_node *node = tree_get(root, key);
    return node != NULL && node->kind == kind ? node : NULL;
}

static void check_cloud(struct check *check, const struct tree_node *map, struct config *config) {
    const size_t errors = check->report->count;
    check_section(check, &cloud_table, map, "cloud", config);
    memcpy(config->link.gateway, config->name, sizeof config->link.gateway);
    check_trust(check, map, &config->link);
    check_cloud_profile(check, map, &config->link);
    config->has_cloud = true;
    const struct tree_node *commands = section(map, "commands", TREE_MAP);
    config->has_commands = commands != NULL;
    if (commands != NULL)
        check_commands(check, commands, &config->commands);
    check_endpoints(check, map, "cloud", &config->link);
    const struct tree_node *most = tree_get(map, "retry_most"), *first = tree_get(map, "retry_first");
    if (check->report->count == errors && config->link.retry_most_ms < config->link.retry_first_ms)
        check_fail(check, most != NULL ? most : first, most != NULL ? "cloud.retry_most" : "cloud.retry_first",
                   "retry_most must not be shorter than retry_first");
}

static void check_page(struct check *check, const struct tree_node *map, struct config *config) {
    const size_t errors = check->report->count;
    check_section(check, &page_table, map, "page", config);
    config->has_page = true;
    if (check->report->count == errors && !value_loopback(config->page.listen))
        check_fail(check, tree_get(map, "listen"), "page.listen",
                   "%s is not a loopback address, and the page has no accounts yet; give 127.0.0.1 or ::1",
                   config->page.listen);
}

static void check_plant(struct check *check, const struct tree_node *root, struct plant *plant) {
    const struct tree_node *buses = section(root, "buses", TREE_LIST);
    const struct tree_node *instruments = section(root, "instruments", TREE_LIST);
    if (buses != NULL)
        check_buses(check, buses, plant);
    if (instruments != NULL)
        check_instruments(check, instruments, plant);
    if (check->report->count == 0)
        check_schedules(check, buses, plant);
}

static void check_document(struct check *check, const struct tree_node *root, struct config *config) {
    if (root->kind != TREE_MAP) {
        report_add(check->report, root->line, root->column,
                   "the file must consist of the sections gateway, store, cloud, page, buses, instruments");
        return;
    }
    const struct tree_node *cloud = section(root, "cloud", TREE_MAP), *page = section(root, "page", TREE_MAP);
    check_section(check, &document_table, root, "", config);
    check_section(check, &gateway_table, section(root, "gateway", TREE_MAP), "gateway", config);
    check_section(check, &store_table, section(root, "store", TREE_MAP), "store", config);
    if (cloud != NULL)
        check_cloud(check, cloud, config);
    if (page != NULL)
        check_page(check, page, config);
    check_plant(check, root, &config->plant);
}

enum fb_error config_parse(const char *text, size_t length, const char *folder, struct config *ret_config,
                           struct config_report *report) {
    struct tree_node *root = NULL;
    report->count = 0;
    enum fb_error error = tree_read(text, length, &root, report);
    if (error == FB_OK) {
        struct check check = {report, folder};
        struct config config = {0};
        check_document(&check, root, &config);
        tree_free(root);
        if (report->count == 0) {
            *ret_config = config;
            return FB_OK;
        }
        config_done(&config);
        error = FB_INVALID;
    }
    report_sort(report);
    return error;
}

static enum fb_error fail_load(struct config_report *report, enum fb_error error, const char *text) {
    report_add(report, 0, 0, "%s", text);
    return error;
}

static enum fb_error fail_read(struct config_report *report, enum fb_error error, const struct fb_cause *cause) {
    const char *file = report->file;
    const size_t name = strlen(file);
    const bool named = strncmp(cause->text, file, name) == 0 && strncmp(cause->text + name, ": ", 2) == 0;
    return fail_load(report, error, named ? cause->text + name + 2 : cause->text);
}

enum fb_error config_load_text(const char *file, struct config *ret_config, char **ret_text, size_t *ret_length,
                               struct config_report *report) {
    *report = (struct config_report){.file = file};
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length = 0;
    struct fb_cause cause;
    enum fb_error error = file_read(file, CONFIG_BYTES_MAX, &text, &length, &cause);
    if (error != FB_OK)
        return fail_read(report, error, &cause);
    char copy[PATH_MAX], folder[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", file) >= sizeof copy || realpath(dirname(copy), folder) == NULL)
        return fail_load(report, FB_IO, "its folder cannot be found");
    error = config_parse(text, length, folder, ret_config, report);
    if (error != FB_OK)
        return error;
    *ret_text = text;
    *ret_length = length;
    text = NULL;
    return FB_OK;
}

enum fb_error config_load(const char *file, struct config *ret_config, struct config_report *report) {
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length;
    return config_load_text(file, ret_config, &text, &length, report);
}

void config_done(struct config *config) {
    plant_done(&config->plant);
    *config = (struct config){0};
}
