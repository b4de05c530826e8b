/** `epoll-pool merge`: one result of those of several machines. */
import { readFileSync, realpathSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { UsageError } from '../usage.js';
import { exitCode } from './conditions.js';
import { mergeResults } from './merge.js';
import { checkWritable, printResult } from './output.js';
import type { LoadResult } from './result.js';
import { readResult } from './result-json.js';

export const MERGE_USAGE = `Usage: epoll-pool merge [options] <result.json>...

Makes one result of several that 'epoll-pool load --json' has printed, such as those of machines that tested at the
same time: latencies and counts are added up, what happened when is laid over one another by the machines' clocks.

      --json           print it as JSON, which can be merged again
      --report <file>  write it as a page of HTML
  -h, --help

Exits with 0, 1 if the results have errors, 2 for wrong usage.
`;

/** @returns 0, or 1 if the results have errors; wrong usage is thrown */
export async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { json: { type: 'boolean' }, report: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(MERGE_USAGE);
    return 0;
  }
  if (positionals.length === 0) throw new UsageError('no results are given');
  const { json = false, report } = values;
  if (report !== undefined) checkWritable(report);
  const result = merged(positionals);
  printResult(result, { json, ...(report === undefined ? {} : { report }) });
  return exitCode(result);
}

function merged(files: readonly string[]): LoadResult {
  try {
    const results = files.map(file => readResult(parsed(file), file));
    const paths = files.map(file => realpathSync(file));
    const twice = files.find((_, i) => paths.indexOf(paths[i] ?? '') < i);
    if (twice !== undefined) throw new UsageError(`${twice} is given twice`);
    return mergeResults(results);
  } catch (error) {
    throw error instanceof Error ? new UsageError(error.message) : error;
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // The system's words do not name it.
    const isFolder = error instanceof Error && 'code' in error && error.code === 'EISDIR';
    throw isFolder ? new UsageError(`${file} is a directory`) : error;
  }
}

function parsed(file: string): unknown {
  const text = textOf(file);
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${file} is no JSON: the results are what 'epoll-pool load --json' prints`);
  }
}
