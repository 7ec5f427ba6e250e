/* config.h - the gateway's configuration: one YAML document of at most 1 MiB, read whole, checked whole.
 * Used by forebay-core, and by the commands check-config and run. docs/configuration.md describes it for people. */
#ifndef FB_CONFIG_CONFIG_H
#define FB_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/command_settings.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"
#include "gateway/common/plant.h"

#define CONFIG_BYTES_MAX (1024 * 1024)
#define CONFIG_PATH_MAX 1024
#define CONFIG_ERRORS_MAX 20

/* What may go over the link, and when; core alone needs to know. */
struct delivery_settings {
    uint64_t backlog_bytes_per_s;                            /* 0: as fast as it goes */
    uint64_t month_bytes;                                    /* 0: no budget */
    enum { DELIVERY_EVENTS_NO, DELIVERY_EVENTS_YES } events; /* default yes */
};

struct config_page {
    char listen[64]; /* address literal, default 127.0.0.1 */
    uint16_t port;   /* default 8443 */
    char certificate[CONFIG_PATH_MAX];
    char key[CONFIG_PATH_MAX];
};

struct config {
    char name[PLANT_NAME_MAX];    /* gateway.name */
    char data[CONFIG_PATH_MAX];   /* gateway.data: store and key; default /var/lib/forebay */
    char run[CONFIG_PATH_MAX];    /* gateway.run: sockets; default /run/forebay; at most 90 bytes (sun_path) */
    uint32_t commit_interval_ms;  /* store.commit_interval, 100 ms..60 s, default 1 s */
    uint32_t forward_interval_ms; /* store.forward_interval, 1 s..1 h, default 10 s: seal while the link is up */
    uint32_t forward_interval_offline_ms; /* store.forward_interval_offline, default 3 min: seal while it is down */
    uint64_t quota_bytes;                 /* store.quota, at least 16 MiB, default 8 GiB */
    bool has_cloud;
    struct link_settings link;         /* cloud: */
    struct delivery_settings delivery; /* cloud.backlog_rate, cloud.monthly_budget, cloud.events */
    bool has_commands;
    struct command_settings commands; /* cloud.commands: */
    bool has_page;
    struct config_page page; /* page: */
    struct plant plant;      /* buses:, instruments: */
};

/* One thing that is wrong. */
struct config_error {
    unsigned line, column;   /* 1 and up; 0 when the file as a whole is meant */
    char text[FB_CAUSE_MAX]; /* "buses[1].baud: 19200bps is not a number; allowed are 1200 to 115200" */
};

struct config_report {
    const char *file; /* borrowed from the caller of config_load() */
    struct config_error errors[CONFIG_ERRORS_MAX];
    size_t count; /* of errors; more were not looked for when it is CONFIG_ERRORS_MAX */
};

/* Read and check the file. Relative paths in it are resolved against the file's own folder.
 * ret_config: yours on success, end it with config_done(); untouched otherwise.
 * FB_INVALID: report says what is wrong. FB_NOT_FOUND, FB_IO, FB_LIMIT: report has one entry. */
enum fb_error config_load(const char *file, struct config *ret_config, struct config_report *report) FB_MUST_USE;

/* The same, and the document itself: ret_text: yours, free() it; one NUL follows its ret_length bytes. */
enum fb_error config_load_text(const char *file, struct config *ret_config, char **ret_text, size_t *ret_length,
                               struct config_report *report) FB_MUST_USE;

/* The pure part: text (length bytes) as if it had been read from report->file in folder. */
enum fb_error config_parse(const char *text, size_t length, const char *folder, struct config *ret_config,
                           struct config_report *report) FB_MUST_USE;

void config_done(struct config *config);

#endif
