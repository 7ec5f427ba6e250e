#include "gateway/cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/cli/answer.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/message.h"
#include "gateway/common/protocol.h"

#define REQUEST_BYTES_MAX 8192

static enum fb_error open_socket(const char *run, int *ret_socket, struct fb_cause *cause) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const enum fb_error error =
        file_join(run, PROTOCOL_CONTROL_SOCKET, address.sun_path, sizeof address.sun_path, cause);
    if (error != FB_OK)
        return error;
    const int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return fb_fail_errno(cause, FB_IO, errno, "socket");
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) < 0) {
        const int why = errno;
        close(descriptor);
        if (why == EACCES)
            return fb_fail_errno(cause, FB_DENIED, why, "%s", address.sun_path);
        return fb_fail(cause, FB_CLOSED, "no gateway is running here (%s: %s)", address.sun_path, strerror(why));
    }
    *ret_socket = descriptor;
    return FB_OK;
}

static enum fb_error send_request(int descriptor, const json_t *request, struct fb_cause *cause) {
    uint8_t packet[REQUEST_BYTES_MAX + MESSAGE_HEADER_BYTES];
    char text[REQUEST_BYTES_MAX];
    const size_t length = json_dumpb(request, text, sizeof text, JSON_COMPACT);
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_CONTROL_REQUEST, 0);
    message_put_bytes(&writer, text, length < sizeof text ? length : 0);
    if (length > sizeof text || message_finish(&writer) != FB_OK)
        return fb_fail(cause, FB_LIMIT, "call too long");
    if (send(descriptor, packet, writer.used, MSG_NOSIGNAL) < 0)
        return fb_fail_errno(cause, FB_CLOSED, errno, "control socket");
    return FB_OK;
}

/* One piece of the answer is added. ret_more: whether another follows. */
static enum fb_error receive_piece(int descriptor, int64_t until_ms, struct answer *answer, bool *ret_more,
                                   struct fb_cause *cause) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    int ready;
    do {
        const int64_t left_ms = until_ms - clock_monotonic_ms();
        ready = left_ms > 0 ? poll(&wait, 1, (int)left_ms) : 0;
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return fb_fail(cause, FB_TIMEOUT, "forebay-core does not answer");
    const ssize_t got = recv(descriptor, packet, sizeof packet, 0);
    if (got <= 0)
        return fb_fail(cause, FB_CLOSED, "forebay-core ended the connection");
    return answer_add(answer, packet, (size_t)got, ret_more, cause);
}

enum fb_error client_request(const char *run, const json_t *request, int timeout_ms, json_t **ret_result,
                             struct fb_cause *cause) {
    FB_CLEANUP(file_close_descriptor) int descriptor = -1;
    enum fb_error error = open_socket(run, &descriptor, cause);
    if (error == FB_OK)
        error = send_request(descriptor, request, cause);
    struct answer answer = {0};
    const int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    bool more = true;
    while (error == FB_OK && more)
        error = receive_piece(descriptor, until_ms, &answer, &more, cause);
    if (error == FB_OK)
        error = answer_result(&answer, ret_result, cause);
    answer_done(&answer);
    return error;
}

enum fb_error client_call(const char *run, const char *call, int timeout_ms, json_t **ret_result,
                          struct fb_cause *cause) {
    json_t *request = json_pack("{s:s}", "call", call);
    const enum fb_error error = client_request(run, request, timeout_ms, ret_result, cause);
    json_decref(request);
    return error;
}
