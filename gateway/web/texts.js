/* texts.js - every word of the page in English and Dutch, and which of the two is shown.
 * The words of the interface (states, reasons, steps) come from docs/api.md; one that has no translation stays as it is. */

const english = {
  skip: 'Skip to the live values',
  language: 'Language',
  problems: 'What is wrong',
  link: 'Link',
  store: 'Store',
  buses: 'Buses',
  bus: 'Bus',
  instruments: 'Instruments',
  instrument: 'Instrument',
  values: 'Live values',
  tag: 'Tag',
  value: 'Value',
  unit: 'Unit',
  quality: 'Quality',
  age: 'Age',
  trend: 'Trend',
  state: 'State',
  state_since: 'State, since',
  since: 'Since',
  load: 'Load',
  errors: 'Errors',
  none: 'none',
  never: 'never',
  no_value: 'no value',
  on: 'on',
  off: 'off',
  clock: 'Clock',
  version: 'Version',
  running_since: 'Running since',
  rate: 'Readings a second',
  filter: 'Filter',
  only_not_good: 'Only not good',
  shown: '{shown} of {all} tags shown',
  none_shown: 'No tag matches; clear the filter to see all {all}.',
  no_tags: 'No tags: the configuration has no instruments.',
  counts: '{good} good, {uncertain} uncertain, {bad} bad',
  reason: 'Reason',
  step: 'Step',
  step_passed: 'done',
  step_stopped: 'stopped here',
  step_open: 'not reached',
  retry: 'Next attempt',
  endpoint: 'Endpoint',
  address: 'Address',
  peer: 'Peer',
  tls: 'TLS',
  oldest_unsent: 'Oldest unsent',
  oldest_unacknowledged: 'Oldest not accepted yet',
  nothing_unsent: 'nothing waits',
  last_accepted: 'Last accepted',
  batches_accepted: 'Batches accepted',
  not_accepted: 'Rejected, released',
  in_flight: 'In flight',
  refusal: 'Last refusal',
  catalogue: 'Names of the tags',
  catalogue_refused: 'not taken by the peer since',
  parked: 'Parked',
  parked_count: '{batches} batches with {readings} readings that the peer will not take',
  parked_batch: 'Batch {number}',
  parked_readings: '{readings} readings, parked since',
  budget: 'Budget of the month',
  budget_used: '{bytes} of {budget}',
  budget_spent: 'spent: backlog waits for the next month, live batches go on',
  certificates: 'Certificates',
  certificate_days: '{days} days',
  certificate_expired: 'expired',
  certificate_unreadable: 'cannot be read',
  certificate_unknown: 'unknown',
  kept: 'Readings kept',
  unsent: 'Readings unsent',
  last_commit: 'Last commit',
  written: 'Written to disk',
  written_since: '{bytes} since the start',
  written_per_day: '{bytes} since the start, {day} a day',
  lost_readings: 'Readings lost',
  batches: 'Batches',
  batches_unsent: '{all}, {unsent} unsent',
  waiting_tags: 'New tags that wait for room',
  set_aside: 'Set aside',
  quota: '{bytes} of {quota} used ({percent})',
  requests_overruns: '{requests} requests, {overruns} late',
  lateness: 'late {half} ms, at most {most} ms (99 %)',
  response: 'answers in {half} ms, at most {most} ms (99 %)',
  unit_number: '{bus}, unit {unit}',
  proven: 'proven on {date} by {who}',
  not_proven: 'not proven',
  proven_tags: '{proven} of {all} tags proven',
  ago: '{age} ago',
  in_time: 'in {age}',
  waited: '{age}',
  connecting: 'Connecting to the gateway',
  lost: 'No connection to the gateway since {time}. Everything below is what was last known; it may no longer be true.',
  not_live: 'No live values: the gateway does not answer',
  all_good: 'All good',
  and_more: '{first} (and {more} more)',
  no_configuration_link: 'The configuration has no cloud.',
  problem_store_failed: 'The store has failed: {reason}',
  problem_store_full: 'The disk takes no more readings: {reason}',
  problem_set_aside: 'An unreadable store was set aside at start: {reason}',
  problem_program: '{name} is not running since {time}',
  problem_configuration: 'The configuration file was not taken: {reason}',
  problem_bus_down: 'Bus {name} is down: {reason}',
  problem_bus_degraded: 'Bus {name} is degraded: {reason}',
  problem_link_off: 'The link is off although the configuration has a cloud',
  problem_link_waiting: 'The link is down since {time}, stopped at {step}: {reason}',
  problem_link_connecting: 'The link is being made since {time}: {step}',
  problem_link_stuck: 'The link is up, but nothing was accepted since {time}',
  problem_catalogue: 'Readings arrive without the names of their tags: {reason}',
  problem_certificate: 'Expires in {days} days: {use} {subject}',
  problem_certificate_expired: 'Expired: {use} {subject}',
  problem_certificate_unreadable: 'A certificate cannot be read: {reason}',
  problem_instruments: 'Instruments not good: {count} ({names})',
  problem_clock: 'The clock is not set: times of readings are wrong',
  problem_values: 'Tags not good: {count} of {all}',
  names_more: '{names} and {more} more',
  events: 'Events',
  no_events: 'Nothing has happened yet',
  time: 'Time',
  what: 'What happened',
  attempt: 'Attempt {endpoint}: {step}',
  readings_many: '{count} readings',
  readings_unknown: 'an unknown number of readings',
  from_time: 'from {time}',
  to_time: 'to {time}',
  by_seconds: 'by {seconds} s',
  days_left: '{days} days left',
  and_times_more: '(and {count} more)',
  job: '{name}: {state}, {percent}',
  job_ended: '{name}: {state}',
  job_rekey: 'Change of the key',
  job_salvage: 'Salvage',
  job_check: 'Integrity check',
};

