// Builds dist/ from src/: a clean folder, the compiler, the threads' module in one file, and an executable bit for the command.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' });
if (status === 0) {
  await bundleThread();
  await bundleLoadHandler();
  chmodSync('dist/main/cli.js', 0o755);
}
process.exit(status ?? 1);

/**
 * One file instead of twenty, and CommonJS: that is what piscina loads, in a third of the time, and a thread that is ended
 * in the middle of it leaves nothing behind. (Imported constants would be loaded at every use, too.)
 *
 * A handler that imports the package must meet the same EpollError, and system calls that are loaded already: these
 * are files of their own, and the ES modules of their names hand out what is in them.
 */
async function bundleThread() {
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

/**
 * The load tester's handler in one file, too: a thread that opens thirty modules at once needs as many fds, and constants of
 * another module would be loaded at every use. What every thread must have but once stays outside.
 */
async function bundleLoadHandler() {
  const file = 'dist/worker/load/handler.js';
  const bundle = await rolldown({
    input: file,
    platform: 'node',
    external: [/shared\/errors\.js$/, /shared\/kernel\/syscalls\.js$/],
  });
  await bundle.write({ file, format: 'es', sourcemap: true });
}
