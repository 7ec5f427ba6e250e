/* decode.h - from the data of a reply to readings: type, word order, scale, offset, range, texts. Pure: time is an
 * argument. Used by the bus worker. */
#ifndef FB_DRIVERS_DECODE_H
#define FB_DRIVERS_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/plan.h"
#include "gateway/common/clock.h"
#include "gateway/common/reading.h"

/* One tag that is no text, without its status. bytes: as on the wire, for registers two bytes each from the tag's
 * address on, plant_tag_registers() of them; for coils and discrete inputs one byte, 0 or 1. The kind is always
 * plant_tag_kind(). Integers with scale and offset are computed exactly and rounded once: 7 x 0.01 is the double 0.07;
 * beyond 2^53 in double arithmetic. NaN, infinity, a BCD digit above 9 and what the kind cannot hold: "not a number".
 */
struct reading decode_tag(const struct plant_tag *tag, const uint8_t *bytes, int64_t time_ms);

/* All tags of a request from the data of its reply, which has the length decode_data_bytes() says. A tag's status
 * register outranks its value: instrument fault, maintenance. While the clock is not set, good readings say so.
 * ret_readings: room for decode_units(). Returns the units used. */
size_t decode_reply(const struct plan_request *request, const uint8_t *data, int64_t time_ms, enum clock_state clock,
                    struct reading *ret_readings);
/* The most units that the readings of a request take. */
size_t decode_units(const struct plan_request *request);

/* The bits that count of one of the request's watches, from the same data. */
uint16_t decode_watch(const struct plan_request *request, enum plan_watch watch, const uint8_t *data);

/* All tags of a request that failed: request->tag_count units. */
void decode_failure(const struct plan_request *request, uint8_t quality, uint16_t detail, int64_t time_ms,
                    struct reading *ret_readings);

/* Bytes of data in the reply to a request of count registers or bits, without header and byte count. */
size_t decode_data_bytes(enum plant_table table, uint16_t count);

#endif
