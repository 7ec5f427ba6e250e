#include "gateway/cli/demo_scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/common/file.h"

#define TEXT_MAX 16384

/* A hall's controller: one block a quantity, values as tests/sim/values.py makes them. */
static const char simulator_form[] =
    "{\"seed\": 1, \"tcp\": [\n"
    " {\"name\": \"hall-1\", \"host\": \"127.0.0.1\", \"port\": %u, \"units\": [{\"unit\": 1, \"blocks\": [\n"
    "  {\"table\": \"holding\", \"address\": 0, \"count\": 1, \"type\": \"float32\", \"form\": \"sine\", \"base\": "
    "0.42,"
    " \"swing\": 0.2, \"noise\": 0.03, \"period\": 120},\n"
    "  {\"table\": \"holding\", \"address\": 2, \"count\": 2, \"type\": \"int16\", \"form\": \"sine\", \"base\": 715,"
    " \"swing\": 20, \"noise\": 4, \"period\": 90},\n"
    "  {\"table\": \"coil\", \"address\": 0, \"count\": 1, \"type\": \"bit\", \"form\": \"blink\", \"step\": 7}]}]},\n"
    " {\"name\": \"hall-2\", \"host\": \"127.0.0.1\", \"port\": %u, \"units\": [{\"unit\": 1, \"blocks\": [\n"
    "  {\"table\": \"input\", \"address\": 0, \"count\": 4, \"type\": \"float32\", \"order\": \"cdab\", \"form\": "
    "\"sine\","
    " \"base\": 12, \"swing\": 5, \"noise\": 0.5, \"period\": 45},\n"
    "  {\"table\": \"holding\", \"address\": 100, \"count\": 1, \"type\": \"uint32\", \"form\": \"seconds\"}]}]}],\n"
    " \"rtu\": [{\"name\": \"line-1\", \"link\": \"%s/line-1\", \"units\": [\n"
    "  {\"unit\": 7, \"blocks\": [{\"table\": \"holding\", \"address\": 0, \"count\": 2, \"type\": \"float32\","
    " \"form\": \"sine\", \"base\": 8, \"swing\": 1, \"noise\": 0.1, \"period\": 60}]},\n"
    "  {\"unit\": 8, \"blocks\": [{\"table\": \"holding\", \"address\": 0, \"count\": 2, \"type\": \"int16\","
    " \"form\": \"sine\", \"base\": 1800, \"swing\": 150, \"noise\": 10, \"period\": 75}]},\n"
    "  {\"unit\": 9, \"flaky\": {\"silence\": 0.08, \"exception\": 0.08}, \"blocks\": [{\"table\": \"holding\","
    " \"address\": 0, \"count\": 1, \"type\": \"float32\", \"form\": \"sine\", \"base\": 3.1, \"swing\": 0.4,"
    " \"noise\": 0.05, \"period\": 50}]}]}]}\n";

static const char gateway_form[] =
    "# The demo's gateway; docs/configuration.md explains every line.\n"
    "gateway: {name: demo, data: data, run: run}\n"
    "store: {commit_interval: 1s, forward_interval: 2s, quota: 256MB}\n"
    "cloud: {host: localhost, port: %u, address: readings, ca: pki/ca.pem, certificate: pki/gateway.pem,"
    " key: pki/gateway.key, retry_first: 500ms, retry_most: 5s}\n"
    "page: {listen: 127.0.0.1, port: %u, certificate: pki/page.pem, key: pki/page.key}\n"
    "buses:\n"
    "  - {name: hall-1, kind: modbus-tcp, host: 127.0.0.1, port: %u, timeout: 500ms}\n"
    "  - {name: hall-2, kind: modbus-tcp, host: 127.0.0.1, port: %u, timeout: 500ms}\n"
    "  - {name: line-1, kind: modbus-rtu, device: line-1, baud: 19200, parity: none, stop_bits: 1, timeout: 300ms}\n"
    "instruments:%s";

