#include "gateway/core/expiry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/validity.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"

#define LOOK_US (UINT64_C(10) * 60 * 1000000)
#define TIMER_ACCURACY_US 1000000
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define TOLD_FILE "certificates.json"
#define TOLD_BYTES_MAX ((size_t)64 * 1024)
/* So many are remembered before those that are gone are forgotten. */
#define TOLD_MAX 256

const int expiry_levels[EXPIRY_LEVELS] = {90, 30, 7, 1, 0};

struct expiry {
    expiry_due *due;
    void *user;
    sd_event_source *timer;
    char path[PATH_MAX]; /* of TOLD_FILE */
    char page[PATH_MAX]; /* "": no page */
    json_t *link, *of_page;
    json_t *told; /* SHA-256 of a certificate: the level it was told at */
    bool failed;  /* the last time it was to be written */
};

int expiry_level(int64_t from_ms, int64_t until_ms, bool renewed, int64_t now_ms) {
    int reached = -1;
    for (size_t i = 0; i < EXPIRY_LEVELS; i++) {
        const int64_t level_ms = expiry_levels[i] * DAY_MS;
        const bool counts = !renewed || level_ms <= (until_ms - from_ms) / 2;
        if (counts && until_ms - now_ms <= level_ms)
            reached = expiry_levels[i];
    }
    return reached;
}

static int64_t number(const json_t *object, const char *key) {
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static bool is_list(const json_t *certificate) {
    return strcmp(json_string_value(json_object_get(certificate, "use")), "crl") == 0;
}

/* Whole days, rounded down: -1 from the moment it expires. */
static json_t *days_left(const json_t *certificate, int64_t now_ms) {
    const json_t *until = json_object_get(certificate, "until_ms");
    if (!json_is_integer(until) || clock_state() == CLOCK_NOT_SET)
        return json_null();
    const int64_t left_ms = json_integer_value(until) - now_ms;
    return json_integer(left_ms >= 0 ? left_ms / DAY_MS : -((-left_ms + DAY_MS - 1) / DAY_MS));
}

static void keep_told(struct expiry *expiry) {
    char *text = json_dumps(expiry->told, JSON_COMPACT);
    struct fb_cause cause = {"out of memory"};
    const enum fb_error error = text == NULL ? FB_MEMORY : file_write(expiry->path, text, strlen(text), 0640, &cause);
    if (error != FB_OK && !expiry->failed)
        log_event(LOG_LEVEL_WARNING, "certificates-told-not-kept", "%s", cause.text);
    expiry->failed = error != FB_OK;
    free(text);
}

/* The level that was told last; more than all of them when none was, or the file was damaged. */
static int told_at(const struct expiry *expiry, const char *hash) {
    const json_t *told = json_object_get(expiry->told, hash);
    const json_int_t level = json_integer_value(told);
    return json_is_integer(told) && level >= 0 && level < INT_MAX ? (int)level : INT_MAX;
}

static void tell(struct expiry *expiry, const json_t *certificate, int64_t now_ms) {
    const char *hash = json_string_value(json_object_get(certificate, "sha256"));
    if (hash == NULL || !json_is_integer(json_object_get(certificate, "until_ms")))
        return;
    const int level =
        expiry_level(number(certificate, "from_ms"), number(certificate, "until_ms"), is_list(certificate), now_ms);
    const int before = told_at(expiry, hash);
    if (level < 0)
        json_object_del(expiry->told, hash);
    else
        json_object_set_new(expiry->told, hash, json_integer(level));
    /* More days left than before: the clock was wrong then, and the levels to come will be told again. */
    if (level < 0 || before <= level)
        return;
    json_t *shown = json_copy((json_t *)(uintptr_t)certificate);
    json_object_set_new(shown, "days_left", days_left(certificate, now_ms));
    expiry->due(shown, level, expiry->user);
    json_decref(shown);
}

static bool still_there(const struct expiry *expiry, const char *hash) {
    const json_t *const lists[] = {expiry->link, expiry->of_page};
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at < json_array_size(lists[i]); at++) {
            const char *its = json_string_value(json_object_get(json_array_get(lists[i], at), "sha256"));
            if (its != NULL && strcmp(its, hash) == 0)
                return true;
        }
    return false;
}

static void forget_gone(struct expiry *expiry) {
    const char *hash;
    json_t *level;
    void *next;
    if (json_object_size(expiry->told) <= TOLD_MAX)
        return;
    json_object_foreach_safe(expiry->told, next, hash, level) {
        if (!still_there(expiry, hash))
            json_object_del(expiry->told, hash);
    }
}

