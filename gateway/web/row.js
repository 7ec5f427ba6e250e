/* row.js - one tag: what is known of it, and its row in the table once somebody can see it. */

import { make, setText, symbol } from './dom.js';
import * as format from './format.js';
import { say, word } from './texts.js';
import { makeLine, Trend } from './trend.js';

/* The cells' classes, in order; style.css gives their widths. Their headings are the texts of the same names. */
export const COLUMNS = ['tag', 'value', 'unit', 'quality', 'age', 'trend'];

export class Row {
  #trend = new Trend();
  #decimals = 0;
  #text;
  #cells = null;
  node = null;
  last;

  /* first: a value object of docs/api.md. */
  constructor(first) {
    this.#text = `${first.instrument} ${first.name} ${first.unit}`.toLowerCase();
    this.take(first);
  }

  take(value) {
    this.last = value;
    const number = value.value === null || typeof value.value === 'string' ? NaN : Number(value.value);
    this.#trend.add(number);
    if (typeof value.value === 'number') this.#decimals = Math.max(this.#decimals, format.decimalsOf(number));
  }

  /* words: lower case; each must occur in the names, the unit, the quality in either language, or "not proven". */
  matches(words, onlyNotGood) {
    if (onlyNotGood && this.last.quality === 'good') return false;
    if (words.length === 0) return true;
    const { quality, reason, proven } = this.last;
    const proof = proven ? '' : say('not_proven');
    const text = `${this.#text} ${quality} ${reason} ${word(quality)} ${word(reason)} ${proof}`.toLowerCase();
    return words.every((part) => text.includes(part));
  }

  /* Same tag, same place? Otherwise the table must be laid out anew. */
  isOf(value) {
    return value.instrument === this.last.instrument && value.name === this.last.name && value.unit === this.last.unit;
  }

  build() {
    this.#cells = COLUMNS.map((name, column) => (column === 0
      ? make('th', { scope: 'row', role: 'rowheader', class: name }, this.last.name)
      : make('td', { role: 'cell', class: name })));
    this.node = make('tr', { role: 'row' }, ...this.#cells);
    setText(this.#cells[2], this.last.unit);
    this.#cells[3].append(make('span', { class: 'symbol', 'aria-hidden': 'true' }), ' ', make('span'));
    this.#cells[4].append(make('time'));
    this.#cells[5].append(makeLine());
    this.#cells[0].append(make('span', { class: 'proof', role: 'img' }));
    return this.node;
  }

  /* live: false shows the value as the last known one, of unknown quality. */
  draw(live) {
    const { value, quality, reason } = this.last;
    const level = live ? quality : 'unknown';
    this.node.dataset.state = level;
    this.#drawValue(value);
    this.#drawProof();
    setText(this.#cells[3].firstChild, symbol(level));
    const words = live && reason ? `${word(quality)}: ${word(reason)}` : word(level);
    setText(this.#cells[3].lastChild, words);
    this.#cells[3].title = words;
    this.#cells[5].firstChild.firstChild.setAttribute('d', this.#trend.path());
  }

  /* Held against the instrument's display, by whom and when; the mark is for those who look, its words for all. */
  #drawProof() {
    const { name, proven } = this.last;
    const mark = this.#cells[0].lastChild;
    const words = proven ? say('proven', { date: format.time(proven.time_ms), who: proven.who }) : say('not_proven');
    this.#cells[0].title = `${name}: ${words}`;
    setText(mark, proven ? ' ◆' : '');
    mark.setAttribute('aria-label', words);
    mark.hidden = !proven;
  }

  #drawValue(value) {
    const cell = this.#cells[1];
    if (value === null) {
      setText(cell, '–');
      cell.title = say('no_value');
    } else if (typeof value === 'boolean') {
      setText(cell, say(value ? 'on' : 'off'));
      cell.title = String(value);
    } else if (typeof value === 'string') {
      setText(cell, value);
      cell.title = value;
      cell.dataset.text = ''; /* may be long: the style cuts it, the title has all of it */
    } else {
      setText(cell, format.measured(value, this.#decimals));
      cell.title = String(value);
    }
  }

  tick(nowMs) {
    const { time_ms: timeMs } = this.last;
    const node = this.#cells[4].firstChild;
    setText(node, timeMs === null ? say('never') : format.age(nowMs - timeMs));
    if (timeMs === null || node.dataset.at === String(timeMs)) return;
    node.dataset.at = timeMs;
    node.dateTime = new Date(timeMs).toISOString();
    node.title = `${format.time(timeMs)}, ${format.utc(timeMs)}`;
  }
}
