// `npm run soak -- --minutes N [--seed S] [--server] [--queue]`: servers (server.mjs), run queues (queue.mjs), or random traffic, faults, churn and control requests; checks all invariants as
// it goes, and watches memory, fds and threads. Ends with 1 and the seed when one does not hold.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, WaitService } from 'epoll-pool';
import { close, dup, eventfd, read } from 'epoll-pool/sys';
import {
  BEHIND,
  create,
  FAULT,
  FD,
  FDS,
  fields,
  GENERATION,
  GONE,
  OPEN,
  OVERLAPS,
  PAUSE,
  PAUSED,
  RUNNING,
  randomOf,
  SENT,
  STRAYS,
  TAKEN,
  TOTALS,
} from './memory.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string' },
    server: { type: 'boolean' },
    queue: { type: 'boolean' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (values.server) {
  const { soakServers } = await import('./server.mjs');
  process.exit((await soakServers(Number(values.minutes), seed)) ? 0 : 1);
}
if (values.queue) {
  const { soakQueue } = await import('./queue.mjs');
  process.exit((await soakQueue(Number(values.minutes), seed)) ? 0 : 1);
}
const until = performance.now() + Number(values.minutes) * 60_000;
const THREADS = 4;
const WRITERS = 2;

const random = randomOf(seed);
const shared = create();
const memory = fields(shared);
const counter = new BigUint64Array(1);
const count = {
  checks: 0,
  opened: 0,
  reused: 0,
  errors: 0,
  deaths: 0,
  messages: 0,
  modified: 0,
  woken: 0,
  strangers: 0,
  late: 0,
};
let generation = 0;
let wrong = '';

console.log(`soak: seed ${seed}, ${values.minutes} minutes, ${FDS} fds, ${THREADS} threads, ${WRITERS} writers`);

/** Of each fd: what register() gave. */
const registrations = [];
/** Of those that are gone. */
let gone;

/** The data of registrations whose fds were closed behind the service's back. */
const behind = new Set();

const service = await WaitService.start({
  threads: THREADS,
  handler: new URL('handler.mjs', import.meta.url),
  handlerData: { shared },
  stateBytes: 4,
});
service.on('message', () => count.messages++);
service.on('error', (error, event) => {
  count.errors++;
  if (error.code === 'ERR_WORKER_EXITED') count.deaths++;
  // A run that had begun when its fd was closed without a word to the service.
  else if (error.code === 'EBADF' && behind.has(event?.data)) count.late++;
  else if (error.message !== 'as told') fail(`an error that nobody asked for: ${error.stack}`);
  if (event !== undefined) resume(event);
});

function fail(message) {
  wrong ||= message;
}

/** Arms a registration that rests after its error; it may be gone by now. */
function resume({ fd, id, data }) {
  // A handler that was at work may fail while the service closes.
  if (service.closed) return;
  const i = Number(data & 0xffffn);
  if (Number(data >> 16n) !== memory[GENERATION + i]) return;
  const target = id === undefined ? fd : { fd, id };
  service.modify(target, { events: eventsOf(), data }).catch(error => {
    if (Number(data >> 16n) === memory[GENERATION + i]) fail(`modify: ${error.message}`);
  });
}

function eventsOf() {
  return random(2) === 0 ? EPOLLIN : EPOLLIN | EPOLLET;
}

async function open(i, fd = eventfd()) {
  generation++;
  memory[FD + i] = fd;
  Atomics.store(memory, GENERATION + i, generation);
  registrations[i] = await service.register(fd, { events: eventsOf(), data: (BigInt(generation) << 16n) | BigInt(i) });
  Atomics.store(memory, OPEN + i, 1);
  count.opened++;
}

/** No writer writes to it any more. */
async function shut(i) {
  while (Atomics.compareExchange(memory, OPEN + i, 1, 0) !== 1) await turn();
}

/** What a handler has not taken, once there is none. */
function takeRest(i) {
  if (read(memory[FD + i], counter) > 0) Atomics.add(memory, TAKEN + i, Number(counter[0]));
}

const busy = new Set();

/** Ends a registration in one of the ways that there are, and begins another in its place. */
async function churn(i) {
  if (busy.has(i)) return;
  busy.add(i);
  await shut(i);
  const fd = memory[FD + i];
  const kept = dup(fd);
  if (random(3) > 0) {
    await service.unregister(random(2) === 0 ? fd : registrations[i]);
    gone = registrations[i];
    Atomics.store(memory, GONE + i, memory[GENERATION + i]);
    Atomics.store(memory, GENERATION + i, 0);
    takeRest(i);
    close(kept);
    close(fd);
  } else {
    // Behind the service's back: what it was sent is taken first, so that no handler is needed for it.
    const deadline = performance.now() + 20_000;
    while (memory[TAKEN + i] !== memory[SENT + i] && performance.now() < deadline) await turn();
    if (memory[TAKEN + i] !== memory[SENT + i]) fail(`fd ${fd}: ${memory[SENT + i]} sent, ${memory[TAKEN + i]} taken`);
    behind.add((BigInt(memory[GENERATION + i]) << 16n) | BigInt(i));
    // A run that has begun (of a wake(), say) may read still; one that begins from now on does not.
    Atomics.store(memory, BEHIND + i, memory[GENERATION + i]);
    while (Atomics.load(memory, RUNNING + i) === memory[GENERATION + i] && performance.now() < deadline) await turn();
    close(kept);
    close(fd);
    count.reused++;
  }
  await open(i);
  busy.delete(i);
}

const turn = () => new Promise(resolve => setImmediate(resolve));

async function pauseWriters() {
  Atomics.store(memory, PAUSE, 1);
  while (Atomics.load(memory, PAUSED) < WRITERS) await turn();
}

function resumeWriters() {
  Atomics.store(memory, PAUSE, 0);
  Atomics.notify(memory, PAUSE);
}

/** With the writers still: everything that was sent is taken, within 10 s, and nothing was left open. */
async function check() {
  await pauseWriters();
  const deadline = performance.now() + 10_000;
  const open = () => Array.from({ length: FDS }, (_, i) => i).filter(i => memory[SENT + i] !== memory[TAKEN + i]);
  while (open().length > 0 && performance.now() < deadline) await turn();
  const left = open();
  if (left.length > 0)
    fail(`lost: ${left.map(i => `fd ${memory[FD + i]}: ${memory[SENT + i]} sent, ${memory[TAKEN + i]} taken`)}`);
  if (memory[TOTALS + OVERLAPS] !== 0) fail(`${memory[TOTALS + OVERLAPS]} times two threads were in one registration`);
  if (memory[TOTALS + STRAYS] !== 0) fail(`${memory[TOTALS + STRAYS]} runs of a registration that was gone`);
  // Those that were closed behind its back stay in the table until their numbers are used again.
  const { registrations } = service.stats();
  if (registrations < FDS || registrations > 2 * FDS) fail(`${registrations} registrations`);
  count.checks++;
  resumeWriters();
}

const started = performance.now();
const writers = Array.from({ length: WRITERS }, (_, i) => {
  const worker = new Worker(new URL('writer.mjs', import.meta.url), { workerData: { shared, seed: seed + i + 1 } });
  worker.on('error', error => fail(`writer: ${error.stack}`));
  return worker;
});
for (let i = 0; i < FDS; i++) await open(i);
await check();
const before = { rss: process.memoryUsage().rss, fds: readdirSync('/proc/self/fd').length };

let computed = 0;
let nextCheck = performance.now() + 2000;
let nextLine = performance.now() + 60_000;
let nextDeath = performance.now() + 1000;
while (performance.now() < until && !wrong) {
  for (let i = 0; i < 20; i++) {
    const fd = random(FDS);
    const what = random(10);
    if (what < 4) churn(fd).catch(error => fail(`churn: ${error.stack}`));
    else if (what < 6) Atomics.store(memory, FAULT + fd, [1, 3, 4, 5, 6, 7][random(6)]);
    else if (what < 8 && !busy.has(fd)) {
      count.modified++;
      resume({ fd: memory[FD + fd], data: (BigInt(memory[GENERATION + fd]) << 16n) | BigInt(fd) });
    } else if (what === 8 && !busy.has(fd)) {
      count.woken++;
      service.wake(registrations[fd]);
    } else if (gone !== undefined) {
      count.strangers++;
      wakeStranger();
    }
  }
  if (performance.now() > nextDeath) {
    Atomics.store(memory, FAULT + random(FDS), 2);
    nextDeath = performance.now() + 3000 + random(5000);
  }
  await new Promise(resolve => setTimeout(resolve, random(4)));
  // The main thread computes half of the time.
  if (computed < (performance.now() - started) / 2) computed += compute(random(200));
  if (performance.now() > nextCheck) {
    while (busy.size > 0) await turn();
    await check();
    nextCheck = performance.now() + 2000;
  }
  if (performance.now() > nextLine) {
    report();
    nextLine += 60_000;
  }
}

function compute(milliseconds) {
  const began = performance.now();
  while (performance.now() < began + milliseconds);
  return performance.now() - began;
}

/** What has its fd's number by now is not meant. */
function wakeStranger() {
  try {
    service.wake(gone);
    fail(`registration ${gone.id} is gone, and was found`);
  } catch (error) {
    if (error.code !== 'ENOENT') fail(`wake: ${error.stack}`);
  }
}

function report() {
  const { threads, restarts } = service.stats();
  const handled = threads.reduce((sum, thread) => sum + thread.handled, 0);
  const contended = threads.reduce((sum, thread) => sum + thread.contended, 0);
  const stale = threads.reduce((sum, thread) => sum + thread.stale, 0);
  const sent = memory.subarray(SENT, SENT + FDS).reduce((sum, n) => sum + n, 0);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const megabytes = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
  console.log(`${minutes} min: ${JSON.stringify({ sent, handled, contended, stale, restarts, ...count, megabytes })}`);
}

while (busy.size > 0 && !wrong) await turn();
if (!wrong) await check();
report();
const after = { rss: process.memoryUsage().rss, fds: readdirSync('/proc/self/fd').length };
if (after.fds > before.fds + 4) fail(`fds: ${before.fds} before, ${after.fds} after`);
if (after.rss > before.rss * 1.5 + 200 * 2 ** 20) fail(`memory: ${before.rss} before, ${after.rss} after`);
for (const writer of writers) await writer.terminate();
await service.close();
const tasks = readdirSync('/proc/self/task').length;
console.log(
  wrong ? `soak: FAILED with seed ${seed}: ${wrong}` : `soak: clean; ${after.fds} fds, ${tasks} threads at the end`,
);
process.exit(wrong ? 1 : 0);
