#include "gateway/core/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/plot.h"
#include "gateway/core/record_calls.h"
#include "gateway/core/report.h"
#include "gateway/core/scgi.h"

#define CLIENTS_MAX 64
/* A request that is not there, or an answer that is not taken, after this long ends the connection. */
#define CLIENT_DEADLINE_MS 10000
/* The event stream's beat: values twice a second, the status every fourth time. */
#define BEAT_US 500000
#define BEATS_A_STATUS 4
#define RECORDS_PATH "/api/records/"
#define RECORDS_MOST 100
/* Histories that are read at the same time. */
#define PLOTS_MAX 4
/* A page that falls this far behind is dropped; it connects again by itself. */
#define STREAM_BYTES_MOST ((size_t)1024 * 1024)

struct client {
    struct web *web;
    sd_event_source *io; /* NULL: free place */
    int descriptor;
    int64_t since_ms; /* monotonic; of the last progress */
    bool stream;      /* answered with the event stream */
    bool answered;
    uint64_t version;  /* stream: values up to it were sent */
    struct plot *plot; /* while a history is being read */
    struct text out;
    size_t head_used;
    char head[SCGI_HEAD_BYTES_MAX + 16];
};

struct web {
    struct core *core;
    struct channel_listener *listener;
    sd_event_source *beat; /* runs while anybody is connected */
    unsigned beats;
    unsigned plots;                      /* running */
    struct client *clients[CLIENTS_MAX]; /* NULL where free */
};

static void end_plot(struct client *client) {
    client->web->plots -= client->plot != NULL;
    plot_free(client->plot);
    client->plot = NULL;
}

static void drop(struct client *client) {
    struct web *web = client->web;
    end_plot(client);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (web->clients[i] == client)
            web->clients[i] = NULL;
    sd_event_source_disable_unref(client->io);
    close(client->descriptor);
    text_done(&client->out);
    free(client);
}

/* Sends what the socket takes. False when the client was dropped: done or broken. */
static bool push(struct client *client) {
    while (client->out.used > 0) {
        const ssize_t sent = send(client->descriptor, client->out.data, client->out.used, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            sd_event_source_set_io_events(client->io, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
            return true;
        }
        if (sent < 0) {
            drop(client);
            return false;
        }
        text_consume(&client->out, (size_t)sent);
        client->since_ms = clock_monotonic_ms();
    }
    if (!client->stream) {
        drop(client);
        return false;
    }
    sd_event_source_set_io_events(client->io, EPOLLIN | EPOLLRDHUP);
    return true;
}

static void add_head(struct text *out, const char *status, const char *type) {
    text_add_format(out, "Status: %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n\r\n", status, type);
}

static void answer_error(struct client *client, const char *status, enum fb_error error, const char *cause) {
    add_head(&client->out, status, "application/json");
    text_add_json(&client->out, json_pack("{s:s, s:s}", "error", fb_error_word(error), "cause", cause));
}

static void answer_status(struct client *client, const struct scgi_request *request) {
    (void)request;
    add_head(&client->out, "200 OK", "application/json");
    text_add_json(&client->out, report_status(client->web->core));
}

static void answer_values(struct client *client, const struct scgi_request *request) {
    (void)request;
    add_head(&client->out, "200 OK", "application/json");
    report_values(client->web->core, 0, &client->out);
}

static void add_values_event(struct client *client) {
    struct core *core = client->web->core;
    values_age(&core->values, clock_monotonic_ms());
    if (core->values.version == client->version)
        return;
    text_add_string(&client->out, "event: values\ndata: ");
    report_values(core, client->version, &client->out);
    text_add_string(&client->out, "\n\n");
    client->version = core->values.version;
}

static void add_status_event(struct client *client) {
    text_add_string(&client->out, "event: status\ndata: ");
    text_add_json(&client->out, report_status(client->web->core));
    text_add_string(&client->out, "\n\n");
}

static void answer_events(struct client *client, const struct scgi_request *request) {
    (void)request;
    client->stream = true;
    text_add_string(&client->out, "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                                  "X-Accel-Buffering: no\r\n\r\nretry: 2000\n\n");
    add_status_event(client);
    add_values_event(client);
}

static void on_plot_done(enum fb_error error, const struct text *answer, const struct fb_cause *cause, void *user) {
    struct client *client = user;
    end_plot(client);
    if (error == FB_OK) {
        add_head(&client->out, "200 OK", "application/json");
        text_add(&client->out, answer->data, answer->used);
    } else {
        answer_error(client, "503 Service Unavailable", error, cause->text);
    }
    client->since_ms = clock_monotonic_ms();
    if (client->out.failed)
        drop(client);
    else
        push(client);
}

static void answer_history(struct client *client, const struct scgi_request *request) {
    struct web *web = client->web;
    struct plot_request wanted;
    struct fb_cause cause = {""};
    enum fb_error error = plot_parse(request->query, &wanted, &cause);
    if (error != FB_OK) {
        answer_error(client, "400 Bad Request", error, cause.text);
        return;
    }
    if (web->plots == PLOTS_MAX) {
        answer_error(client, "503 Service Unavailable", FB_AGAIN, "other histories are being read: ask again");
        return;
    }
    error = plot_start(web->core->event, web->core->store, &wanted, on_plot_done, client, &client->plot, &cause);
    web->plots += client->plot != NULL;
    if (error != FB_OK)
        answer_error(client, "503 Service Unavailable", error, cause.text);
}

/* Not the audit: the page has no accounts yet. */
static void answer_records(struct client *client, const struct scgi_request *request) {
    struct record_calls_range range = {.kind = records_kind(request->path + strlen(RECORDS_PATH)),
                                       .limit = RECORDS_MOST};
    struct text answer = {0};
    struct fb_cause cause = {""};
    enum fb_error error = record_calls_parse(request->query, &range, &cause);
    if (error == FB_OK)
        error = record_calls_list(client->web->core, &range, &answer, &cause);
    if (error == FB_OK) {
        add_head(&client->out, "200 OK", "application/json");
        text_add(&client->out, answer.data, answer.used);
    } else {
        answer_error(client, error == FB_INVALID ? "400 Bad Request" : "503 Service Unavailable", error, cause.text);
    }
    client->out.failed |= answer.failed;
    text_done(&answer);
}

static const struct {
    const char *path;
    void (*answer)(struct client *client, const struct scgi_request *request);
} pages[] = {
    {"/api/status", answer_status},          {"/api/values", answer_values},
    {"/api/events", answer_events},          {"/api/history", answer_history},
    {RECORDS_PATH "events", answer_records}, {RECORDS_PATH "attempts", answer_records},
};

static void answer(struct client *client, const struct scgi_request *request) {
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        answer_error(client, "405 Method Not Allowed", FB_DENIED, "only GET is allowed here");
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].path, request->path) == 0) {
            pages[i].answer(client, request);
            return;
        }
    answer_error(client, "404 Not Found", FB_NOT_FOUND, "there is no such page");
}

