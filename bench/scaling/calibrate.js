// Measures here, on one and two cores, what the simulation needs and what it is held against: writes costs.json.
// `node bench/scaling/calibrate.js [steps] [loops] [service] [perf]`: all parts, or those that are named; the others stay as they are.
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { program } from '../lib/c.js';
import { summary } from '../lib/statistics.js';
import { waits } from './loops.js';
import { alone, simulate } from './simulate.js';

const run = promisify(execFile);
const PATH = fileURLToPath(new URL('costs.json', import.meta.url));
const SERVICE = fileURLToPath(new URL('service.js', import.meta.url));
const LIMIT_MS = 20_000;
/** For whoever else uses the machine. */
const PAUSE_MS = 100;
/** Of each loop, in milliseconds; cases take turns in each round, so that a bad minute meets all of them. */
const LOOP_MS = 120;
const SERVICE_MS = 400;
const ROUNDS = 3;
/** From a core to one that shares its cache a word takes 25 ns here, to another 150. */
const NEAR_NS = 60;
/** Of a round, windows in which nobody else took anything. */
const FEWEST = 5;
const HANDLERS_US = [0, 1, 5, 20, 100];
const BATCHES = [1, 4, 16];
/** Threads and instances: what two cores can do at once. */
const LAYOUTS = [
  [1, 1],
  [2, 1],
  [2, 2],
];
/** The loops that the ways between cores are fitted by; all others are what the model is held against. */
const WAIT = { kind: 'wait', batch: 1, handler: 0 };
const CYCLES = BATCHES.map(batch => ({ kind: 'cycle', batch, handler: 0 }));
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
  if (positionals.length === 0 || positionals.includes(name)) measured[name] = await measure(measured[name]);
}
const costs = { near: costsOf(measured, 'near'), far: costsOf(measured, 'far') };
writeFileSync(PATH, `${JSON.stringify({ machine: machine(), costs, measured }, undefined, 2)}\n`);
console.log(costs);

function stored() {
  try {
    return JSON.parse(readFileSync(PATH, 'utf8')).measured;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return {};
  }
}

function machine() {
  return {
    cpu: cpus()[0].model,
    cores: cpus().length,
    kernel: release().split('.', 2).join('.'),
    node: process.version,
  };
}

/** The least of several rounds of each step, in ns. */
async function measureSteps(before = {}) {
  const least = { alone: {}, ...before };
  for (let i = 0; i < ROUNDS; i++) {
    note(least.alone, await resultOf(path, ['steps']));
    note(least.alone, await resultOf(path, ['wake']));
    const result = await resultOf(path, ['away']);
    least[distanceOf(result)] ??= {};
    note(least[distanceOf(result)], result);
  }
  return least;
}

function note(least, result) {
  for (const [name, ns] of Object.entries(result)) least[name] = Math.min(ns, least[name] ?? Number.POSITIVE_INFINITY);
}

/** Cores that share a cache, or not: of a virtual machine's it changes from minute to minute. */
function distanceOf({ line }) {
  return line < NEAR_NS ? 'near' : 'far';
}

/** The loops in C: each thread on a core of its own. */
async function measureLoops(before) {
  const cases = [];
  for (const [threads, instances] of LAYOUTS) {
    cases.push({ ...WAIT, threads, instances });
    for (const batch of BATCHES) {
      for (const us of HANDLERS_US) cases.push({ kind: 'cycle', threads, instances, batch, handler: us * 1000 });
    }
  }
  return inRounds(before, cases, ({ kind, threads, instances, batch, handler }) =>
    resultOf(path, ['loop', kind, threads, instances, batch, handler, LOOP_MS + handler / 500]),
  );
}

/** Services whose handlers do the same, and one thread that makes the same system calls through koffi alone. */
async function measureService(before) {
  const cases = [{ threads: 1, instances: 1, handler: 0, bare: true }];
  for (const us of HANDLERS_US) {
    for (const [threads, instances] of LAYOUTS) cases.push({ threads, instances, handler: us * 1000, bare: false });
  }
  return inRounds(before, cases, async ({ threads, instances, handler, bare }) => ({
    ...(threads > 1 ? await resultOf(path, ['line']) : {}),
    ...(await resultOf(process.execPath, [
      SERVICE,
      threads,
      instances,
      handler,
      SERVICE_MS,
      ...(bare ? ['bare'] : []),
    ])),
  }));
}

/** `perf bench epoll wait`: one second each, all threads together. */
async function measurePerf(before) {
  if (spawnSync('perf', ['--version']).error !== undefined) {
    console.error('perf is not installed');
    return before;
  }
  const cases = LAYOUTS.map(([threads, instances]) => ({ threads, instances }));
  return inRounds(before, cases, async ({ threads, instances }) => {
    const { line } = await resultOf(path, ['line']);
    const args = ['bench', 'epoll', 'wait', '--threads', threads, '--runtime', 1, '--noaffinity'];
    if (instances > 1) args.push('--multiq');
    const { stdout } = await run('perf', args.map(String), { timeout: LIMIT_MS });
    return { line, rate: threads * Number(/Averaged (\d+) operations/.exec(stdout)?.[1]) };
  });
}

