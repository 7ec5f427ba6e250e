/* dom.js - making and patching elements. Text from outside only ever becomes a text node, never markup.
 *
 * What a cell shows is an array of pieces: a string, {badge, word, reason, mark}, {time}, {age} or {note}. A cell whose
 * pieces are the same as before is left alone, so that selections, tooltips and screen readers are not disturbed. */

import * as format from './format.js';
import { language, say, word } from './texts.js';

const SYMBOLS = { good: '✓', uncertain: '▲', bad: '✕', unknown: '?' };

export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function symbol(level) {
  return SYMBOLS[level];
}

const makers = {
  /* mark: false leaves the symbol out, where there is no state to be shown. */
  badge({ badge, word: text, reason, mark = true }) {
    const sign = make('span', { class: 'symbol', 'aria-hidden': 'true' }, SYMBOLS[badge]);
    const node = make('span', { class: 'badge', 'data-state': badge }, ...(mark ? [sign, ' '] : []), word(text));
    if (reason) node.append(make('span', { class: 'reason' }, `: ${word(reason)}`));
    return node;
  },
  time({ time }) {
    if (!time) return document.createTextNode(say('never'));
    return make('time', { datetime: new Date(time).toISOString(), title: format.utc(time) }, format.time(time));
  },
  age({ age, as }) {
    return make('time', {
      class: 'age', 'data-from': age, 'data-as': as, datetime: new Date(age).toISOString(), title: format.utc(age),
    });
  },
  note({ note }) {
    return make('small', {}, note);
  },
};

function piece(content) {
  if (typeof content === 'string') return document.createTextNode(content);
  const kind = Object.keys(makers).find((name) => name in content);
  return makers[kind](content);
}

const shown = new WeakMap();

export function fill(node, pieces) {
  const signature = `${language()}${JSON.stringify(pieces)}`;
  if (shown.get(node) === signature) return;
  shown.set(node, signature);
  node.replaceChildren(...pieces.map(piece));
}

/* Ages count on by themselves: nowMs is the gateway's clock. */
export function tickAges(root, nowMs) {
  for (const node of root.getElementsByClassName('age')) {
    const from = Number(node.dataset.from);
    const text = format.age(node.dataset.as === 'in_time' ? from - nowMs : nowMs - from);
    setText(node, say(node.dataset.as, { age: text }));
  }
}

/* facts: [key, label, pieces] in order; the dl's rows are patched in place. */
export function fillFacts(list, facts) {
  patch(list, facts, ([key]) => key, ([, label, pieces], row) => {
    if (!row.firstChild) row.append(make('dt'), make('dd'));
    setText(row.firstChild, label);
    fill(row.lastChild, pieces);
  }, 'div');
}

/* rows: {key, cells: [pieces, ...]}; classes: of the columns; the first cell is the row's header. */
export function fillTable(body, rows, classes) {
  patch(body, rows, (row) => row.key, ({ cells }, row) => {
    while (row.childElementCount < cells.length) {
      const column = row.childElementCount;
      row.append(column === 0 ? make('th', { scope: 'row' }) : make('td', { class: classes[column] }));
    }
    cells.forEach((pieces, column) => fill(row.children[column], pieces));
  }, 'tr');
}

/* Make root's children those of items, in their order, keeping the nodes of keys that stay. */
export function patch(root, items, keyOf, update, name) {
  const old = new Map([...root.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, position) => {
    const key = String(keyOf(item));
    const node = old.get(key) ?? make(name, { 'data-key': key });
    old.delete(key);
    update(item, node);
    if (root.children[position] !== node) root.insertBefore(node, root.children[position] ?? null);
  });
  for (const node of old.values()) node.remove();
}
