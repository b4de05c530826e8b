/** The latency curve: by percentile, the last ones stretched as in HdrHistogram's plots; of one result or of several. */
import { Histogram, type PercentilePoint } from '../../shared/load/histogram.js';
import { LOG_FROM } from './chart-time.js';
import { time } from './format.js';
import type { LoadResult } from './result.js';
import {
  axes,
  bottomOf,
  escaped,
  FRAMES,
  type Frame,
  leftOf,
  linear,
  linearTicks,
  logarithmic,
  logTicks,
  path,
  picture,
  rightOf,
  round,
  type Tick,
  topOf,
} from './svg.js';

/** Percentiles that the curve names, those first that it names wherever there is room. */
const NAMED = [50, 99, 99.9, 90, 99.99, 99.999, 99.9999, 95, 75];
/** What a label takes. */
const LABEL = 58;
const COLOURS = 5;

interface Named {
  readonly name: string;
  readonly result: LoadResult;
}

/** Empty when nothing was answered. */
export function latencyChart(result: LoadResult): string {
  return latencyCurves([{ name: '', result }]);
}

/** The curves of several results in one chart; those without answers are left out. */
export function latencyCurves(results: readonly Named[]): string {
  const all = results
    .map(({ name, result }) => ({ name, histogram: Histogram.fromJSON(result.histogram) }))
    .map((it, i) => ({ ...it, of: curveClass(i), curve: it.histogram.curve() }))
    .filter(({ histogram }) => histogram.count > 0);
  return all.length === 0 ? '' : FRAMES.map(frame => drawn(all, frame)).join('');
}

/** For a legend: the class and the name of each curve. */
export function curvesOf(results: readonly Named[]): Array<readonly [of: string, name: string]> {
  return results
    .map(({ name, result }, i) => [curveClass(i), name, result.histogram.count] as const)
    .filter(([, , count]) => count > 0)
    .map(([of, name]) => [of, name]);
}

/** Five colours, and then the same once more, dashed. */
function curveClass(i: number): string {
  const colour = i % COLOURS;
  return `line${colour === 0 ? '' : ` curve${colour}`}${Math.floor(i / COLOURS) % 2 === 1 ? ' dashed' : ''}`;
}

interface Curve {
  readonly name: string;
  readonly of: string;
  readonly histogram: Histogram;
  readonly curve: readonly PercentilePoint[];
}

function drawn(all: readonly Curve[], frame: Frame): string {
  const [left, right] = [leftOf(frame), rightOf(frame)];
  const ends = [bottomOf(frame), topOf(frame)] as const;
  const most = Math.max(2, ...all.map(({ histogram }) => Math.log10(histogram.count)));
  const stretched = linear([0, most], [left, right]);
  const x = (share: number) => (share >= 100 ? right : stretched(Math.min(most, -Math.log10(1 - share / 100))));
  const high = Math.max(...all.map(({ histogram }) => histogram.max)) / 1000;
  const low = Math.max(Math.min(...all.map(({ curve }) => curve[0]?.us ?? 0)) / 1000, 0.001);
  const half = Math.min(...all.map(({ histogram }) => histogram.percentile(50))) / 1000;
  const isLog = high / Math.max(half, 0.001) > LOG_FROM;
  const ticks = isLog ? logTicks(low * 0.7, high * 1.6) : linearTicks(high, 4);
  const y = isLog ? logarithmic([low * 0.7, high * 1.6], ends) : linear([0, ticks.at(-1) ?? 1], ends);

  const lines = all.map(({ curve, of }) => {
    // Steps, for that is what percentiles are: each latency holds from the share below it up to its own.
    const points = thinned(curve, x);
    const steps = points.flatMap(({ percentile, us }, i) => {
      const height = y(us / 1000);
      return [[x(points[i - 1]?.percentile ?? 0), height] as const, [x(percentile), height] as const];
    });
    return `<path class="${of}" d="${path(steps)}"/>`;
  });
  const shares = NAMED.filter(share => -Math.log10(1 - share / 100) <= most);
  const places = [100, ...shares].map(share => ({ share, at: x(share) }));
  const shown = places.filter((it, i) => places.slice(0, i).every(other => Math.abs(other.at - it.at) >= LABEL));
  const name = (share: number) => (share === 100 ? 'max' : `p${share}`);
  const marks = all.flatMap(({ histogram, name: of, of: curve }) =>
    shown.map(({ share, at }) => {
      const ms = histogram.percentile(share) / 1000;
      const [cx, cy] = [round(at), round(y(ms))];
      // The curve rises, so there is room above it on the left, unless the axis is there. Several curves have no room.
      const anchor = at - left < LABEL ? 'middle' : 'end';
      const label =
        all.length > 1
          ? ''
          : `<text class="mark" x="${cx + 4}" y="${cy - 11}" text-anchor="${anchor}">${time(ms)}</text>`;
      const title = `${of === '' ? '' : `${of}, `}${name(share)}: ${time(ms)}`;
      return `<g class="${curve.replace(/^line/, 'point').replace(' dashed', '')}"><circle cx="${cx}" cy="${cy}" r="4"/>${label}<title>${escaped(title)}</title></g>`;
    }),
  );
  const frameOf = axes(
    frame,
    shown.map(({ share, at }) => [at, name(share)] satisfies Tick),
    ticks.map(tick => [y(tick), tick === 0 ? '0' : time(tick)] satisfies Tick),
    isLog ? 'latency, logarithmic' : 'latency',
  );
  return picture(frame, 'Latency by percentile', `${frameOf}${lines.join('')}${marks.join('')}`);
}

/** At most two points for each pixel. */
function thinned(points: readonly PercentilePoint[], x: (share: number) => number): PercentilePoint[] {
  return points.filter((point, i) => {
    const next = points[i + 1];
    return next === undefined || Math.round(x(point.percentile) * 2) !== Math.round(x(next.percentile) * 2);
  });
}
