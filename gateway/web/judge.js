/* judge.js - what is wrong with the gateway, worst first. Pure: a status and the tags' counts in, problems out. */

/* The link is up, batches wait, and nothing has been accepted for so long: it is up in name only. */
const STUCK_MS = 120000;
const NAMES_MOST = 3;
/* Days before its end in which a certificate is a problem, and a list of revoked ones, which lives for days only. */
const DAYS_LEFT = { crl: 1 };
const DAYS_LEFT_USUAL = 30;

const LEVELS = { good: 0, uncertain: 1, unknown: 1, bad: 2 };

/* The level (good, uncertain, bad, unknown) of each state of the interface. */
const STATES = {
  link: { off: 'unknown', connecting: 'uncertain', up: 'good', waiting: 'bad' },
  store: { good: 'good', full: 'bad', failed: 'bad' },
  bus: { good: 'good', degraded: 'uncertain', down: 'bad', starting: 'unknown' },
  instrument: { good: 'good', bad: 'bad', unknown: 'unknown' },
  clock: { 'not set': 'bad', 'free running': 'good', synchronised: 'good' },
};

export function levelOf(kind, state) {
  return STATES[kind][state] ?? 'unknown';
}

export function worse(one, other) {
  return LEVELS[other] - LEVELS[one];
}

function ofStore({ store }) {
  const found = [];
  if (store.state === 'failed') found.push({ level: 'bad', text: 'problem_store_failed', reason: store.reason });
  if (store.state === 'full') found.push({ level: 'bad', text: 'problem_store_full', reason: store.reason });
  if (store.set_aside) found.push({ level: 'uncertain', text: 'problem_set_aside', reason: store.set_aside.reason });
  return found;
}

/* Without a cloud in the configuration nobody starts forebay-cloud. */
function ofPrograms({ programs, link, gateway }) {
  return programs.filter(({ name, connected }) => !connected && (link.configured || name !== 'forebay-cloud'))
    .map(({ name, since_ms: since }) => (
      { level: 'bad', text: 'problem_program', name, time: since || gateway.started_ms }));
}

function ofBuses({ buses }) {
  return buses.filter((bus) => bus.state === 'down' || bus.state === 'degraded').map((bus) => ({
    level: levelOf('bus', bus.state), text: `problem_bus_${bus.state}`, name: bus.name, reason: bus.reason,
  }));
}

/* Readings arrive, and nobody there knows of what. */
function ofCatalogue({ catalogue }) {
  return catalogue ? [{ level: 'bad', text: 'problem_catalogue', reason: catalogue.reason }] : [];
}

function ofLink({ link, store, gateway }) {
  if (!link.configured) return [];
  if (link.state !== 'up') {
    const level = link.state === 'connecting' ? 'uncertain' : 'bad';
    const state = ['off', 'connecting'].includes(link.state) ? link.state : 'waiting';
    return [{ level, text: `problem_link_${state}`, time: link.since_ms, step: link.step, reason: link.reason }];
  }
  const last = link.last_accepted_ms ?? link.since_ms;
  const stuck = store.unsent_batches > 0 && gateway.now_ms - Math.max(last, link.since_ms) > STUCK_MS;
  return [...(stuck ? [{ level: 'bad', text: 'problem_link_stuck', time: last }] : []), ...ofCatalogue(link)];
}

/* An authority that has ended may just be the one that was replaced. */
export function certificateLevel({ use, days_left: days, error }) {
  if (error) return 'bad';
  if (days === null) return 'unknown';
  if (days < 0) return use === 'authority' ? 'uncertain' : 'bad';
  return days < (DAYS_LEFT[use] ?? DAYS_LEFT_USUAL) ? 'uncertain' : 'good';
}

function ofCertificates({ certificates }) {
  return certificates.filter((one) => ['bad', 'uncertain'].includes(certificateLevel(one))).map((one) => {
    const kind = one.error ? '_unreadable' : one.days_left < 0 ? '_expired' : '';
    return { level: certificateLevel(one), text: `problem_certificate${kind}`, name: one.sha256 ?? one.file,
      use: one.use, subject: one.subject, days: one.days_left, reason: one.error };
  });
}

function ofInstruments({ instruments }) {
  const bad = instruments.filter((instrument) => instrument.state === 'bad').map((instrument) => instrument.name);
  if (bad.length === 0) return [];
  return [{ level: 'bad', text: 'problem_instruments', count: bad.length, names: bad.slice(0, NAMES_MOST),
    more: Math.max(0, bad.length - NAMES_MOST) }];
}

function ofGateway({ gateway }) {
  const found = [];
  if (gateway.clock === 'not set') found.push({ level: 'bad', text: 'problem_clock' });
  const reason = gateway.configuration.error;
  if (reason) found.push({ level: 'uncertain', text: 'problem_configuration', reason });
  return found;
}

function ofValues(counts) {
  const all = counts.good + counts.uncertain + counts.bad;
  if (counts.good === all) return [];
  return [{ level: counts.bad > 0 ? 'bad' : 'uncertain', text: 'problem_values', count: all - counts.good, all }];
}

/* counts: {good, uncertain, bad} tags. Problems {level, text, ...what the text needs}, worst first and among equals in
 * the order in which a person would look: losing readings before not sending them before not having them. */
export function problemsOf(status, counts) {
  const found = [...ofStore(status), ...ofPrograms(status), ...ofLink(status), ...ofCertificates(status),
    ...ofBuses(status), ...ofInstruments(status), ...ofGateway(status), ...ofValues(counts)];
  return found.sort((one, other) => worse(one.level, other.level));
}
