/** One row of the demo: connections, threads, traffic; and what came of it. */
import { now } from '../../shared/clock.js';
import * as L from '../../shared/demo/ledger.js';
import type { RawMode } from '../../worker/demo/raw-thread.js';
import { openConnections } from './connections.js';
import type { Crew } from './crew.js';
import type { DemoOptions } from './options.js';
import { startRawCrew } from './raw-crew.js';
import { startServiceCrew } from './service-crew.js';
import { Traffic } from './traffic.js';

export const ROWS = ['raw level', 'raw edge', 'raw oneshot', 'service'] as const;
export type RowName = (typeof ROWS)[number];

const RAW_MODES: ReadonlyMap<RowName, RawMode> = new Map([
  ['raw level', 'level'],
  ['raw edge', 'edge'],
  ['raw oneshot', 'oneshot'],
]);

export interface Figures {
  readonly row: RowName;
  readonly sent: number;
  /** Of those sent, how many were handled at least once. */
  readonly handled: number;
  readonly lost: number;
  /** Handled again. */
  readonly doubled: number;
  readonly torn: number;
  /** Handled after a later message of the same connection. */
  readonly outOfOrder: number;
  /** Times that a thread entered a connection that another thread was in. */
  readonly overlaps: number;
  /** Times that a thread was woken for a connection in vain. */
  readonly idleWakeups: number;
  readonly epollCtlCalls: number;
  /** From the first message sent to the last thing that happened. */
  readonly seconds: number;
  readonly messagesPerSecond: number;
  /** Messages handled by each thread. */
  readonly byThread: readonly number[];
}

/** How often to look, in milliseconds, and how many looks without any movement end a row: 1 s. */
const LOOK_MS = 20;
const QUIET_LOOKS = 50;

/** @param onProgress is told now and then how many messages were handled */
export async function runRow(row: RowName, options: DemoOptions, onProgress: (n: number) => void): Promise<Figures> {
  const { threads, connections: count, messages } = options;
  const ledger = new L.Ledger(L.createLedger(threads, count, messages));
  const connections = await openConnections(count);
  try {
    const mode = RAW_MODES.get(row);
    const { fds, clients } = connections;
    const crew = await (mode === undefined ? startServiceCrew(ledger, fds) : startRawCrew(mode, ledger, fds));
    let ms: number;
    try {
      ms = await carry(new Traffic(clients, ledger), crew, ledger, onProgress);
    } catch (error) {
      await crew.stop();
      throw error;
    }
    const [controlCalls, idleEvents] = [crew.controlCalls(), crew.idleEvents()];
    await crew.stop();
    return figures(row, ledger, ms, controlCalls, idleEvents);
  } finally {
    connections.close();
  }
}

/** Resolves when all is handled, or nothing has moved for a second; to how long it took, in milliseconds. */
async function carry(traffic: Traffic, crew: Crew, ledger: L.Ledger, onProgress: (n: number) => void): Promise<number> {
  const { messages } = ledger.plan;
  const started = now();
  let movedAt = started;
  let moved = -1;
  traffic.start();
  for (let quiet = 0; quiet < QUIET_LOOKS; quiet++) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MS));
    const error = crew.error ?? traffic.error;
    if (error !== undefined) throw error;
    const handled = ledger.total(L.HANDLED);
    onProgress(handled);
    const movement = ledger.movement();
    if (movement !== moved) {
      moved = movement;
      movedAt = now();
      quiet = 0;
    }
    if (handled === messages) break;
    traffic.giveUp();
  }
  return movedAt - started;
}

function figures(row: RowName, ledger: L.Ledger, ms: number, controlCalls: number, idleEvents: number): Figures {
  const sent = ledger.totalSent();
  const handled = ledger.seen.reduce((sum, times) => sum + (times > 0 ? 1 : 0), 0);
  const doubled = ledger.seen.reduce((sum, times) => sum + Math.max(0, times - 1), 0);
  const byThread = Array.from({ length: ledger.plan.threads }, (_, i) => {
    const counts = ledger.threadAt(i);
    return (counts[L.HANDLED] ?? 0) + (counts[L.DOUBLED] ?? 0);
  });
  return {
    row,
    sent,
    handled,
    lost: sent - handled,
    doubled,
    torn: ledger.total(L.TORN),
    outOfOrder: ledger.total(L.DISORDERED),
    overlaps: ledger.total(L.OVERLAPS),
    idleWakeups: ledger.total(L.EMPTY) + idleEvents,
    epollCtlCalls: ledger.total(L.CONTROLS) + controlCalls,
    seconds: ms / 1000,
    messagesPerSecond: Math.round((handled / Math.max(1, ms)) * 1000),
    byThread,
  };
}

/** Whether everything sent was handled once, whole, in order, by one thread at a time. */
export function isClean(figures: Figures, messages: number): boolean {
  const { sent, lost, doubled, torn, outOfOrder, overlaps } = figures;
  return sent === messages && lost + doubled + torn + outOfOrder + overlaps === 0;
}
