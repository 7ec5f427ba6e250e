// links: gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/error.c gateway/common/file.c
/* Any text as a pin and as the URI of a key in a token: refused, or taken so that it reads back the same. */
#include <assert.h>
#include <string.h>

#include "gateway/common/pin.h"
#include "gateway/common/pkcs11_uri.h"

#define TEXT_MAX 2048

static void try_pin(const char *text) {
    uint8_t pin[PIN_BYTES];
    char again[PIN_TEXT_MAX];
    if (pin_read(text, pin, NULL) != FB_OK)
        return;
    pin_write(pin, again);
    assert(strcmp(text, again) == 0);
}

static void try_uri(const char *text) {
    struct pkcs11_uri uri;
    struct fb_cause cause;
    if (pkcs11_uri_read(text, &uri, &cause) != FB_OK) {
        assert(strlen(cause.text) > 0);
        return;
    }
    assert(pkcs11_uri_is(uri.object) && strlen(uri.object) < sizeof uri.object);
    assert(strchr(uri.object, '?') == NULL && strstr(uri.object, "type=private") != NULL);
    assert(uri.module[0] == '/' && strlen(uri.module) < sizeof uri.module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[TEXT_MAX + 1];
    if (size > TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    try_pin(text);
    try_uri(text);
    return 0;
}
