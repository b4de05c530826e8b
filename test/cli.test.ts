/** The command: help, version, and what it says of wrong usage. */
import { expect, test } from 'vitest';
import { cli, VERSION } from './support/cli.ts';

test.each(['--help', '-h'])('%s names the commands on stdout', async option => {
  const { code, stdout, stderr } = await cli([option]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^Usage: epoll-pool <command>/);
  expect(stdout).toMatch(/^ {2}demo +\S/m);
});

test.each(['--version', '-v'])('%s prints the version of package.json', async option => {
  expect(await cli([option])).toEqual({ code: 0, signal: null, stdout: `${VERSION}\n`, stderr: '' });
});

test('no command, an unknown one, an unknown option, a name of Object.prototype: code 2, the help on stderr', async () => {
  for (const args of [[], ['nonsense'], ['--nonsense'], ['toString'], ['']]) {
    const { code, stdout, stderr } = await cli(args);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain('Usage: epoll-pool <command>');
    if (args[0]) expect(stderr).toContain(`'${args[0]}'`);
  }
});

test("help <command> is that command's help", async () => {
  expect(await cli(['help', 'merge'])).toEqual(await cli(['merge', '--help']));
});

test('an unknown option of a command: one line, and where the help is', async () => {
  const { code, stderr } = await cli(['load', '--nothing', 'http://localhost']);
  expect(code).toBe(2);
  expect(stderr).toBe("epoll-pool load: Unknown option '--nothing'\nTry 'epoll-pool load --help'.\n");
});

test('help fits 100 columns', async () => {
  for (const args of [['--help'], ['demo', '--help'], ['load', '--help']]) {
    const { stdout } = await cli(args);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  }
});
