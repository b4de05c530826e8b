/** A module of the threads' own, which the package has in their one file only, as a file that a Worker can import. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { onTestFinished } from 'vitest';
import { ROOT } from './run.ts';

/** @param file below src/ @returns the URL of what was built; gone when the test has finished */
export async function bundled(file: string): Promise<string> {
  // Where koffi is found from.
  const folder = mkdtempSync(join(ROOT, 'node_modules', '.test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const bundle = await rolldown({ input: join(ROOT, 'src', file), platform: 'node' });
  await bundle.write({ file: join(folder, 'module.mjs'), format: 'esm' });
  await bundle.close();
  return pathToFileURL(join(folder, 'module.mjs')).href;
}
