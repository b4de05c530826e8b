/** The commands of `epoll-pool`, by name; each is loaded when it is called for. */

export interface Command {
  /** @param argv what follows the command's name. @returns the exit code; a UsageError it throws becomes 2 */
  run(argv: string[]): Promise<number>;
}

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export const COMMANDS: ReadonlyMap<string, CommandEntry> = new Map([
  [
    'demo',
    { summary: 'show what concurrent epoll_wait does to real connections', load: () => import('./demo/command.js') },
  ],
  ['load', { summary: 'load-test an HTTP or TCP server', load: () => import('./load/command.js') }],
  ['compare', { summary: 'lay results of load tests side by side', load: () => import('./load/compare-command.js') }],
  ['merge', { summary: 'make one result of several load tests', load: () => import('./load/merge-command.js') }],
  [
    'inspect',
    {
      summary: 'list the epoll instances of a process, and what each watches',
      load: async () => {
        const { inspectCommand } = await import('./inspect/command.js');
        return { run: inspectCommand };
      },
    },
  ],
]);