const dutch = {
  skip: 'Naar de actuele waarden',
  language: 'Taal',
  problems: 'Wat er mis is',
  link: 'Verbinding',
  store: 'Opslag',
  buses: 'Bussen',
  bus: 'Bus',
  instruments: 'Instrumenten',
  instrument: 'Instrument',
  values: 'Actuele waarden',
  tag: 'Tag',
  value: 'Waarde',
  unit: 'Eenheid',
  quality: 'Kwaliteit',
  age: 'Leeftijd',
  trend: 'Verloop',
  state: 'Toestand',
  state_since: 'Toestand, sinds',
  since: 'Sinds',
  load: 'Belasting',
  errors: 'Fouten',
  none: 'geen',
  never: 'nooit',
  no_value: 'geen waarde',
  on: 'aan',
  off: 'uit',
  clock: 'Klok',
  version: 'Versie',
  running_since: 'Actief sinds',
  rate: 'Metingen per seconde',
  filter: 'Filter',
  only_not_good: 'Alleen niet goed',
  shown: '{shown} van {all} tags getoond',
  none_shown: 'Geen tag voldoet; wis het filter om alle {all} te zien.',
  no_tags: 'Geen tags: de configuratie heeft geen instrumenten.',
  counts: '{good} goed, {uncertain} onzeker, {bad} slecht',
  reason: 'Reden',
  step: 'Stap',
  step_passed: 'gelukt',
  step_stopped: 'hier gestopt',
  step_open: 'niet bereikt',
  retry: 'Volgende poging',
  endpoint: 'Eindpunt',
  address: 'Adres',
  peer: 'Tegenpartij',
  tls: 'TLS',
  oldest_unsent: 'Oudste onverzonden',
  oldest_unacknowledged: 'Oudste nog niet aanvaard',
  nothing_unsent: 'niets wacht',
  last_accepted: 'Laatst aanvaard',
  batches_accepted: 'Batches aanvaard',
  not_accepted: 'Afgewezen, terug',
  in_flight: 'Onderweg',
  refusal: 'Laatste weigering',
  catalogue: 'Namen van de tags',
  catalogue_refused: 'door de ontvanger niet aangenomen sinds',
  parked: 'Apart gezet',
  parked_count: '{batches} batches met {readings} metingen die de ontvanger niet aanneemt',
  parked_batch: 'Batch {number}',
  parked_readings: '{readings} metingen, apart sinds',
  budget: 'Budget van de maand',
  budget_used: '{bytes} van {budget}',
  budget_spent: 'op: de achterstand wacht op de volgende maand, actuele batches gaan door',
  certificates: 'Certificaten',
  certificate_days: '{days} dagen',
  certificate_expired: 'verlopen',
  certificate_unreadable: 'niet leesbaar',
  certificate_unknown: 'onbekend',
  kept: 'Metingen bewaard',
  unsent: 'Niet verzonden',
  last_commit: 'Laatst vastgelegd',
  written: 'Naar schijf geschreven',
  written_since: '{bytes} sinds de start',
  written_per_day: '{bytes} sinds de start, {day} per dag',
  lost_readings: 'Metingen verloren',
  batches: 'Batches',
  batches_unsent: '{all}, {unsent} onverzonden',
  waiting_tags: 'Nieuwe tags die op ruimte wachten',
  set_aside: 'Opzij gezet',
  quota: '{bytes} van {quota} gebruikt ({percent})',
  requests_overruns: '{requests} vragen, {overruns} te laat',
  lateness: '{half} ms te laat, hoogstens {most} ms (99 %)',
  response: 'antwoord in {half} ms, hoogstens {most} ms (99 %)',
  unit_number: '{bus}, unit {unit}',
  proven: 'bewezen op {date} door {who}',
  not_proven: 'niet bewezen',
  proven_tags: '{proven} van {all} tags bewezen',
  ago: '{age} geleden',
  in_time: 'over {age}',
  waited: '{age}',
  connecting: 'Verbinden met de gateway',
  lost: 'Geen contact met de gateway sinds {time}. Alles hieronder is van toen en klopt misschien niet meer.',
  not_live: 'Geen actuele waarden: de gateway antwoordt niet',
  all_good: 'Alles goed',
  and_more: '{first} (en nog {more})',
  no_configuration_link: 'De configuratie heeft geen cloud.',
  problem_store_failed: 'De opslag werkt niet: {reason}',
  problem_store_full: 'De schijf neemt geen metingen meer op: {reason}',
  problem_set_aside: 'Een onleesbare opslag is bij de start opzij gezet: {reason}',
  problem_program: '{name} draait niet sinds {time}',
  problem_configuration: 'Het configuratiebestand is niet overgenomen: {reason}',
  problem_bus_down: 'Bus {name} ligt stil: {reason}',
  problem_bus_degraded: 'Bus {name} werkt gedeeltelijk: {reason}',
  problem_link_off: 'De verbinding is uit, hoewel de configuratie een cloud heeft',
  problem_link_waiting: 'De verbinding is weg sinds {time}, gestopt bij {step}: {reason}',
  problem_link_connecting: 'De verbinding wordt gemaakt sinds {time}: {step}',
  problem_link_stuck: 'De verbinding is er, maar er is niets aanvaard sinds {time}',
  problem_catalogue: 'Metingen komen aan zonder de namen van hun tags: {reason}',
  problem_certificate: 'Verloopt over {days} dagen: {use} {subject}',
  problem_certificate_expired: 'Verlopen: {use} {subject}',
  problem_certificate_unreadable: 'Een certificaat is niet leesbaar: {reason}',
  problem_instruments: 'Instrumenten niet goed: {count} ({names})',
  problem_clock: 'De klok is niet gezet: tijden van metingen kloppen niet',
  problem_values: 'Tags niet goed: {count} van {all}',
  names_more: '{names} en nog {more}',
  events: 'Gebeurtenissen',
  no_events: 'Er is nog niets gebeurd',
  time: 'Tijd',
  what: 'Wat er gebeurde',
  attempt: 'Poging {endpoint}: {step}',
  readings_many: '{count} metingen',
  readings_unknown: 'een onbekend aantal metingen',
  from_time: 'van {time}',
  to_time: 'tot {time}',
  by_seconds: '{seconds} s',
  days_left: 'nog {days} dagen',
  and_times_more: '(en nog {count})',
  job: '{name}: {state}, {percent}',
  job_ended: '{name}: {state}',
  job_rekey: 'Wisseling van de sleutel',
  job_salvage: 'Berging',
  job_check: 'Controle',
};