/**
 * The median of several rounds of each case, and their spread, by the distance of the two cores; what was not seen this time stays as it was.
 * Rounds that others disturbed all the time are left out.
 *
 * @param {object[]} before
 */
async function inRounds(before, cases, measure) {
  const rates = cases.map(() => ({ near: [], far: [] }));
  for (let i = 0; i < ROUNDS; i++) {
    for (const [at, kase] of cases.entries()) {
      const { rate, line, whole = FEWEST } = await measure(kase);
      if (whole < FEWEST) continue;
      // One thread has no way to go.
      const distances = line ? [distanceOf({ line })] : ['near', 'far'];
      for (const distance of distances) rates[at][distance].push(Math.round(rate));
    }
  }
  return cases.flatMap((kase, at) =>
    ['near', 'far'].map(distance => {
      const old = before?.find(
        row => row.distance === distance && Object.keys(kase).every(name => row[name] === kase[name]),
      );
      if (rates[at][distance].length === 0) return old ?? { ...kase, distance, rate: 0 };
      const { median, low, high } = summary(rates[at][distance]);
      return { ...kase, distance, rate: Math.round(median), low, high, rounds: rates[at][distance].length };
    }),
  );
}

async function resultOf(command, args) {
  await sleep(PAUSE_MS);
  const { stdout } = await run(command, args.map(String), { timeout: LIMIT_MS });
  return JSON.parse(/^RESULT (.*)$/m.exec(stdout)[1]);
}

/** The model's costs, in ns, for cores at this distance; undefined where something was not measured at it. */
function costsOf({ steps, loops = [], service = [] }, distance) {
  const { alone: least, [distance]: away } = steps ?? {};
  const rateOf = (rows, wanted) =>
    rows.find(
      row => row.rate > 0 && Object.entries({ distance, ...wanted }).every(([name, value]) => row[name] === value),
    )?.rate;
  const lost = loop =>
    rateOf(loops, { ...loop, threads: 2, instances: 1 }) / rateOf(loops, { ...loop, threads: 2, instances: 2 });
  const shares = { wait: lost(WAIT), cycle: mean(CYCLES.map(lost)) };
  const bare = rateOf(service, { bare: true });
  const ours = rateOf(service, { bare: false, threads: 1, handler: 0 });
  if ([away, bare, ours].includes(undefined) || Object.values(shares).some(Number.isNaN)) return undefined;
  // What a wait takes beside its events, and what each event adds to it, is a straight line within a few ns.
  const send = (64 * least.fetch64 - 4 * least.fetch4) / 60;
  const locked = Math.max(0, least.fetch1 - send - least.emptyWait);
  const costs = {
    enter: least.emptyWait,
    // ep->lock is taken twice inside ep->mtx; what of it is whose cannot be told from outside: a quarter each, and the rest the mutex's.
    listLock: locked / 4,
    scan: locked / 2,
    send,
    away: Math.max(0, away.fetch64 - least.fetch64),
    callback: least.watchedWrite - least.plainWrite,
    wake: Math.max(0, least.wakingWrite - least.watchedWrite),
    wakeUp: Math.max(0, least.awake - least.wakingWrite),
    read: least.read,
    write: least.plainWrite,
    claim: 0,
    lockHandoff: 0,
    mtxHandoff: 0,
    nap: least.nap,
  };
  // Each of the two has its part in both loops.
  for (let i = 0; i < 4; i++) {
    costs.mtxHandoff = fitted(shares.wait, mtxHandoff => lostBy(waits, { ...WAIT, costs: { ...costs, mtxHandoff } }));
    costs.lockHandoff = fitted(shares.cycle, lockHandoff =>
      mean(CYCLES.map(cycle => lostBy(rateOfCycle, { ...cycle, costs: { ...costs, lockHandoff } }))),
    );
  }
  const single = alone(costs, MOST);
  costs.koffi = 1e9 / bare - single;
  costs.claim = 1e9 / ours - single;
  return Object.fromEntries(Object.entries(costs).map(([name, ns]) => [name, Math.round(ns * 10) / 10]));
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function rateOfCycle(options) {
  return simulate(options).rate;
}

/** What two threads on one instance get done, of what they do on two. */
function lostBy(loop, options) {
  return loop({ ...options, threads: 2, instances: 1 }) / loop({ ...options, threads: 2, instances: 2 });
}

/** How long the way between cores is for the simulated loop to lose what the real one loses. */
function fitted(share, shareOf) {
  let [low, high] = [0, 2000];
  for (let i = 0; i < 16; i++) {
    const middle = (low + high) / 2;
    if (shareOf(middle) > share) low = middle;
    else high = middle;
  }
  return low;
}
