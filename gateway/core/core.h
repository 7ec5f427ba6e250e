/* core.h - forebay-core as a whole: what its modules are put together from, and the configuration applied to them. */
#ifndef FB_CORE_CORE_H
#define FB_CORE_CORE_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/config/config.h"
#include "gateway/core/cloud_peer.h"
#include "gateway/core/field_peer.h"
#include "gateway/core/intake.h"
#include "gateway/core/numbering.h"
#include "gateway/core/values.h"
#include "gateway/core/wear.h"
#include "store/store.h"

struct cloud_commands;
struct control;
struct proofs;
struct expiry;
struct records;
struct upkeep;
struct watch;
struct web;

struct core {
    sd_event *event;
    const char *caller;           /* who makes the control call that goes on; NULL while none does */
    const char *config_file;      /* borrowed from the arguments */
    struct config config;         /* the one in force */
    struct fb_cause config_error; /* why the file was refused the last time; "" when it was not */
    int64_t config_loaded_ms;     /* UTC */
    int64_t started_ms;           /* UTC */
    struct store *store;
    struct store_opening opening;
    char key_path[CONFIG_PATH_MAX + 16];
    bool rekey_unfinished; /* found at the start */
    struct upkeep *upkeep;
    struct intake *intake;
    struct numbering numbering; /* of the configuration in force */
    bool numbering_waits;       /* as logged */
    sd_event_source *numbering_timer;
    struct records *records;
    struct watch *watch;
    struct values values;
    struct proofs *proofs;
    struct field_peer *field;
    struct cloud_peer *cloud;
    struct cloud_commands *commands;
    struct expiry *expiry;
    struct control *control;
    uint64_t control_dropped; /* clients that it ended: bad message, full queue, too many */
    struct web *web;
    uint64_t rate_readings; /* intake's count at rate_ms, for readings_per_s */
    int64_t rate_ms;        /* monotonic */
    double readings_per_s;
    struct wear wear;
};

/* Read the configuration, open the store, listen. config_file is borrowed. On failure core_stop() still has to be
 * called. */
enum fb_error core_start(struct core *core, const char *config_file, struct fb_cause *cause) FB_MUST_USE;
/* Commit, close the store cleanly, remove the sockets. */
void core_stop(struct core *core);

/* Read the file again and apply what changed; untouched buses go on. author and reason ("" when none was given) are
 * kept with the document, which is a new revision unless it is as the last one. ret_changed: new reference, an array of
 * words
 * ("bus line-1", "cloud" ...). On failure the running configuration stays as it is; the cause has a line for each
 * error, separated by line feeds. */
enum fb_error core_reload(struct core *core, const char *author, const char *reason, json_t **ret_changed,
                          struct fb_cause *cause) FB_MUST_USE;

#endif
