/** Builds the package before the tests, where a source has changed since: one file of tests needs nothing run before it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export default function setup(): void {
  const script = fileURLToPath(new URL('../../scripts/build.js', import.meta.url));
  const { status } = spawnSync(process.execPath, [script, '--if-older'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the package could not be built');
}
