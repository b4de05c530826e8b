/** Where the result of a load test goes: text or JSON to stdout, a page and tables to files. */
import { accessSync, constants, realpathSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ParseArgsConfig } from 'node:util';
import { messageOf } from '../../shared/errors.js';
import { paintFor } from '../terminal.js';
import { UsageError } from '../usage.js';
import { intervalsCsv } from './intervals-csv.js';
import { percentileText } from './percentile-text.js';
import { reportHtml } from './report-html.js';
import { reportText } from './report-text.js';
import type { LoadResult } from './result.js';

export interface Output {
  readonly json: boolean;
  /** Files: a page of HTML, HdrHistogram's percentile text, a row for each interval. */
  readonly report: string | undefined;
  readonly hdr: string | undefined;
  readonly csv: string | undefined;
}

/** For parseArgs. */
export const OUTPUT_OPTIONS = {
  json: { type: 'boolean' },
  report: { type: 'string' },
  hdr: { type: 'string' },
  csv: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

const WRITERS = { report: reportHtml, hdr: percentileText, csv: intervalsCsv } as const;
const FILES = ['report', 'hdr', 'csv'] as const;

/** @param values what parseArgs() made of OUTPUT_OPTIONS */
export function outputOf(values: { json?: boolean; report?: string; hdr?: string; csv?: string }): Output {
  return { json: values.json ?? false, report: values.report, hdr: values.hdr, csv: values.csv };
}

/** Said before the test, not after it. @throws UsageError */
export function checkWritable(output: Partial<Output>): void {
  const seen = new Map<string, string>();
  for (const name of FILES) {
    const file = output[name];
    if (file === undefined) continue;
    checkFile(name, file);
    const path = placeOf(file);
    const other = path === undefined ? undefined : seen.get(path);
    if (other !== undefined) throw new UsageError(`--${name} ${file} cannot be written: it is --${other}'s file`);
    if (path !== undefined) seen.set(path, name);
  }
}

/** Where it is, to be told from others; undefined of what takes several, such as a terminal or /dev/null. */
function placeOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return resolve(file);
  return found.isFile() ? realpathSync(file) : undefined;
}

function checkFile(name: string, file: string): void {
  try {
    if (file === '') throw new Error('it has no name');
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined && file.endsWith('/')) throw new Error('it is a folder');
    if (found === undefined) accessSync(dirname(file), constants.W_OK);
    else accessSync(file, constants.W_OK);
    if (found?.isDirectory() === true) throw new Error('it is a folder');
  } catch (error) {
    throw new UsageError(`--${name} ${file} cannot be written: ${messageOf(error)}`);
  }
}

export function printResult(result: LoadResult, output: Output): void {
  const { stdout } = process;
  stdout.write(output.json ? `${JSON.stringify(result, null, 2)}\n` : reportText(result, paintFor(stdout)));
  // Last: if there is no room for them, what was measured is not lost with them.
  const written: string[] = [];
  for (const name of FILES) {
    const file = output[name];
    if (file === undefined) continue;
    writeOutput(name, file, WRITERS[name](result));
    written.push(file);
  }
  if (!output.json) stdout.write(writtenText(written));
}

/** @throws Error that names the option */
export function writeOutput(name: keyof typeof WRITERS, file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new Error(`--${name} ${file} could not be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Which files were written. */
export function writtenText(files: readonly string[]): string {
  return files.length === 0 ? '' : `\nWritten   ${files.join(', ')}\n`;
}
