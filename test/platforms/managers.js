// Package managers other than npm, from npm: each installs the package into a folder, and the smoke test runs there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, freshFolder, nodeOf, npmInstall, packed, ROOT, run, smoke, withNode } from './lib.js';

const MANIFEST = '{ "name": "user", "private": true, "type": "module" }\n';

function emptyProject(name) {
  const folder = freshFolder(name);
  writeFileSync(join(folder, 'package.json'), MANIFEST);
  return folder;
}

/** A manager's own script, installed once. */
async function manager(name, spec, script) {
  const folder = cacheFolder(name);
  const file = join(folder, 'node_modules', script);
  if (!existsSync(file)) await npmInstall(folder, spec);
  return file;
}

/** The lines for pnpm-workspace.yaml, as the README has them. */
function workspaceLines() {
  const [, block] =
    /```yaml\n(# pnpm-workspace\.yaml\n[^`]+)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
  assert.ok(block, 'the README has a yaml block for pnpm-workspace.yaml');
  return block;
}

export async function pnpm() {
  const node = await nodeOf('24');
  const versions = [];
  for (const version of ['10', '11', '12']) {
    const file = await manager(`pnpm-${version}`, `pnpm@${version}`, 'pnpm/bin/pnpm.mjs').catch(() => undefined);
    const script = file !== undefined && existsSync(file) ? file : file?.replace(/\.mjs$/, '.cjs');
    const folder = emptyProject('pnpm');
    writeFileSync(join(folder, 'pnpm-workspace.yaml'), workspaceLines());
    const env = { ...withNode(node), XDG_DATA_HOME: cacheFolder('pnpm-data') };
    await run([node, script, 'add', await packed()], { cwd: folder, env });
    await smoke([node], folder);
    versions.push((await run([node, script, '--version'], { cwd: folder, env })).trim());
  }
  return `pnpm ${versions.join(', ')}`;
}

export async function yarn() {
  const script = await manager('yarn', 'yarn@1', 'yarn/bin/yarn.js');
  const folder = emptyProject('yarn');
  const words = [process.execPath, script];
  await run([...words, '--no-progress', '--cache-folder', cacheFolder('yarn-cache'), 'add', await packed()], {
    cwd: folder,
  });
  await smoke([process.execPath], folder);
  return `yarn ${(await run([...words, '--version'], { cwd: folder })).trim()}`;
}

/** Plug'n'Play: no node_modules at all. */
export async function berry() {
  const script = await manager('berry', '@yarnpkg/cli-dist@4', '@yarnpkg/cli-dist/bin/yarn.js');
  const folder = emptyProject('berry');
  writeFileSync(join(folder, 'yarn.lock'), '');
  writeFileSync(join(folder, '.yarnrc.yml'), 'nodeLinker: pnp\nenableGlobalCache: false\nenableTelemetry: false\n');
  // The npm registry as npm is told of it.
  const registry = (await run(['npm', 'config', 'get', 'registry'])).trim();
  const env = { YARN_NPM_REGISTRY_SERVER: registry, YARN_UNSAFE_HTTP_WHITELIST: new URL(registry).hostname };
  const words = [process.execPath, script];
  await run([...words, 'add', `epoll-pool@file:${await packed()}`], { cwd: folder, env });
  assert.ok(existsSync(join(folder, '.pnp.cjs')) && !existsSync(join(folder, 'node_modules')));
  await smoke([...words, 'node'], folder, { env });
  return `yarn ${(await run([...words, '--version'], { cwd: folder, env })).trim()}, Plug'n'Play`;
}
