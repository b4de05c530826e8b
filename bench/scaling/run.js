// The simulation's tables: what N threads get done on one instance and on K, beside what one thread does.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, styleText } from 'node:util';
import { lineChart } from '../lib/charts.js';
import { percentile } from '../lib/statistics.js';
import { printColumns, short } from '../lib/table.js';
import { perf } from './loops.js';
import { alone, simulate } from './simulate.js';

const USAGE = `Usage: node bench/scaling/run.js [options]

Simulates threads that wait on one epoll instance, and on several, each thread on a core of its own.

  --handler LIST    µs that a run takes beside its read, its write and what the service does for it; 0,1,5,20,100
  --threads LIST    1,2,4,8,16,32
  --instances LIST  1,2,4,8,16,32
  --batch LIST      most events that one wait fetches; 1,4,16
  --costs FILE      what calibrate.js has measured; bench/scaling/costs.json
  --bare            loops in C: nothing of what the service does for an event
  --distance WHICH  far: cores that share no cache, as the threads of many cores are; near: cores that do; far
  --far N           the way between cores takes N times as long as measured; 1
  --seed N          1
  --compare         what was measured with two threads, beside the simulation, and nothing else
  --chart FILE      an SVG of the times of one thread by threads, for the largest batch
  --help            this text`;

/** One instance carries so many threads as get this share of what each would get alone. */
const CARRIED = 0.8;
const MOST_THREADS = 254;
/** What the service fetches at once: what fits into 100 µs, at most 64. */
const SLICE_NS = 100_000;
const MOST = 64;

const options = parsed();
const { costs: all, measured } = JSON.parse(readFileSync(options.path, 'utf8'));
const costs = all[options.distance];
if (costs === undefined) {
  console.error(`${options.path} has no costs for --distance ${options.distance}`);
  process.exit(2);
}
const bare = { ...costs, claim: 0 };
const used = options.bare ? bare : costs;
if (options.compare) compare();
else {
  for (const batch of options.batch) table(batch);
  limits();
  lateness();
  if (options.chart !== undefined) draw(options.chart);
}

