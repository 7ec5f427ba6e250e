/* ledger_json.h - the ledger as JSON, for the state file; docs/receive.md lists the members. Pure. */
#ifndef FB_RECEIVE_LEDGER_JSON_H
#define FB_RECEIVE_LEDGER_JSON_H

#include <jansson.h>

#include "gateway/common/error.h"
#include "gateway/receive/ledger.h"

/* {"rejected", "stores": [...]}. New reference, NULL when out of memory. */
json_t *ledger_to_json(const struct ledger *ledger);
/* The sums, for people and scripts. New reference, NULL when out of memory. */
json_t *ledger_totals_to_json(const struct ledger_totals *totals);

/* Everything is checked: types, limits, order. ret_ledger: yours on success, end it with ledger_done(); untouched
 * otherwise. FB_CORRUPT, FB_MEMORY. */
enum fb_error ledger_from_json(const json_t *json, struct ledger *ret_ledger, struct fb_cause *cause) FB_MUST_USE;

#endif
