/* forebay_batch.js - decodes Forebay's batches and catalogues, written from docs/batch.md alone; checks every rule and
 * limit of that page before it allocates. One module without dependencies, for browsers and Node.
 *
 * JavaScript as it is everywhere has no zstd, so the caller brings one: (frame, size) => Uint8Array of size bytes, or
 * an exception. In Node 22.15 and later that is frame => zlib.zstdDecompressSync(frame, { maxOutputLength: size });
 * elsewhere a library such as zstddec or fzstd (which leaves the frame's checksum unchecked). */

const FRAME_BYTES_MAX = 131072;
const CONTENT_BYTES_MAX = 2097152;
const WINDOW_MAX = 8388608;
const READINGS_MAX = 65536;
const LOSSES_MAX = 256;
const LOSS_REASONS = 5;
const CORRECTIONS_MAX = 16;
const TAGS_MAX = 8192;
const TAG_MAX = 4294967295;
const TIME_MAX_MS = 7258118400000;
const DETAIL_MAX = 65535;
const TEXT_MAX = 63;
const NUMBER_MAX = 2n ** 63n - 1n;
const UNSIGNED_MAX = 2n ** 64n - 1n;
const DECIMAL_END = 2n ** 53n;
const EXPONENT_MAX = 12;
const WIDTH_MAX = 56;

export const KINDS = ['real64', 'real32', 'integer', 'boolean', 'text'];

/* The message breaks a rule of docs/batch.md. */
export class Invalid extends Error {}

function check(condition, what) {
  if (!condition) throw new Invalid(what);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes) {
  let text;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Invalid('a text that is not UTF-8');
  }
  check(!/[\u0000-\u001f\u007f-\u009f]/.test(text), 'a control character in a text');
  return text;
}

/* Bytes with a position that never passes their end. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get left() {
    return this.bytes.length - this.at;
  }

  take(count) {
    check(count <= this.left, 'it ends too early');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  byte() {
    return this.take(1)[0];
  }

  end() {
    check(this.left === 0, 'something follows the end');
  }
}

/* -- the frame (RFC 8878, section 3.1.1) */

function littleEndian(bytes) {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}

function checkWindow(reader) {
  const window = reader.byte();
  const base = 2 ** (10 + (window >> 3));
  check(base + (base / 8) * (window & 7) <= WINDOW_MAX, 'the window is too large');
}

function passBlocks(reader) {
  for (let last = 0; last === 0; ) {
    const head = littleEndian(reader.take(3));
    const type = (head >> 1) & 3;
    last = head & 1;
    check(type < 3, 'a reserved kind of block');
    reader.take(type === 1 ? 1 : head >> 3);
  }
}

/* The content's size, once the bytes are seen to be exactly one frame within the limits. */
function contentSize(frame) {
  check(frame.length <= FRAME_BYTES_MAX, 'the frame is too large');
  const reader = new Reader(frame);
  check(littleEndian(reader.take(4)) === 0xfd2fb528, 'no zstd frame');
  const descriptor = reader.byte();
  const singleSegment = descriptor & 32;
  check(!(descriptor & 8), 'a reserved bit of the frame is set');
  if (!singleSegment) checkWindow(reader);
  check(littleEndian(reader.take([0, 1, 2, 4][descriptor & 3])) === 0, 'the frame needs a dictionary');
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6];
  check(sizeBytes > 0, 'the frame does not tell the size of its content');
  const size = littleEndian(reader.take(sizeBytes)) + (sizeBytes === 2 ? 256 : 0);
  check(size >= 1 && size <= CONTENT_BYTES_MAX, 'the content is empty or too large');
  passBlocks(reader);
  if (descriptor & 4) reader.take(4);
  reader.end();
  return size;
}

/* The content of a frame (Uint8Array). */
export function unpack(frame, decompress) {
  const size = contentSize(frame);
  let content;
  try {
    content = decompress(frame, size);
  } catch (error) {
    throw new Invalid(`zstd: ${error.message}`);
  }
  check(content.length === size, 'the content is not as long as the frame says');
  return content;
}

/* -- CBOR, as far as the page uses it: unsigned integers, byte strings, texts, arrays, maps; definite and shortest */

const [UNSIGNED, BYTES, TEXT, ARRAY, MAP] = [0, 2, 3, 4, 5];

class Cbor extends Reader {
  /* The number (BigInt) in the head of the next item, which must be of that major type. */
  head(major) {
    const first = this.byte();
    const low = first & 31;
    check(first >> 5 === major && low <= 27, 'CBOR of another kind than is due');
    if (low < 24) return BigInt(low);
    const number = this.take(1 << (low - 24)).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    check(number >= [24n, 1n << 8n, 1n << 16n, 1n << 32n][low - 24], 'a CBOR number that is not in its shortest form');
    return number;
  }

