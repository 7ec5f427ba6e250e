/* budget.h - what the link may cost in a month, and has cost: bytes on the wire, both ways. Pure.
 *
 * Months are those of UTC. When the budget is spent backlog waits for the next month; events and live batches still go,
 * and are counted. */
#ifndef FB_CORE_BUDGET_H
#define FB_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget {
    uint64_t most;  /* bytes; 0: no limit */
    uint32_t month; /* 12 * year + month, January being 0; 0: none yet */
    uint64_t bytes; /* in that month */
    uint64_t seen;  /* of the counter that forebay-cloud tells */
    uint64_t ahead; /* handed out and not counted yet: the counter comes late, and a fast line is faster */
};

uint32_t budget_month(int64_t utc_ms);
/* "2026-11" */
#define BUDGET_MONTH_MAX 16
const char *budget_month_text(uint32_t month, char ret_text[static BUDGET_MONTH_MAX]);

/* forebay-cloud has begun anew, and so has its counter. */
void budget_restart(struct budget *budget);
/* Its counter stands at total. utc_ms: 0 when the clock is not set; the month then stays as it was. */
void budget_count(struct budget *budget, uint64_t total, int64_t utc_ms);
bool budget_spent(const struct budget *budget);
/* Bytes have been handed out; what was, and was not counted by the time a session begins, never will be. */
void budget_hand_out(struct budget *budget, uint64_t bytes);
void budget_begin(struct budget *budget);
/* May more of the backlog go? */
bool budget_open(const struct budget *budget);

#endif
