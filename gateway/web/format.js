/* format.js - numbers, sizes, ages and times as people read them, in the page's language. Pure but for the locale. */

import { language, locale } from './texts.js';

const SIGNIFICANT = 5;
const DECIMALS_MAX = 6;
/* Beyond these a number with all its digits is harder to read than a power of ten. */
const PLAIN_MAX = 1e12;
const PLAIN_MIN = 1e-5;

const formats = new Map();

/* Making a formatter costs far more than using it. */
function cached(kind, key, make) {
  const name = `${language()} ${kind} ${key}`;
  if (!formats.has(name)) formats.set(name, make(locale()));
  return formats.get(name);
}

export function count(number) {
  return cached('count', '', (tongue) => new Intl.NumberFormat(tongue, { maximumFractionDigits: 0 })).format(number);
}

export function fixed(number, decimals) {
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return cached('fixed', decimals, (tongue) => new Intl.NumberFormat(tongue, options)).format(number);
}

export function percent(share) {
  const options = { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return cached('percent', '', (tongue) => new Intl.NumberFormat(tongue, options)).format(share);
}

function scientific(number) {
  const options = { notation: 'scientific', maximumFractionDigits: 3 };
  return cached('scientific', '', (tongue) => new Intl.NumberFormat(tongue, options)).format(number);
}

/* How many decimals a value needs to show five significant digits, without the noise of a 32-bit float: 0.4199999 needs
 * two. A tag keeps the most it ever needed, so that its digits do not dance. */
export function decimalsOf(number) {
  const size = Math.abs(number);
  if (size === 0 || Number.isInteger(number)) return 0;
  const most = Math.min(DECIMALS_MAX, Math.max(0, SIGNIFICANT - 1 - Math.floor(Math.log10(size))));
  const digits = size.toFixed(most).replace(/\.?0+$/, '');
  const point = digits.indexOf('.');
  return point < 0 ? 0 : digits.length - point - 1;
}

/* decimals: those of the tag; fewer are shown when the value has grown too large for them. */
export function measured(number, decimals) {
  const size = Math.abs(number);
  if (size >= PLAIN_MAX || (size > 0 && size < PLAIN_MIN)) return scientific(number);
  const room = size < 1 ? DECIMALS_MAX : Math.max(0, SIGNIFICANT - 1 - Math.floor(Math.log10(size)));
  return fixed(number, Math.min(decimals, room));
}

export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let power = 0;
  while (number >= 1024 && power < units.length - 1) {
    number /= 1024;
    power++;
  }
  return `${fixed(number, power === 0 || number >= 100 ? 0 : 1)} ${units[power]}`;
}

/* "0.4 s", "12 s", "5 min 03 s", "2 h 15 min", "3 d 4 h" */
export function age(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${count(Math.floor(seconds / 86400))} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/* Local time; with the date when it is not today. */
export function time(utcMs) {
  const at = new Date(utcMs);
  const today = at.toDateString() === new Date().toDateString();
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  if (!today) Object.assign(options, { day: 'numeric', month: 'short', year: 'numeric' });
  return cached('time', today, (tongue) => new Intl.DateTimeFormat(tongue, options)).format(at);
}

/* "2026-11-21 14:03:22.500 UTC" */
export function utc(utcMs) {
  return `${new Date(utcMs).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}
