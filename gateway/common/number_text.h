/* number_text.h - numbers as text for people and other programs, with the fewest digits that give the same number back.
 * The texts are numbers of JSON, too. Pure. Used where readings become lines or JSON. */
#ifndef FB_COMMON_NUMBER_TEXT_H
#define FB_COMMON_NUMBER_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_MAX 32 /* bytes of room that each needs */

/* Written at at, with NUL; returns where the NUL stands. */
char *number_text_unsigned(char *at, uint64_t value);
char *number_text_signed(char *at, int64_t value);

/* value (finite) read as a double, or as a float when it came as one. Returns the length; a NUL need not follow. */
size_t number_text_real64(double value, char ret_text[static NUMBER_TEXT_MAX]);
size_t number_text_real32(float value, char ret_text[static NUMBER_TEXT_MAX]);

#endif
