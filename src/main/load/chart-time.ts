/** Charts of what happened when: throughput, transfer, latency. */
import { bytes, compact, number, time } from './format.js';
import type { LoadResult } from './result.js';
import { type Slot, slotsOf } from './slots.js';
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
  type Scale,
  type Tick,
  topOf,
  WIDE,
} from './svg.js';

/** Above it a linear scale would press most of the curve flat. */
export const LOG_FROM = 12;
/** What a label on the axis of time takes. */
const TIME_LABEL = 90;

/** One line of a chart. */
interface Line {
  readonly of: string;
  readonly value: (slot: Slot) => number | null;
}

interface Quantity {
  readonly label: string;
  readonly axis: string;
  readonly lines: readonly Line[];
  /** What was asked for, at each time; undefined: nothing was. */
  readonly asked?: (ms: number) => number;
  readonly askedLabel?: string;
  readonly isLatency: boolean;
  tick(value: number): string;
  text(slot: Slot): string;
}

/** Requests a second over time; intervals with errors are marked below. Empty for less than two intervals. */
export function throughputChart(result: LoadResult): string {
  const { rate } = result.settings;
  return timeChart(result, {
    label: 'Requests per second over time',
    axis: 'requests/s',
    lines: [{ of: 'line', value: slot => slot.rate }],
    ...(rate > 0 ? { asked: askedAt(result), askedLabel: `asked: ${number(rate)}/s` } : {}),
    isLatency: false,
    tick: compact,
    text: ({ rate: value, errors }) => `${number(value)} requests/s${errors > 0 ? `, ${number(errors)} errors` : ''}`,
  });
}

/** Bytes received a second over time, in the same way. */
export function bytesChart(result: LoadResult): string {
  return timeChart(result, {
    label: 'Bytes per second over time',
    axis: 'bytes/s',
    lines: [{ of: 'line', value: slot => slot.bytes }],
    isLatency: false,
    tick: bytes,
    text: slot => `${bytes(slot.bytes)}/s`,
  });
}

/** p50 and p99 of each interval: what one looks for first after a stall. */
export function latencyOverTimeChart(result: LoadResult): string {
  if (result.series.p99.every(value => value === null)) return '';
  return timeChart(result, {
    label: 'Latency over time',
    axis: 'latency',
    lines: [
      { of: 'line', value: slot => slot.p50 },
      { of: 'line second', value: slot => slot.p99 },
    ],
    isLatency: true,
    tick: value => (value === 0 ? '0' : time(value)),
    text: ({ p50, p99 }) => (p50 === null || p99 === null ? 'no answer' : `p50 ${time(p50)}, p99 ${time(p99)}`),
  });
}

/** The rate that was asked for, linear between the stages. */
function askedAt({ settings: { rate, stages } }: LoadResult): (ms: number) => number {
  if (stages === null) return () => rate;
  return ms => {
    let [from, begin] = [0, 0];
    for (const { to, over } of stages) {
      if (ms < begin + over) return from + ((to - from) * (ms - begin)) / over;
      from = to;
      begin += over;
    }
    return from;
  };
}

function timeChart(result: LoadResult, quantity: Quantity): string {
  return FRAMES.map(frame => drawn(result, quantity, frame)).join('');
}

