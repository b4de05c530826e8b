/** Asks the C compiler of this machine, where there is one. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const hasGcc = spawnSync('gcc', ['--version']).status === 0;

/** The values of C expressions of integers, with <sys/epoll.h> and <stddef.h> included. */
export function valuesInC(expressions: readonly string[]): number[] {
  const dir = mkdtempSync(join(tmpdir(), 'epoll-pool-'));
  try {
    const prints = expressions.map(e => `printf("%lld\\n", (long long)(${e}));`).join('\n');
    const source = `#include <stddef.h>\n#include <stdio.h>\n#include <sys/epoll.h>\nint main(void) {\n${prints}\nreturn 0; }\n`;
    const binary = join(dir, 'values');
    const built = spawnSync('gcc', ['-x', 'c', '-', '-o', binary], { input: source, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    return spawnSync(binary, { encoding: 'utf8' }).stdout.trim().split('\n').map(Number);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
