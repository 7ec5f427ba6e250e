/* panels.js - everything of the page but the live values: header, problems, link, store, buses, instruments.
 * Drawn from one status object; while not live no state is shown as if it were known. */

import { fill, fillFacts, fillTable, make, patch, setText, symbol, tickAges } from './dom.js';
import * as format from './format.js';
import { certificateLevel, levelOf, problemsOf, worse } from './judge.js';
import { say, word } from './texts.js';

/* The steps of an attempt in their order; see docs/api.md. */
const STEPS = ['dns', 'tcp', 'tls', 'sasl', 'open', 'session', 'attach', 'credit'];

const byId = (id) => document.getElementById(id);

function stateBadge(live, kind, state, reason = '') {
  return live ? { badge: levelOf(kind, state), word: state, reason } : { badge: 'unknown', word: 'unknown' };
}

function problemText({ text, time, step, names, more, ...values }) {
  if (time !== undefined) values.time = time ? format.time(time) : say('never');
  if (step !== undefined) values.step = word(step);
  if (values.reason !== undefined) values.reason = word(values.reason);
  if (values.use !== undefined) values.use = word(values.use);
  for (const key of ['count', 'all']) if (key in values) values[key] = format.count(values[key]);
  if (names) values.names = more > 0 ? say('names_more', { names: names.join(', '), more }) : names.join(', ');
  /* A program that is away gives no reason. */
  return say(text, values).replace(/: $/, '');
}

function drawOverall(level, sentence) {
  const overall = byId('overall');
  overall.dataset.state = level;
  setText(overall.querySelector('.symbol'), symbol(level));
  setText(byId('sentence'), sentence);
}

function drawProblems(live, problems) {
  byId('problems').hidden = problems.length === 0;
  patch(byId('problem-list'), problems, (problem) => problem.text + (problem.name ?? ''), (problem, item) => {
    fill(item, [{ badge: live ? problem.level : 'unknown', word: problemText(problem) }]);
  }, 'li');
}

/* The first problem in full, and how many there are beside it; all of them stand in their own list. */
function drawJudgement(live, problems) {
  drawProblems(live, problems);
  if (!live) {
    drawOverall('unknown', say('not_live'));
  } else if (problems.length === 0) {
    drawOverall('good', say('all_good'));
  } else {
    const first = problemText(problems[0]);
    const more = problems.length - 1;
    drawOverall(problems[0].level, more > 0 ? say('and_more', { first, more: format.count(more) }) : first);
  }
}

function drawGateway(live, { gateway, readings_per_s: rate }) {
  setText(byId('name'), gateway.name);
  document.title = `${gateway.name} – Forebay`;
  fillFacts(byId('gateway'), [
    ['clock', say('clock'), [stateBadge(live, 'clock', gateway.clock)]],
    ['rate', say('rate'), [format.fixed(rate, rate < 10 ? 1 : 0)]],
    ['version', say('version'), [gateway.version]],
    ['started', say('running_since'), [{ time: gateway.started_ms }]],
  ]);
}

function drawSteps(link) {
  const list = byId('steps');
  list.hidden = !link.configured || link.state === 'up' || !STEPS.includes(link.step);
  const reached = STEPS.indexOf(link.step);
  patch(list, STEPS, (step) => step, (step, item) => {
    const position = STEPS.indexOf(step);
    const place = position < reached ? 'passed' : position === reached ? 'stopped' : 'open';
    item.dataset.step = place;
    item.title = say(`step_${place}`);
    setText(item, `${{ passed: '✓', stopped: '✕', open: '·' }[place]} ${word(step)}`);
  }, 'li');
}

function linkTrouble(link) {
  const facts = [];
  if (link.state !== 'up') {
    facts.push(['step', say('step'), [word(link.step)]]);
    if (link.reason) facts.push(['reason', say('reason'), [word(link.reason)]]);
    if (link.retry_at_ms !== null) facts.push(['retry', say('retry'), [{ age: link.retry_at_ms, as: 'in_time' }]]);
  }
  if (link.refusal) facts.push(['refusal', say('refusal'), [link.refusal]]);
  return [...facts, ...linkLanes(link)];
}

