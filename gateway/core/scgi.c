#include "gateway/core/scgi.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* "8192:" at most */
#define LENGTH_DIGITS_MAX 4

static enum fb_error parse_length(const char *bytes, size_t length, size_t *ret_head, size_t *ret_start) {
    size_t head = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == ':' && i > 0) {
            *ret_head = head;
            *ret_start = i + 1;
            return head > SCGI_HEAD_BYTES_MAX ? FB_LIMIT : FB_OK;
        }
        if (bytes[i] < '0' || bytes[i] > '9' || i >= LENGTH_DIGITS_MAX)
            return FB_INVALID;
        head = head * 10 + (size_t)(bytes[i] - '0');
    }
    return length <= LENGTH_DIGITS_MAX ? FB_AGAIN : FB_INVALID;
}

/* The string that starts at *at, if it ends before the end. */
static const char *next_string(const char **at, const char *end) {
    const char *string = *at;
    const char *nul = memchr(string, '\0', (size_t)(end - string));
    if (nul == NULL)
        return NULL;
    *at = nul + 1;
    return string;
}

static bool keep(char *ret, size_t size, const char *value) {
    return (size_t)snprintf(ret, size, "%s", value) < size;
}

static enum fb_error parse_pairs(const char *at, const char *end, struct scgi_request *request) {
    while (at < end) {
        const char *name = next_string(&at, end);
        const char *value = name != NULL && at < end ? next_string(&at, end) : NULL;
        if (value == NULL)
            return FB_INVALID;
        if (strcmp(name, "REQUEST_METHOD") == 0 && !keep(request->method, sizeof request->method, value))
            return FB_LIMIT;
        if (strcmp(name, "QUERY_STRING") == 0 && !keep(request->query, sizeof request->query, value))
            return FB_LIMIT;
        if (strcmp(name, "DOCUMENT_URI") == 0 && !keep(request->path, sizeof request->path, value))
            return FB_LIMIT;
    }
    return request->method[0] != '\0' && request->path[0] == '/' ? FB_OK : FB_INVALID;
}

enum fb_error scgi_parse(const char *bytes, size_t length, struct scgi_request *ret_request) {
    size_t head, start;
    enum fb_error error = parse_length(bytes, length, &head, &start);
    if (error != FB_OK)
        return error;
    if (length < start + head + 1)
        return FB_AGAIN;
    if (bytes[start + head] != ',')
        return FB_INVALID;
    struct scgi_request request = {0};
    error = parse_pairs(bytes + start, bytes + start + head, &request);
    if (error == FB_OK)
        *ret_request = request;
    return error;
}