function parsed() {
  try {
    const { values } = parseArgs({
      options: {
        handler: { type: 'string', default: '0,1,5,20,100' },
        threads: { type: 'string', default: '1,2,4,8,16,32' },
        instances: { type: 'string', default: '1,2,4,8,16,32' },
        batch: { type: 'string', default: '1,4,16' },
        costs: { type: 'string', default: fileURLToPath(new URL('costs.json', import.meta.url)) },
        bare: { type: 'boolean', default: false },
        distance: { type: 'string', default: 'far' },
        far: { type: 'string', default: '1' },
        seed: { type: 'string', default: '1' },
        compare: { type: 'boolean', default: false },
        chart: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit();
    }
    return {
      ...values,
      path: values.costs,
      handler: numbers('handler', values.handler, { least: 0 }),
      threads: numbers('threads', values.threads, { least: 1, isWhole: true }),
      instances: numbers('instances', values.instances, { least: 1, isWhole: true }),
      batch: numbers('batch', values.batch, { least: 1, isWhole: true }),
      far: numbers('far', values.far, { least: 0 })[0],
      seed: numbers('seed', values.seed, { least: 0, isWhole: true })[0],
    };
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function numbers(name, list, { least, isWhole = false }) {
  return list.split(',').map(text => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= least && value <= 1e6) || (isWhole && !Number.isInteger(value))) {
      throw new RangeError(`--${name} takes ${isWhole ? 'whole ' : ''}numbers from ${least} on, not '${text}'`);
    }
    return value;
  });
}

function of(threads, instances, batch, handlerUs, more = {}) {
  const { far, seed } = options;
  return simulate({ costs: used, threads, instances, batch, handler: handlerUs * 1000, far, seed, ...more });
}

/** What one thread does in a second. */
function single(batch, handlerUs) {
  return 1e9 / alone(used, batch, handlerUs * 1000);
}

function table(batch) {
  console.log(
    `\n${styleText('bold', `Up to ${batch} event(s) for each wait`)}: times of one thread; * ep->mtx is always taken`,
  );
  const columns = options.instances;
  const lines = [['handler', 'threads', ...columns.map(k => `${k} instance${k === 1 ? '' : 's'}`)]];
  for (const handler of options.handler) {
    for (const threads of options.threads) {
      const cells = columns.map(instances => {
        if (instances > threads) return '';
        const { rate, mtx } = of(threads, instances, batch, handler);
        return `${(rate / single(batch, handler)).toFixed(1)}${mtx > 0.97 ? '*' : ''}`;
      });
      lines.push([`${handler} µs`, String(threads), ...cells]);
    }
  }
  printColumns(lines);
}

/** Where one instance is full, and how many threads it carries. */
function limits() {
  console.log(
    `\n${styleText('bold', 'What one instance carries')}: threads that get ${CARRIED * 100}% of what each gets alone`,
  );
  const heads = [...options.batch.map(batch => `by ${batch}`), 'as the service fetches'];
  const lines = [['handler', 'one thread', ...heads.map(head => `${head}: threads, at most events/s`)]];
  for (const handler of options.handler) {
    const cells = [...options.batch, ownBatch(handler * 1000)].map(batch => {
      const { threads, rate } = carried(batch, handler);
      return `${threads === MOST_THREADS ? 'all ' : ''}${threads}, ${short(rate)}/s`;
    });
    cells.push(`${cells.pop()} (by ${ownBatch(handler * 1000)})`);
    lines.push([`${handler} µs`, `${short(single(Math.max(...options.batch), handler))}/s`, ...cells]);
  }
  printColumns(lines);
}

function ownBatch(handler) {
  return Math.max(1, Math.min(MOST, Math.floor(SLICE_NS / alone(costs, MOST, handler))));
}

function carried(batch, handler) {
  const suffices = threads => of(threads, 1, batch, handler).rate >= CARRIED * threads * single(batch, handler);
  let [low, high] = [1, MOST_THREADS + 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (suffices(middle)) low = middle;
    else high = middle;
  }
  // The most that it passes on, however many wait: short of all of them where these are too few to fill it.
  const rates = [1, 2, 4, 8, 16].map(times => of(Math.min(MOST_THREADS, low * times), 1, batch, handler).rate);
  const rate = Math.max(...rates);
  return { threads: low, rate };
}

/** What several instances cost: a slow run's thread is idle's neighbour, and events wait for the threads of their own instance. */
function lateness() {
  const threads = 16;
  const [cheap, slow, every, load] = [20_000, 2_000_000, 20, 0.7];
  const mean = cheap + (slow - cheap) / every;
  console.log(
    `\n${styleText('bold', 'What several instances cost')}: ${threads} threads, ${load * 100}% busy; runs of ${cheap / 1000} µs, one in ${every} of ${slow / 1e6} ms`,
  );
  const lines = [['instances', 'from an event to its run: median', 'p99']];
  for (const instances of [1, 2, 4, 8, 16]) {
    const { waits } = simulate({
      costs: used,
      threads,
      instances,
      batch: 1,
      handler: random => (random() < 1 / every ? slow : cheap),
      arrivals: (load * threads * 1e9) / alone(used, 1, mean),
      events: 60_000,
      seed: options.seed,
      far: options.far,
    });
    lines.push([String(instances), ...[0.5, 0.99].map(share => `${short(percentile(waits, share) / 1000)} µs`)]);
  }
  printColumns(lines);
}

function draw(path) {
  const batch = Math.max(...options.batch);
  const several = Math.max(...options.instances.filter(k => k <= 4));
  const series = options.handler.flatMap(handler =>
    [1, several].map(instances => ({
      name: `${handler} µs`,
      ours: instances === 1,
      points: options.threads
        .filter(threads => threads >= instances)
        .map(threads => [threads, of(threads, instances, batch, handler).rate / single(batch, handler)]),
    })),
  );
  const text = `Simulated, up to ${batch} events for each wait, on cores that share no cache. Handlers of so many µs beside what the service does for an event. Full lines: one instance; dashed: ${several}.`;
  writeFileSync(
    path,
    lineChart({ title: 'Threads on one epoll instance: times of one thread', text, series, x: 'threads' }),
  );
}

/** Two threads as measured, in times of one, and of two that share no instance; the model with the same costs; and how far it is off. */
function compare() {
  for (const distance of Object.keys(all)) {
    console.log(
      `\n${styleText('bold', `Two threads on cores that are ${distance}`)}: on one instance, of the same on two`,
    );
    const rows = [
      ['', 'handler', 'batch', 'measured', 'simulated', 'off by', 'two instances, of one thread', 'simulated'],
    ];
    for (const { handler, batch, kind } of measured.loops.filter(isFirst)) {
      if (kind === 'cycle')
        rows.push(compared('C', measured.loops, { kind, handler, batch, distance }, { ...all[distance], claim: 0 }));
    }
    for (const { handler } of measured.service.filter(row => isFirst(row) && !row.bare)) {
      rows.push(compared('service', measured.service, { handler, bare: false, distance }, all[distance]));
    }
    printColumns(rows.filter(row => row !== undefined));
  }
  console.log(
    '\nperf bench epoll wait, thousand reads/s, all threads together (the model gives a core to each thread, and one to the writer)',
  );
  const lines = [['threads', 'instances', 'cores', 'measured', 'simulated']];
  for (const { threads, instances, distance, rate } of measured.perf ?? []) {
    if (rate === 0 || all[distance] === undefined) continue;
    const model = perf({ costs: { ...all[distance], claim: 0 }, threads, instances });
    lines.push([threads, instances, distance, Math.round(rate / 1000), Math.round(model / 1000)].map(String));
  }
  printColumns(lines);
}

function isFirst({ threads, distance }) {
  return threads === 1 && distance === 'near';
}

function compared(name, list, wanted, with_) {
  const rateOf = (threads, instances) =>
    list.find(
      row =>
        row.rate > 0 &&
        Object.entries({ ...wanted, threads, instances }).every(([field, value]) => row[field] === value),
    )?.rate;
  const [one, shared, apart] = [rateOf(1, 1), rateOf(2, 1), rateOf(2, 2)];
  if ([shared, apart].includes(undefined)) return undefined;
  const { handler } = wanted;
  const batch = wanted.batch ?? ownBatch(handler);
  const { seed } = options;
  const [together, alike] = [1, 2].map(
    instances => simulate({ costs: with_, threads: 2, instances, batch, handler, seed }).rate,
  );
  const [real, model] = [shared / apart, together / alike];
  const off = `${model > real ? '+' : ''}${((model / real - 1) * 100).toFixed(0)}%`;
  const speedups = [
    one === undefined ? '' : (apart / one).toFixed(2),
    (alike * (alone(with_, batch, handler) / 1e9)).toFixed(2),
  ];
  return [name, `${handler / 1000} µs`, String(batch), real.toFixed(2), model.toFixed(2), off, ...speedups];
}