function drawn(
  result: LoadResult,
  { label, axis, lines, asked, askedLabel, isLatency, tick, text }: Quantity,
  frame: Frame,
): string {
  const all = slotsOf(result, frame.points);
  // Once no more requests are sent, fewer answers come, and that is nobody's fault.
  const slots = isLatency ? all : all.filter(slot => !slot.isAfter);
  const end = all.at(-1)?.end ?? 0;
  if (slots.length < 2) return '';
  const [left, right, top, bottom] = [leftOf(frame), rightOf(frame), topOf(frame), bottomOf(frame)];
  const values = slots.flatMap(slot => lines.map(line => line.value(slot))).filter(value => value !== null);
  const high = Math.max(0, ...values, ...(asked === undefined ? [] : slots.map(slot => asked(slot.end))));
  const low = Math.max(Math.min(...values.filter(value => value > 0)), 0.001);
  const isLog = isLatency && high / low > LOG_FROM;
  const ticks = isLog ? logTicks(low * 0.7, high * 1.6) : linearTicks(high, 4);
  const y = isLog ? logarithmic([low * 0.7, high * 1.6], [bottom, top]) : linear([0, ticks.at(-1) ?? 1], [bottom, top]);
  const x = linear([0, end], [left, right]);
  const middle = (slot: Slot) => x((slot.begin + slot.end) / 2);

  const curves = lines.map(({ of, value }) => {
    const d = curve(slots, value, x, y);
    const isArea = lines.length === 1 && d.length === 1;
    const [from, to] = [x(slots[0]?.begin ?? 0), x(slots.at(-1)?.end ?? 0)];
    const area = isArea ? `<path class="area" d="${d[0]}L${round(to)} ${bottom}L${round(from)} ${bottom}Z"/>` : '';
    return `${area}${d.map(part => `<path class="${of}" d="${part}"/>`).join('')}`;
  });
  const marks = isLatency
    ? []
    : all
        .filter(slot => slot.errors > 0)
        .map(
          slot =>
            `<rect class="error" x="${round(x(slot.begin))}" y="${bottom - 4}" width="${width(x, slot)}" height="4"/>`,
        );
  const hover = all.map(slot => {
    const title = `${time(slot.begin)} to ${time(slot.end)}: ${text(slot)}`;
    const dots = lines.map(({ value }) => {
      const at = value(slot);
      return at === null || (slot.isAfter && !isLatency)
        ? ''
        : `<circle cx="${round(middle(slot))}" cy="${round(y(at))}" r="4"/>`;
    });
    return (
      `<g class="hit"><rect x="${round(x(slot.begin))}" y="${top}" width="${width(x, slot)}" height="${bottom - top}"/>` +
      `${dots.join('')}<title>${escaped(title)}</title></g>`
    );
  });
  const legend = isLatency
    ? legendOf(frame, [
        ['line', 'p50'],
        ['line second', 'p99'],
      ])
    : '';
  const most = Math.max(2, Math.min(8, Math.floor((right - left) / TIME_LABEL)));
  const grid = axes(
    frame,
    timeTicks(end, most).map(ms => [x(ms), ms === 0 ? '0' : time(ms)] satisfies Tick),
    ticks.map(at => [y(at), tick(at)] satisfies Tick),
    isLog ? `${axis}, logarithmic` : axis,
  );
  const target = asked === undefined ? '' : askedLine(frame, slots, asked, askedLabel ?? '', x, y);
  return picture(frame, label, `${grid}${curves.join('')}${target}${marks.join('')}${legend}${hover.join('')}`);
}

/** The line from the first slot's beginning to the last one's end, in parts where something is missing. */
function curve(slots: readonly Slot[], value: Line['value'], x: Scale, y: Scale): string[] {
  const parts: Array<Array<readonly [number, number]>> = [];
  let part: Array<readonly [number, number]> = [];
  slots.forEach((slot, i) => {
    const at = value(slot);
    if (at === null) {
      part = [];
      return;
    }
    if (part.length === 0) {
      parts.push(part);
      part.push([x(slot.begin), y(at)]);
    }
    part.push([x((slot.begin + slot.end) / 2), y(at)]);
    const next = slots[i + 1];
    if (next === undefined || value(next) === null) part.push([x(slot.end), y(at)]);
  });
  return parts.map(path);
}

function askedLine(
  frame: Frame,
  slots: readonly Slot[],
  asked: (ms: number) => number,
  label: string,
  x: Scale,
  y: Scale,
): string {
  const times = [...slots.map(slot => slot.begin), slots.at(-1)?.end ?? 0];
  const right = rightOf(frame);
  const points = times.map(ms => [x(ms), y(asked(ms))] as const);
  return (
    `<path class="asked" d="${path(points)}"/><path class="asked" d="M${right - 150} 16L${right - 126} 16"/>` +
    `<text x="${right - 118}" y="20">${escaped(label)}</text>`
  );
}

/** What each line is, at the top on the right. */
function legendOf(frame: Frame, entries: ReadonlyArray<readonly [of: string, name: string]>): string {
  const each = frame === WIDE ? 150 : 74;
  const from = rightOf(frame) - each * entries.length;
  return entries
    .map(([of, name], i) => {
      const at = from + i * each;
      return `<path class="${of}" d="M${at} 16L${at + 20} 16"/><text x="${at + 26}" y="20">${escaped(name)}</text>`;
    })
    .join('');
}

function width(x: Scale, slot: Slot): number {
  return round(Math.max(1, x(slot.end) - x(slot.begin)));
}

/** Round times up to `end`: whole seconds, minutes or hours where they are long enough. */
function timeTicks(end: number, most: number): number[] {
  const unit = end < 2000 ? 1 : end < 119_950 ? 1000 : end < 7_200_000 ? 60_000 : 3_600_000;
  return linearTicks(end / unit, most)
    .map(tick => tick * unit)
    .filter(tick => tick <= end * 1.001);
}
