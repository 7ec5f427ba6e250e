/* events.js - what happened: the newest events and attempts to communicate, asked for when the status says that there
 * are more than are known. */

import { fillTable } from './dom.js';
import * as format from './format.js';
import { happening, say, word } from './texts.js';

/* Shown of each kind, and asked for at once at most. */
const MOST = 60;
const RETRY_MS = 5000;
const LEVELS = { info: 'unknown', warning: 'uncertain', alarm: 'bad' };

const ofDetails = {
  /* 0 and 0: nobody knows how many, or since when */
  readings: (number) => (number === 0 ? say('readings_unknown') : say('readings_many', { count: format.count(number) })),
  from_ms: (ms) => (ms === 0 ? '' : say('from_time', { time: format.time(ms) })),
  to_ms: (ms) => say('to_time', { time: format.time(ms) }),
  by_ms: (ms) => say('by_seconds', { seconds: format.fixed(ms / 1000, 1) }),
  days_left: (days) => say('days_left', { days: format.count(days) }),
  level_days: () => '',
  inherited: () => '',
  changed: (list) => list.join(', '),
};

/* Of any depth that core may tell: a text, a number, or its JSON. */
function detail([key, value]) {
  if (Object.hasOwn(ofDetails, key)) return ofDetails[key](value);
  return typeof value === 'string' ? word(value) : JSON.stringify(value);
}

function details(members) {
  return Object.entries(members).filter(([, value]) => value !== '' && value !== null).map(detail).filter(Boolean).join(', ');
}

function rowOfEvent(event) {
  const more = event.more ? ` ${say('and_times_more', { count: format.count(event.more) })}` : '';
  return {
    key: `e${event.number}`, timeMs: event.time_ms, level: LEVELS[event.severity] ?? 'unknown',
    word: `${happening(event.event)}${more}`, note: details(event.details ?? {}),
  };
}

function rowOfAttempt({ number, time_ms: timeMs, outcome, endpoint, step, ...others }) {
  const good = outcome === undefined || ['up', 'done', 'good', 'closed'].includes(outcome);
  return {
    key: `a${number}`, timeMs, level: good ? 'unknown' : 'uncertain',
    word: say('attempt', { endpoint: endpoint ?? '', step: word(step ?? '') }),
    note: details({ outcome, reason: others.reason }),
  };
}

/* One kind of records: those that are known, the newest last. */
class Known {
  #kind;
  #list = [];
  #last = 0;
  #asking = false;
  #notBefore = 0;

  constructor(kind) {
    this.#kind = kind;
  }

  get list() {
    return this.#list;
  }

  /* span: {first, last} of the status. done is called when there is something new. */
  async follow(span, done) {
    if (this.#asking || !span || Date.now() < this.#notBefore) return;
    if (span.last < this.#last) this.#last = 0; /* another store */
    if (span.last === this.#last) return;
    this.#asking = true;
    try {
      const after = Math.max(this.#last, span.last - MOST);
      const answer = await fetch(`api/records/${this.#kind}?after=${after}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const { records, last } = await answer.json();
      this.#list = [...(this.#last === 0 ? [] : this.#list), ...records].slice(-MOST);
      this.#last = last;
      done();
    } catch {
      this.#notBefore = Date.now() + RETRY_MS; /* the gateway may just be starting again */
    } finally {
      this.#asking = false;
    }
  }
}

export class Events {
  #body;
  #none;
  #events = new Known('events');
  #attempts = new Known('attempts');

  /* body: of the table; none: shown while it is empty. */
  constructor(body, none) {
    this.#body = body;
    this.#none = none;
  }

  take(status) {
    const draw = () => this.draw();
    this.#events.follow(status.records?.events, draw);
    this.#attempts.follow(status.records?.attempts, draw);
  }

  draw() {
    const rows = [...this.#events.list.map(rowOfEvent), ...this.#attempts.list.map(rowOfAttempt)];
    rows.sort((one, other) => other.timeMs - one.timeMs);
    this.#none.hidden = rows.length > 0;
    fillTable(this.#body, rows.slice(0, MOST).map(({ key, timeMs, level, word: text, note }) => ({
      key, cells: [[{ time: timeMs }], [{ badge: level, word: text, mark: level !== 'unknown' }, ...(note ? [{ note }] : [])]],
    })), ['', '']);
  }
}
