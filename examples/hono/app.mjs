// Each thread has the application once.
import { fetchHandler, http } from 'epoll-pool/worker';
import { Hono } from 'hono';

const app = new Hono();
app.get('/hello/:name', context => context.json({ hello: context.req.param('name') }));
app.post('/sum', async context => {
  const numbers = await context.req.json();
  return context.json({ sum: numbers.reduce((sum, number) => sum + number, 0) });
});
app.get('/count', context => {
  const encoder = new TextEncoder();
  let count = 0;
  const body = new ReadableStream({
    async pull(controller) {
      await new Promise(resolve => setTimeout(resolve, 10));
      controller.enqueue(encoder.encode(`${++count}\n`));
      if (count === 5) controller.close();
    },
  });
  return context.body(body);
});

export const protocol = http();
export default fetchHandler(app.fetch);
