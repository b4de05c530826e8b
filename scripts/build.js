// Builds dist/ from src/: a clean folder, the compiler, the threads' module in one file, and an executable bit for the command.
// `--if-older`: only where a source has changed since the last build began that came to its end.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

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
 * in the middle of it leaves nothing behind. (Imported constants would be loaded at every use, too.)
 *
 * A handler that imports the package must meet the same EpollError, and system calls that are loaded already: these
 * are files of their own, and the ES modules of their names hand out what is in them.
 */
async function bundleThread() {
  const { rolldown } = await import('rolldown');
  const once = ['shared/errors', 'shared/kernel/uv', 'shared/kernel/syscalls'];
  const bundle = await rolldown({
    input: Object.fromEntries(['worker/service/thread', ...once].map(name => [name, `dist/${name}.js`])),
    platform: 'node',
  });
  const { output } = await bundle.write({
    dir: 'dist',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    exports: 'named',
    sourcemap: true,
  });
  const chunks = output.filter(({ type, isEntry }) => type === 'chunk' && !isEntry);
  if (chunks.length > 0) throw new Error(`a file too many: ${chunks.map(({ fileName }) => fileName)}`);
  for (const name of once) {
    const { exports } = output.find(({ fileName }) => fileName === `${name}.cjs`);
    const file = `${name.split('/').at(-1)}.cjs`;
    writeFileSync(`dist/${name}.js`, `import all from './${file}';\nexport const { ${exports.join(', ')} } = all;\n`);
    rmSync(`dist/${name}.js.map`);
  }
  // What only the threads run is in their file; its types may be a user's.
  for (const name of readdirSync('dist/worker/service')) {
    if (/\.js(\.map)?$/.test(name)) rmSync(`dist/worker/service/${name}`);
  }
}
