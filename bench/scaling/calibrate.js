// Measures here, on one and two cores, what the simulation needs and what it is held against: writes costs.json.
// `node bench/scaling/calibrate.js [steps] [loops] [service] [perf]`: all parts, or those that are named; the others stay as they are.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { program } from '../lib/c.js';
import { waits, writes } from './loops.js';
import { alone } from './simulate.js';

const run = promisify(execFile);
const PATH = fileURLToPath(new URL('costs.json', import.meta.url));
const SERVICE = fileURLToPath(new URL('service.js', import.meta.url));
const LIMIT_MS = 20_000;
/** Of each loop, in milliseconds; rounds take turns, so that a bad minute meets all of them. */
const LOOP_MS = 120;
const SERVICE_MS = 400;
const ROUNDS = 3;
const HANDLERS_US = [0, 1, 5, 20, 100];
const BATCHES = [1, 4, 16];
/** Threads and instances: what two cores can do at once. */
const LAYOUTS = [
  [1, 1],
  [2, 1],
  [2, 2],
];
/** Of the service: what fits into 100 µs, at most this. */
const MOST = 64;

const PARTS = { steps: measureSteps, loops: measureLoops, service: measureService, perf: measurePerf };

const { positionals } = parseArgs({ allowPositionals: true });
const unknown = positionals.find(name => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`There is no part '${unknown}': ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const { path, skipped } = program('scaling');
if (path === undefined) {
  console.error(skipped);
  process.exit(1);
}
const measured = stored();
for (const [name, measure] of Object.entries(PARTS)) {
  if (positionals.length === 0 || positionals.includes(name)) measured[name] = await measure();
}
const file = { machine: machine(), costs: costsOf(measured), measured };
writeFileSync(PATH, `${JSON.stringify(file, undefined, 2)}\n`);
console.log(file.costs);

function stored() {
  try {
    return JSON.parse(readFileSync(PATH, 'utf8')).measured;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return {};
  }
}

function machine() {
  return { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version };
}

/** The least of several rounds of each step, in ns. */
async function measureSteps() {
  const least = {};
  for (let i = 0; i < ROUNDS; i++) {
    for (const kind of ['steps', 'away', 'wake']) {
      least[kind] ??= {};
      for (const [name, ns] of Object.entries(await resultOf(path, [kind]))) {
        least[kind][name] = Math.min(ns, least[kind][name] ?? Number.POSITIVE_INFINITY);
      }
    }
  }
  return least;
}

/** The loops in C: each thread on a core of its own. */
async function measureLoops() {
  const cases = [];
  for (const [threads, instances] of LAYOUTS) {
    cases.push({ kind: 'write', threads, instances, batch: 1, handler: 0 });
    cases.push({ kind: 'wait', threads, instances, batch: 1, handler: 0 });
    for (const batch of BATCHES) {
      for (const us of HANDLERS_US) cases.push({ kind: 'cycle', threads, instances, batch, handler: us * 1000 });
    }
  }
  return best(cases, ({ kind, threads, instances, batch, handler }) =>
    resultOf(path, ['loop', kind, threads, instances, batch, handler, LOOP_MS + handler / 500]),
  );
}

/** Services whose handlers do the same, and one thread that makes the same system calls through koffi alone. */
async function measureService() {
  const cases = [{ threads: 1, instances: 1, handler: 0, bare: true }];
  for (const us of HANDLERS_US) {
    for (const [threads, instances] of LAYOUTS) cases.push({ threads, instances, handler: us * 1000, bare: false });
  }
  return best(cases, ({ threads, instances, handler, bare }) =>
    resultOf(process.execPath, [SERVICE, threads, instances, handler, SERVICE_MS, ...(bare ? ['bare'] : [])]),
  );
}

/** `perf bench epoll wait`: one second each, all threads together. */
async function measurePerf() {
  const cases = LAYOUTS.map(([threads, instances]) => ({ threads, instances }));
  return best(cases, async ({ threads, instances }) => {
    const args = ['bench', 'epoll', 'wait', '--threads', threads, '--runtime', 1, '--noaffinity'];
    if (instances > 1) args.push('--multiq');
    const { stdout } = await run('perf', args.map(String), { timeout: LIMIT_MS });
    return { rate: threads * Number(/Averaged (\d+) operations/.exec(stdout)?.[1]) };
  });
}

/** The best of several rounds of each case: what else the machine does only takes away. */
async function best(cases, measure) {
  const rows = cases.map(kase => ({ ...kase, rate: 0 }));
  for (let i = 0; i < ROUNDS; i++) {
    for (const [at, kase] of cases.entries()) {
      const { rate } = await measure(kase);
      rows[at].rate = Math.max(rows[at].rate, Math.round(rate));
    }
  }
  return rows;
}

async function resultOf(command, args) {
  const { stdout } = await run(command, args.map(String), { timeout: LIMIT_MS });
  return JSON.parse(/^RESULT (.*)$/m.exec(stdout)[1]);
}

function rateOf(rows, wanted) {
  const row = rows.find(one => Object.entries(wanted).every(([name, value]) => one[name] === value));
  if (!(row?.rate > 0)) throw new Error(`Nothing measured of ${JSON.stringify(wanted)}: the machine was never free`);
  return row.rate;
}

/** The model's costs, in ns. */
function costsOf({ steps: { steps, away, wake }, loops, service }) {
  // What a wait takes beside its events, and what each event adds to it, is a straight line within a few ns.
  const send = (64 * steps.fetch64 - 4 * steps.fetch4) / 60;
  const locked = Math.max(0, steps.fetch1 - send - steps.emptyWait);
  const costs = {
    enter: steps.emptyWait,
    // ep->lock is taken twice inside ep->mtx; what of it is whose cannot be told from outside: a quarter each, and the rest the mutex's.
    listLock: locked / 4,
    scan: locked / 2,
    send,
    away: Math.max(0, away.fetch64 - steps.fetch64),
    callback: steps.firstWrite - steps.plainWrite,
    callbackListed: steps.nextWrite - steps.plainWrite,
    wake: Math.max(0, wake.write - steps.firstWrite),
    wakeUp: Math.max(0, wake.awake - wake.write),
    read: steps.read,
    write: steps.plainWrite,
    claim: 0,
    lockHandoff: 0,
    mtxHandoff: 0,
    nap: wake.nap,
  };
  costs.lockHandoff = fitted(loops, 'write', handoff => ({ ...costs, lockHandoff: handoff }), writes);
  costs.mtxHandoff = fitted(loops, 'wait', handoff => ({ ...costs, mtxHandoff: handoff }), waits);
  const event = rate => 1e9 / rate - alone({ ...costs, claim: 0 }, MOST);
  costs.koffi = event(rateOf(service, { bare: true }));
  costs.claim = event(rateOf(service, { bare: false, threads: 1, handler: 0 }));
  return Object.fromEntries(Object.entries(costs).map(([name, ns]) => [name, Math.round(ns * 10) / 10]));
}

/** The way between cores that makes the simulated loop lose what the real one loses with two threads on one instance. */
function fitted(loops, kind, costsWith, loop) {
  const lost = rateOf(loops, { kind, threads: 2, instances: 1 }) / rateOf(loops, { kind, threads: 2, instances: 2 });
  const shareOf = handoff => {
    const costs = costsWith(handoff);
    return loop({ costs, threads: 2, instances: 1, batch: 1 }) / loop({ costs, threads: 2, instances: 2, batch: 1 });
  };
  let [low, high] = [0, 2000];
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    if (shareOf(middle) > lost) low = middle;
    else high = middle;
  }
  return low;
}
