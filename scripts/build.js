// Builds dist/ from src/: a clean folder, the compiler, the threads' module in one file, and an executable bit for the command.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' });
if (status === 0) {
  await bundle('dist/worker/thread.js');
  chmodSync('dist/main/cli.js', 0o755);
}
process.exit(status ?? 1);

/** One file instead of twenty: each takes a thread about a millisecond to load, and imported constants are loaded at every use. */
async function bundle(file) {
  const threads = await rolldown({
    input: file,
    platform: 'node',
    // A handler that imports the package must meet the same EpollError, and system calls that are loaded already.
    external: id => /\/(errors|syscalls)\.js$/.test(id),
    makeAbsoluteExternalsRelative: true,
  });
  const { output } = await threads.write({ file, format: 'esm', sourcemap: true });
  const entry = fileURLToPath(new URL(`../${file}`, import.meta.url));
  // What stands beside it is in it now, and nothing else imports it; its types may be a user's.
  for (const path of output[0].moduleIds.filter(id => id !== entry && dirname(id) === dirname(entry))) {
    rmSync(path);
    rmSync(`${path}.map`);
  }
}
