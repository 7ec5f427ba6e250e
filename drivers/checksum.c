#include "drivers/checksum.h"

uint8_t checksum_xor(const void *bytes, size_t length) {
    uint8_t result = 0;
    for (size_t i = 0; i < length; i++)
        result ^= ((const uint8_t *)bytes)[i];
    return result;
}

uint8_t checksum_sum(const void *bytes, size_t length) {
    uint8_t result = 0;
    for (size_t i = 0; i < length; i++)
        result = (uint8_t)(result + ((const uint8_t *)bytes)[i]);
    return result;
}

static uint16_t crc16(uint16_t crc, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 1) != 0 ? crc >> 1 ^ 0xa001 : crc >> 1);
    }
    return crc;
}

uint16_t checksum_crc16(const void *bytes, size_t length) {
    return crc16(0xffff, bytes, length);
}

uint16_t checksum_crc16_sdi12(const void *bytes, size_t length) {
    return crc16(0, bytes, length);
}
