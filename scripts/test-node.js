// `npm run test:node -- 22 24 26`: the whole suite on other versions of Node, which come as npm packages.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const versions = process.argv.slice(2);
if (versions.length === 0) {
  console.error('usage: npm run test:node -- VERSION ...   (22 24 26)');
  process.exit(2);
}

const results = versions.map(version => {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-node-'));
  try {
    // Some tests run it as another user.
    chmodSync(folder, 0o755);
    const name = `node-linux-${process.arch}`;
    const install = ['install', '--silent', '--no-save', '--prefix', folder, `${name}@${version}`];
    if (run('npm', install, process.env) !== 0) return `${version}: could not be installed`;
    const bin = join(folder, 'node_modules', name, 'bin');
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    const exact = spawnSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).stdout.trim();
    console.log(`\n=== Node ${exact} ===`);
    const status = run(join(bin, 'node'), ['node_modules/vitest/vitest.mjs', 'run'], env);
    return `Node ${exact}: ${status === 0 ? 'passed' : 'FAILED'}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function run(command, args, env) {
  return spawnSync(command, args, { stdio: 'inherit', env }).status ?? 1;
}

console.log(`\n${results.join('\n')}`);
process.exit(results.every(line => line.endsWith('passed')) ? 0 : 1);
