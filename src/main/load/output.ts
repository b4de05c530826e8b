/** Where the result of a load test goes: text or JSON to stdout, a page of HTML to a file. */
import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { paintFor } from '../../shared/terminal.js';
import { UsageError } from '../usage.js';
import { reportHtml } from './report-html.js';
import { reportText } from './report-text.js';
import type { LoadResult } from './result.js';

export interface OutputOptions {
  readonly json: boolean;
  /** A file for the page. */
  readonly report?: string;
}

/** Said before the test, not after it. @throws UsageError */
export function checkWritable(file: string): void {
  try {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) accessSync(dirname(file), constants.W_OK);
    else accessSync(file, constants.W_OK);
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error('it is a folder');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--report ${file} cannot be written: ${reason}`);
  }
}

export function printResult(result: LoadResult, { json, report }: OutputOptions): void {
  const { stdout } = process;
  stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : reportText(result, paintFor(stdout)));
  // Last: if there is no room for it, what was measured is not lost with it.
  if (report !== undefined) writeFileSync(report, reportHtml(result));
}
