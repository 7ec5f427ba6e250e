/* scgi.h - the head of an SCGI request as nginx sends it (https://python.ca/scgi/protocol.txt): a netstring of names
 * and values, each ended by NUL. Pure. */
#ifndef FB_CORE_SCGI_H
#define FB_CORE_SCGI_H

#include <stddef.h>

#include "gateway/common/error.h"

#define SCGI_HEAD_BYTES_MAX 8192
#define SCGI_METHOD_MAX 16
#define SCGI_PATH_MAX 256
#define SCGI_QUERY_MAX 256

struct scgi_request {
    char method[SCGI_METHOD_MAX]; /* REQUEST_METHOD */
    char path[SCGI_PATH_MAX];     /* DOCUMENT_URI: decoded, without the query */
    char query[SCGI_QUERY_MAX];   /* QUERY_STRING: as sent, "" if there is none */
};

/* Read the head from what has arrived so far. FB_AGAIN: not complete yet. FB_INVALID, FB_LIMIT: will never be one. */
enum fb_error scgi_parse(const char *bytes, size_t length, struct scgi_request *ret_request) FB_MUST_USE;

#endif
