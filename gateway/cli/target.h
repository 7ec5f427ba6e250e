/* target.h - the bus that probe and scan ask: through the running gateway, between its own requests, or else over a
 * connection of this program's own. Blocks. Only the four functions that read can be asked. */
#ifndef FB_CLI_TARGET_H
#define FB_CLI_TARGET_H

#include <stdbool.h>

#include "drivers/connection.h"
#include "drivers/recorder.h"
#include "gateway/config/config.h"

struct target {
    struct config config;    /* empty when the bus was given by hand */
    struct plant_bus bus;    /* the one to ask */
    size_t instrument_count; /* that the configuration has on it */
    bool through_gateway;
    struct connection connection; /* unless through_gateway */
    struct recorder *recorder;    /* the same */
};

/* The bus of a configuration; the gateway is asked if it runs. ret_target: end it with target_close(); untouched on
 * failure. FB_NOT_FOUND: no such bus. FB_INVALID: the configuration was refused, its errors are on standard error. */
enum fb_error target_open(const char *config_file, const char *bus, struct target *ret_target,
                          struct fb_cause *cause) FB_MUST_USE;
/* A bus that is in no configuration. */
enum fb_error target_open_bus(const struct plant_bus *bus, struct target *ret_target,
                              struct fb_cause *cause) FB_MUST_USE;
void target_close(struct target *target);

struct target_reply {
    bool good;
    uint8_t exception;                          /* the instrument refused; 0: it did not */
    bool silent;                                /* nothing answered in time */
    char reason[256];                           /* why there is no data, for people */
    uint8_t data[RECORDER_FRAME_BYTES_MAX + 1]; /* of lines: with a NUL behind them */
    size_t length;                              /* of data, bytes */
    uint8_t sent[RECORDER_FRAME_BYTES_MAX], received[RECORDER_FRAME_BYTES_MAX];
    size_t sent_length, received_length; /* the frames as they went over the wire; 0: there was none */
    int64_t time_ms;                     /* UTC */
};

/* One read. count: 1..125 registers or bits. FB_CLOSED, FB_TIMEOUT ...: it could not be asked at all. */
enum fb_error target_read(struct target *target, uint8_t unit, enum plant_table table, uint16_t address, uint8_t count,
                          struct target_reply *ret_reply, struct fb_cause *cause) FB_MUST_USE;

/* One read of a tag whose instrument speaks in lines. Through the gateway only; limits as above. */
enum fb_error target_read_tag(struct target *target, const char *instrument, const char *name,
                              struct target_reply *ret_reply, struct fb_cause *cause) FB_MUST_USE;

#endif
