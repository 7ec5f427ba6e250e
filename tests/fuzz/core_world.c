#include "core_world.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/core/report.h"

/* Far more events than one message can cause: a loop that never rests is found. */
#define EVENTS_MOST 20000

static char folder[64];

static const char config[] =
    "gateway: {name: fuzzed, data: data, run: run}\n"
    "store: {commit_interval: 100ms, quota: 16MB}\n"
    "cloud: {host: broker.example, address: /queues/readings, ca: ca.pem,\n"
    "        certificate: c.pem, key: k.pem, window_messages: 8}\n"
    "buses: [{name: hall-1, kind: modbus-tcp, host: 127.0.0.1, port: 1502}]\n"
    "instruments:\n"
    "  - {name: probe, bus: hall-1, unit: 1, addresses: base-0, word_order: abcd, interval: 1s,\n"
    "     writes: [{name: speed, address: 9, type: uint16, min: 0, max: 9}],\n"
    "     tags: [{name: a, table: holding, address: 0, type: float32, unit: NTU},\n"
    "            {name: b, table: holding, address: 2, type: int32},\n"
    "            {name: c, table: coil, address: 2, type: bit},\n"
    "            {name: d, table: holding, address: 4, type: float64}]}\n";

/* The log would be the slowest part. */
void log_open(const char *program) {
    (void)program;
}
void log_set_level(enum log_level level, uint32_t time_ms) {
    (void)level;
    (void)time_ms;
}
void log_event(enum log_level level, const char *event, const char *format, ...) {
    char text[1024];
    va_list arguments;
    (void)level;
    (void)event;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays behind\n", folder);
}

static void start(struct core *core) {
    static char file[128];
    struct fb_cause cause;
    snprintf(folder, sizeof folder, "%s/forebay-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    snprintf(file, sizeof file, "%s/forebay.yaml", folder);
    assert(file_write(file, config, sizeof config - 1, 0600, &cause) == FB_OK);
    if (core_start(core, file, &cause) != FB_OK) {
        fprintf(stderr, "%s\n", cause.text);
        abort();
    }
}

struct core *core_world(void) {
    static struct core core;
    if (core.event == NULL)
        start(&core);
    return &core;
}

int core_world_connect(const char *name) {
    (void)core_world();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/run/%s", folder, name);
    const int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0);
    return descriptor;
}

void core_world_send(int descriptor, uint8_t type, const void *payload, size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_writer writer = message_begin(packet, sizeof packet, type, 0);
    message_put_bytes(&writer, payload, length < MESSAGE_PAYLOAD_MAX ? length : MESSAGE_PAYLOAD_MAX);
    assert(message_finish(&writer) == FB_OK);
    (void)send(descriptor, packet, writer.used, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool core_world_receive(int descriptor, uint8_t *packet, struct message_reader *ret_reader) {
    const ssize_t got = recv(descriptor, packet, MESSAGE_BYTES_MAX, MSG_DONTWAIT);
    if (got <= 0)
        return false;
    assert(message_open(packet, (size_t)got, ret_reader) == FB_OK);
    return true;
}

void core_world_settle(void) {
    int events = 0;
    while (sd_event_run(core_world()->event, 0) > 0)
        assert(events++ < EVENTS_MOST);
}

void core_world_check(void) {
    struct text text = {0};
    text_add_json(&text, report_status(core_world()));
    report_values(core_world(), 0, &text);
    assert(!text.failed);
    text_done(&text);
}

uint8_t core_world_byte(struct core_world_input *input) {
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

const uint8_t *core_world_bytes(struct core_world_input *input, size_t length, size_t *ret_length) {
    const uint8_t *bytes = input->data;
    *ret_length = length < input->left ? length : input->left;
    input->data += *ret_length;
    input->left -= *ret_length;
    return bytes;
}

const uint8_t *core_world_block(struct core_world_input *input, size_t *ret_length) {
    const uint8_t low = core_world_byte(input);
    return core_world_bytes(input, (size_t)core_world_byte(input) << 8 | low, ret_length);
}
