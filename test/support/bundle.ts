/** A module of the threads' own, which the package has in their one file only, as a file that a Worker can import. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll } from 'vitest';
import { ROOT } from './run.ts';

/** To be called outside tests. @param source below src/ @returns its URL; the file is there while the tests run */
export function bundled(source: string): string {
  // Where koffi is found from.
  const folder = mkdtempSync(join(ROOT, 'node_modules', '.test-'));
  const file = join(folder, 'module.mjs');
  beforeAll(async () => {
    const bundle = await rolldown({ input: join(ROOT, 'src', source), platform: 'node' });
    await bundle.write({ file, format: 'esm' });
    await bundle.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return pathToFileURL(file).href;
}
