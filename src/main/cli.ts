#!/usr/bin/env node
/** The command `epoll-pool`: finds the command that was asked for, runs it, ends with its exit code. */
import { readFileSync } from 'node:fs';
import { COMMANDS } from './commands.js';
import { isUsageError, usageMessage } from './usage.js';

const WRONG_USAGE = 2;
const SIGPIPE_CODE = 141;

function help(): string {
  const width = Math.max(...[...COMMANDS.keys()].map(name => name.length));
  const lines = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: epoll-pool <command> [options]

Linux epoll for Node.js, and a pool of threads that waits on one epoll instance at the same time.

Commands:
${lines.join('\n')}

Options:
  -h, --help     show this help; after a command, show the command's
  -v, --version  show the version
`;
}

function version(): string {
  const packageJson: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = typeof packageJson === 'object' && packageJson !== null && 'version' in packageJson;
  return found ? String(packageJson.version) : 'unknown';
}

async function main([name, ...argv]: string[]): Promise<number> {
  const [topic] = argv;
  if (name === 'help' && topic !== undefined && COMMANDS.has(topic)) return main([topic, '--help']);
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const entry = name === undefined ? undefined : COMMANDS.get(name);
  if (entry === undefined) {
    const what = name?.startsWith('-') ? 'option' : 'command';
    process.stderr.write(`${name === undefined ? '' : `epoll-pool: unknown ${what} '${name}'\n\n`}${help()}`);
    return WRONG_USAGE;
  }
  try {
    const command = await entry.load();
    return await command.run(argv);
  } catch (error) {
    process.stderr.write(`epoll-pool ${name}: ${usageMessage(error)}\n`);
    if (!isUsageError(error)) return 1;
    process.stderr.write(`Try 'epoll-pool ${name} --help'.\n`);
    return WRONG_USAGE;
  }
}

// The reader of a pipe may leave before all is written, a disk may be full: no reason for a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(SIGPIPE_CODE);
  process.stderr.write(`epoll-pool: the output could not be written: ${error.message}\n`);
  process.exit(1);
});
process.stderr.on('error', () => {});
process.exitCode = await main(process.argv.slice(2));
