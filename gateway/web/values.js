/* values.js - the live values: one table for each instrument, cut into blocks of rows.
 *
 * A block's rows are made when it first comes near the window and drawn only while it is there: thousands of tags cost
 * little more than those that can be seen. */

import { make, setText } from './dom.js';
import * as format from './format.js';
import { COLUMNS, Row } from './row.js';
import { say } from './texts.js';

const ROWS_A_BLOCK = 40;
const NEAR = '400px';

const collator = new Intl.Collator('en', { numeric: true });

function inOrder({ last: one }, { last: other }) {
  return collator.compare(one.instrument, other.instrument) || collator.compare(one.name, other.name);
}

/* Up to ROWS_A_BLOCK rows of one instrument. */
class Block {
  near = false;
  shown = 0;
  #rows;
  #made = false;
  /* Stands for the rows that nobody has seen yet, so that the scroll bar is right. */
  #spacer = make('tr', { 'aria-hidden': 'true', class: 'spacer' });

  constructor(rows) {
    this.#rows = rows;
    this.body = make('tbody', { role: 'rowgroup' }, this.#spacer);
  }

  /* Decide which rows are shown. */
  choose(words, onlyNotGood) {
    this.shown = 0;
    for (const row of this.#rows) {
      row.shown = row.matches(words, onlyNotGood);
      this.shown += row.shown;
      if (row.node && row.node.hidden === row.shown) row.node.hidden = !row.shown;
    }
    this.body.hidden = this.shown === 0;
    this.#spacer.style.setProperty('--rows', this.shown);
  }

  draw(live, nowMs) {
    if (!this.near || this.shown === 0) return;
    if (!this.#made) {
      this.#made = true;
      this.#spacer.replaceWith(...this.#rows.map((row) => row.build()));
      for (const row of this.#rows) row.node.hidden = !row.shown;
    }
    for (const row of this.#rows) {
      if (!row.shown) continue;
      row.draw(live);
      row.tick(nowMs);
    }
  }

  tick(nowMs) {
    if (!this.near || !this.#made) return;
    for (const row of this.#rows) if (row.shown) row.tick(nowMs);
  }
}

function makeGroup(name, blocks) {
  const headings = COLUMNS.map((column) => (
    make('th', { scope: 'col', role: 'columnheader', class: column }, say(column))));
  const head = make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...headings));
  const table = make('table', { role: 'table' }, head, ...blocks.map((block) => block.body));
  return make('section', { class: 'group', 'aria-label': name }, make('h3', {}, name), table);
}

export class Values {
  counts = { good: 0, uncertain: 0, bad: 0 };
  #rows = new Map();
  #groups = [];
  #root;
  #observer;
  #words = [];
  #onlyNotGood = false;
  #live = false;
  #now;

  /* root: where the tables go; now: a function, the gateway's time in ms. */
  constructor(root, now) {
    this.#root = root;
    this.#now = now;
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: NEAR });
  }

  /* list: value objects; whole: they are all there are. */
  take(list, whole) {
    const same = this.#keep(list, whole);
    this.#count();
    if (same) this.#choose();
    else this.layOut();
  }

  /* True while every tag is still in its place. Tags that stay keep their trend. */
  #keep(list, whole) {
    const old = this.#rows;
    if (whole) this.#rows = new Map();
    let same = !whole || old.size === list.length;
    for (const value of list) {
      let row = old.get(value.tag);
      if (row?.isOf(value)) row.take(value);
      else {
        row = new Row(value);
        same = false;
      }
      this.#rows.set(value.tag, row);
    }
    return same;
  }

  #count() {
    this.counts = { good: 0, uncertain: 0, bad: 0 };
    for (const row of this.#rows.values()) this.counts[row.last.quality]++;
  }

  /* Make all tables anew: other tags, or another language. */
  layOut() {
    this.#observer.disconnect();
    const byInstrument = new Map();
    for (const row of [...this.#rows.values()].sort(inOrder)) {
      const name = row.last.instrument;
      if (!byInstrument.has(name)) byInstrument.set(name, []);
      byInstrument.get(name).push(row);
    }
    this.#groups = [...byInstrument].map(([name, rows]) => {
      const blocks = [];
      for (let first = 0; first < rows.length; first += ROWS_A_BLOCK)
        blocks.push(new Block(rows.slice(first, first + ROWS_A_BLOCK)));
      return { blocks, node: makeGroup(name, blocks) };
    });
    this.#choose();
    this.#root.replaceChildren(...this.#groups.map((group) => group.node));
    for (const block of this.#blocks()) this.#observer.observe(block.body);
  }

  * #blocks() {
    for (const group of this.#groups) yield* group.blocks;
  }

  /* The observer tells of elements; blocks are few enough to look through. */
  #seen(entries) {
    const near = new Map(entries.map((entry) => [entry.target, entry.isIntersecting]));
    for (const block of this.#blocks()) {
      if (!near.has(block.body)) continue;
      block.near = near.get(block.body);
      block.draw(this.#live, this.#now());
    }
  }

  filter(text, onlyNotGood) {
    this.#words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.#onlyNotGood = onlyNotGood;
    this.#choose();
  }

  setLive(live) {
    this.#live = live;
    this.#draw();
  }

  #choose() {
    for (const group of this.#groups) {
      for (const block of group.blocks) block.choose(this.#words, this.#onlyNotGood);
      group.node.hidden = group.blocks.every((block) => block.shown === 0);
    }
    this.#draw();
  }

  #draw() {
    const nowMs = this.#now();
    for (const block of this.#blocks()) block.draw(this.#live, nowMs);
  }

  tick() {
    const nowMs = this.#now();
    for (const block of this.#blocks()) block.tick(nowMs);
  }

  /* Write how many tags there are of each quality, and how many the filter leaves. */
  drawSummary(countsNode, shownNode) {
    const entries = Object.entries(this.counts).map(([name, number]) => [name, format.count(number)]);
    const numbers = Object.fromEntries(entries);
    setText(countsNode, this.#live ? say('counts', numbers) : '');
    let shown = 0;
    for (const block of this.#blocks()) shown += block.shown;
    const all = format.count(this.#rows.size);
    if (this.#rows.size === 0) setText(shownNode, say('no_tags'));
    else if (shown === 0) setText(shownNode, say('none_shown', { all }));
    else setText(shownNode, shown === this.#rows.size ? '' : say('shown', { shown: format.count(shown), all }));
  }
}
