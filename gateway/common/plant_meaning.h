/* plant_meaning.h - how a tag is read, in one line of text: what a proof of the tag is a proof of. Pure. */
#ifndef FB_COMMON_PLANT_MEANING_H
#define FB_COMMON_PLANT_MEANING_H

#include "gateway/common/plant.h"

#define PLANT_MEANING_MAX 320

/* "net unit 7 holding 10 float32 cdab, x 1e-2 + 0e0": all that decides which value is shown, and nothing else. Of an
 * instrument that speaks in lines what is asked, and where in which line the tag stands. Returns ret_text. */
const char *plant_meaning(const struct plant *plant, const struct plant_instrument *instrument,
                          const struct plant_tag *tag, char ret_text[static PLANT_MEANING_MAX]);

#endif