/* While nobody knows the time, nobody knows the days. */
static void look(struct expiry *expiry) {
    const int64_t now_ms = clock_utc_ms();
    if (clock_state() == CLOCK_NOT_SET)
        return;
    json_t *before = json_copy(expiry->told);
    for (size_t i = 0; i < json_array_size(expiry->link); i++)
        tell(expiry, json_array_get(expiry->link, i), now_ms);
    for (size_t i = 0; i < json_array_size(expiry->of_page); i++)
        tell(expiry, json_array_get(expiry->of_page, i), now_ms);
    forget_gone(expiry);
    if (!json_equal(before, expiry->told))
        keep_told(expiry);
    json_decref(before);
}

static void read_page(struct expiry *expiry) {
    json_array_clear(expiry->of_page);
    if (expiry->page[0] != '\0')
        validity_file_to_json("page", expiry->page, expiry->of_page);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)now_us;
    struct expiry *expiry = user;
    read_page(expiry);
    look(expiry);
    sd_event_source_set_time_relative(source, LOOK_US);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* A damaged file costs a second event, nothing more. */
static json_t *read_told(const char *path) {
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length = 0;
    json_t *told = NULL;
    if (file_read(path, TOLD_BYTES_MAX, &text, &length, NULL) == FB_OK)
        told = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(told))
        return told;
    json_decref(told);
    return json_object();
}

enum fb_error expiry_new(sd_event *event, const char *data, expiry_due *due, void *user, struct expiry **ret_expiry,
                         struct fb_cause *cause) {
    struct expiry *expiry = calloc(1, sizeof *expiry);
    if (expiry == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    expiry->due = due;
    expiry->user = user;
    expiry->link = json_array();
    expiry->of_page = json_array();
    enum fb_error error = file_join(data, TOLD_FILE, expiry->path, sizeof expiry->path, cause);
    if (error == FB_OK && sd_event_add_time_relative(event, &expiry->timer, CLOCK_MONOTONIC, LOOK_US, TIMER_ACCURACY_US,
                                                     on_timer, expiry) < 0)
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    if (error != FB_OK) {
        expiry_free(expiry);
        return error;
    }
    expiry->told = read_told(expiry->path);
    *ret_expiry = expiry;
    return FB_OK;
}

void expiry_free(struct expiry *expiry) {
    if (expiry == NULL)
        return;
    sd_event_source_disable_unref(expiry->timer);
    json_decref(expiry->link);
    json_decref(expiry->of_page);
    json_decref(expiry->told);
    free(expiry);
}

void expiry_configure(struct expiry *expiry, bool has_link, const char *page) {
    if (!has_link)
        json_array_clear(expiry->link);
    snprintf(expiry->page, sizeof expiry->page, "%s", page);
    read_page(expiry);
    look(expiry);
}

static bool time_or_null(const json_t *value) {
    return json_is_integer(value) || json_is_null(value);
}

static bool text_or_null(const json_t *value) {
    return json_is_string(value) || json_is_null(value);
}

/* Seven keys, all there. */
static bool well_formed(const json_t *certificate) {
    return json_object_size(certificate) == 7 && json_is_string(json_object_get(certificate, "use")) &&
           json_is_string(json_object_get(certificate, "error")) &&
           text_or_null(json_object_get(certificate, "file")) &&
           text_or_null(json_object_get(certificate, "subject")) &&
           text_or_null(json_object_get(certificate, "sha256")) &&
           time_or_null(json_object_get(certificate, "from_ms")) &&
           time_or_null(json_object_get(certificate, "until_ms"));
}

bool expiry_link(struct expiry *expiry, const json_t *message) {
    json_t *list = json_object_get(message, "certificates");
    if (!json_is_array(list) || json_object_size(message) != 1 || json_array_size(list) > EXPIRY_CERTIFICATES_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!well_formed(json_array_get(list, i)))
            return false;
    json_decref(expiry->link);
    expiry->link = json_incref(list);
    look(expiry);
    return true;
}

static void append(json_t *all, const json_t *list, int64_t now_ms) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *certificate = json_copy(json_array_get(list, i));
        json_object_set_new(certificate, "days_left", days_left(certificate, now_ms));
        json_array_append_new(all, certificate);
    }
}

json_t *expiry_to_json(const struct expiry *expiry) {
    json_t *all = json_array();
    append(all, expiry->link, clock_utc_ms());
    append(all, expiry->of_page, clock_utc_ms());
    return all;
}
