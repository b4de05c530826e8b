// autocannon with what workers/load-script.js does, until it is ended. Arguments: autocannon's file, the URL, connections.
const [, , file, url, connections] = process.argv;
const { default: autocannon } = await import(file);
let n = 0;

autocannon({
  url,
  connections: Number(connections),
  duration: 60,
  requests: [{ setupRequest: request => ({ ...request, path: `/?n=${n++}` }) }],
});
