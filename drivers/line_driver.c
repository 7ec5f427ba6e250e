/* Instruments that speak in lines of text, over a serial port or a raw TCP serial server: asked or by themselves, and
 * SDI-12 through an adapter.
 *
 * Lines carry no number of the question they answer. So what has come unasked is thrown away before each question, and
 * after a silence the same time is waited once more, in which a late answer is thrown away, too. Of an instrument that
 * speaks by itself the first, perhaps cut, line is passed over: a reading is never older than its request. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/guard.h"
#include "drivers/line_frame.h"
#include "drivers/line_port.h"
#include "drivers/recorder.h"
#include "drivers/tcp_connect.h"

#define REPLY_BYTES_MAX 4096
#define CHUNK_BYTES 128
/* Shorter gaps do not mean that the line is idle; more is not waited for one that never is. */
#define IDLE_MS 20
#define IDLE_WAIT_MAX_MS 500
#define SDI12_DATA_COMMANDS 10 /* D0 to D9: SDI-12 1.4, section 4.4.8 */

struct driver_port {
    const struct plant_bus *bus;
    int descriptor;
    int64_t last_ms;                    /* monotonic: end of the last exchange */
    int64_t owed_until_ms;              /* monotonic: until then a late answer may come */
    int64_t deadline_ms;                /* of the exchange that is under way */
    uint8_t raw[PLANT_LINES_BYTES_MAX]; /* what has come of a line and of the next */
    size_t raw_used;
    char body[PLANT_LINES_BYTES_MAX + 1]; /* of the last line */
    char reply[REPLY_BYTES_MAX];
    size_t reply_used;
};

enum line_outcome { LINE_CAME, LINE_TIMEOUT, LINE_BAD, LINE_GONE };

static void port_close(struct driver_port *port) {
    if (port == NULL)
        return;
    if (port->descriptor >= 0) {
        ioctl(port->descriptor, TIOCNXCL); /* no matter to a socket */
        close(port->descriptor);
    }
    free(port);
}

static enum fb_error open_with(const struct plant_bus *bus,
                               enum fb_error (*open)(const struct plant_bus *bus, int *ret_descriptor,
                                                     struct fb_cause *cause),
                               struct driver_port **ret_port, struct fb_cause *cause) {
    struct driver_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    port->bus = bus;
    port->descriptor = -1;
    const enum fb_error error = open(bus, &port->descriptor, cause);
    if (error == FB_OK)
        *ret_port = port;
    else
        port_close(port);
    return error;
}

static enum fb_error serial_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    return open_with(bus, line_port_open, ret_port, cause);
}

static enum fb_error over_tcp_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    return open_with(bus, tcp_connect, ret_port, cause);
}

static void fail(struct driver_reply *ret_reply, enum driver_outcome outcome, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = outcome, .reason = reason};
}

/* Wait until the deadline: 1 when there is something, 0 when nothing came. */
static int wait_for_bytes(const struct driver_port *port, int64_t deadline_ms) {
    struct pollfd line = {.fd = port->descriptor, .events = POLLIN};
    const int64_t left_ms = deadline_ms - clock_monotonic_ms();
    return left_ms > 0 ? poll(&line, 1, (int)left_ms) > 0 : 0;
}

