// Builds dist/ from src/: a clean folder, the compiler, and an executable bit for the command.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' });
if (status === 0) chmodSync('dist/main/cli.js', 0o755);
process.exit(status ?? 1);