  limited(major, least, most) {
    const number = this.head(major);
    check(number >= BigInt(least) && number <= BigInt(most), `${number} is not in ${least} to ${most}`);
    return number;
  }

  big(least = 0n, most = NUMBER_MAX) {
    return this.limited(UNSIGNED, least, most);
  }

  unsigned(least, most) {
    return Number(this.limited(UNSIGNED, least, most));
  }

  time() {
    return this.unsigned(0, TIME_MAX_MS);
  }

  fixed(length) {
    return this.take(Number(this.limited(BYTES, length, length))).slice();
  }

  rest() {
    return this.take(Number(this.limited(BYTES, 0, this.left)));
  }

  text(least, most) {
    return textOf(this.take(Number(this.limited(TEXT, least, most))));
  }

  array(least, most) {
    return Number(this.limited(ARRAY, least, most));
  }

  list(least, most, one) {
    return Array.from({ length: this.array(least, most) }, one);
  }

  key(number) {
    this.limited(UNSIGNED, number, number);
  }
}

/* A reader behind the members that both messages begin with, and those members. */
function openEnvelope(content, least, most, message) {
  const cbor = new Cbor(content);
  const keys = Number(cbor.head(MAP));
  cbor.key(0);
  check(cbor.head(UNSIGNED) === 1n, 'made by a newer Forebay');
  check(keys >= least && keys <= most, `not a map of ${least} to ${most}`);
  cbor.key(1);
  check(cbor.text(0, TEXT_MAX) === message, `not a ${message}`);
  cbor.key(2);
  const gateway = cbor.text(1, TEXT_MAX);
  cbor.key(3);
  return [cbor, keys, { message, gateway, store: cbor.fixed(16) }];
}

/* -- columns */

class Columns extends Reader {
  varint(least = 0n, most = UNSIGNED_MAX) {
    let number = 0n;
    for (let shift = 0n; ; shift += 7n) {
      check(shift < 70n, 'a varint of more than 10 bytes');
      const byte = this.byte();
      number |= BigInt(byte & 127) << shift;
      if (byte > 127) continue;
      check(byte > 0 || shift === 0n, 'a varint that is not in its shortest form');
      break;
    }
    check(number >= least && number <= most, `${number} is not in ${least} to ${most}`);
    return number;
  }

  count(least, most) {
    return Number(this.varint(BigInt(least), BigInt(most)));
  }

  /* Each takes a byte at least: a few bytes cannot claim much memory. */
  many(count, one) {
    check(count <= this.left, 'too short for what it announces');
    return Array.from({ length: count }, one);
  }

  counts(count, least, most) {
    return this.many(count, () => this.count(least, most));
  }

  zigzags(count) {
    return this.many(count, () => unzigzag(this.varint()));
  }

  /* A number (BigInt) for each of the widths in bits, without gaps, least significant bit first. */
  lowBits(widths) {
    const bytes = this.take(Math.ceil(sum(widths) / 8));
    let [held, heldBits, at] = [0n, 0, 0];
    const numbers = widths.map((width) => {
      for (; heldBits < width; heldBits += 8) held |= BigInt(bytes[at++]) << BigInt(heldBits);
      const number = BigInt.asUintN(width, held);
      held >>= BigInt(width);
      heldBits -= width;
      return number;
    });
    check(held === 0n, 'low bits that are not filled up with zeros');
    return numbers;
  }

  /* total values, told as runs; one reads a value. */
  runs(total, least, one) {
    const count = this.count(least, total);
    const values = this.many(count, one);
    const lengths = this.counts(count, 1, total);
    check(sum(lengths) === total, 'the runs do not add up');
    return values.flatMap((value, i) => Array(lengths[i]).fill(value));
  }
}

