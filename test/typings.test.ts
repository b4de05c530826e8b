/**
 * The files of test/types are compiled against the types that the package ships. A line that ends in `// TS1234` must be
 * refused with that error, and every other line must compile.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

const FOLDER = join('test', 'types');
const files = readdirSync(join(ROOT, FOLDER)).filter(name => name.endsWith('.ts'));

/** `file:line TS1234`, as the comments have it. */
function expected(): string[] {
  return files.flatMap(name =>
    readFileSync(join(ROOT, FOLDER, name), 'utf8')
      .split('\n')
      .flatMap((line, i) => (/ \/\/ (TS\d+)$/.exec(line) ?? []).slice(1).map(code => `${name}:${i + 1} ${code}`)),
  );
}

function compile(): string[] {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const { stdout, error } = spawnSync(tsc, ['-p', FOLDER, '--pretty', 'false'], { cwd: ROOT, encoding: 'utf8' });
  if (error) throw error;
  const diagnostics = stdout.split('\n').filter(line => line !== '' && !line.startsWith(' '));
  return diagnostics.map(line => {
    const [, name, row, code] = /^test\/types\/(.*)\((\d+),\d+\): error (TS\d+): /.exec(line) ?? [];
    return name === undefined ? line : `${name}:${row} ${code}`;
  });
}

test('what must compile does, and what must not is refused for the reason it gives', () => {
  const refused = expected();
  for (const name of files) expect(refused.some(line => line.startsWith(`${name}:`))).toBe(true);
  expect(compile().sort()).toEqual(refused.sort());
});
