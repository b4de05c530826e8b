// A question: who takes part, in which cases, what is measured, what is to be reached. Runs it, or one round of one of it.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { report, round } from './contestant.js';
import { judge } from './goals.js';
import { summary } from './statistics.js';
import { printQuestion } from './table.js';

const ROUNDS = 5;
const SMOKE = { warmup: 20, ms: 60, smoke: true };

/**
 * @param {string} url import.meta.url of the question's file
 * @param {object} question
 *   name, title, text: strings
 *   metrics: { [name]: { unit, better: 'higher' | 'lower', title? } }
 *   cases: [{ name, ..., fds?: how many it needs, smoke?: whether --smoke has it; it has the first }]
 *   contestants: [{ name, ours?, run, nodeArgs?, only?, smoke? }], peers first: run(case, { warmup, ms, smoke }) => { values, sent, received }, or inC()
 *     only: names of the cases that it takes part in; smoke: whether --smoke has it, as it has by default
 *   goals: see goals.js
 *   time: { warmup, ms }, milliseconds; 300 and 600 unless told
 *   rounds: 5 unless told
 */
export async function question(url, question) {
  const file = fileURLToPath(url);
  const { values: flags } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      contestant: { type: 'string' },
      case: { type: 'string' },
      ms: { type: 'string' },
      warmup: { type: 'string' },
    },
  });
  if (flags.contestant !== undefined) {
    const { run } = question.contestants.find(({ name }) => name === flags.contestant);
    const kase = question.cases.find(({ name }) => name === flags.case);
    return report(run, kase, { ms: Number(flags.ms), warmup: Number(flags.warmup), smoke: flags.smoke });
  }
  const rounds = Number(flags.rounds ?? (flags.smoke ? 1 : (question.rounds ?? ROUNDS)));
  const result = await measure(file, question, rounds, flags.smoke);
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(result));
  printQuestion(result);
}

/** Every contestant in every case, `rounds` times over, in turn: what disturbs the machine disturbs all of them. */
async function measure(file, question, rounds, smoke) {
  const { name, title, text, metrics, contestants, goals = [] } = question;
  const cases = question.cases.filter((kase, i) => !smoke || (kase.smoke ?? i === 0));
  const time = smoke ? SMOKE : { warmup: 300, ms: 600, ...question.time };
  const rows = cases.flatMap(kase =>
    contestants
      .filter(({ only }) => only?.includes(kase.name) ?? true)
      .filter(contestant => !smoke || (contestant.smoke ?? true))
      .map(contestant => ({ kase, contestant, samples: [], counted: 0 })),
  );
  const started = performance.now();
  for (let i = 0; i < rounds; i++) {
    for (const row of rows) {
      if (row.skipped !== undefined) continue;
      const { skipped, values, received } = await round(file, row.contestant, row.kase, time);
      row.skipped = skipped;
      if (skipped !== undefined) continue;
      row.samples.push(values);
      row.counted += received;
    }
  }
  const results = rows.map(({ kase, contestant, samples, counted, skipped }) => ({
    case: kase.name,
    contestant: contestant.name,
    ours: contestant.ours === true,
    ...(skipped === undefined ? { counted, values: summaries(metrics, samples) } : { skipped }),
  }));
  const seconds = (performance.now() - started) / 1000;
  return {
    name,
    title,
    text,
    metrics,
    rounds,
    smoke,
    seconds,
    results,
    goals: goals.map(goal => judge(goal, results, smoke)),
  };
}

function summaries(metrics, samples) {
  const known = Object.keys(metrics).filter(metric => samples.every(values => Number.isFinite(values[metric])));
  return Object.fromEntries(known.map(metric => [metric, summary(samples.map(values => values[metric]))]));
}
