// links: gateway/core/scgi.c gateway/common/error.c gateway/common/file.c
/* The head of a request as it comes from nginx's socket: any bytes, in any pieces. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "gateway/core/scgi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scgi_request request, again;
    const enum fb_error whole = scgi_parse((const char *)data, size, &request);
    if (whole == FB_OK) {
        assert(request.path[0] == '/' && request.method[0] != '\0');
        assert(strlen(request.path) < sizeof request.path && strlen(request.method) < sizeof request.method);
    }
    assert(whole != FB_AGAIN || size <= SCGI_HEAD_BYTES_MAX + 6);
    /* What fewer bytes have decided stays decided. */
    for (size_t length = 0; length < size; length = 2 * length + 1) {
        const enum fb_error part = scgi_parse((const char *)data, length, &again);
        assert(part == FB_AGAIN || part == whole);
        if (part == FB_OK)
            assert(strcmp(again.path, request.path) == 0 && strcmp(again.method, request.method) == 0);
    }
    return 0;
}
