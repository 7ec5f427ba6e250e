/* Reads a queue that a Forebay gateway fills, and prints one line of JSON for every reading, each once in this run.
 *
 *     npm ci
 *     node consume.js broker.example 5671 /queues/readings ca.pem reader.pem reader.key
 *
 * When the connection breaks or the broker closes it, it connects again, for as long as it takes. What will not mend by
 * itself (certificates that do not fit, no such user, no permission, no such queue) ends it with status 1 while the queue
 * has never been reached, and is said and tried again later on.
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
const READY_MS = 30000;
const RETRY_FIRST_MS = 1000; // the longest wait after the first failure,
const RETRY_MOST_MS = 60000; // and after many
const QUALITIES = ['good', 'uncertain', 'bad', 'bad'];

const [host, port, address, ca, certificate, key] = process.argv.slice(2);
const catalogues = new Map(); // hash in hex: tags by number
const seen = new Set(); // "store/batch"; a program that runs for ever keeps ranges of numbers instead
let reached = false; // the queue, once
let failures = 0; // since the last message

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
  failures = 0;
  delivery.accept();
});

/* One connection until it ends, however it does; then the next one, after a random part of a wait that doubles. */
function connect() {
  const connection = rhea.connect({
    transport: 'tls', host, port: Number(port), servername: host, idle_time_out: 60000, reconnect: false,
    ca: readFileSync(ca), cert: readFileSync(certificate), key: readFileSync(key), enable_sasl_external: true,
  });
  let over = false;
  /* lasting: before the queue has once been reached it is the end of this program, too. */
  function end(what, error, lasting) {
    if (over) return;
    over = true;
    clearTimeout(late);
    connection.socket.destroy(new Error('over'));
    const words = [what, error?.condition, error?.description || error?.message || error?.code || 'closed by the broker'];
    const why = words.filter(Boolean).join(': ').trim();
    if (lasting && !reached) {
      console.error(why);
      process.exitCode = 1;
      return;
    }
    console.error(`${why}; trying again`);
    setTimeout(connect, Math.random() * Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** failures++));
  }
  const late = setTimeout(() => end('connection', new Error(`not ready in ${READY_MS} ms`), false), READY_MS);
  connection.on('receiver_open', ({ receiver }) => {
    if (!receiver.source) return; // a refusal, with its reason to follow
    clearTimeout(late);
    reached = true;
  });
  connection.on('receiver_close', ({ receiver }) => end(address, receiver.error, true));
  connection.on('session_close', ({ session }) => end(address, session.error, true));
  connection.on('connection_close', ({ error }) => end('connection', error, error?.condition === 'amqp:unauthorized-access'));
  // The codes of the network's errors are the system's, as ECONNREFUSED; those of TLS and its certificates are not.
  connection.on('disconnected', ({ error }) => end('connection', error, error && !/^E(?!RR)/.test(error.code)));
  connection.open_receiver({ source: address, credit_window: CREDIT, autoaccept: false });
}

connect();
