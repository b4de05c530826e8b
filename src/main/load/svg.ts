/** The little of SVG and HTML that charts need: escaped text, scales and their ticks. */

/** Text for between tags and in attributes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`);
}

/** From a value to a place on the drawing. */
export type Scale = (value: number) => number;

export function linear([low, high]: readonly [number, number], [from, to]: readonly [number, number]): Scale {
  const factor = high === low ? 0 : (to - from) / (high - low);
  return value => from + (value - low) * factor;
}

export function logarithmic([low, high]: readonly [number, number], range: readonly [number, number]): Scale {
  const scale = linear([Math.log10(low), Math.log10(high)], range);
  return value => scale(Math.log10(Math.max(value, low)));
}

/** Less is nothing: the steps to it could not be told from 0. */
const LEAST = 1e-12;

/** About `count` round numbers from 0 to at least `high`. */
export function linearTicks(high: number, count: number): number[] {
  if (!(high > LEAST)) return [0, 1];
  const rough = high / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find(factor => factor * power >= rough * 0.999) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = 0; ; i++) {
    ticks.push(Number((i * step).toPrecision(12)));
    if (i * step >= high * 0.999) return ticks;
  }
}

/** 1, 2, 5, 10 … (only 1, 10, 100 … over more than three decades) from `low` to `high`. */
export function logTicks(low: number, high: number): number[] {
  const steps = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) ticks.push(Number((step * 10 ** power).toPrecision(12)));
  }
  return ticks.filter(tick => tick >= low && tick <= high);
}

/** A path through points. */
export function path(points: ReadonlyArray<readonly [x: number, y: number]>): string {
  return points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');
}

/** A place on the drawing, to a tenth of a pixel. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export interface Frame {
  /** Its class. */
  readonly of: 'wide' | 'narrow';
  /** More of them are not told apart. */
  readonly points: number;
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** For a screen that is wide enough, and for a telephone: the style shows one of them. */
export const WIDE: Frame = {
  of: 'wide',
  width: 920,
  height: 290,
  left: 70,
  right: 24,
  top: 36,
  bottom: 28,
  points: 240,
};
export const NARROW: Frame = {
  of: 'narrow',
  width: 360,
  height: 240,
  left: 58,
  right: 10,
  top: 36,
  bottom: 28,
  points: 80,
};
export const FRAMES = [WIDE, NARROW] as const;

export const leftOf = ({ left }: Frame): number => left;
export const rightOf = ({ width, right }: Frame): number => width - right;
export const topOf = ({ top }: Frame): number => top;
export const bottomOf = ({ height, bottom }: Frame): number => height - bottom;

/** A drawing, with words for those who do not see it. */
export function picture({ of, width, height }: Frame, label: string, content: string): string {
  const attributes = `class="${of}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}"`;
  return `<svg ${attributes}>${content}</svg>`;
}

/** A tick's place and what is written there. */
export type Tick = readonly [place: number, label: string];

/** Grid lines, axes, their labels, and the name of what is upright. */
export function axes(frame: Frame, x: readonly Tick[], y: readonly Tick[], title: string): string {
  const { width, height, left, right, top, bottom } = frame;
  const base = height - bottom;
  const rows = y.map(
    ([place, label]) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${round(place)}" y2="${round(place)}"/>` +
      `<text x="${left - 10}" y="${round(place) + 4}" text-anchor="end">${escaped(label)}</text>`,
  );
  const marks = x.map(
    ([place, label]) =>
      `<line class="tick" x1="${round(place)}" x2="${round(place)}" y1="${base}" y2="${base + 5}"/>` +
      `<text x="${round(place)}" y="${base + 20}" text-anchor="middle">${escaped(label)}</text>`,
  );
  return (
    `<text x="0" y="${top - 16}">${escaped(title)}</text>` +
    `${rows.join('')}<line class="base" x1="${left}" x2="${width - right}" y1="${base}" y2="${base}"/>${marks.join('')}`
  );
}