function unzigzag(number) {
  return number & 1n ? -((number + 1n) >> 1n) : number >> 1n;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/* Running sums of numbers that never wrap in a valid batch. */
function sums(steps, least, most, what) {
  let total = 0n;
  return steps.map((step) => {
    total += BigInt(step);
    check(total >= BigInt(least) && total <= BigInt(most), what);
    return Number(total);
  });
}

const hasValue = (quality) => quality < 128;

/* The real whose ordered form is m, a signed number of so many bits. */
function fromOrdered(m, bits) {
  check(BigInt.asIntN(bits, m) === m, `${m} is no ordered form of ${bits} bits`);
  const view = new DataView(new ArrayBuffer(8));
  const pattern = m >= 0n ? m : m ^ (2n ** BigInt(bits - 1) - 1n);
  if (bits === 64) view.setBigInt64(0, pattern);
  else view.setInt32(0, Number(pattern));
  const value = bits === 64 ? view.getFloat64(0) : view.getFloat32(0);
  check(Number.isFinite(value), 'NaN or infinity');
  return value;
}

function fromBoolean(m) {
  check(m === 0n || m === 1n, `${m} is no boolean`);
  return m === 1n;
}

function fromDecimal(m, power) {
  check(m < DECIMAL_END && m > -DECIMAL_END, `the decimal ${m} is not below 2^53`);
  return Number(m) / power;
}

/* value: of the number m (BigInt) */
const ENCODINGS = new Map([
  [0, { kind: 0, value: (m) => fromOrdered(m, 64) }],
  [1, { kind: 1, value: (m) => fromOrdered(m, 32) }],
  [2, { kind: 2, value: (m) => m }],
  [3, { kind: 3, value: fromBoolean }],
  [4, { kind: 4 }],
]);
for (let k = 0; k <= EXPONENT_MAX; k++) {
  const power = Number(`1e${k}`); /* exact, as not every engine's 10 ** k is */
  ENCODINGS.set(16 + k, { kind: 0, value: (m) => fromDecimal(m, power) });
  ENCODINGS.set(32 + k, { kind: 1, value: (m) => Math.fround(fromDecimal(m, power)) });
}

const isText = (series) => series.encoding.value === undefined;

/* distances: signed */
function seriesValues(series, distances) {
  let expected = 0n;
  return distances.map((distance, i) => {
    const m = BigInt.asIntN(64, expected + distance);
    const towards = BigInt.asIntN(64, distance + 2n) >> 2n;
    expected = series.smoothed && i > 0 ? BigInt.asIntN(64, expected + towards) : m;
    return series.encoding.value(m);
  });
}

function readNumbers(columns, series) {
  const mine = series.filter((one) => !isText(one) && one.valueCount > 0);
  const high = (one) => columns.varint(0n, UNSIGNED_MAX >> BigInt(one.width));
  const lows = columns.lowBits(mine.flatMap((one) => Array(one.valueCount).fill(one.width))).values();
  const firsts = mine.map(high);
  mine.forEach((one, i) => {
    const highs = [firsts[i], ...columns.many(one.valueCount - 1, () => high(one))];
    const distances = highs.map((number) => unzigzag((number << BigInt(one.width)) | lows.next().value));
    one.values = seriesValues(one, distances);
  });
}

function readTexts(columns, total) {
  const count = columns.count(1, total);
  const texts = columns.counts(count, 0, TEXT_MAX).map((length) => textOf(columns.take(length)));
  let used = 0;
  const values = columns.runs(total, 1, () => {
    const index = columns.count(0, Math.min(used, count - 1));
    if (index === used) used++;
    return texts[index];
  });
  check(used === count, 'a text that is not used');
  return values;
}

function readGroups(columns, groupCount, total) {
  const sizes = columns.counts(groupCount, 1, total);
  check(sum(sizes) <= total, 'the groups are larger than the batch');
  return sizes;
}

function readSeries(columns, seriesCount, sizes, total) {
  const tags = sums(columns.counts(seriesCount, 0, TAG_MAX), 1, TAG_MAX, "a tag's number out of bounds");
  const groups = sums(columns.zigzags(seriesCount), 0, sizes.length - 1, 'a group that is not there');
  check(new Set(groups).size === sizes.length, 'a group without a series');
  check(sum(groups.map((group) => sizes[group])) === total, 'the series do not add up to the readings');
  const encodings = columns.many(seriesCount, () => ENCODINGS.get(columns.byte()));
  check(!encodings.includes(undefined), 'an unknown encoding');
  return columns.many(seriesCount, (_, i) => {
    const shape = columns.byte();
    const one = { tag: tags[i], group: groups[i], encoding: encodings[i], count: sizes[groups[i]], values: [] };
    Object.assign(one, { width: shape & 127, smoothed: shape > 127 });
    check(one.width <= WIDTH_MAX, 'too many low bits');
    return one;
  });
}

function readTimes(columns, sizes) {
  const what = 'a time out of bounds';
  const firsts = sums(columns.zigzags(sizes.length), 0, TIME_MAX_MS, what);
  return sizes.map((size, group) => {
    let interval = 0n;
    const steps = columns.zigzags(size - 1).map((change) => (interval += change));
    return sums([firsts[group], ...steps], 0, TIME_MAX_MS, what);
  });
}

function seriesReadings(series, times, qualities, details) {
  let next = 0;
  return times.map((timeMs, i) => ({
    tag: series.tag,
    kind: KINDS[series.encoding.kind],
    timeMs,
    quality: qualities[i],
    detail: details[i],
    value: hasValue(qualities[i]) ? series.values[next++] : null,
  }));
}

/* The readings, series after series. */
function readColumns(bytes, total) {
  const columns = new Columns(bytes);
  const groupCount = columns.count(0, total);
  const seriesCount = columns.count(groupCount, total);
  const sizes = readGroups(columns, groupCount, total);
  const series = readSeries(columns, seriesCount, sizes, total);
  const times = readTimes(columns, sizes);
  const qualities = columns.runs(total, 0, () => columns.byte());
  const details = columns.runs(total, 0, () => columns.count(0, DETAIL_MAX));
  let at = 0;
  for (const one of series) {
    one.first = at;
    at += one.count;
    one.valueCount = qualities.slice(one.first, at).filter(hasValue).length;
    const hasNumbers = !isText(one) && one.valueCount > 0;
    check(hasNumbers || (one.width === 0 && !one.smoothed), 'a shape of a series without numbers');
  }
  readNumbers(columns, series);
  for (const one of series)
    if (isText(one) && one.valueCount > 0) one.values = readTexts(columns, one.valueCount);
  columns.end();
  return series.flatMap((one) => {
    const end = one.first + one.count;
    return seriesReadings(one, times[one.group], qualities.slice(one.first, end), details.slice(one.first, end));
  });
}

/* -- the two messages */

function readLoss(cbor, number) {
  cbor.array(6, 6);
  const loss = { reason: cbor.unsigned(1, LOSS_REASONS), readings: cbor.big(), fromMs: cbor.time() };
  loss.toMs = cbor.unsigned(loss.fromMs, TIME_MAX_MS);
  loss.firstBatch = cbor.big(0n, number - 1n);
  loss.lastBatch = cbor.big(loss.firstBatch, loss.firstBatch > 0n ? number - 1n : 0n);
  return loss;
}

function readCorrection(cbor, number, own) {
  const elsewhere = cbor.array(5, 6) === 6;
  const record = { firstBatch: elsewhere ? cbor.big(1n) : cbor.big(1n, number) };
  record.lastBatch = elsewhere ? cbor.big(record.firstBatch) : cbor.big(record.firstBatch, number);
  record.fromMs = cbor.time();
  record.toMs = cbor.unsigned(record.fromMs, TIME_MAX_MS);
  record.rightMs = cbor.unsigned(0, TIME_MAX_MS - (record.toMs - record.fromMs));
  if (elsewhere) {
    record.store = cbor.fixed(16);
    const isOther = record.store.some((byte) => byte !== 0) && record.store.some((byte, at) => byte !== own[at]);
    check(isOther, 'a correction names no other store');
  }
  return record;
}

/* content: what unpack() gave. Numbers that may pass 2^53 are BigInts: batch numbers, counts of losses, integer values.
 * A reading's value is null when its quality's class is bad. */
export function decodeBatch(content) {
  const [cbor, keys, batch] = openEnvelope(content, 12, 13, 'batch');
  cbor.key(4);
  batch.number = cbor.big(1n);
  cbor.key(5);
  batch.previous = cbor.fixed(32);
  check(batch.number > 1n || batch.previous.every((byte) => byte === 0), 'batch 1 follows on nothing');
  cbor.key(6);
  batch.catalogue = cbor.fixed(32);
  cbor.key(7);
  batch.sealedMs = cbor.time();
  cbor.key(8);
  batch.clock = cbor.unsigned(0, 2);
  cbor.key(9);
  batch.losses = cbor.list(0, LOSSES_MAX, () => readLoss(cbor, batch.number));
  cbor.key(10);
  const total = cbor.unsigned(0, READINGS_MAX);
  cbor.key(11);
  const columns = cbor.rest();
  batch.corrections = [];
  if (keys === 13) {
    cbor.key(12);
    batch.corrections = cbor.list(1, CORRECTIONS_MAX, () => readCorrection(cbor, batch.number, batch.store));
  }
  cbor.end();
  batch.readings = readColumns(columns, total);
  return batch;
}

export function decodeCatalogue(content) {
  const [cbor, , catalogue] = openEnvelope(content, 7, 7, 'catalogue');
  cbor.key(4);
  catalogue.revision = cbor.big(1n);
  cbor.key(5);
  catalogue.madeMs = cbor.time();
  cbor.key(6);
  let number = 0;
  catalogue.tags = cbor.list(0, TAGS_MAX, () => {
    cbor.array(5, 5);
    number = cbor.unsigned(number + 1, TAG_MAX);
    const tag = { number, instrument: cbor.text(1, TEXT_MAX), name: cbor.text(1, TEXT_MAX), unit: cbor.text(0, 23) };
    tag.kind = KINDS[cbor.unsigned(0, KINDS.length - 1)];
    return tag;
  });
  cbor.end();
  return catalogue;
}
