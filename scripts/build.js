// Builds dist/ from src/: a clean folder, the compiler, the threads' module in one file, and an executable bit for the command.
// `--if-older`: only where a source has changed since the last build began that came to its end.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCommonJs } from './commonjs.js';

/** Its time is when the build began: what was changed while the compiler read is newer. */
const STAMP = 'dist/.built';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
if (process.argv[2] !== '--if-older' || newestSource() > timeOf(STAMP)) await build();

async function build() {
  const started = new Date();
  rmSync('dist', { recursive: true, force: true });
  const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  await bundleThread();
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  writeCommonJs(Object.values(exports).flatMap(entry => entry.import?.default.slice('./'.length) ?? []));
  chmodSync('dist/main/cli.js', 0o755);
  writeFileSync(STAMP, '');
  utimesSync(STAMP, started, started);
}

/** Folders count too: of a file that was taken away or renamed nothing else tells. */
function newestSource() {
  const below = ['src', 'scripts'].flatMap(folder =>
    readdirSync(folder, { recursive: true }).map(name => join(folder, name)),
  );
  return Math.max(...['src', 'package.json', 'tsconfig.json', ...below].map(timeOf));
}

/** Of its last change; 0: there is none. */
function timeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * One file instead of twenty, and CommonJS: that is what piscina loads, in a third of the time, and a thread that is ended
 * in the middle of it leaves nothing behind. (Imported constants would be loaded at every use, too.) The same as a module,
 * `epoll-pool/thread`, for whoever bundles it; and as a text in the main thread's code, for bundles that have no such file.
 */
async function bundleThread() {
  const { rolldown } = await import('rolldown');
  const input = 'dist/worker/service/thread.js';
  // What both need is the thread's, and the others have it from there.
  const bundle = await rolldown({ input, platform: 'node', preserveEntrySignatures: 'allow-extension' });
  const file = { codeSplitting: false, exports: 'named' };
  // What only servers and load tests need stands beside it: read by the threads of those.
  const names = { entryFileNames: 'thread.cjs', chunkFileNames: 'thread-[name].cjs' };
  await bundle.write({ dir: 'dist/worker/service', ...names, exports: 'named', format: 'cjs', sourcemap: true });
  const { output } = await bundle.generate({ ...file, format: 'cjs', minify: true });
  await bundle.close();
  for (const name of readdirSync('dist/worker/service')) {
    const path = join('dist/worker/service', name);
    if (name.endsWith('.cjs')) writeFileSync(path, ascii(readFileSync(path, 'utf8')));
  }
  const module = await rolldown({ input: 'dist/worker/thread.js', platform: 'node' });
  await module.write({ ...file, file: 'dist/worker/thread.js', format: 'esm' });
  await module.close();
  rmSync('dist/worker/thread.js.map');
  const text = output[0].code.replace(/\n?\/\/# sourceMappingURL=.*/, '');
  writeFileSync('dist/main/service/thread-text.js', `export const THREAD_TEXT = ${JSON.stringify(ascii(text))};\n`);
  rmSync('dist/main/service/thread-text.js.map');
  // What only the threads run is in their file; its types may be a user's.
  for (const name of readdirSync('dist/worker/service')) {
    if (/\.js(\.map)?$/.test(name)) rmSync(`dist/worker/service/${name}`);
  }
}

/** The same program: each thread keeps its text, and one character beyond Latin-1 makes that twice as large. */
function ascii(text) {
  return text.replace(/[^\0-\x7f]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
