/** A result as a table on a terminal. */
import { columns, type Paint, plain, printable } from '../terminal.js';
import { bytes, measuredValue, number, percent, remarks, settingsLine, time, timeOrNone } from './format.js';
import { cpuShare, ERROR_KINDS, type LoadResult, statusClasses } from './result.js';
import { slotsOf } from './slots.js';

const BAR = 24;
const BARS = '▁▂▃▄▅▆▇█';
const MOST_BARS = 40;
/** Details beyond these add nothing that a reader could take in. */
const MOST_DETAILS = 8;
const MOST_THREADS = 32;

/** @param paint paintFor(stream) for colours; none by default */
export function reportText(result: LoadResult, paint: Paint = plain): string {
  return [
    heading(result, paint),
    throughput(result, paint),
    overTime(result, paint),
    latency(result, paint),
    handshakes(result),
    outcome(result, paint),
    verdicts(result, paint),
    shares(result, paint),
    processors(result, paint),
    ...remarks(result).map(line => paint('yellow', `! ${printable(line)}`)),
  ]
    .filter(block => block !== '')
    .map(block => `${block}\n`)
    .join('\n');
}

function heading(result: LoadResult, paint: Paint): string {
  const title = `${result.method} ${result.urls.join(', ')}`.trim();
  return `${paint('bold', printable(title))}\n${settingsLine(result)}, ${time(result.duration)}`;
}

function throughput(result: LoadResult, paint: Paint): string {
  const rows = [
    ['Requests/s', number(result.requestsPerSecond), 'Responses', number(result.responses)],
    ['Bytes/s', bytes(result.bytesPerSecond), 'Received', bytes(result.bytesReceived)],
  ];
  return columns(rows, [1, 3])
    .map((line, i) => (i === 0 ? paint('bold', line) : line))
    .join('\n');
}

/** The series as bars of one character, from 0 to the highest. */
function overTime(result: LoadResult, paint: Paint): string {
  const all = slotsOf(result, MOST_BARS);
  const slots = all.filter(({ isAfter }) => !isAfter);
  if (slots.length < 2) return '';
  const line = (values: number[], unit: (value: number) => string): string => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const bars = values.map(value => barOf(value, high)).join('');
    return `${paint('cyan', bars)}  ${unit(low)} to ${unit(high)}`;
  };
  const requests = line(
    slots.map(slot => slot.rate),
    number,
  );
  const transfer = line(
    slots.map(slot => slot.bytes),
    bytes,
  );
  const lines = [`Over time   ${requests} requests/s`, `            ${transfer} a second`];
  for (const name of ['p50', 'p99'] as const) {
    // What was answered after the end has waited longest, as a rule.
    const values = all.map(slot => slot[name]);
    if (values.every(value => value === null)) continue;
    const known = values.filter(value => value !== null);
    const bars = values.map(value => (value === null ? ' ' : barOf(value, Math.max(...known)))).join('');
    lines.push(
      `            ${paint('cyan', bars)}  ${time(Math.min(...known))} to ${time(Math.max(...known))} ${name}`,
    );
  }
  return lines.join('\n');
}

function barOf(value: number, high: number): string {
  return BARS[Math.round((value / Math.max(high, 1e-9)) * (BARS.length - 1))] ?? ' ';
}

function latency({ latency: it }: LoadResult, paint: Paint): string {
  const names = ['Latency', 'p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'max', 'mean', '± stddev'];
  const values = [it.p50, it.p75, it.p90, it.p95, it.p99, it.p999, it.max, it.mean, it.stddev];
  const [head = '', line = ''] = columns([names, ['', ...values.map(timeOrNone)]], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  return `${paint('dim', head)}\n${line}`;
}

function handshakes({ tls }: LoadResult): string {
  if (tls === null) return '';
  const { count, p50, p99, max } = tls.handshake;
  const resumed = tls.resumed > 0 ? `, ${number(tls.resumed)} of them resumed` : '';
  return `TLS       ${number(count)} handshakes${resumed}: p50 ${timeOrNone(p50)}   p99 ${timeOrNone(p99)}   max ${timeOrNone(max)}`;
}

function verdicts({ verdicts: all }: LoadResult, paint: Paint): string {
  const rows = all.map((verdict, i) => [
    i === 0 ? 'Required' : '',
    verdict.ok ? 'ok' : 'FAILED',
    printable(verdict.condition),
    measuredValue(verdict),
  ]);
  return columns(rows)
    .map((line, i) => paint(all[i]?.ok === true ? 'green' : 'red', line))
    .join('\n');
}

function outcome(result: LoadResult, paint: Paint): string {
  const classes = Object.entries(statusClasses(result.statuses)).sort();
  const codes = Object.entries(result.statuses).sort();
  const listed = (counts: Array<[string, number]>) =>
    counts
      .slice(0, MOST_DETAILS)
      .map(([name, count]) => `${printable(name)} ${number(count)}`)
      .join('   ');
  const lines = classes.length === 0 ? [] : [`Status    ${listed(classes)}`];
  if (codes.length > classes.length) lines.push(`          ${listed(codes)}`);
  if (result.retried > 0)
    lines.push(`Retried   ${number(result.retried)}: sent again, as their connection had been closed`);
  if (result.errorCount === 0) return [...lines, `Errors    ${paint('green', 'none')}`].join('\n');
  const kinds = ERROR_KINDS.filter(kind => result.errors[kind] > 0).map(
    kind => `${kind} ${number(result.errors[kind])}`,
  );
  lines.push(paint('red', `Errors    ${number(result.errorCount)}: ${kinds.join('   ')}`));
  const details = Object.entries(result.errorDetails).sort(([, a], [, b]) => b - a);
  for (const [what, count] of details.slice(0, MOST_DETAILS))
    lines.push(`          ${number(count)} × ${printable(what)}`);
  if (details.length > MOST_DETAILS) lines.push(`          and ${details.length - MOST_DETAILS} kinds more`);
  return lines.join('\n');
}

function shares({ threads, responses, duration }: LoadResult, paint: Paint): string {
  if (threads.length < 2) return '';
  const most = Math.max(1, ...threads.map(thread => thread.responses));
  const rows = threads
    .slice(0, MOST_THREADS)
    .map(thread => [
      printable(thread.name),
      '█'.repeat(Math.round((thread.responses / most) * BAR)).padEnd(BAR),
      percent(responses === 0 ? 0 : thread.responses / responses),
      `busy ${percent(duration === 0 ? 0 : Math.min(1, thread.busy / duration))}`,
    ]);
  const lines = columns([['Thread', '', 'share', ''], ...rows], [2]);
  if (threads.length > MOST_THREADS) lines.push(`and ${threads.length - MOST_THREADS} threads more`);
  return lines.map((line, i) => (i === 0 ? paint('dim', line) : line)).join('\n');
}

function processors({ hosts }: LoadResult, paint: Paint): string {
  const rows = hosts.map(host => [
    printable(host.host),
    percent(cpuShare(host)),
    `of ${host.processors === 1 ? '1 processor' : `${host.processors} processors`}`,
    `user ${time(host.cpuUser)}, system ${time(host.cpuSystem)}`,
  ]);
  return columns([['Generator', 'CPU', '', ''], ...rows], [1])
    .map((line, i) => (i === 0 ? paint('dim', line) : line))
    .join('\n');
}