/* More bytes behind those that are there: LINE_CAME, LINE_TIMEOUT or LINE_GONE. */
static enum line_outcome receive(struct driver_port *port, int64_t deadline_ms) {
    const size_t room = sizeof port->raw - port->raw_used;
    while (wait_for_bytes(port, deadline_ms)) {
        const ssize_t got = read(port->descriptor, port->raw + port->raw_used, room < CHUNK_BYTES ? room : CHUNK_BYTES);
        if (got > 0) {
            port->raw_used += (size_t)got;
            return LINE_CAME;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return LINE_GONE;
    }
    return LINE_TIMEOUT;
}

/* Throw away what comes until the line has been idle for so long, or the deadline has come. */
static void discard(struct driver_port *port, int idle_ms, int64_t deadline_ms) {
    struct pollfd line = {.fd = port->descriptor, .events = POLLIN};
    uint8_t waste[CHUNK_BYTES];
    port->raw_used = 0;
    while (poll(&line, 1, idle_ms) > 0 && read(port->descriptor, waste, sizeof waste) > 0)
        if (clock_monotonic_ms() >= deadline_ms)
            return;
}

static void wait_for_turn(struct driver_port *port) {
    const int64_t now_ms = clock_monotonic_ms(), begin_ms = port->last_ms + port->bus->pause_ms;
    if (port->owed_until_ms > now_ms)
        discard(port, (int)(port->owed_until_ms - now_ms), port->owed_until_ms);
    port->owed_until_ms = 0;
    if (begin_ms > now_ms) {
        const struct timespec pause = {.tv_sec = (begin_ms - now_ms) / 1000,
                                       .tv_nsec = (begin_ms - now_ms) % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    discard(port, 0, clock_monotonic_ms() + IDLE_WAIT_MAX_MS);
}

static void fail_send(struct driver_reply *ret_reply) {
    if (errno == EPERM)
        fail(ret_reply, DRIVER_UNFIT, "the question was not let out: it is none that only reads");
    else
        fail(ret_reply, DRIVER_CLOSED, "the line is gone");
}

/* False with ret_reply filled when it could not be sent as a whole. */
static bool send_all(struct driver_port *port, const struct plant_instrument *instrument, const uint8_t *bytes,
                     size_t length, struct driver_reply *ret_reply) {
    size_t sent = 0;
    errno = 0;
    while (sent < length) {
        struct pollfd line = {.fd = port->descriptor, .events = POLLOUT};
        const int64_t left_ms = port->deadline_ms - clock_monotonic_ms();
        const bool ready = left_ms > 0 && poll(&line, 1, (int)left_ms) > 0;
        const ssize_t done = ready ? guard_send_line(port->descriptor, instrument, bytes, length, sent) : -1;
        if (!ready || (done < 0 && errno != EAGAIN && errno != EINTR)) {
            fail_send(ret_reply);
            return false;
        }
        sent += done > 0 ? (size_t)done : 0;
    }
    recorder_note(RECORDER_OUT, bytes, length);
    return true;
}

/* Take the first line out of the raw bytes, if it is whole. ret_reason: of LINE_BAD. */
static bool take_line(struct driver_port *port, const struct plant_lines *lines, enum line_outcome *ret_outcome,
                      const char **ret_reason) {
    uint8_t end[PLANT_LINES_END_MAX];
    const size_t end_length = (size_t)plant_lines_bytes(lines->end, end, sizeof end);
    const uint8_t *found = memmem(port->raw, port->raw_used, end, end_length);
    if (found == NULL && port->raw_used < sizeof port->raw)
        return false;
    const size_t length = found != NULL ? (size_t)(found - port->raw) : port->raw_used;
    const size_t taken = found != NULL ? length + end_length : length;
    recorder_note(RECORDER_IN, port->raw, taken);
    *ret_reason = found != NULL ? line_body(lines->checksum, port->raw, length, port->body) : "a line without end";
    *ret_outcome = *ret_reason == NULL ? LINE_CAME : LINE_BAD;
    port->raw_used -= taken;
    memmove(port->raw, port->raw + taken, port->raw_used);
    return true;
}

/* The next line that is not empty, into body. */
static enum line_outcome next_line(struct driver_port *port, const struct plant_lines *lines, int64_t deadline_ms,
                                   const char **ret_reason) {
    enum line_outcome outcome = LINE_CAME;
    for (;;) {
        while (take_line(port, lines, &outcome, ret_reason))
            if (outcome == LINE_BAD || port->body[0] != '\0')
                return outcome;
        outcome = receive(port, deadline_ms);
        if (outcome != LINE_CAME)
            return outcome;
    }
}

static bool add_to_reply(struct driver_port *port) {
    const size_t length = strlen(port->body);
    if (port->reply_used + length + 2 > sizeof port->reply)
        return false;
    memcpy(port->reply + port->reply_used, port->body, length);
    port->reply_used += length;
    port->reply[port->reply_used++] = '\n';
    port->reply[port->reply_used] = '\0';
    return true;
}

/* Does any tag want this line; are all served with it? A tag has been served when its line stands in the reply. */
static bool is_wanted(const struct plan_request *request, const char *body) {
    for (size_t i = 0; i < request->tag_count; i++)
        if (line_begins(body, request->tags[i]->line))
            return true;
    return false;
}

static bool has_line(const char *reply, const char *beginning) {
    for (; *reply != '\0'; reply = strchr(reply, '\n') + 1)
        if (line_begins(reply, beginning))
            return true;
    return false;
}

static bool all_served(const struct driver_port *port, const struct plan_request *request) {
    for (size_t i = 0; i < request->tag_count; i++)
        if (!has_line(port->reply, request->tags[i]->line))
            return false;
    return true;
}

static void answered(struct driver_port *port, struct driver_reply *ret_reply) {
    *ret_reply = (struct driver_reply){
        .outcome = DRIVER_ANSWERED, .data = (const uint8_t *)port->reply, .data_length = port->reply_used};
}

static void fail_line(enum line_outcome outcome, const char *bad, struct driver_reply *ret_reply) {
    if (outcome == LINE_GONE)
        fail(ret_reply, DRIVER_CLOSED, "the line is gone");
    else if (bad != NULL)
        fail(ret_reply, DRIVER_UNFIT, bad);
    else
        fail(ret_reply, DRIVER_SILENT, "no reply");
}

/* Lines until each tag has had its own, or the time is over. Wrong ones are passed over when the instrument speaks by
 * itself: the next comes soon. */
static void collect_lines(struct driver_port *port, const struct plan_request *request, bool asked,
                          struct driver_reply *ret_reply) {
    const struct plant_lines *lines = &request->instrument->lines;
    const char *bad = NULL;
    for (;;) {
        const char *reason = NULL;
        const enum line_outcome outcome = next_line(port, lines, port->deadline_ms, &reason);
        if (outcome == LINE_BAD)
            bad = reason;
        else if (outcome == LINE_CAME && !is_wanted(request, port->body))
            bad = "no line begins as it should";
        else if (outcome == LINE_CAME && !add_to_reply(port))
            bad = "too many lines";
        const bool over = outcome == LINE_TIMEOUT || outcome == LINE_GONE || (outcome == LINE_BAD && asked);
        if (over && port->reply_used == 0) {
            fail_line(outcome, port->raw_used > 0 && bad == NULL ? "a line without end" : bad, ret_reply);
            return;
        }
        if (over || all_served(port, request)) {
            answered(port, ret_reply);
            return;
        }
    }
}

static void exchange_lines(struct driver_port *port, const struct plan_request *request,
                           struct driver_reply *ret_reply) {
    uint8_t out[PLANT_LINES_ASK_MAX];
    const struct plant_lines *lines = &request->instrument->lines;
    const size_t length = line_request(request->instrument, out);
    const char *reason;
    if (length > 0 && !send_all(port, request->instrument, out, length, ret_reply))
        return;
    if (length == 0 && next_line(port, lines, port->deadline_ms, &reason) == LINE_GONE)
        fail(ret_reply, DRIVER_CLOSED, "the line is gone");
    else
        collect_lines(port, request, length > 0, ret_reply);
}

/* "0M!" and the like. False with ret_reply filled when it cannot be sent. */
static bool send_command(struct driver_port *port, const struct plant_instrument *instrument, const char *command,
                         struct driver_reply *ret_reply) {
    uint8_t out[PLANT_LINES_ASK_MAX + 2];
    const size_t length = strlen(command);
    out[0] = (uint8_t)plant_lines_address(instrument->unit);
    memcpy(out + 1, command, length);
    out[length + 1] = '!';
    return send_all(port, instrument, out, length + 2, ret_reply);
}

/* A command's answer; an adapter may echo the command first. */
static bool sdi12_line(struct driver_port *port, const struct plant_lines *lines, char address, int64_t deadline_ms,
                       struct driver_reply *ret_reply) {
    for (;;) {
        const char *reason = NULL;
        const enum line_outcome outcome = next_line(port, lines, deadline_ms, &reason);
        if (outcome == LINE_CAME && port->body[0] == address && strchr(port->body, '!') == NULL)
            return true;
        if (outcome != LINE_CAME) {
            fail_line(outcome, reason, ret_reply);
            return false;
        }
    }
}

/* Until the sensor says that it is ready, or the time that it has announced is over. */
static bool sdi12_wait(struct driver_port *port, const struct plant_lines *lines, char address, unsigned seconds,
                       struct driver_reply *ret_reply) {
    const int64_t ready_ms = clock_monotonic_ms() + seconds * INT64_C(1000);
    struct driver_reply waiting;
    if (ready_ms >= port->deadline_ms) {
        fail(ret_reply, DRIVER_UNFIT, "the sensor needs longer than the bus's timeout; give it more");
        return false;
    }
    if (seconds > 0 && !sdi12_line(port, lines, address, ready_ms, &waiting) && waiting.outcome == DRIVER_CLOSED) {
        *ret_reply = waiting;
        return false;
    }
    return true;
}

/* Start the measurement and wait for it. ret_values: how many there will be. */
static bool sdi12_measure(struct driver_port *port, const struct plant_instrument *instrument, char address,
                          unsigned *ret_values, struct driver_reply *ret_reply) {
    /* Answers to measurement commands have no checksum, those to data commands may have one (4.4.12). */
    struct plant_lines plain = instrument->lines;
    unsigned seconds;
    plain.checksum = PLANT_CHECKSUM_NONE;
    if (!sdi12_line(port, &plain, address, port->deadline_ms, ret_reply))
        return false;
    if (line_sdi12_announced(port->body, address, &seconds, ret_values))
        return sdi12_wait(port, &plain, address, seconds, ret_reply);
    fail(ret_reply, DRIVER_UNFIT, "no answer to a measurement command");
    return false;
}

/* The values of the line that has come, added to the reply. */
static size_t sdi12_take(struct driver_port *port, char address, struct driver_reply *ret_reply) {
    const size_t values = line_sdi12_values(port->body, address, port->reply, sizeof port->reply);
    if (values == 0)
        fail(ret_reply, DRIVER_UNFIT, "no values in the sensor's answer");
    return values;
}

static bool sdi12_fetch(struct driver_port *port, const struct plant_instrument *instrument, unsigned wanted,
                        struct driver_reply *ret_reply) {
    const char address = plant_lines_address(instrument->unit);
    size_t values = 0;
    for (unsigned i = 0; values < wanted && i < SDI12_DATA_COMMANDS; i++) {
        const char command[] = {'D', (char)('0' + i), '\0'};
        if (!send_command(port, instrument, command, ret_reply) ||
            !sdi12_line(port, &instrument->lines, address, port->deadline_ms, ret_reply))
            return false;
        const size_t more = sdi12_take(port, address, ret_reply);
        if (more == 0)
            return false;
        values += more;
    }
    return true;
}

static void exchange_sdi12(struct driver_port *port, const struct plan_request *request,
                           struct driver_reply *ret_reply) {
    const struct plant_lines *lines = &request->instrument->lines;
    const char address = plant_lines_address(request->instrument->unit);
    unsigned wanted;
    bool good = send_command(port, request->instrument, lines->ask, ret_reply);
    if (good && lines->ask[0] == 'R')
        good =
            sdi12_line(port, lines, address, port->deadline_ms, ret_reply) && sdi12_take(port, address, ret_reply) > 0;
    else if (good)
        good = sdi12_measure(port, request->instrument, address, &wanted, ret_reply) &&
               sdi12_fetch(port, request->instrument, wanted, ret_reply);
    port->reply_used = strlen(port->reply);
    if (good)
        answered(port, ret_reply);
}

static void exchange(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply) {
    const struct plant_lines *lines = &request->instrument->lines;
    *ret_reply = (struct driver_reply){0};
    port->reply_used = 0;
    port->reply[0] = '\0';
    wait_for_turn(port);
    port->deadline_ms = clock_monotonic_ms() + port->bus->timeout_ms;
    if (lines->protocol == PLANT_LINES)
        exchange_lines(port, request, ret_reply);
    else if (lines->protocol == PLANT_SDI12)
        exchange_sdi12(port, request, ret_reply);
    else
        fail(ret_reply, DRIVER_UNFIT, "this bus has lines of text, not registers");
    port->last_ms = clock_monotonic_ms();
    if (ret_reply->outcome == DRIVER_SILENT && lines->ask[0] != '\0')
        port->owed_until_ms = port->last_ms + port->bus->timeout_ms;
    if (ret_reply->outcome == DRIVER_UNFIT)
        discard(port, IDLE_MS, port->last_ms + IDLE_WAIT_MAX_MS);
}

const struct driver line_serial_driver = {
    .kind = PLANT_SERIAL,
    .reopen_after_fault = false,
    .open = serial_open,
    .exchange = exchange,
    .close = port_close,
    .decode = line_decode_reply,
};

const struct driver line_tcp_driver = {
    .kind = PLANT_SERIAL_TCP,
    .reopen_after_fault = false,
    .open = over_tcp_open,
    .exchange = exchange,
    .close = port_close,
    .decode = line_decode_reply,
};
