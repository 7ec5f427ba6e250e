// links: gateway/receive/ledger.c gateway/receive/ledger_json.c gateway/common/hex.c gateway/common/error.c gateway/common/file.c
/* The part of the state file that holds what was received: any bytes are taken whole or refused, and what was taken
 * still works. */
#include <assert.h>

#include "gateway/receive/ledger_json.h"

static void use(struct ledger *ledger) {
    struct ledger_entry entry;
    const struct ledger_totals before = ledger_sum(ledger);
    struct batch_info info = {.gateway = "works-1", .number = 3};
    if (ledger->store_count > 0)
        for (size_t i = 0; i < sizeof info.store_id; i++)
            info.store_id[i] = ledger->stores[0].id[i];
    for (; info.number < 12; info.number++) {
        const enum ledger_verdict verdict = ledger_add(ledger, &info, info.previous, 1, &entry);
        assert(verdict != LEDGER_NO_NUMBER);
    }
    assert(ledger_sum(ledger).batches >= before.batches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct ledger ledger;
    if (json != NULL && ledger_from_json(json, &ledger, NULL) == FB_OK) {
        json_t *again = ledger_to_json(&ledger);
        assert(again != NULL && json_is_object(again));
        json_decref(again);
        use(&ledger);
        ledger_done(&ledger);
    }
    json_decref(json);
    return 0;
}
