// The guide docs/guides/bundlers.md as it is written: its program, its configurations and its commands, run elsewhere.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freshFolder, ROOT, run, userFolder } from './lib.js';

const guide = readFileSync(join(ROOT, 'docs', 'guides', 'bundlers.md'), 'utf8');

/** Blocks of code whose first line names a file, by that name. */
const files = new Map(
  [...guide.matchAll(/```js\n\/\/ (\S+\.mjs)\n([\s\S]*?)```/g)].map(([, name, text]) => [name, text]),
);

const commands = [...guide.matchAll(/```sh\n(npx [^\n]+)\n```|`(npx [^`\n]+)`/g)].map(
  ([, block, line]) => block ?? line,
);

/** The command of the guide that begins so. */
function command(start) {
  const found = commands.find(text => text.startsWith(start));
  assert.ok(found, `the guide has a command that begins with ${start}`);
  return found;
}

const PRINTED = 'ready: 1\nhandler: 7 counted 1\nload: 100\n';

/** What runs where the bundle is: koffi and piscina, with what they need, and nothing else. */
function deploy(from) {
  const folder = freshFolder('deployed');
  cpSync(join(from, 'out'), folder, { recursive: true });
  for (const name of ['koffi', 'piscina', '@koromix', '@napi-rs']) {
    const installed = join(from, 'node_modules', name);
    if (existsSync(installed)) cpSync(installed, join(folder, 'node_modules', name), { recursive: true });
  }
  return folder;
}

async function bundle(name, start, packages, config) {
  const folder = await userFolder(name, ...packages);
  for (const file of ['src/app.mjs', 'src/handler.mjs', ...(config === undefined ? [] : [config])]) {
    assert.ok(files.has(file), `the guide has ${file}`);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), files.get(file));
  }
  await run(['sh', '-c', command(start).replace('npx', 'npx --no-install')], { cwd: folder });
  const deployed = deploy(folder);
  // What was baked in is out of reach.
  renameSync(join(folder, 'node_modules'), join(folder, 'away'));
  const output = await run([process.execPath, join(deployed, 'app.mjs')], {
    cwd: freshFolder('elsewhere'),
    ms: 60_000,
  });
  assert.equal(output, PRINTED);
  renameSync(join(folder, 'away'), join(folder, 'node_modules'));
  return { folder, version: `${name} ${versionOf(folder, name)}` };
}

function versionOf(folder, name) {
  return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;
}

export async function esbuild() {
  const { folder, version } = await bundle('esbuild', 'npx esbuild src/app.mjs', ['esbuild']);
  // The threads' module as a file of its own, where no temporary file can be written.
  await run(['sh', '-c', command('npx esbuild thread=').replace('npx', 'npx --no-install')], { cwd: folder });
  const deployed = deploy(folder);
  const app = join(deployed, 'app.mjs');
  const source = readFileSync(app, 'utf8');
  const named = source
    .replace('new URL("./handler.mjs", import.meta.url)', '$&, threadFile: new URL("./thread.mjs", import.meta.url)')
    .replace('requests: 100', '$&, threadFile: new URL("./thread.mjs", import.meta.url)');
  assert.equal(named.split('./thread.mjs').length, 3);
  writeFileSync(app, named);
  const env = { TMPDIR: '/nowhere' };
  assert.equal(await run([process.execPath, app], { cwd: freshFolder('elsewhere'), env, ms: 60_000 }), PRINTED);
  writeFileSync(app, source);
  await assert.rejects(run([process.execPath, app], { env, ms: 60_000 }), /threadFile/);
  return `${version}, with threadFile too`;
}

export async function rollup() {
  const packages = ['rollup', '@rollup/plugin-node-resolve'];
  return (await bundle('rollup', 'npx rollup', packages, 'rollup.config.mjs')).version;
}

export async function webpack() {
  return (await bundle('webpack', 'npx webpack', ['webpack', 'webpack-cli'], 'webpack.config.mjs')).version;
}

export async function vite() {
  return (await bundle('vite', 'npx vite build', ['vite'], 'vite.config.mjs')).version;
}
