/** The demo's options and its help. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { MOST_THREADS } from '../service/options.js';
import { wholeNumber } from '../usage.js';

export interface DemoOptions {
  readonly threads: number;
  readonly connections: number;
  /** For each row. */
  readonly messages: number;
  readonly json: boolean;
  readonly help: boolean;
}

/** More threads than cores, so that threads are interrupted in the middle of what they do. */
const THREADS = Math.min(MOST_THREADS, Math.max(4, availableParallelism() * 2));
const CONNECTIONS = 128;
const MESSAGES = 24_000;

export const HELP = `Usage: epoll-pool demo [options]

Shows what happens when several threads wait on one epoll fd. Real TCP connections on the loopback
interface carry numbered messages to them: the same traffic, for the same code, four times.

  raw level    each thread calls epoll_wait, reads and handles
  raw edge     the same with EPOLLET, reading until a read would block
  raw oneshot  the same with EPOLLONESHOT, re-arming after each event
  service      a WaitService, whose handler is that same code

All figures are counted, not estimated: the sender numbers its messages, and the threads count in
shared memory.

Options:
  --threads N      threads that wait (default here: ${THREADS})
  --connections N  TCP connections (default: ${CONNECTIONS})
  --messages N     messages for each row (default: ${MESSAGES.toLocaleString('en-US')})
  --json           print the figures as JSON
  -h, --help       show this help

Columns:
  lost          sent, but never handled
  twice         handled again
  torn          pieces of messages that two threads read each in part
  out of order  handled after a later message of the same connection
  two at once   a thread entered a connection that another thread was in
  idle wakes    a thread was woken for a connection, and had nothing to do there
  ctl calls     calls of epoll_ctl while messages came
  by thread     each thread's share of the messages; of many threads the smallest and the largest

Exit code: 0; 1 if the service's row is not clean (something in the first five columns, or not all
sent); 2 for wrong usage.
`;

/** @throws UsageError, and parseArgs' errors */
export function parseOptions(argv: string[]): DemoOptions {
  const { values } = parseArgs({
    args: argv,
    options: {
      threads: { type: 'string' },
      connections: { type: 'string' },
      messages: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    threads: wholeNumber('threads', values.threads, 1, MOST_THREADS, THREADS),
    connections: wholeNumber('connections', values.connections, 1, 10_000, CONNECTIONS),
    messages: wholeNumber('messages', values.messages, 1, 10_000_000, MESSAGES),
    json: values.json,
    help: values.help,
  };
}