static const char instruments[] =
    "\n"
    "  - name: filter-1\n"
    "    bus: hall-1\n"
    "    unit: 1\n"
    "    addresses: 4xxxx\n"
    "    word_order: abcd\n"
    "    interval: 1s\n"
    "    tags:\n"
    "      - {name: turbidity, address: 40001, type: float32, unit: NTU, min: 0, max: 5}\n"
    "      - {name: ph, address: 40003, type: int16, scale: 0.01, unit: pH, min: 0, max: 14}\n"
    "      - {name: chlorine, address: 40004, type: int16, scale: 0.001, unit: mg/l}\n"
    "      - {name: backwash, address: \"00001\", type: bit}\n"
    "  - name: outlet\n"
    "    bus: hall-2\n"
    "    unit: 1\n"
    "    addresses: base-0\n"
    "    word_order: cdab\n"
    "    interval: 500ms\n"
    "    tags:\n"
    "      - {name: flow-1, table: input, address: 0, type: float32, unit: m3/h}\n"
    "      - {name: flow-2, table: input, address: 2, type: float32, unit: m3/h}\n"
    "      - {name: level, table: input, address: 4, type: float32, unit: m}\n"
    "      - {name: pressure, table: input, address: 6, type: float32, unit: bar}\n"
    "      - {name: running-time, address: 100, type: uint32, word_order: abcd, unit: s, interval: 2s}\n"
    "  - name: oxygen\n"
    "    bus: line-1\n"
    "    unit: 7\n"
    "    addresses: base-1\n"
    "    word_order: abcd\n"
    "    interval: 1s\n"
    "    tags:\n"
    "      - {name: dissolved-oxygen, address: 1, type: float32, unit: mg/l}\n"
    "      - {name: temperature, address: 3, type: float32, unit: °C}\n"
    "  - name: conductivity\n"
    "    bus: line-1\n"
    "    unit: 8\n"
    "    addresses: base-1\n"
    "    interval: 1s\n"
    "    tags:\n"
    "      - {name: conductivity, address: 1, type: int16, unit: µS/cm}\n"
    "      - {name: temperature, address: 2, type: int16, scale: 0.01, unit: °C}\n"
    "  - name: nitrate\n"
    "    bus: line-1\n"
    "    unit: 9\n"
    "    addresses: base-1\n"
    "    word_order: abcd\n"
    "    interval: 1s\n"
    "    tags:\n"
    "      - {name: nitrate, address: 1, type: float32, unit: mg/l}\n";

static enum fb_error keep_port(struct demo_scene *scene, uint16_t *ret_port, struct fb_cause *cause) {
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (descriptor >= 0)
        scene->kept[scene->n_kept++] = descriptor;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(descriptor, (const struct sockaddr *)&address, length) < 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &length) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "no free port");
    *ret_port = ntohs(address.sin_port);
    return FB_OK;
}

static enum fb_error choose_ports(struct demo_scene *scene, struct fb_cause *cause) {
    uint16_t *const ports[DEMO_PORTS] = {&scene->hall_ports[0], &scene->hall_ports[1], &scene->receiver_port,
                                         &scene->page_port};
    enum fb_error error = FB_OK;
    for (size_t i = 0; i < DEMO_PORTS && error == FB_OK; i++)
        if (*ports[i] == 0)
            error = keep_port(scene, ports[i], cause);
    return error;
}

static enum fb_error make_keys(const struct demo_scene *scene, struct fb_cause *cause) {
    char script[PATH_MAX + 16], folder[PATH_MAX + 8];
    snprintf(script, sizeof script, "%s/pki.sh", scene->tests);
    snprintf(folder, sizeof folder, "%s/pki", scene->folder);
    const pid_t pid = fork();
    if (pid < 0)
        return fb_fail_errno(cause, FB_IO, errno, "fork");
    if (pid == 0) {
        execl("/bin/sh", "sh", script, folder, (char *)NULL);
        _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fb_fail(cause, FB_IO, "%s failed: is the openssl command installed?", script);
    return FB_OK;
}

static enum fb_error write_text(const struct demo_scene *scene, const char *name, const char *text, int length,
                                struct fb_cause *cause) {
    char path[PATH_MAX + 32];
    if (length < 0 || length >= TEXT_MAX)
        return fb_fail(cause, FB_LIMIT, "%s is too long", name);
    snprintf(path, sizeof path, "%s/%s", scene->folder, name);
    return file_write(path, text, (size_t)length, 0640, cause);
}

enum fb_error demo_scene_configure(const struct demo_scene *scene, bool with_instruments, struct fb_cause *cause) {
    char text[TEXT_MAX];
    const int length = snprintf(text, sizeof text, gateway_form, scene->receiver_port, scene->page_port,
                                scene->hall_ports[0], scene->hall_ports[1], with_instruments ? instruments : " []\n");
    return write_text(scene, "forebay.yaml", text, length, cause);
}

static enum fb_error describe_plant(const struct demo_scene *scene, struct fb_cause *cause) {
    char text[TEXT_MAX];
    const int length =
        snprintf(text, sizeof text, simulator_form, scene->hall_ports[0], scene->hall_ports[1], scene->folder);
    return write_text(scene, "plant.json", text, length, cause);
}

enum fb_error demo_scene_make(struct demo_scene *scene, const char *own_folder, struct fb_cause *cause) {
    snprintf(scene->tests, sizeof scene->tests, "%.4000s/../../tests", own_folder);
    if (access(scene->tests, R_OK) < 0)
        return fb_fail(cause, FB_NOT_FOUND,
                       "the demo needs Forebay's source tree: build it there and run build/release/forebay demo");
    enum fb_error error = choose_ports(scene, cause);
    if (error == FB_OK)
        error = make_keys(scene, cause);
    if (error == FB_OK)
        error = describe_plant(scene, cause);
    if (error == FB_OK)
        error = demo_scene_configure(scene, true, cause);
    return error;
}

void demo_scene_release(struct demo_scene *scene) {
    while (scene->n_kept > 0)
        close(scene->kept[--scene->n_kept]);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void demo_scene_remove(const struct demo_scene *scene) {
    nftw(scene->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
