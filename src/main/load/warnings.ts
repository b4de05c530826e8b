/** What makes the figures of a load test doubtful, in sentences. */
import { number, percent, time } from './format.js';
import { cpuShare, type LoadResult } from './result.js';

/** Busier than this on average, the threads were what was measured. */
const BUSY = 0.9;
/** Shorter runs say nothing of how busy threads are: most of it is their start. */
const JUDGED_MS = 500;
/** A share of requests that is worth a word, and how many late ones it takes at least: a few say nothing. */
const SHARE = 0.01;
const MOST_LATE = 20;

export interface Facts {
  /** Requests that were due, and not sent: every connection was busy. */
  readonly missed: number;
  /** Requests that went out late though a connection was free. */
  readonly late: number;
  /** Whether any connection could be opened at first. */
  readonly connected: boolean;
  /** Ended because no connection could be opened for three timeouts. */
  readonly gaveUp: boolean;
  /** Pauses between attempts, made because nothing had ever been answered. */
  readonly pauses: number;
  /** What a script's check() has thrown, the first of each thread. */
  readonly thrown: readonly string[];
}

export function warnings(result: LoadResult, { missed, late, connected, gaveUp, pauses, thrown }: Facts): string[] {
  const found: string[] = [];
  if (!connected && !result.interrupted) found.push('No connection could be opened.');
  if (gaveUp) {
    const tried = time(3 * result.settings.timeout);
    found.push(`Ended early: no connection could be opened for three timeouts, ${tried}.`);
  }
  const { requests, responses } = result;
  if (connected && responses === 0 && !result.interrupted) found.push('No request was answered.');
  for (const message of thrown) found.push(`check() of the script threw: ${message}`);
  if (connected && pauses > 0) {
    found.push(
      `While nothing was ever answered, connections that had failed were opened again after pauses of up to 1 s: ` +
        `${number(pauses)} times. Otherwise there would have been more errors.`,
    );
  }
  const limit = bottleneck(result);
  if (limit !== undefined) found.push(limit);
  if (late > Math.max(requests * SHARE, MOST_LATE)) {
    found.push(
      `The load generator was the bottleneck: ${percent(late / requests)} of the requests were sent more than 1 ms late, ` +
        'though connections were free. More threads, or a machine with less to do, may help.',
    );
  }
  if (missed > requests * SHARE) {
    const isOwn = found.some(text => text.startsWith('The load generator'));
    found.push(
      isOwn
        ? `The rate was not reached: ${number(missed)} requests that were due were never sent.`
        : `The rate was not reached: ${number(missed)} requests that were due were never sent, for no connection was free. ` +
            'More connections may help, if the server is not at its limit.',
    );
  }
  return found;
}

/** What of the generator was at its limit; undefined: nothing, as far as can be told. */
function bottleneck(result: LoadResult): string | undefined {
  const { duration, threads, hosts } = result;
  if (duration < JUDGED_MS) return undefined;
  const busy = threads.reduce((sum, thread) => sum + thread.busy, 0) / (duration * Math.max(1, threads.length));
  const used = Math.max(0, ...hosts.map(cpuShare));
  const [busiest, share] = busiestThread(result);
  const [what, more] =
    busy > BUSY
      ? [`its threads were busy ${percent(Math.min(1, busy))} of the time`, 'threads']
      : share > BUSY
        ? [`${busiest} used ${percent(Math.min(1, share))} of a processor`, 'threads']
        : used > BUSY
          ? [`it used ${percent(Math.min(1, used))} of its processors' time`, 'processors']
          : [];
  if (what === undefined) return undefined;
  return `The load generator was the bottleneck: ${what}. More ${more}, or more machines, may get more out of the server.`;
}

/** Which thread used the largest share of its time on a processor, and how much. */
function busiestThread({ threads, hosts, duration }: LoadResult): readonly [name: string, share: number] {
  let most: readonly [string, number] = ['no thread', 0];
  const see = (name: string, cpu: number, time: number): void => {
    if (cpu / time > most[1]) most = [name, cpu / time];
  };
  for (const { name, cpu } of threads) see(`thread ${name}`, cpu, duration);
  for (const host of hosts) see('the main thread', host.cpuMain, host.duration);
  return most;
}
