/* registers.h - registers as text: every type, every word order. Used by `forebay probe`. Prints to standard output. */
#ifndef FB_CLI_REGISTERS_H
#define FB_CLI_REGISTERS_H

#include <stdint.h>

#include "gateway/common/plant.h"

/* The address as manuals with 4xxxx have it: "40011", or "465536" where five digits do not do. */
void registers_manual(enum plant_table table, uint16_t address, char ret_text[static 16]);

/* Each register, and all of them as one text in either order of bytes.
 * data: as on the wire, two bytes a register, or eight entries a byte for coils and discrete inputs. */
void registers_print(enum plant_table table, uint16_t first, unsigned count, const uint8_t *data);

#endif
