// What the commands of `npm run test:platforms` share: a folder with the package as npm packs it, programs in it, time limits.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MINUTE = 60_000;

/** Thrown where a tool is missing: the platform is skipped, with this reason. */
export class Skip extends Error {}

const folders = [];
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the process ends. */
export function freshFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `epoll-pool-${name}-`));
  folders.push(folder);
  return folder;
}

/** A folder for what takes long to make, kept from run to run. */
export function cacheFolder(name) {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(base, 'epoll-pool-platforms', name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function hasCommand(name) {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** @throws Skip where one of them is not on the PATH */
export function needCommands(...names) {
  const missing = names.filter(name => !hasCommand(name));
  if (missing.length > 0) throw new Skip(`no ${missing.join(', ')} on the PATH`);
}

/**
 * Runs a program to its end, shows what it prints when it fails, and returns its output.
 *
 * @param words the command and its arguments
 * @param codes the exit codes that are right
 */
export function run(words, { cwd, env = {}, ms = 5 * MINUTE, codes = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(words[0], words.slice(1), {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: ms,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let all = '';
    child.stdout.on('data', text => {
      output += text;
      all += text;
    });
    child.stderr.on('data', text => {
      all += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (codes.includes(code)) resolve(output);
      else reject(new Error(`${words.join(' ')}: ended with ${signal ?? code}\n${all.slice(-4000)}`));
    });
  });
}

let tarball;

/** The package as npm packs it: the path of the archive. */
export async function packed() {
  if (tarball !== undefined) return tarball;
  const folder = freshFolder('pack');
  await run(['npm', 'run', '--silent', 'build'], { cwd: ROOT });
  const name = await run(['npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: ROOT });
  tarball = join(folder, name.trim());
  return tarball;
}

/** A folder into which npm has installed the package, and others beside it. */
export async function userFolder(name, ...packages) {
  const folder = freshFolder(name);
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }\n');
  await npmInstall(folder, await packed(), ...packages);
  return folder;
}

export async function npmInstall(folder, ...packages) {
  await run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix', folder, ...packages], {
    cwd: folder,
  });
}

/** Where npm has put the executable of one of Node's versions: a major, or exact. */
export async function nodeOf(version, arch = process.arch) {
  const name = `node-linux-${arch}`;
  const folder = cacheFolder(`${name}-${version}`);
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    await run([
      'npm',
      'install',
      '--silent',
      '--no-save',
      '--force',
      '--ignore-scripts',
      '--prefix',
      folder,
      `${name}@${version}`,
    ]);
  }
  return node;
}

/** The environment in which that executable is `node`. */
export function withNode(node) {
  return { PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
}

const SMOKE = ['smoke.mjs', 'smoke-handler.mjs', 'smoke-worker.mjs'];

/**
 * Runs the smoke test in a folder that has the package.
 *
 * @param words the runtime and its options
 * @param parts of smoke.mjs, all that there are if none is named
 */
export async function smoke(words, folder, { parts = [], ...options } = {}) {
  for (const name of SMOKE) copyFileSync(new URL(name, import.meta.url), join(folder, name));
  const output = await run([...words, join(folder, 'smoke.mjs'), ...parts], { cwd: folder, ms: MINUTE, ...options });
  if (!output.endsWith('smoke: all is well\n')) throw new Error(`the smoke test did not come to its end:\n${output}`);
  return output.split('\n')[0];
}
