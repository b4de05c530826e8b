/** The charts of a report: throughput over time, and the latency curve. */

import { Histogram, type PercentilePoint } from '../../shared/load/histogram.js';
import { compact, number, time } from './format.js';
import { intervalSeconds, type LoadResult } from './result.js';
import {
  axes,
  escaped,
  type Frame,
  linear,
  linearTicks,
  logarithmic,
  logTicks,
  path,
  round,
  type Tick,
} from './svg.js';

const FRAME: Frame = { width: 920, height: 290, left: 70, right: 24, top: 36, bottom: 28 };
const X = [FRAME.left, FRAME.width - FRAME.right] as const;
const Y = [FRAME.height - FRAME.bottom, FRAME.top] as const;
/** More points than that are not told apart; neighbours are put together. */
const MOST_POINTS = 240;
/** From here on a linear scale would press all but the last percent flat. */
const LOG_FROM = 12;

function svg(label: string, content: string): string {
  const size = `viewBox="0 0 ${FRAME.width} ${FRAME.height}"`;
  return `<svg ${size} role="img" aria-label="${escaped(label)}">${content}</svg>`;
}

interface Slot {
  /** Milliseconds from the start. */
  readonly begin: number;
  readonly end: number;
  readonly rate: number;
  readonly errors: number;
}

/** The series in at most MOST_POINTS slots. */
function slotsOf(result: LoadResult): Slot[] {
  const { interval, responses, errors } = result.series;
  const group = Math.max(1, Math.ceil(responses.length / MOST_POINTS));
  const slots: Slot[] = [];
  for (let from = 0; from < responses.length; from += group) {
    let [count, failed, seconds] = [0, 0, 0];
    for (let i = from; i < Math.min(from + group, responses.length); i++) {
      count += responses[i] ?? 0;
      failed += errors[i] ?? 0;
      seconds += intervalSeconds(result, i);
    }
    const begin = from * interval;
    slots.push({ begin, end: begin + seconds * 1000, rate: count / seconds, errors: failed });
  }
  // A last sliver of an interval says nothing about the rate.
  const [last, before] = [slots.at(-1), slots.at(-2)];
  if (last && before && last.errors === 0 && last.end - last.begin < (before.end - before.begin) / 4) slots.pop();
  return slots;
}

/** Requests a second over time; intervals with errors are marked below. Empty for less than two intervals. */
export function throughputChart(result: LoadResult): string {
  const slots = slotsOf(result);
  const end = slots.at(-1)?.end ?? 0;
  if (slots.length < 2) return '';
  const { rate } = result.settings;
  const ticks = linearTicks(Math.max(rate, ...slots.map(slot => slot.rate)), 4);
  const x = linear([0, end], X);
  const y = linear([0, ticks.at(-1) ?? 1], Y);
  const middle = (slot: Slot) => x((slot.begin + slot.end) / 2);
  const points = slots.map(slot => [middle(slot), y(slot.rate)] as const);
  // The line spans the whole axis: the first and last slots reach to its ends.
  const line = path([[X[0], y(slots[0]?.rate ?? 0)], ...points, [X[1], y(slots.at(-1)?.rate ?? 0)]]);
  const asked =
    rate > 0
      ? `<line class="asked" x1="${X[0]}" x2="${X[1]}" y1="${round(y(rate))}" y2="${round(y(rate))}"/>` +
        `<line class="asked" x1="${X[1] - 150}" x2="${X[1] - 126}" y1="16" y2="16"/>` +
        `<text x="${X[1] - 118}" y="20">asked: ${number(rate)}/s</text>`
      : '';
  const marks = slots
    .filter(slot => slot.errors > 0)
    .map(
      slot => `<rect class="error" x="${round(x(slot.begin))}" y="${Y[0] - 4}" width="${width(x, slot)}" height="4"/>`,
    );
  const hover = slots.map(slot => {
    const failed = slot.errors > 0 ? `, ${number(slot.errors)} errors` : '';
    const title = `${time(slot.begin)} to ${time(slot.end)}: ${number(slot.rate)} requests/s${failed}`;
    return (
      `<g class="hit"><rect x="${round(x(slot.begin))}" y="${Y[1]}" width="${width(x, slot)}" height="${Y[0] - Y[1]}"/>` +
      `<circle cx="${round(middle(slot))}" cy="${round(y(slot.rate))}" r="4"/><title>${escaped(title)}</title></g>`
    );
  });
  const frame = axes(
    FRAME,
    timeTicks(end).map(ms => [x(ms), ms === 0 ? '0' : time(ms)] satisfies Tick),
    ticks.map(tick => [y(tick), compact(tick)] satisfies Tick),
    'requests/s',
  );
  return svg(
    'Requests per second over time',
    `${frame}<path class="area" d="${line}L${X[1]} ${Y[0]}L${X[0]} ${Y[0]}Z"/><path class="line" d="${line}"/>` +
      `${asked}${marks.join('')}${hover.join('')}`,
  );
}

