/** The charts of a report: throughput over time, and the latency curve. */

import { Histogram, type PercentilePoint } from '../../shared/load/histogram.js';
import { bytes, compact, number, time } from './format.js';
import type { LoadResult } from './result.js';
import { type Slot, slotsOf } from './slots.js';
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
/** More points than that are not told apart. */
const MOST_POINTS = 240;
/** From here on a linear scale would press all but the last percent flat. */
const LOG_FROM = 12;

function svg(label: string, content: string): string {
  const size = `viewBox="0 0 ${FRAME.width} ${FRAME.height}"`;
  return `<svg ${size} role="img" aria-label="${escaped(label)}">${content}</svg>`;
}

/** Requests a second over time; intervals with errors are marked below. Empty for less than two intervals. */
export function throughputChart(result: LoadResult): string {
  return timeChart(result, {
    label: 'Requests per second over time',
    axis: 'requests/s',
    asked: result.settings.rate,
    value: slot => slot.rate,
    tick: compact,
    text: ({ rate, errors }) => `${number(rate)} requests/s${errors > 0 ? `, ${number(errors)} errors` : ''}`,
  });
}

/** Bytes received a second over time, in the same way. */
export function bytesChart(result: LoadResult): string {
  return timeChart(result, {
    label: 'Bytes per second over time',
    axis: 'bytes/s',
    asked: 0,
    value: slot => slot.bytes,
    tick: bytes,
    text: slot => `${bytes(slot.bytes)}/s`,
  });
}

/** What of the series is drawn. */
interface Quantity {
  readonly label: string;
  readonly axis: string;
  /** Drawn as a line of its own; 0: none. */
  readonly asked: number;
  value(slot: Slot): number;
  tick(value: number): string;
  text(slot: Slot): string;
}

function timeChart(result: LoadResult, { label, axis, asked: rate, value, tick, text }: Quantity): string {
  const slots = slotsOf(result, MOST_POINTS);
  const end = slots.at(-1)?.end ?? 0;
  if (slots.length < 2) return '';
  const ticks = linearTicks(Math.max(rate, ...slots.map(value)), 4);
  const x = linear([0, end], X);
  const y = linear([0, ticks.at(-1) ?? 1], Y);
  const middle = (slot: Slot) => x((slot.begin + slot.end) / 2);
  const points = slots.map(slot => [middle(slot), y(value(slot))] as const);
  const high = (slot: Slot | undefined) => y(slot === undefined ? 0 : value(slot));
  // The line spans the whole axis: the first and last slots reach to its ends.
  const line = path([[X[0], high(slots[0])], ...points, [X[1], high(slots.at(-1))]]);
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
    const title = `${time(slot.begin)} to ${time(slot.end)}: ${text(slot)}`;
    return (
      `<g class="hit"><rect x="${round(x(slot.begin))}" y="${Y[1]}" width="${width(x, slot)}" height="${Y[0] - Y[1]}"/>` +
      `<circle cx="${round(middle(slot))}" cy="${round(y(value(slot)))}" r="4"/><title>${escaped(title)}</title></g>`
    );
  });
  const frame = axes(
    FRAME,
    timeTicks(end).map(ms => [x(ms), ms === 0 ? '0' : time(ms)] satisfies Tick),
    ticks.map(at => [y(at), tick(at)] satisfies Tick),
    axis,
  );
  return svg(
    label,
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
