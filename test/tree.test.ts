/** The order of the source tree: imports go down its floors and never in a circle, and libc is called in one place. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

const SRC = join(ROOT, 'src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));

interface Import {
  readonly from: string;
  /** A file of src/, or a module's name. */
  readonly to: string;
  readonly typesOnly: boolean;
}

/** Static imports and exports from other modules, import() of a literal, and the URLs of threads' modules. */
function importsOf(from: string): Import[] {
  const text = readFileSync(join(SRC, from), 'utf8');
  const found = [
    ...text.matchAll(/^(?:import|export) (?<type>type )?(?:[^'";]*? from )?'(?<to>[^']+)'/gm),
    ...text.matchAll(/\bimport\('(?<to>[^']+)'\)/g),
  ];
  return found.map(({ groups }) => {
    const to = groups?.to ?? '';
    return {
      from,
      to: to.startsWith('.') ? relative(SRC, join(SRC, from, '..', to)).replace(/\.js$/, '.ts') : to,
      typesOnly: groups?.type !== undefined,
    };
  });
}

const imports = files.flatMap(importsOf);
const shown = ({ from, to }: Import): string => `${from} -> ${to}`;

test('every import of a file leads to one', () => {
  const known = new Set(files);
  expect(imports.length).toBeGreaterThan(300);
  expect(imports.filter(({ to }) => to.endsWith('.ts') && !known.has(to)).map(shown)).toEqual([]);
});

test('main uses shared and the types of worker; worker uses shared; shared uses neither', () => {
  const floor = (name: string): string => name.split('/')[0] ?? '';
  const allowed = ({ from, to, typesOnly }: Import): boolean =>
    !to.endsWith('.ts') ||
    floor(from) === floor(to) ||
    (floor(to) === 'shared' && floor(from) !== 'shared') ||
    (floor(from) === 'main' && floor(to) === 'worker' && typesOnly);
  expect(imports.filter(it => !allowed(it)).map(shown)).toEqual([]);
});

test('no imports in a circle, those of types included', () => {
  const next = new Map(files.map(name => [name, imports.filter(({ from }) => from === name).map(({ to }) => to)]));
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): string[] => {
    if (path.includes(name)) return [[...path.slice(path.indexOf(name)), name].join(' -> ')];
    if (done.has(name)) return [];
    const circles = (next.get(name) ?? []).flatMap(to => visit(to, [...path, name]));
    done.add(name);
    return circles;
  };
  expect(files.flatMap(name => visit(name, []))).toEqual([]);
});

test('libc is called in src/shared/kernel/ only', () => {
  const callers = files.filter(name => /['"]koffi['"]/.test(readFileSync(join(SRC, name), 'utf8')));
  expect(callers).toContain('shared/kernel/syscalls.ts');
  expect(callers.filter(name => !name.startsWith('shared/kernel/'))).toEqual([]);
});

test("the clock is read by src/shared/clock.ts only: fake timers of a user's tests must not stop it", () => {
  const code = (name: string): string =>
    readFileSync(join(SRC, name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  expect(files.filter(name => /\bperformance\.now\b/.test(code(name)))).toEqual(['shared/clock.ts']);
});

test('a file begins by saying what it is for', () => {
  const silent = files.filter(name => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(SRC, name), 'utf8')));
  expect(silent).toEqual([]);
});

test('the files that CONTRIBUTING.md names are there', () => {
  const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const named = [...text.matchAll(/`((?:src|test)\/[^`]*)`/g)].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(25);
  const known = ['src', 'test'].flatMap(top => [
    top,
    ...readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' }).map(name => `${top}/${name}`),
  ]);
  const isThere = (path: string): boolean => {
    const pattern = path.replace(/\/$/, '').replaceAll('.', '\\.').replaceAll('*', '[^/]*');
    return known.some(name => new RegExp(`^${pattern}$`).test(name));
  };
  expect(named.filter(path => !isThere(path))).toEqual([]);
});