/* What stays although the link is up. */
function linkLanes({ catalogue, parked, month }) {
  const facts = [];
  if (catalogue) {
    facts.push(['catalogue', say('catalogue'), [say('catalogue_refused'), { time: catalogue.since_ms }, { note: catalogue.reason }]]);
  }
  if (parked.batches > 0) {
    facts.push(['parked', say('parked'), [say('parked_count', {
      batches: format.count(parked.batches), readings: format.count(parked.readings),
    })]]);
    for (const { number, readings, since_ms, reason } of parked.list) {
      facts.push([`parked-${number}`, say('parked_batch', { number: format.count(number) }),
        [say('parked_readings', { readings: format.count(readings) }), { time: since_ms }, { note: reason }]]);
    }
  }
  if (month.budget !== null) {
    const text = say('budget_used', { bytes: format.bytes(month.bytes), budget: format.bytes(month.budget) });
    facts.push(['budget', say('budget'), month.spent ? [text, { note: say('budget_spent') }] : [text]]);
  }
  return facts;
}

function certificatePieces(live, certificate) {
  const { use, subject, file, error, days_left: days } = certificate;
  const level = certificateLevel(certificate);
  const text = error ? say('certificate_unreadable') : days === null ? say('certificate_unknown')
    : days < 0 ? say('certificate_expired') : say('certificate_days', { days });
  const note = [word(use), subject ?? file].join(' ');
  return [live ? { badge: level, word: text } : { badge: 'unknown', word: 'unknown' }, { note }];
}

function certificateFacts(live, certificates) {
  if (certificates.length === 0) return [];
  return [['certificates', say('certificates'), certificates.flatMap((one) => certificatePieces(live, one))]];
}

function drawLink(live, { link, certificates }) {
  drawSteps(link);
  if (!link.configured) {
    fillFacts(byId('link'), [['state', say('state'),
      [stateBadge(live, 'link', link.state), { note: say('no_configuration_link') }]],
    ...certificateFacts(live, certificates)]);
    return;
  }
  const accepted = link.last_accepted_ms === null ? say('never') : { age: link.last_accepted_ms, as: 'ago' };
  fillFacts(byId('link'), [
    ['state', say('state'), [stateBadge(live, 'link', link.state)]],
    ['since', say('since'), [{ time: link.since_ms }]],
    ...linkTrouble(link),
    ['oldest', say('oldest_unacknowledged'), [waited(link.oldest_unacknowledged_ms)]],
    ['last', say('last_accepted'), [accepted]],
    ['endpoint', say('endpoint'), [link.endpoint]],
    ['address', say('address'), [link.address]],
    ['peer', say('peer'), [link.peer || say('none')]],
    ['tls', say('tls'), [link.tls || say('none')]],
    ['accepted', say('batches_accepted'), [format.count(link.accepted)]],
    ['refused', say('not_accepted'), [`${format.count(link.rejected)}, ${format.count(link.released)}`]],
    ['flight', say('in_flight'), [format.count(link.in_flight)]],
    ...certificateFacts(live, certificates),
  ]);
}

function waited(timeMs) {
  return timeMs === null ? say('nothing_unsent') : { age: timeMs, as: 'waited' };
}

function drawQuota(store) {
  const meter = byId('quota');
  const share = Math.min(1, store.bytes / store.quota_bytes);
  if (!meter.firstChild) meter.append(make('div'));
  const text = say('quota', {
    bytes: format.bytes(store.bytes), quota: format.bytes(store.quota_bytes), percent: format.percent(share),
  });
  meter.firstChild.style.inlineSize = `${100 * share}%`;
  meter.setAttribute('aria-valuenow', String(Math.round(100 * share)));
  meter.setAttribute('aria-valuetext', text);
  setText(byId('quota-label'), text);
}

function written({ written_bytes: bytes, written_bytes_per_day: day }) {
  return day === null ? say('written_since', { bytes: format.bytes(bytes) })
    : say('written_per_day', { bytes: format.bytes(bytes), day: format.bytes(day) });
}

function drawStore(live, { store }) {
  const lost = format.count(store.lost_readings);
  const facts = [
    ['state', say('state'), [stateBadge(live, 'store', store.state, store.reason)]],
    ['kept', say('kept'), [format.count(store.readings)]],
    ['unsent', say('unsent'), [format.count(store.unsent_readings)]],
    ['oldest', say('oldest_unsent'), [waited(store.oldest_unsent_ms)]],
    ['lost', say('lost_readings'), store.lost_readings > 0 ? [{ badge: 'uncertain', word: lost }] : [lost]],
    ['commit', say('last_commit'),
      [store.last_commit_ms === null ? say('never') : { age: store.last_commit_ms, as: 'ago' }]],
    ['batches', say('batches'),
      [say('batches_unsent', { all: format.count(store.batches), unsent: format.count(store.unsent_batches) })]],
    ['written', say('written'), [written(store)]],
  ];
  const waiting = store.waiting_tags;
  if (waiting > 0) facts.push(['waiting', say('waiting_tags'), [{ badge: 'bad', word: format.count(waiting) }]]);
  const aside = store.set_aside;
  if (aside) facts.push(['aside', say('set_aside'), [aside.path, { note: aside.reason }]]);
  fillFacts(byId('store'), facts);
  drawQuota(store);
  drawUpkeep(live, store.upkeep);
}

