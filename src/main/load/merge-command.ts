/** `epoll-pool merge`: one result of those of several machines. */
import { parseArgs } from 'node:util';
import { UsageError } from '../usage.js';
import { exitCode } from './conditions.js';
import { mergeResults } from './merge.js';
import { checkWritable, OUTPUT_OPTIONS, outputOf, printResult } from './output.js';
import type { LoadResult } from './result.js';
import { readResults } from './result-files.js';

export const MERGE_USAGE = `Usage: epoll-pool merge [options] <result.json>...

Makes one result of several that 'epoll-pool load --json' has printed, such as those of machines that tested at the
same time: latencies and counts are added up, what happened when is laid over one another by the machines' clocks.

      --json           print it as JSON, which can be merged again
      --report <file>  write it as a page of HTML
      --hdr <file>     write the latencies as HdrHistogram's percentile text
      --csv <file>     write a row for each interval
  -h, --help

Exits with 0, 1 if the results have errors or their conditions do not hold, 2 for wrong usage.
`;

/** @returns 0, or 1 if the results have errors; wrong usage is thrown */
export async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { ...OUTPUT_OPTIONS, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(MERGE_USAGE);
    return 0;
  }
  const results = readResults(positionals);
  const output = outputOf(values);
  checkWritable(output);
  const result = merged(results);
  printResult(result, output);
  return exitCode(result);
}

function merged(results: readonly LoadResult[]): LoadResult {
  try {
    return mergeResults(results);
  } catch (error) {
    throw error instanceof Error ? new UsageError(error.message) : error;
  }
}
