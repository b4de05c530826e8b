// `npm run bench`: all questions, one table, results/latest.json and the charts. Arguments: names of questions, --rounds N.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, styleText } from 'node:util';
import { barChart, goalChart } from './lib/charts.js';
import { goalCells, printColumns } from './lib/table.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const QUESTIONS = [
  'raw-wait',
  'tcp-messages',
  'listener',
  'event-loop',
  'http',
  'fairness',
  'pure-js',
  'one-slow',
  'server-lines',
  'server-http',
  'server-fairness',
  'https',
  'https-handshake',
  'accept',
  'idle-memory',
  'broadcast',
  'wake-up',
  'growth',
  'control',
  'threads',
  'start-close',
  'load',
  'load-more',
  'load-as-user',
  'load-percentiles',
  'load-held',
];

const USAGE = `Usage: npm run bench -- [question ...] [--rounds N] [--smoke] [--out FOLDER]

Measures epoll-pool beside its peers: all questions, or those that are named:
  ${QUESTIONS.join(', ')}

  --rounds N    rounds of each question; without it, what the question asks for
  --smoke       one short round, to see that everything runs
  --out FOLDER  for latest.json and the charts; without it, bench/results
  --help        this text`;

const { values, positionals } = parsed();
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const out = values.out ?? join(here, 'results');

install();
const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-bench-'));
const started = performance.now();
const asked = positionals.length === 0 ? QUESTIONS : QUESTIONS.filter(name => positionals.includes(name));
const questions = asked.map(run).filter(result => result !== undefined);
rmSync(folder, { recursive: true });
report();

function parsed() {
  const options = {
    rounds: { type: 'string' },
    smoke: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  };
  try {
    const result = parseArgs({ allowPositionals: true, options });
    const unknown = result.positionals.find(name => !QUESTIONS.includes(name));
    if (unknown !== undefined) throw new Error(`There is no question '${unknown}'`);
    if (!/^[1-9]\d*$/.test(result.values.rounds ?? '1')) throw new Error('--rounds takes a number from 1 on');
    return result;
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** The peers, the first time. One that cannot be built is left out, and its rows say so. */
function install() {
  if (existsSync(join(here, 'node_modules'))) return;
  console.log('Installing the peers into bench/node_modules');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', here], { stdio: 'inherit' });
  if (status !== 0) console.log('npm ci failed: rows of peers that are missing will say so');
}

function run(name) {
  const json = join(folder, `${name}.json`);
  const args = [join(here, `${name}.js`), '--json', json];
  if (values.rounds !== undefined) args.push('--rounds', values.rounds);
  if (values.smoke) args.push('--smoke');
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status === 0) return JSON.parse(readFileSync(json, 'utf8'));
  console.log(styleText('red', `${name} failed`));
  process.exitCode = 1;
  return undefined;
}

function report() {
  console.log(`\n${styleText('bold', 'Goals')}`);
  const lines = questions.flatMap(({ title, goals, metrics }) =>
    goals
      .filter(({ atLeast, atMost }) => (atLeast ?? atMost) !== undefined)
      .map(goal => [title, ...goalCells(goal, metrics)]),
  );
  printColumns(lines);
  const judged = questions.flatMap(({ goals }) => goals).filter(({ reached }) => reached !== undefined);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `\n${judged.filter(({ reached }) => reached).length} of ${judged.length} goals reached; ${seconds.toFixed(0)} s`,
  );
  mkdirSync(out, { recursive: true });
  const latest = { date: new Date().toISOString(), seconds, machine: machine(), questions };
  writeFileSync(join(out, 'latest.json'), `${JSON.stringify(latest, null, 2)}\n`);
  for (const question of questions) {
    for (const metric of Object.keys(question.metrics)) {
      const known = question.results.some(row => row.values?.[metric] !== undefined);
      const [first] = Object.keys(question.metrics);
      const file = metric === first ? question.name : `${question.name}-${metric}`;
      if (known) writeFileSync(join(out, `${file}.svg`), barChart(question, metric));
    }
  }
  if (judged.length > 0) writeFileSync(join(out, 'goals.svg'), goalChart(questions));
  console.log(`written: ${join(out, 'latest.json')} and charts beside it`);
}

function machine() {
  const [first] = cpus();
  return {
    node: process.version,
    linux: release(),
    arch: process.arch,
    cpu: first?.model.trim() ?? 'unknown',
    cpus: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  };
}
