#include "gateway/core/budget.h"

#include <stdio.h>
#include <time.h>

uint32_t budget_month(int64_t utc_ms) {
    const time_t seconds = (time_t)(utc_ms / 1000);
    struct tm parts;
    if (utc_ms <= 0 || gmtime_r(&seconds, &parts) == NULL)
        return 0;
    return (uint32_t)(12 * (parts.tm_year + 1900) + parts.tm_mon);
}

const char *budget_month_text(uint32_t month, char ret_text[static BUDGET_MONTH_MAX]) {
    snprintf(ret_text, BUDGET_MONTH_MAX, "%04u-%02u", month / 12 % 10000, month % 12 + 1);
    return ret_text;
}

void budget_restart(struct budget *budget) {
    budget->seen = 0;
}

void budget_count(struct budget *budget, uint64_t total, int64_t utc_ms) {
    const uint32_t month = budget_month(utc_ms);
    if (month != 0 && month != budget->month) {
        budget->month = month;
        budget->bytes = 0;
    }
    const uint64_t more = total > budget->seen ? total - budget->seen : 0;
    budget->bytes += more;
    budget->ahead -= more < budget->ahead ? more : budget->ahead;
    budget->seen = total;
}

bool budget_spent(const struct budget *budget) {
    return budget->most > 0 && budget->bytes >= budget->most;
}

void budget_hand_out(struct budget *budget, uint64_t bytes) {
    budget->ahead += bytes;
}

void budget_begin(struct budget *budget) {
    budget->ahead = 0;
}

bool budget_open(const struct budget *budget) {
    return budget->most == 0 || budget->bytes + budget->ahead < budget->most;
}
