// Builds dist/ from src/: a clean folder, the compiler, the threads' module in one file, and an executable bit for the command.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { writeCommonJs } from './commonjs.js';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' });
if (status === 0) {
  await bundleThread();
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  writeCommonJs(Object.values(exports).flatMap(entry => entry.import?.default.slice('./'.length) ?? []));
  chmodSync('dist/main/cli.js', 0o755);
}
process.exit(status ?? 1);

/**
 * One file instead of twenty, and CommonJS: that is what piscina loads, in a third of the time, and a thread that is ended
 * in the middle of it leaves nothing behind. (Imported constants would be loaded at every use, too.) The same as a module,
 * `epoll-pool/thread`, for whoever bundles it; and as a text in the main thread's code, for bundles that have no such file.
 */
async function bundleThread() {
  const bundle = await rolldown({ input: 'dist/worker/service/thread.js', platform: 'node' });
  const file = { codeSplitting: false, exports: 'named' };
  await bundle.write({ ...file, file: 'dist/worker/service/thread.cjs', format: 'cjs', sourcemap: true });
  const { output } = await bundle.generate({ ...file, format: 'cjs', minify: true });
  await bundle.close();
  const module = await rolldown({ input: 'dist/worker/thread.js', platform: 'node' });
  await module.write({ ...file, file: 'dist/worker/thread.js', format: 'esm' });
  await module.close();
  rmSync('dist/worker/thread.js.map');
  const text = output[0].code.replace(/\n?\/\/# sourceMappingURL=.*/, '');
  writeFileSync('dist/main/service/thread-text.js', `export const THREAD_TEXT = ${JSON.stringify(text)};\n`);
  rmSync('dist/main/service/thread-text.js.map');
  // What only the threads run is in their file; its types may be a user's.
  for (const name of readdirSync('dist/worker/service')) {
    if (/\.js(\.map)?$/.test(name)) rmSync(`dist/worker/service/${name}`);
  }
}
