/* Reads a queue that a Forebay gateway fills, and prints one line of JSON for every reading, each once in this run.
 *
 *     npm ci
 *     node consume.js broker.example 5671 /queues/readings ca.pem reader.pem reader.key
 *
 * A message is accepted only when its lines have been handed to the output: what follows must take a line twice after a
 * crash, or keep (store, batch) as this program does in memory. The decoder is tests/decoder/forebay_batch.js, one module
 * without dependencies: copy it along. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { decodeBatch, decodeCatalogue, unpack } from '../../../../tests/decoder/forebay_batch.js';

const require = createRequire(import.meta.url);
const rhea = require('rhea');
const { decompress } = require('fzstd');

const CREDIT = 100;
const QUALITIES = ['good', 'uncertain', 'bad', 'bad'];

const [host, port, address, ca, certificate, key] = process.argv.slice(2);
const catalogues = new Map(); // hash in hex: tags by number
const seen = new Set(); // "store/batch"; a program that runs for ever keeps ranges of numbers instead

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const contentOf = (frame) => unpack(frame, (bytes, size) => decompress(bytes, new Uint8Array(size)));

/* Numbers of 64 bits stay exact: JSON's own writer knows no BigInt. */
function json(value) {
  const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `\u0001${one}` : one));
  return text.replace(/"\\u0001(-?\d+)"/g, '$1');
}

function takeCatalogue(frame) {
  const { tags } = decodeCatalogue(contentOf(frame));
  const hash = createHash('sha256').update(frame).digest('hex');
  catalogues.set(hash, new Map(tags.map((tag) => [tag.number, tag])));
}

function takeBatch(frame) {
  const batch = decodeBatch(contentOf(frame));
  const store = hex(batch.store);
  if (seen.has(`${store}/${batch.number}`)) return;
  seen.add(`${store}/${batch.number}`);
  for (const loss of batch.losses) console.error(`${batch.gateway}: lost ${json(loss)}`);
  const tags = catalogues.get(hex(batch.catalogue));
  const lines = batch.readings.map(({ tag, timeMs, value, quality, detail }) => {
    const { instrument = null, name = null, unit = null } = tags?.get(tag) ?? {};
    return json({
      gateway: batch.gateway, store, batch: batch.number, tag, instrument, name, unit, time_ms: timeMs, value,
      quality: QUALITIES[quality >> 6], detail,
    });
  });
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}

const kinds = {
  batch: takeBatch,
  catalogue: takeCatalogue,
  event: (text) => console.error(`event: ${Buffer.from(text)}`),
};

rhea.on('message', ({ message, delivery }) => {
  try {
    kinds[message.subject](message.body.content);
  } catch (error) {
    console.error(`${message.message_id}: refused: ${error.message}`);
    delivery.reject({ condition: 'amqp:decode-error', description: error.message });
    return;
  }
  delivery.accept();
});
rhea.on('disconnected', ({ error }) => console.error(`connection: ${error?.message ?? 'ended'}; trying again`));
for (const kind of ['receiver_error', 'session_error', 'connection_error']) {
  rhea.on(kind, (context) => {
    const error = (context.receiver ?? context.session ?? context.connection).error;
    console.error(`${address}: ${error.condition}: ${error.description}`);
    process.exitCode = 1;
    context.connection.close();
  });
}

const connection = rhea.connect({
  transport: 'tls', host, port: Number(port), servername: host, idle_time_out: 60000,
  ca: readFileSync(ca), cert: readFileSync(certificate), key: readFileSync(key), enable_sasl_external: true,
});
connection.open_receiver({ source: address, credit_window: CREDIT, autoaccept: false });
