/** `epoll-pool compare`: results side by side. */
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { columns, type Paint, paintFor, printable } from '../terminal.js';
import { UsageError } from '../usage.js';
import {
  type ComparedRow,
  type ComparedVerdict,
  compareResults,
  judgeRatios,
  type NamedResult,
  shown,
  shownRatio,
} from './compare.js';
import { compareHtml } from './compare-html.js';
import { type Condition, parseCondition } from './conditions.js';
import { checkWritable, writeOutput, writtenText } from './output.js';
import { readResults } from './result-files.js';

export const COMPARE_USAGE = `Usage: epoll-pool compare [options] <first.json> <later.json>...

Lays results that 'epoll-pool load --json' has printed side by side: rates, latencies, errors, and the ratio of each later
one to the first.

      --require <what>  must hold for each later result, or the exit code is 1: 'p99<1.1x', 'rate>=0.95x', 'errors<=1x'
                        (percentiles, min, mean, max, rate, errors; once for each). --fail is the same
      --json            print it as JSON
      --report <file>   write it as a page of HTML, with all latency curves in one chart
  -h, --help

Exits with 0, 1 if a condition does not hold, 2 for wrong usage.
`;

/** A change of less says nothing, and is not coloured. */
const WORTH = 0.02;

/** @returns 0, or 1 if a condition does not hold; wrong usage is thrown */
export async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    options: {
      require: { type: 'string', multiple: true },
      fail: { type: 'string', multiple: true },
      json: { type: 'boolean' },
      report: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(COMPARE_USAGE);
    return 0;
  }
  const conditions = [...(values.require ?? []), ...(values.fail ?? [])].map(ratioCondition);
  if (positionals.length < 2) throw new UsageError('two results at least are compared');
  const { report } = values;
  const names = namesOf(positionals);
  const results = readResults(positionals).map((result, i) => ({ name: names[i] ?? '', result }));
  checkWritable({ report });
  const rows = compareResults(results.map(({ result }) => result));
  const verdicts = judgeRatios(results, conditions);
  const { stdout } = process;
  stdout.write(values.json ? json(positionals, rows, verdicts) : text(results, rows, verdicts, paintFor(stdout)));
  if (report !== undefined) {
    writeOutput('report', report, compareHtml(results, rows, verdicts));
    if (!values.json) stdout.write(writtenText([report]));
  }
  return verdicts.some(({ ok }) => !ok) ? 1 : 0;
}

function ratioCondition(condition: string): Condition {
  try {
    return parseCondition(condition, true);
  } catch (error) {
    throw error instanceof Error ? new UsageError(`--${error.message}`) : error;
  }
}

/** The files' names without their folders, if that tells them apart. */
function namesOf(files: readonly string[]): readonly string[] {
  const short = files.map(file => basename(file));
  return new Set(short).size === files.length ? short : files;
}

function json(files: readonly string[], rows: readonly ComparedRow[], verdicts: readonly ComparedVerdict[]): string {
  const measured = rows.map(({ name, values, ratios }) => ({ name, values, ratios }));
  return `${JSON.stringify({ files, measured, verdicts }, null, 2)}\n`;
}

function text(
  results: readonly NamedResult[],
  rows: readonly ComparedRow[],
  verdicts: readonly ComparedVerdict[],
  paint: Paint,
): string {
  const head = ['', ...results.flatMap(({ name }, i) => (i === 0 ? [printable(name)] : [printable(name), '']))];
  const cells = rows.map(row => [
    row.name,
    ...row.values.flatMap((value, i) => (i === 0 ? [shown(row, value)] : [shown(row, value), shownRatio(row, i)])),
  ]);
  const right = head.map((_, i) => i).slice(1);
  const lines = columns([head, ...cells], right).map((line, i) => {
    const row = rows[i - 1];
    return row === undefined ? paint('dim', line) : paint(styleOf(row), line);
  });
  const judged = columns(
    verdicts.map(({ condition, file, ok, value }, i) => [
      i === 0 ? 'Required' : '',
      ok ? 'ok' : 'FAILED',
      printable(condition),
      printable(file),
      value === null ? 'no ratio' : `×${value.toFixed(2)}`,
    ]),
  ).map((line, i) => paint(verdicts[i]?.ok === true ? 'green' : 'red', line));
  return `${lines.join('\n')}\n${judged.length === 0 ? '' : `\n${judged.join('\n')}\n`}`;
}

/** By the last result: whether it is better or worse than the first. */
function styleOf({ values, ratios, better }: ComparedRow): 'green' | 'red' | 'reset' {
  // Where the first is 0 there is no ratio, but more.
  const isMore = values[0] === 0 && (values.at(-1) ?? 0) > 0;
  const last = isMore ? Number.POSITIVE_INFINITY : (ratios.at(-1) ?? 1);
  if (Math.abs(last - 1) < WORTH) return 'reset';
  return last > 1 === (better === 'more') ? 'green' : 'red';
}
