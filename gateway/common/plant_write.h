/* plant_write.h - the registers of an instrument that may be written: part of plant.h. Their JSON form, and what may be
 * written to them. Pure. */
#ifndef FB_COMMON_PLANT_WRITE_H
#define FB_COMMON_PLANT_WRITE_H

#include "gateway/common/plant.h"

/* [{"name", "table", "address", "type", "word_order", "min", "max"}]. New reference, NULL when out of memory. */
json_t *plant_writes_to_json(const struct plant_write *writes, size_t count);
/* ret_writes: malloc, NULL for none. FB_INVALID, FB_LIMIT, FB_MEMORY. */
enum fb_error plant_writes_from_json(const json_t *list, struct plant_write **ret_writes, size_t *ret_count,
                                     struct fb_cause *cause) FB_MUST_USE;

/* The one of that name, NULL when the instrument has none. Borrowed. */
const struct plant_write *plant_write_find(const struct plant_instrument *instrument, const char *name);

/* FB_INVALID with a cause that says why nothing of this kind can be written. */
enum fb_error plant_write_check(const struct plant_write *write, struct fb_cause *cause) FB_MUST_USE;
/* FB_INVALID with a cause: the value is out of the range that the configuration allows, or no whole number where one
 * must be. */
enum fb_error plant_write_check_value(const struct plant_write *write, double value,
                                      struct fb_cause *cause) FB_MUST_USE;

#endif
