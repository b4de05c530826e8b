/** Reads results from the files that `epoll-pool load --json` has written. */
import { readFileSync, realpathSync } from 'node:fs';
import { UsageError } from '../usage.js';
import type { LoadResult } from './result.js';
import { readResult } from './result-json.js';

/** @throws UsageError for a file that cannot be read, is no result, or is given twice */
export function readResults(files: readonly string[]): LoadResult[] {
  if (files.length === 0) throw new UsageError('no results are given');
  try {
    const results = files.map(file => readResult(parsed(file), file));
    const paths = files.map(file => realpathSync(file));
    const twice = files.find((_, i) => paths.indexOf(paths[i] ?? '') < i);
    if (twice !== undefined) throw new UsageError(`${twice} is given twice`);
    return results;
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
