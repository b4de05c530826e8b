// Compiles the C twins, once for each process, into a folder that goes with it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../c/', import.meta.url));
const programs = new Map();
let folder;

/** @returns {{path?: string, skipped?: string}} the program compiled from bench/c/`name`.c, or why there is none */
export function program(name) {
  if (!programs.has(name)) programs.set(name, compile(name));
  return programs.get(name);
}

function compile(name) {
  if (spawnSync('gcc', ['--version']).status !== 0) return { skipped: 'gcc is not installed' };
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'epoll-pool-bench-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
  const path = join(folder, name);
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-D_GNU_SOURCE'];
  const { status, stderr } = spawnSync('gcc', [...flags, join(sources, `${name}.c`), '-o', path], { encoding: 'utf8' });
  return status === 0 ? { path } : { skipped: `gcc failed: ${stderr.trim()}` };
}