/* Words of the interface: shown as they are in English, but for the steps' short names. */
const englishWords = {
  dns: 'DNS', tcp: 'TCP', tls: 'TLS', sasl: 'SASL', crl: 'revocation list',
};

const dutchWords = {
  ...englishWords,
  good: 'goed', uncertain: 'onzeker', bad: 'slecht', unknown: 'onbekend',
  off: 'uit', connecting: 'verbinden', up: 'actief', waiting: 'wacht',
  full: 'vol', failed: 'mislukt', degraded: 'gedeeltelijk', down: 'stil', starting: 'start',
  open: 'openen', session: 'sessie', attach: 'aanhechten', credit: 'krediet',
  'not set': 'niet gezet', 'free running': 'vrijlopend', synchronised: 'gesynchroniseerd',
  stale: 'verouderd', 'below range': 'onder bereik', 'above range': 'boven bereik', 'clock not set': 'klok niet gezet',
  maintenance: 'onderhoud', timeout: 'geen antwoord', 'not connected': 'niet verbonden',
  exception: 'uitzondering', 'bad reply': 'ongeldig antwoord', 'not a number': 'geen getal', 'no value': 'geen waarde',
  'instrument fault': 'instrumentfout', 'stale heartbeat': 'hartslag staat stil', 'not running': 'niet actief',
  'unknown reason': 'onbekende reden', running: 'bezig', quota: 'quotum', 'store full': 'opslag vol',
  'core away': 'forebay-core was weg', damaged: 'beschadigd', thinned: 'uitgedund',
  authority: 'uitgever', page: 'pagina', crl: 'intrekkingslijst',
};

