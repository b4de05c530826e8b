/** A Worker that runs a piece of source which has the package at hand. Terminated when the test has finished. */
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import { within } from './within.ts';

const PRELUDE = `
const { parentPort, workerData } = require('node:worker_threads');
const post = value => parentPort.postMessage(value);
async function body(lib, sys) {
  const { Epoll, Events, Waker, EPOLLIN, EPOLLOUT, EPOLLET, EPOLLONESHOT } = lib;
`;
const EPILOGUE = `
}
Promise.all([import('epoll-pool'), import('epoll-pool/sys')]).then(([lib, sys]) => body(lib, sys));
`;

export interface Thread {
  readonly worker: Worker;
  /** The next message, in the order posted. */
  message(ms?: number): Promise<unknown>;
  /** The exit code. */
  ended(ms?: number): Promise<number>;
}

/** @param source the body of an async function, with `post`, `workerData`, `lib`, `sys` and the usual names in scope */
export function thread(source: string, workerData?: unknown): Thread {
  const worker = new Worker(PRELUDE + source + EPILOGUE, { eval: true, workerData, execArgv: [] });
  const arrived: unknown[] = [];
  const wanted: Array<(value: unknown) => void> = [];
  worker.on('message', value => {
    const next = wanted.shift();
    if (next) next(value);
    else arrived.push(value);
  });
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const exited = new Promise<number>(resolve => worker.once('exit', resolve));
  failed.catch(() => undefined); // told by whatever is awaited
  onTestFinished(async () => {
    await worker.terminate();
  });
  return {
    worker,
    message: ms => {
      const next = arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise(r => wanted.push(r));
      return within(Promise.race([next, failed]), ms, 'a message of the thread');
    },
    ended: ms => within(Promise.race([exited, failed]), ms, 'the end of the thread'),
  };
}
