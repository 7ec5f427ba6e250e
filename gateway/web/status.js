/* status.js - makes a status object whole: while a program is away, core knows less than docs/api.md lists. */

const LINK = {
  configured: false, state: 'off', since_ms: null, endpoint: '', address: '', step: '', reason: '', tls: '', peer: '',
  last_accepted_ms: null, oldest_unacknowledged_ms: null, in_flight: 0, accepted: 0, rejected: 0, released: 0,
  refusal: '', retry_at_ms: null, catalogue: null,
  parked: { batches: 0, readings: 0, list: [] }, month: { month: null, bytes: 0, budget: null, spent: false },
};
const STORE = { upkeep: {}, waiting_tags: 0 };
const BUS = { state: 'starting', reason: '', since_ms: null, requests: 0, load_percent: 0, overruns: 0, errors: {} };
const INSTRUMENT = { state: 'unknown', reason: '', since_ms: null, last_good_ms: null };

/* Returns a new object; nothing of it is missing but what no gateway can be without. */
export function complete(status) {
  return {
    ...status,
    link: { ...LINK, ...status.link },
    store: { ...STORE, ...status.store },
    certificates: status.certificates ?? [],
    buses: status.buses.map((bus) => ({ ...BUS, ...bus })),
    instruments: status.instruments.map((instrument) => ({ ...INSTRUMENT, ...instrument })),
  };
}