function width(x: (value: number) => number, slot: Slot): number {
  return round(Math.max(1, x(slot.end) - x(slot.begin)));
}

/** Round times up to `end`: whole seconds, minutes or hours where they are long enough. */
function timeTicks(end: number): number[] {
  const unit = end < 2000 ? 1 : end < 119_950 ? 1000 : end < 7_200_000 ? 60_000 : 3_600_000;
  return linearTicks(end / unit, 8)
    .map(tick => tick * unit)
    .filter(tick => tick <= end * 1.001);
}

/** Percentiles that the curve names, those first that it names wherever there is room. */
const NAMED = [50, 99, 99.9, 90, 99.99, 99.999, 99.9999, 75];
/** What a label takes. */
const LABEL = 58;

/** Latency by percentile, the last ones stretched as in HdrHistogram's plots. Empty when nothing was answered. */
export function latencyChart(result: LoadResult): string {
  const histogram = Histogram.fromJSON(result.histogram);
  const curve = histogram.curve();
  const [first, last] = [curve[0], curve.at(-1)];
  if (first === undefined || last === undefined) return '';
  const most = Math.max(2, Math.log10(histogram.count));
  const stretched = linear([0, most], X);
  const x = (share: number) => (share >= 100 ? X[1] : stretched(Math.min(most, -Math.log10(1 - share / 100))));
  const high = last.us / 1000;
  const low = Math.max(first.us / 1000, 0.001);
  const isLog = high / Math.max(histogram.percentile(50) / 1000, 0.001) > LOG_FROM;
  const ticks = isLog ? logTicks(low * 0.7, high * 1.6) : linearTicks(high, 4);
  const y = isLog ? logarithmic([low * 0.7, high * 1.6], Y) : linear([0, ticks.at(-1) ?? 1], Y);

  // Steps, for that is what percentiles are: each latency holds from the share below it up to its own.
  const points = thinned(curve, x);
  const steps = points.flatMap(({ percentile, us }, i) => {
    const height = y(us / 1000);
    return [[x(points[i - 1]?.percentile ?? 0), height] as const, [x(percentile), height] as const];
  });
  const line = path(steps);
  const shares = NAMED.filter(share => -Math.log10(1 - share / 100) <= most);
  const named = [100, ...shares].map(share => ({ share, at: x(share), ms: histogram.percentile(share) / 1000 }));
  const shown = named.filter((it, i) => named.slice(0, i).every(other => Math.abs(other.at - it.at) >= LABEL));
  const name = (share: number) => (share === 100 ? 'max' : `p${share}`);
  const marks = shown.map(({ share, at, ms }) => {
    const [cx, cy] = [round(at), round(y(ms))];
    // The curve rises, so there is room above it on the left, unless the axis is there.
    const anchor = at - X[0] < LABEL ? 'middle' : 'end';
    const label = `<text class="mark" x="${cx + 4}" y="${cy - 11}" text-anchor="${anchor}">${time(ms)}</text>`;
    return `<g class="point"><circle cx="${cx}" cy="${cy}" r="4"/>${label}<title>${name(share)}: ${time(ms)}</title></g>`;
  });
  const frame = axes(
    FRAME,
    shown.map(({ share, at }) => [at, name(share)] satisfies Tick),
    ticks.map(tick => [y(tick), tick === 0 ? '0' : time(tick)] satisfies Tick),
    isLog ? 'latency, logarithmic' : 'latency',
  );
  return svg('Latency by percentile', `${frame}<path class="line" d="${line}"/>${marks.join('')}`);
}

/** At most two points for each pixel. */
function thinned(points: readonly PercentilePoint[], x: (share: number) => number): PercentilePoint[] {
  return points.filter((point, i) => {
    const next = points[i + 1];
    return next === undefined || Math.round(x(point.percentile) * 2) !== Math.round(x(next.percentile) * 2);
  });
}
