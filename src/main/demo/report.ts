/** The demo's result for readers: a table, what each row teaches, and the verdict. */
import { availableParallelism } from 'node:os';
import type { Paint, Style } from '../terminal.js';
import { lesson } from './lessons.js';
import type { DemoOptions } from './options.js';
import { type Figures, isClean } from './row.js';

const WIDTH = 100;
/** More threads than this are shown by their smallest and largest share. */
const MOST_SHARES = 4;

interface Column {
  readonly head: readonly [string, string];
  readonly value: (figures: Figures) => number | string;
  /** Whether anything but 0 means that something went wrong. */
  readonly fault?: boolean;
}

const COLUMNS: readonly Column[] = [
  { head: ['', ''], value: f => f.row },
  { head: ['', 'sent'], value: f => f.sent },
  { head: ['', 'handled'], value: f => f.handled },
  { head: ['', 'lost'], value: f => f.lost, fault: true },
  { head: ['', 'twice'], value: f => f.doubled, fault: true },
  { head: ['', 'torn'], value: f => f.torn, fault: true },
  { head: ['out of', 'order'], value: f => f.outOfOrder, fault: true },
  { head: ['two at', 'once'], value: f => f.overlaps, fault: true },
  { head: ['idle', 'wakes'], value: f => f.idleWakeups },
  { head: ['ctl', 'calls'], value: f => f.epollCtlCalls },
  { head: ['msgs', 'per s'], value: f => f.messagesPerSecond },
  { head: ['by thread', '%'], value: f => shares(f.byThread) },
];

/** With its thousands apart: `24,000`. */
function grouped(n: number): string {
  return n.toLocaleString('en-US');
}

function shares(byThread: readonly number[]): string {
  const sum = byThread.reduce((a, b) => a + b, 0);
  const percent = byThread.map(n => Math.round((100 * n) / Math.max(1, sum)));
  if (percent.length <= MOST_SHARES) return percent.join(' ');
  return `${Math.min(...percent)} to ${Math.max(...percent)}`;
}

function table(rows: readonly Figures[], paint: Paint): string[] {
  const texts = rows.map(row =>
    COLUMNS.map(({ value }) => {
      const shown = value(row);
      return typeof shown === 'number' ? grouped(shown) : shown;
    }),
  );
  const widths = COLUMNS.map(({ head }, i) => Math.max(...[...head, ...texts.map(row => row[i] ?? '')].map(length)));
  const wide = widths.reduce((a, b) => a + b, 0) + 2 * (widths.length - 1);
  const gap = wide > WIDTH ? ' ' : '  ';
  const line = (cells: readonly string[], styleOf: (i: number) => Style | undefined): string => {
    const padded = cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)));
    const end = padded.length - 1;
    return padded
      .map((cell, i) => {
        const style = styleOf(i);
        const text = i === end ? cell.trimEnd() : cell;
        return style === undefined ? text : paint(style, text);
      })
      .join(gap)
      .trimEnd();
  };
  const heads = [0, 1].map(which =>
    line(
      COLUMNS.map(({ head }) => head[which] ?? ''),
      () => 'dim',
    ),
  );
  const body = rows.map((row, r) =>
    line(texts[r] ?? [], i => {
      const column = COLUMNS[i];
      if (i === 0) return 'bold';
      if (!column?.fault) return undefined;
      return column.value(row) === 0 ? 'green' : 'red';
    }),
  );
  return [...heads, ...body];
}

function length(text: string): number {
  return text.length;
}

/** @returns lines, each ended */
export function report(rows: readonly Figures[], options: DemoOptions, paint: Paint): string {
  const { threads, connections, messages } = options;
  const cores = availableParallelism();
  const setting = [
    `${threads} ${threads === 1 ? 'thread' : 'threads'} on one epoll fd (${cores} ${cores === 1 ? 'core' : 'cores'})`,
    `${grouped(connections)} TCP ${connections === 1 ? 'connection' : 'connections'}`,
    `${grouped(messages)} ${messages === 1 ? 'message' : 'messages'} a row`,
  ];
  const names = Math.max(...rows.map(({ row }) => row.length));
  const lessons = rows.map(row => `${paint('bold', row.row.padEnd(names))}  ${lesson(row, messages)}`);
  const lines = [
    paint('bold', setting.join(', ')),
    '',
    ...table(rows, paint),
    '',
    ...lessons,
    '',
    verdict(rows, messages, paint),
  ];
  return `${lines.join('\n')}\n`;
}

function verdict(rows: readonly Figures[], messages: number, paint: Paint): string {
  const service = rows.find(({ row }) => row === 'service');
  if (service !== undefined && isClean(service, messages)) {
    return paint(
      'green',
      `The service handled all ${grouped(service.handled)} messages: each once, whole and in order.`,
    );
  }
  return paint('red', "The service's row is not clean.");
}
