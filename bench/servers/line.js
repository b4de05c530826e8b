// The line that the servers of lines are sent, and what they do with it.

/** JSON of 1 kB with its \n, as JSON.stringify writes it. */
export const LINE = oneLine(1023);

/** A line is answered by itself, after so many times JSON.parse and JSON.stringify. */
export function answerTo(line, times) {
  let text = line;
  for (let i = 0; i < times; i++) text = JSON.stringify(JSON.parse(text));
  return text;
}

function oneLine(length) {
  const rows = Array.from({ length: 11 }, (_, id) => ({
    id,
    name: `name ${id * 7919}`,
    tags: ['one', 'another'],
    score: 1.25,
  }));
  const { length: without } = JSON.stringify({ rows, rest: '' });
  return `${JSON.stringify({ rows, rest: '.'.repeat(length - without) })}\n`;
}
