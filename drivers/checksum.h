/* checksum.h - the sums that instruments put behind their lines. Pure. */
#ifndef FB_DRIVERS_CHECKSUM_H
#define FB_DRIVERS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Exclusive or of all bytes: NMEA 0183. */
uint8_t checksum_xor(const void *bytes, size_t length);
/* Sum of all bytes modulo 256. */
uint8_t checksum_sum(const void *bytes, size_t length);
/* CRC-16, polynomial 8005h reflected, from FFFFh: Modbus over serial line V1.02, section 6.2.2. */
uint16_t checksum_crc16(const void *bytes, size_t length);
/* The same polynomial, from 0: SDI-12 specification 1.4, section 4.4.12. */
uint16_t checksum_crc16_sdi12(const void *bytes, size_t length);

#endif
