/* value.h - the words of a configuration to values, strictly: one way to write each thing. Used by check. Pure.
 *
 * Every call: text ends with NUL; the output is untouched on failure; FB_INVALID with a cause that says what is wrong
 * and what is allowed ("19200bps is not a number; allowed are 1200 to 115200"). */
#ifndef FB_CONFIG_VALUE_H
#define FB_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Digits in all of a decimal: a double holds every such number. */
#define VALUE_DIGITS_MAX 15

/* "502": decimal digits without sign or leading zeros, min..max. */
enum fb_error value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number,
                           struct fb_cause *cause) FB_MUST_USE;

/* "0xFFFF" or "65535": bits, 0..max. */
enum fb_error value_bits(const char *text, uint64_t max, uint64_t *ret_bits, struct fb_cause *cause) FB_MUST_USE;

/* "4..7": first and last bit, both 0..max, or "4" for one. */
enum fb_error value_bit_range(const char *text, unsigned max, unsigned *ret_first, unsigned *ret_last,
                              struct fb_cause *cause) FB_MUST_USE;

/* "0.01", "-5", "1e-3": exact; the exponent of ret_decimal is 0 or less, and no longer than it must be. */
enum fb_error value_decimal(const char *text, struct plant_decimal *ret_decimal, struct fb_cause *cause) FB_MUST_USE;

/* The nearest double. */
double value_decimal_number(struct plant_decimal decimal);

/* "500ms", "10s", "3min", "1h": a whole number and its unit; min..max in ms. */
enum fb_error value_duration(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms,
                             struct fb_cause *cause) FB_MUST_USE;

/* "512KB", "4MB", "8GB", steps of 1024; min..max in bytes. */
enum fb_error value_size(const char *text, uint64_t min_bytes, uint64_t max_bytes, uint64_t *ret_bytes,
                         struct fb_cause *cause) FB_MUST_USE;

/* "20KB/s", "1MB/s", steps of 1024; min..max in bytes a second. */
enum fb_error value_rate(const char *text, uint64_t min, uint64_t max, uint64_t *ret_rate,
                         struct fb_cause *cause) FB_MUST_USE;

/* A name of the plant: see plant_name_valid(). */
enum fb_error value_name(const char *text, struct fb_cause *cause) FB_MUST_USE;

/* A DNS name (RFC 1123 section 2.1, "_" too), or an IPv4 or IPv6 address. */
enum fb_error value_host(const char *text, struct fb_cause *cause) FB_MUST_USE;

/* True for an address literal that only this machine can reach: 127.0.0.0/8, ::1. */
bool value_loopback(const char *text);

#endif