/* Events by their names in docs/api.md; one that is not here is shown by its name. */
const englishHappenings = {
  'started': 'Forebay has started', 'stopped': 'Forebay was stopped',
  'link-up': 'Link up', 'link-down': 'Link down', 'bus-up': 'Bus up', 'bus-down': 'Bus down',
  'instrument-alive': 'Instrument answers again', 'instrument-dead': 'Instrument is silent',
  'program-connected': 'Program connected', 'program-gone': 'Program gone',
  'configuration-applied': 'Configuration applied', 'configuration-refused': 'Configuration refused',
  'store-created': 'Store created', 'store-set-aside': 'Store set aside', 'store-failed': 'Store failed',
  'store-good': 'Store takes readings again', 'disk-full': 'Disk full',
  'readings-lost': 'Readings lost', 'readings-thinned': 'Readings thinned', 'catalogue-refused': 'Names of the tags not taken',
  'clock-set': 'Clock set', 'clock-not-set': 'Clock not set', 'clock-stepped': 'Clock stepped',
  'salvage-begun': 'Salvage begun', 'salvage-done': 'Salvage done', 'salvage-failed': 'Salvage failed',
  'rekey-begun': 'Change of the key begun', 'rekey-done': 'Key changed', 'rekey-failed': 'Change of the key failed',
  'check-begun': 'Integrity check begun', 'check-done': 'Integrity check done', 'check-failed': 'Integrity check failed',
  'certificate-expires': 'A certificate expires',
};

const dutchHappenings = {
  'started': 'Forebay is gestart', 'stopped': 'Forebay is gestopt',
  'link-up': 'Verbinding actief', 'link-down': 'Verbinding weg', 'bus-up': 'Bus actief', 'bus-down': 'Bus ligt stil',
  'instrument-alive': 'Instrument antwoordt weer', 'instrument-dead': 'Instrument zwijgt',
  'program-connected': 'Programma verbonden', 'program-gone': 'Programma weg',
  'configuration-applied': 'Configuratie overgenomen', 'configuration-refused': 'Configuratie geweigerd',
  'store-created': 'Opslag aangemaakt', 'store-set-aside': 'Opslag opzij gezet', 'store-failed': 'Opslag mislukt',
  'store-good': 'Opslag neemt weer metingen aan', 'disk-full': 'Schijf vol',
  'readings-lost': 'Metingen verloren', 'readings-thinned': 'Metingen uitgedund',
  'catalogue-refused': 'Namen van de tags niet aangenomen',
  'clock-set': 'Klok gezet', 'clock-not-set': 'Klok niet gezet', 'clock-stepped': 'Klok versprongen',
  'salvage-begun': 'Berging begonnen', 'salvage-done': 'Berging klaar', 'salvage-failed': 'Berging mislukt',
  'rekey-begun': 'Wisseling van de sleutel begonnen', 'rekey-done': 'Sleutel gewisseld',
  'rekey-failed': 'Wisseling van de sleutel mislukt',
  'check-begun': 'Controle begonnen', 'check-done': 'Controle klaar', 'check-failed': 'Controle mislukt',
  'certificate-expires': 'Een certificaat verloopt',
};

const languages = {
  en: { locale: 'en-GB', texts: english, words: englishWords, happenings: englishHappenings },
  nl: { locale: 'nl-NL', texts: dutch, words: dutchWords, happenings: dutchHappenings },
};
const REMEMBERED = 'forebay.language';

let current = 'en';

/* Storage may be switched off in the browser: the choice then lasts as long as the page. */
function remembered() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

/* The remembered language, else the browser's first one that we speak, else English. */
export function preferredLanguage() {
  const wishes = [remembered(), ...navigator.languages].filter(Boolean).map((wish) => wish.slice(0, 2));
  return wishes.find((wish) => Object.hasOwn(languages, wish)) ?? 'en';
}

export function setLanguage(language) {
  current = language;
}

export function rememberLanguage(language) {
  try {
    localStorage.setItem(REMEMBERED, language);
  } catch {
    /* see remembered() */
  }
}

export function language() {
  return current;
}

export function locale() {
  return languages[current].locale;
}

/* The text of that name with {placeholders} filled in from values. */
export function say(name, values = {}) {
  return languages[current].texts[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

/* What an event's name means. */
export function happening(name) {
  const { happenings } = languages[current];
  return Object.hasOwn(happenings, name) ? happenings[name] : name.replaceAll('-', ' ');
}

/* A word of the interface in the present language. */
export function word(text) {
  const words = languages[current].words;
  return Object.hasOwn(words, text) ? words[text] : text;
}
