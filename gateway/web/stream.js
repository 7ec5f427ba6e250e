/* stream.js - the server-sent events of /api/events, opened again whenever they end.
 *
 * states: 'connecting' (nothing received yet), 'live', 'lost'. Values are true only while 'live'. */

const ADDRESS = 'api/events';
/* Core sends a status every 2 s; three missed ones are a lost connection, whatever TCP thinks. */
const SILENCE_MOST_MS = 6500;
const RETRY_FIRST_MS = 1000;
const RETRY_MOST_MS = 10000;

export class Stream {
  #source = null;
  #silence = 0;
  #retry = 0;
  #failures = 0;
  #state = 'connecting';
  #lastMs = Date.now();
  #first = true;
  #handlers;

  /* handlers: state(name, sinceMs), status(object), values(list, first): first is true for the first after opening,
   * which holds every tag. */
  constructor(handlers) {
    this.#handlers = handlers;
    /* A hidden page would hold one of the few connections that a browser allows itself for each address. */
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#pause() : this.reopen()));
    if (!document.hidden) this.reopen();
  }

  /* Ask for everything anew. */
  reopen() {
    this.#close();
    this.#first = true;
    this.#source = new EventSource(ADDRESS);
    this.#source.addEventListener('status', (event) => this.#take(event, (data) => this.#handlers.status(data)));
    this.#source.addEventListener('values', (event) => this.#take(event, (data) => this.#values(data.values)));
    this.#source.addEventListener('error', () => this.#fail());
    this.#watch();
  }

  #values(list) {
    const first = this.#first;
    this.#first = false;
    this.#handlers.values(list, first);
  }

  #take(event, deliver) {
    /* Last of all, so that what cannot be shown ends up as silence and not as a page that stands still. */
    deliver(JSON.parse(event.data));
    this.#failures = 0;
    this.#lastMs = Date.now();
    this.#watch();
    this.#enter('live');
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#fail(), SILENCE_MOST_MS);
  }

  #fail() {
    this.#close();
    this.#enter('lost');
    const ceiling = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.reopen(), ceiling * (0.5 + Math.random() / 2));
  }

  #pause() {
    this.#close();
    if (this.#state === 'live') this.#enter('connecting');
  }

  #close() {
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #enter(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#handlers.state(state, this.#lastMs);
  }
}
