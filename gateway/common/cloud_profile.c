#include "gateway/common/cloud_profile.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS_MAX 256 /* bytes with NUL */

const char *const cloud_kind_words[] = {"amqp", "azure-iothub", "azure-eventhubs", NULL};
const char *const cloud_encoding_words[] = {"batch", "senml+json", NULL};
const char *const cloud_compression_words[] = {"none", "zstd", "gzip", NULL};

/* Azure: "Communicate with your IoT hub by using the AMQP Protocol", "Control access to IoT Hub with SAS" (the key is
 * base64), "IoT Hub message format" (characters of a message id); "AMQP 1.0 in Azure Service Bus and Event Hubs
 * protocol guide", "Authenticate access to Event Hubs with SAS" (the key is its text). */
static const struct cloud_profile profiles[] = {
    [CLOUD_AMQP] = {.separator = '/', .certificates = true},
    [CLOUD_AZURE_IOTHUB] = {.address = "/devices/{gateway}/messages/events",
                            .message_bytes = 256 * 1024,
                            .separator = ':',
                            .tokens = true,
                            .certificates = true,
                            .key_is_base64 = true,
                            .audience = "{host}{entity}",
                            .entity_end = "/messages/events",
                            .link_properties = true},
    [CLOUD_AZURE_EVENTHUBS] = {.message_bytes = 256 * 1024,
                               .separator = '/',
                               .tokens = true,
                               .policy = true,
                               .audience = "sb://{host}/{entity}",
                               .entity_end = "",
                               .partition_key = true},
};

const struct cloud_profile *cloud_profile(enum cloud_kind kind) {
    return &profiles[kind];
}

static const struct cloud_value *value_at(const char *at, const struct cloud_value *values, size_t count,
                                          size_t *ret_length) {
    for (size_t i = 0; i < count && *at == '{'; i++) {
        const size_t length = strlen(values[i].name);
        *ret_length = length + 2;
        if (strncmp(at + 1, values[i].name, length) == 0 && at[1 + length] == '}')
            return &values[i];
    }
    *ret_length = 1;
    return NULL;
}

bool cloud_fill(const char *template_text, const struct cloud_value *values, size_t count, char *ret_text,
                size_t size) {
    size_t used = 0;
    while (*template_text != '\0') {
        size_t step;
        const struct cloud_value *value = value_at(template_text, values, count, &step);
        const char *text = value != NULL ? value->value : template_text;
        const size_t length = value != NULL ? strlen(text) : 1;
        if (used + length >= size)
            return false;
        memcpy(ret_text + used, text, length);
        used += length;
        template_text += step;
    }
    if (used >= size)
        return false;
    ret_text[used] = '\0';
    return true;
}

bool cloud_template_valid(const char *template_text) {
    static const struct cloud_value none[] = {{"gateway", ""}, {"kind", ""}};
    char text[ADDRESS_MAX];
    return cloud_fill(template_text, none, 2, text, sizeof text) && strpbrk(text, "{}") == NULL;
}

bool cloud_address_varies(const char *template_text) {
    return strstr(template_text, "{kind}") != NULL;
}

bool cloud_address(const char *template_text, const char *gateway, const char *kind, char *ret_address, size_t size) {
    const struct cloud_value values[] = {{"gateway", gateway}, {"kind", kind}};
    return cloud_fill(template_text, values, kind == NULL ? 1 : 2, ret_address, size);
}

bool cloud_audience(const struct cloud_profile *profile, const char *host, const char *address, char *ret_audience,
                    size_t size) {
    char entity[ADDRESS_MAX];
    snprintf(entity, sizeof entity, "%s", address);
    const size_t length = strlen(entity), end = strlen(profile->entity_end);
    if (end < length && strcmp(entity + length - end, profile->entity_end) == 0)
        entity[length - end] = '\0';
    const struct cloud_value values[] = {{"host", host}, {"entity", entity}};
    return cloud_fill(profile->audience, values, 2, ret_audience, size);
}