/* False when the client was dropped. */
static bool take(struct client *client) {
    const ssize_t got = recv(client->descriptor, client->head + client->head_used,
                             sizeof client->head - client->head_used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0 || client->answered) {
        drop(client); /* left, or sends what nobody asked for */
        return false;
    }
    client->head_used += (size_t)got;
    struct scgi_request request;
    const enum fb_error error = scgi_parse(client->head, client->head_used, &request);
    if (error == FB_AGAIN && client->head_used < sizeof client->head)
        return true;
    client->answered = true;
    if (error != FB_OK)
        answer_error(client, "400 Bad Request", error, "not an SCGI request");
    else
        answer(client, &request);
    if (client->out.failed) {
        drop(client);
        return false;
    }
    return client->plot != NULL || push(client);
}

static int on_io(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source;
    (void)descriptor;
    struct client *client = user;
    if ((events & EPOLLOUT) && !push(client))
        return 0;
    if ((events & EPOLLIN) && !take(client))
        return 0;
    if ((events & (EPOLLHUP | EPOLLERR)) || ((events & EPOLLRDHUP) && (client->stream || client->plot != NULL)))
        drop(client);
    return 0;
}

static void beat_client(struct client *client, bool with_status, int64_t now_ms) {
    if ((!client->stream || client->out.used > 0) && client->plot == NULL &&
        now_ms - client->since_ms > CLIENT_DEADLINE_MS) {
        drop(client);
        return;
    }
    if (!client->stream || client->out.used > STREAM_BYTES_MOST)
        return;
    add_values_event(client);
    if (with_status)
        add_status_event(client);
    if (client->out.failed)
        drop(client);
    else
        push(client);
}

static int on_beat(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct web *web = user;
    const bool with_status = ++web->beats % BEATS_A_STATUS == 0;
    const int64_t now_ms = clock_monotonic_ms();
    bool anybody = false;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (web->clients[i] != NULL) {
            anybody = true;
            beat_client(web->clients[i], with_status, now_ms);
        }
    if (anybody) {
        sd_event_source_set_time_relative(source, BEAT_US);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    return 0;
}

static struct client **free_place(struct web *web) {
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (web->clients[i] == NULL)
            return &web->clients[i];
    return NULL;
}

static void on_accepted(int descriptor, void *user) {
    struct web *web = user;
    struct client **place = free_place(web);
    struct client *client = place != NULL ? calloc(1, sizeof *client) : NULL;
    if (client == NULL) {
        close(descriptor); /* nginx answers 502 */
        return;
    }
    *client = (struct client){.web = web, .descriptor = descriptor, .since_ms = clock_monotonic_ms()};
    *place = client;
    if (sd_event_add_io(web->core->event, &client->io, descriptor, EPOLLIN | EPOLLRDHUP, on_io, client) < 0) {
        drop(client);
        return;
    }
    int enabled = SD_EVENT_OFF;
    sd_event_source_get_enabled(web->beat, &enabled);
    if (enabled != SD_EVENT_OFF)
        return;
    sd_event_source_set_time_relative(web->beat, BEAT_US);
    sd_event_source_set_enabled(web->beat, SD_EVENT_ONESHOT);
}

enum fb_error web_new(struct core *core, struct web **ret_web, struct fb_cause *cause) {
    struct web *web = calloc(1, sizeof *web);
    if (web == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    web->core = core;
    char path[256];
    enum fb_error error = file_join(core->config.run, PROTOCOL_WEB_SOCKET, path, sizeof path, cause);
    if (error == FB_OK &&
        sd_event_add_time_relative(core->event, &web->beat, CLOCK_MONOTONIC, BEAT_US, 10000, on_beat, web) < 0)
        error = fb_fail(cause, FB_IO, "event loop");
    if (error == FB_OK) {
        const struct channel_listener_settings settings = {
            .path = path, .mode = 0660, .type = SOCK_STREAM, .accepted = on_accepted, .user = web};
        error = channel_listen(core->event, &settings, &web->listener, cause);
    }
    if (error != FB_OK) {
        web_free(web);
        return error;
    }
    *ret_web = web;
    return FB_OK;
}

void web_free(struct web *web) {
    if (web == NULL)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (web->clients[i] != NULL)
            drop(web->clients[i]);
    sd_event_source_disable_unref(web->beat);
    channel_listener_free(web->listener);
    free(web);
}