/* Work on the store beside its own: what goes on, waits or has failed. */
function drawUpkeep(live, upkeep) {
  const list = byId('upkeep');
  const jobs = Object.entries(upkeep).filter(([, { state }]) => ['waiting', 'running', 'failed'].includes(state));
  list.hidden = jobs.length === 0;
  patch(list, jobs, ([name]) => name, ([name, job], item) => drawJob(live, name, job, item), 'li');
}

function drawJob(live, name, job, item) {
  if (!item.firstChild) item.append(make('p'), make('div', { class: 'bar', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100' }));
  const [line, bar] = item.children;
  const share = Math.min(100, Math.max(0, job.done_percent)) / 100;
  const text = say(job.state === 'failed' ? 'job_ended' : 'job', { name: say(`job_${name}`), state: word(job.state), percent: format.percent(share) });
  const level = job.state === 'failed' ? 'bad' : 'unknown';
  fill(line, [{ badge: live ? level : 'unknown', word: text, reason: job.reason, mark: level === 'bad' }]);
  bar.hidden = job.state === 'failed';
  if (!bar.firstChild) bar.append(make('div'));
  bar.firstChild.style.inlineSize = `${100 * share}%`;
  bar.setAttribute('aria-label', say(`job_${name}`));
  bar.setAttribute('aria-valuenow', String(Math.round(100 * share)));
}

function errorPieces(errors) {
  const some = Object.entries(errors).filter(([, number]) => number > 0);
  if (some.length === 0) return [say('none')];
  return some.map(([name, number]) => ({ note: `${format.count(number)} ${word(name)}` }));
}

function requestsOf(bus) {
  return say('requests_overruns', { requests: format.count(bus.requests), overruns: format.count(bus.overruns) });
}

/* How punctual the bus is, and how fast its instruments answer; nothing before the first request. */
function timesOf({ lateness_ms: lateness, response_ms: response }) {
  return [['lateness', lateness], ['response', response]].filter(([, times]) => times?.p50 != null).map(([name, times]) => (
    { note: say(name, { half: format.measured(times.p50, 1), most: format.measured(times.p99, 1) }) }));
}

function drawBuses(live, { buses }) {
  fillTable(byId('buses'), buses.map((bus) => ({
    key: bus.name,
    cells: [
      [bus.name, { note: `${bus.kind} ${bus.endpoint}` }, { note: requestsOf(bus) }, ...timesOf(bus)],
      [stateBadge(live, 'bus', bus.state, bus.reason), { time: bus.since_ms }],
      [format.percent(bus.load_percent / 100)],
      errorPieces(bus.errors),
    ],
  })), ['', '', 'number', 'number']);
}

/* Those that need somebody stand on top; the rest as configured. */
function drawInstruments(live, { instruments }) {
  const level = (instrument) => levelOf('instrument', instrument.state);
  const sorted = [...instruments].sort((one, other) => worse(level(one), level(other)));
  fillTable(byId('instruments'), sorted.map((instrument) => ({
    key: instrument.name,
    cells: [
      [instrument.name, { note: say('unit_number', { bus: instrument.bus, unit: instrument.unit }) },
        { note: say('proven_tags', { proven: instrument.proven_tags, all: instrument.tags }) }],
      [stateBadge(live, 'instrument', instrument.state, instrument.reason)],
      [{ time: instrument.since_ms }],
    ],
  })), ['', '', 'number']);
}

/* live: false greys everything out. counts: of the tags' qualities. nowMs: the gateway's clock. */
export function drawPanels(live, status, counts, nowMs) {
  drawJudgement(live, problemsOf(status, counts));
  drawGateway(live, status);
  drawLink(live, status);
  drawStore(live, status);
  drawBuses(live, status);
  drawInstruments(live, status);
  tickPanels(nowMs);
}

export function tickPanels(nowMs) {
  tickAges(byId('link'), nowMs);
  tickAges(byId('store'), nowMs);
}

/* Before there is any status. */
export function drawNothingYet(state) {
  drawOverall('unknown', say(state === 'lost' ? 'not_live' : 'connecting'));
}

/* sinceMs: of the browser's clock; null hides the notice. */
export function drawLost(sinceMs) {
  const notice = byId('lost');
  notice.hidden = sinceMs === null;
  setText(notice, sinceMs === null ? '' : say('lost', { time: format.time(sinceMs) }));
}
