#include "tests/unit/link_desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void on_up(uint32_t bytes_most, void *user) {
    struct desk *desk = user;
    desk->ups++;
    desk->bytes_most = bytes_most;
}

static void on_down(void *user) {
    struct desk *desk = user;
    desk->downs++;
}

static void on_next(uint32_t messages, uint32_t bytes, void *user) {
    struct desk *desk = user;
    desk->nexts++;
    desk->messages = messages;
    desk->bytes = bytes;
}

static void on_decided(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                       void *user) {
    struct desk *desk = user;
    desk->decisions++;
    desk->kind = kind;
    desk->number = number;
    desk->outcome = outcome;
    snprintf(desk->reason, sizeof desk->reason, "%s", reason);
}

static void on_changed(void *user) {
    (void)user;
}

static void on_attempted(json_t *attempt, void *user) {
    struct desk *desk = user;
    assert_non_null(attempt);
    json_decref(desk->attempt);
    desk->attempt = attempt;
    desk->attempts++;
    const char *what = json_string_value(json_object_get(attempt, "what"));
    const char *outcome = json_string_value(json_object_get(attempt, "outcome"));
    desk->returns += strcmp(what, "return") == 0 && strcmp(outcome, "up") == 0;
    if (desk->stop_at != NULL && strcmp(desk->stop_at, what) == 0)
        link_stop(desk->link);
}

static void on_stopped(void *user) {
    struct desk *desk = user;
    desk->stopped = true;
}

static const struct link_handlers handlers = {.up = on_up,
                                              .down = on_down,
                                              .next = on_next,
                                              .decided = on_decided,
                                              .attempted = on_attempted,
                                              .changed = on_changed,
                                              .certificates = on_changed,
                                              .stopped = on_stopped};

int desk_open(void **state) {
    struct desk *desk = calloc(1, sizeof *desk);
    world_open(&desk->world);
    struct fb_cause cause;
    assert_int_equal(link_new(desk->world.client.event, &handlers, desk, &desk->link, &cause), FB_OK);
    desk->settings = (struct link_settings){.gateway = "gw-1",
                                            .host = "127.0.0.1",
                                            .port = desk->world.port,
                                            .address = "/queues/readings",
                                            .token_life_ms = LINK_TOKEN_LIFE_MAX_MS,
                                            .window_messages = 16,
                                            .window_bytes = 1024 * 1024,
                                            .connect_timeout_ms = 5000,
                                            .open_timeout_ms = 5000,
                                            .idle_timeout_ms = 30000,
                                            .ack_timeout_ms = 30000,
                                            .return_after_ms = 1000,
                                            .retry_first_ms = 100,
                                            .retry_most_ms = 1000};
    snprintf(desk->settings.ca, LINK_PATH_MAX, "%s", world_path(&desk->world, "ca", "pem"));
    snprintf(desk->settings.certificate, LINK_PATH_MAX, "%s", world_path(&desk->world, "client", "pem"));
    snprintf(desk->settings.key, LINK_PATH_MAX, "%s", world_path(&desk->world, "client", "key"));
    *state = desk;
    return 0;
}

int desk_close(void **state) {
    struct desk *desk = *state;
    link_free(desk->link);
    json_decref(desk->attempt);
    world_close(&desk->world);
    free(desk);
    return 0;
}

void desk_come_up(struct desk *desk) {
    const unsigned nexts = desk->nexts;
    link_configure(desk->link, &desk->settings);
    world_run_to_count(&desk->world, &desk->nexts, nexts + 1);
    assert_int_equal(link_status(desk->link)->state, STATUS_UP);
}

void desk_forward(struct desk *desk, enum parcel_kind kind, uint64_t number, const uint8_t *bytes, size_t length) {
    const struct cloud_message parcel = {.type = PROTOCOL_PARCEL,
                                         .kind = kind,
                                         .number = number,
                                         .store = (const uint8_t *)DESK_STORE,
                                         .bytes = bytes,
                                         .length = length};
    struct fb_cause cause;
    assert_int_equal(link_forward(desk->link, &parcel, &cause), FB_OK);
}
