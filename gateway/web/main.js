/* main.js - ties the stream to what is drawn, and the controls to what they change. */

import { Events } from './events.js';
import { drawLost, drawNothingYet, drawPanels, tickPanels } from './panels.js';
import { complete } from './status.js';
import { Stream } from './stream.js';
import { preferredLanguage, rememberLanguage, say, setLanguage } from './texts.js';
import { Values } from './values.js';

const byId = (id) => document.getElementById(id);

const page = {
  state: 'connecting',
  sinceMs: Date.now(),
  status: null,
  /* The gateway's clock less performance.now(): ages are right whatever the browser's clock says. */
  gatewayLessLocalMs: Date.now() - performance.now(),
};

const gatewayNow = () => performance.now() + page.gatewayLessLocalMs;
const values = new Values(byId('groups'), gatewayNow);
const events = new Events(byId('events'), byId('no-events'));

function draw() {
  const live = page.state === 'live';
  document.body.dataset.live = live ? 'yes' : 'no';
  drawLost(page.state === 'lost' ? page.sinceMs : null);
  if (page.status) drawPanels(live, page.status, values.counts, gatewayNow());
  else drawNothingYet(page.state);
  if (page.status) values.drawSummary(byId('counts'), byId('shown'));
}

function takeState(state, sinceMs) {
  page.state = state;
  page.sinceMs = sinceMs;
  values.setLive(state === 'live');
  draw();
}

function takeStatus(status) {
  page.gatewayLessLocalMs = status.gateway.now_ms - performance.now();
  const loadedMs = page.status?.gateway.configuration.loaded_ms ?? status.gateway.configuration.loaded_ms;
  page.status = complete(status);
  draw();
  events.take(status);
  /* Tags may have gone, which no event tells: ask for all of them. */
  if (status.gateway.configuration.loaded_ms !== loadedMs) stream.reopen();
}

function takeValues(list, whole) {
  values.take(list, whole);
  if (page.status) draw();
}

function showLanguage(language) {
  setLanguage(language);
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = say(node.dataset.text);
  byId('language').setAttribute('aria-label', say('language'));
  for (const button of byId('language').children)
    button.setAttribute('aria-pressed', String(button.value === language));
  values.layOut();
  events.draw();
  draw();
}

function applyFilter() {
  values.filter(byId('filter').value, byId('not-good').checked);
  if (page.status) values.drawSummary(byId('counts'), byId('shown'));
}

byId('language').addEventListener('click', ({ target }) => {
  if (!target.value) return;
  rememberLanguage(target.value);
  showLanguage(target.value);
});
byId('filter').addEventListener('input', applyFilter);
byId('not-good').addEventListener('change', applyFilter);

showLanguage(preferredLanguage());
applyFilter();
const stream = new Stream({ state: takeState, status: takeStatus, values: takeValues });
setInterval(() => {
  if (page.status) tickPanels(gatewayNow());
  values.tick();
}, 1000);
