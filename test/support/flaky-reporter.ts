/** Says at the end which tests failed and passed only when tried again, and what they said: each is a fault to understand. */
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class FlakyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const flaky = modules.flatMap(module => [...module.children.allTests('passed')].filter(isFlaky));
    if (flaky.length === 0) return;
    const count = flaky.length === 1 ? '1 test' : `${flaky.length} tests`;
    console.error(`\nFLAKY: ${count} failed, and passed when tried again. Each is a fault to be understood:\n`);
    for (const test of flaky) console.error(describe(test));
  }
}

function isFlaky(test: TestCase): boolean {
  return test.diagnostic()?.flaky === true;
}

function describe(test: TestCase): string {
  const errors = test.result().errors ?? [];
  const said = errors.flatMap(({ message, diff }) => [message, ...(diff === undefined ? [] : [diff])]);
  const lines = stripVTControlCharacters(said.join('\n')).split('\n');
  return [
    `  ${test.module.relativeModuleId} > ${test.fullName}`,
    ...lines.map(line => `      ${line}`.trimEnd()),
    '',
  ].join('\n');
}
