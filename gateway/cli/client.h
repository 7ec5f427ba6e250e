/* client.h - one call of the control API from the command line. Blocks. */
#ifndef FB_CLI_CLIENT_H
#define FB_CLI_CLIENT_H

#include <jansson.h>

#include "gateway/common/error.h"

/* Call the running forebay-core whose sockets are in the run directory; waits at most timeout_ms for the answer.
 * ret_result: new reference. FB_CLOSED: it is not running. Otherwise the error and cause that it answered. */
enum fb_error client_call(const char *run, const char *call, int timeout_ms, json_t **ret_result,
                          struct fb_cause *cause) FB_MUST_USE;

/* The same for a call with arguments: request is one object with "call" and what the call wants (docs/api.md);
 * borrowed. FB_LIMIT: more than 8 KiB. */
enum fb_error client_request(const char *run, const json_t *request, int timeout_ms, json_t **ret_result,
                             struct fb_cause *cause) FB_MUST_USE;

#endif
