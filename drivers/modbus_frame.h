/* modbus_frame.h - Modbus requests as bytes, and the question whether some bytes are the reply to one. Pure.
 * After the Modbus application protocol V1.1b3 and messaging on TCP/IP V1.0b. The only requests this module can make
 * are the four that read: functions 1, 2, 3 and 4. */
#ifndef FB_DRIVERS_MODBUS_FRAME_H
#define FB_DRIVERS_MODBUS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/plan.h"

/* unit, function, address, count: what the serial line carries before the CRC, and TCP behind its header */
#define MODBUS_FRAME_REQUEST_BYTES 6
/* transaction, protocol (0), length: in front of it on TCP */
#define MODBUS_FRAME_TCP_HEADER_BYTES 6
#define MODBUS_FRAME_TCP_MAX_BYTES 260 /* header and all */
#define MODBUS_FRAME_RTU_MAX_BYTES 256 /* CRC and all */
#define MODBUS_FRAME_CRC_BYTES 2

void modbus_frame_request(const struct plan_request *request, uint8_t ret_frame[static MODBUS_FRAME_REQUEST_BYTES]);

void modbus_frame_tcp_header(uint16_t transaction, uint16_t length,
                             uint8_t ret_header[static MODBUS_FRAME_TCP_HEADER_BYTES]);

/* Bytes of the whole good reply on TCP. */
size_t modbus_frame_tcp_reply_bytes(const struct plan_request *request);

/* How many bytes the TCP frame that begins here has in all: 0 while there are too few to say, SIZE_MAX when this is no
 * frame that could be a reply. */
size_t modbus_frame_tcp_length(const uint8_t *bytes, size_t length);

/* The request as the serial line carries it: with its CRC. */
void modbus_frame_rtu_request(const struct plan_request *request,
                              uint8_t ret_frame[static MODBUS_FRAME_REQUEST_BYTES + MODBUS_FRAME_CRC_BYTES]);

/* The same of the RTU frame that begins here, CRC included. */
size_t modbus_frame_rtu_length(const uint8_t *bytes, size_t length);

/* False with ret_reply UNFIT when the RTU frame is not whole or its CRC is wrong; its body is what is before the CRC.
 */
bool modbus_frame_rtu_whole(const uint8_t *frame, size_t length, struct driver_reply *ret_reply);
/* The same for a TCP frame, which must be of this transaction; its body is behind the header. */
bool modbus_frame_tcp_whole(uint16_t transaction, const uint8_t *frame, size_t length, struct driver_reply *ret_reply);

/* Judge a complete frame from the unit on, without CRC: ANSWERED, REFUSED or UNFIT. ret_reply borrows it. */
void modbus_frame_judge(const struct plan_request *request, const uint8_t *frame, size_t length,
                        struct driver_reply *ret_reply);

/* The same for a complete RTU frame with its CRC. */
void modbus_frame_rtu_judge(const struct plan_request *request, const uint8_t *frame, size_t length,
                            struct driver_reply *ret_reply);

/* The same for a complete TCP frame, header included: the transaction must be the request's as well. */
void modbus_frame_tcp_judge(const struct plan_request *request, uint16_t transaction, const uint8_t *frame,
                            size_t length, struct driver_reply *ret_reply);

#endif
