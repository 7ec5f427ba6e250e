/* trend.js - the last values of one tag and the small line that shows them. */

const VALUES_MOST = 60;
/* Fewer do not fill the width: a line of three values would look like a trend. */
const VALUES_FEW = 12;
const WIDTH = 120;
const HEIGHT = 24;
const MARGIN = 2;
const SVG = 'http://www.w3.org/2000/svg';

export class Trend {
  #values = new Float64Array(VALUES_MOST).fill(NaN);
  #next = 0;

  /* NaN leaves a gap: the tag had no value. */
  add(number) {
    this.#values[this.#next % VALUES_MOST] = number;
    this.#next++;
  }

  /* Path data in the box of makeLine(); each run of values is a line of its own, the newest stands at the right. */
  path() {
    const length = Math.min(this.#next, VALUES_MOST);
    const at = (position) => this.#values[(this.#next - length + position) % VALUES_MOST];
    const [low, high] = this.#range();
    const step = (WIDTH - 2 * MARGIN) / (Math.max(length, VALUES_FEW) - 1);
    let path = '';
    let drawing = false;
    for (let position = 0; position < length; position++) {
      const value = at(position);
      if (!Number.isNaN(value)) {
        const x = WIDTH - MARGIN - (length - 1 - position) * step;
        /* A tag that stands still is a line through the middle. */
        const share = high > low ? (value - low) / (high - low) : 0.5;
        const y = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN);
        path += `${drawing ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
      }
      drawing = !Number.isNaN(value);
    }
    return path;
  }

  #range() {
    let low = Infinity;
    let high = -Infinity;
    for (const value of this.#values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }
}

/* An empty drawing; set the "d" of its only child. It repeats what the values say, so it is not read out. */
export function makeLine() {
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute('preserveAspectRatio', 'none');
  drawing.setAttribute('class', 'line');
  drawing.setAttribute('aria-hidden', 'true');
  drawing.append(document.createElementNS(SVG, 'path'));
  return drawing;
}
