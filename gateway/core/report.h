/* report.h - the state of the gateway as the JSON of docs/api.md. Reads, changes nothing but the rate. */
#ifndef FB_CORE_REPORT_H
#define FB_CORE_REPORT_H

#include <jansson.h>

#include "gateway/core/core.h"
#include "gateway/core/text.h"

/* The status object. New reference. */
json_t *report_status(struct core *core);

/* {"values": [...]} with the values whose version is above since, added to the text. Ages the values first. */
void report_values(struct core *core, uint64_t since, struct text *text);

#endif
