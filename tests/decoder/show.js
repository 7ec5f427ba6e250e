/* show.js - what each message in a folder holds, or why it is refused: one line of JSON each, in the words of
 * tests/data/batch/README.md. NAME.bin is the frame; NAME.content what zstd makes of it, missing when it refuses.
 *
 *     node show.js FOLDER */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Invalid, KINDS, decodeBatch, decodeCatalogue, unpack } from './forebay_batch.js';

const LISTED_MOST = 1000;

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/* JSON has no word for BigInts; no text holds a control character, so one marks them until the text is made. */
function json(value) {
  const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `\u0001${one}` : one));
  return text.replace(/"\\u0001(\d+)"/g, '$1');
}

const bits = {
  real64: (view, value) => view.setFloat64(0, value),
  real32: (view, value) => view.setFloat32(4, value),
  integer: (view, value) => view.setBigInt64(0, value),
  boolean: (view, value) => view.setUint8(7, value ? 1 : 0),
};

function valueOf({ kind, value }) {
  if (value === null || kind === 'text') return value;
  const view = new DataView(new ArrayBuffer(8));
  bits[kind](view, value);
  return hex(new Uint8Array(view.buffer));
}

function readingsOf(readings) {
  const rows = readings.map((one) => [
    one.tag, KINDS.indexOf(one.kind), one.timeMs, one.quality, one.detail, valueOf(one),
  ]);
  if (rows.length <= LISTED_MOST) return rows;
  return [rows.length, sha256(rows.map((row) => `${json(row)}\n`).join(''))];
}

function correctionOf(record) {
  return Object.values(record).map((member) => (member instanceof Uint8Array ? hex(member) : member));
}

function batchOf(batch) {
  const shown = {
    number: batch.number, previous: hex(batch.previous), catalogue: hex(batch.catalogue), sealed: batch.sealedMs,
    clock: batch.clock, losses: batch.losses.map(Object.values), readings: readingsOf(batch.readings),
  };
  if (batch.corrections.length > 0) shown.corrections = batch.corrections.map(correctionOf);
  return shown;
}

function catalogueOf(catalogue) {
  const tags = catalogue.tags.map((tag) => [
    tag.number, tag.instrument, tag.name, tag.unit, KINDS.indexOf(tag.kind),
  ]);
  return { revision: catalogue.revision, made: catalogue.madeMs, tags };
}

function show(frame, decompress) {
  const content = unpack(frame, decompress);
  let decoded, more;
  try {
    decoded = decodeBatch(content);
    more = batchOf(decoded);
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    try {
      decoded = decodeCatalogue(content);
    } catch {
      throw error;
    }
    more = catalogueOf(decoded);
  }
  const { message, gateway, store } = decoded;
  return { message, hash: sha256(frame), gateway, store: hex(store), ...more };
}

const folder = process.argv[2];
for (const name of readdirSync(folder).filter((one) => one.endsWith('.bin')).sort()) {
  const path = join(folder, name);
  const contentPath = path.replace(/\.bin$/, '.content');
  const decompress = () => {
    if (!existsSync(contentPath)) throw new Error('refused');
    return readFileSync(contentPath);
  };
  try {
    console.log(json(show(readFileSync(path), decompress)));
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    console.log(json({ refused: error.message }));
  }
}
