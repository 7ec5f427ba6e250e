/* modbus_write.h - a write of one register (or pair) or coil as bytes, and whether a reply says that it was done. Pure.
 * After the Modbus application protocol V1.1b3, sections 6.5, 6.6 and 6.12. Making one is not being let out: the guard
 * wants a grant for it. */
#ifndef FB_DRIVERS_MODBUS_WRITE_H
#define FB_DRIVERS_MODBUS_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "gateway/common/plant_write.h"

/* unit, function, address, value; or unit, function, address, count, bytes, two registers */
#define MODBUS_WRITE_BYTES_MAX 11
/* unit, function, address, value or count: of the reply */
#define MODBUS_WRITE_REPLY_BYTES 6

struct modbus_write {
    uint8_t bytes[MODBUS_WRITE_BYTES_MAX]; /* from the unit on, without CRC */
    size_t length;
};

/* FB_INVALID, FB_DENIED: the value is not allowed; see plant_write_check_value(). */
enum fb_error modbus_write_make(uint8_t unit, const struct plant_write *write, double value,
                                struct modbus_write *ret_write, struct fb_cause *cause) FB_MUST_USE;

/* Judge a complete frame from the unit on, without CRC: ANSWERED without data, REFUSED or UNFIT. */
void modbus_write_judge(const struct modbus_write *write, const uint8_t *frame, size_t length,
                        struct driver_reply *ret_reply);

#endif
