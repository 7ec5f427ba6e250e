#include "gateway/receive/endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "amqps://"
#define LISTEN_FORM "--listen wants ADDRESS:PORT, such as 127.0.0.1:5671 or [::1]:5671"
#define FROM_FORM "--from wants amqps://HOST[:PORT]/ADDRESS, such as amqps://broker.example/queues/readings"

static bool copy_part(const char *from, size_t length, char *ret_text) {
    if (length == 0 || length >= ENDPOINT_TEXT_MAX)
        return false;
    memcpy(ret_text, from, length);
    ret_text[length] = '\0';
    return true;
}

static bool parse_port(const char *text, size_t length, unsigned long least, uint16_t *ret_port) {
    char digits[6];
    if (length == 0 || length >= sizeof digits || strspn(text, "0123456789") < length)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    const unsigned long port = strtoul(digits, NULL, 10);
    *ret_port = (uint16_t)port;
    return port >= least && port <= UINT16_MAX;
}

/* Copies the host in front, in brackets when it holds colons; returns what follows it, NULL if there is no host. */
static const char *parse_host(const char *text, const char *ends, char *ret_host) {
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        return close != NULL && copy_part(text + 1, (size_t)(close - text - 1), ret_host) ? close + 1 : NULL;
    }
    const size_t length = strcspn(text, ends);
    return copy_part(text, length, ret_host) ? text + length : NULL;
}

enum fb_error endpoint_parse_listen(const char *text, struct endpoint *ret_endpoint, struct fb_cause *cause) {
    struct endpoint endpoint = {0};
    const char *rest = parse_host(text, ":", endpoint.host);
    if (rest == NULL || rest[0] != ':' || !parse_port(rest + 1, strlen(rest + 1), 0, &endpoint.port))
        return fb_fail(cause, FB_INVALID, "\"%s\": %s", text, LISTEN_FORM);
    *ret_endpoint = endpoint;
    return FB_OK;
}

enum fb_error endpoint_parse_from(const char *text, struct endpoint *ret_endpoint, struct fb_cause *cause) {
    struct endpoint endpoint = {.port = ENDPOINT_PORT};
    const bool secure = strncmp(text, SCHEME, strlen(SCHEME)) == 0;
    const char *rest = secure ? parse_host(text + strlen(SCHEME), ":/?#", endpoint.host) : NULL;
    if (rest != NULL && rest[0] == ':') {
        const size_t length = strcspn(rest + 1, "/");
        rest = parse_port(rest + 1, length, 1, &endpoint.port) ? rest + 1 + length : NULL;
    }
    if (rest == NULL || rest[0] != '/' || rest[1] == '\0' || strchr(endpoint.host, '@') != NULL ||
        !copy_part(rest, strlen(rest), endpoint.address))
        return fb_fail(cause, FB_INVALID, "\"%s\": %s", text, FROM_FORM);
    *ret_endpoint = endpoint;
    return FB_OK;
}
