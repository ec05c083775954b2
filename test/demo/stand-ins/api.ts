import { appendFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { answerBy } from '../fake-api.ts';
import { batchView, batchWith } from '../views.ts';

/**
 * The batch's side of the API, as a process that drains on SIGTERM. `FAKE_BATCH` says how the batch gets on: `good` and
 * `bad`, it ends so; `endless`, it never does.
 */
const folder = process.env.STAND_IN_DIR ?? '';
const tell = (event: string) => appendFileSync(join(folder, 'journal'), `api ${event}\n`);
const running = batchWith({ succeeded: 1 }, { status: 'running' });
const ends = {
  good: [running, batchView()],
  bad: [running, batchWith({ succeeded: 2, failed: 1 })],
  endless: [running],
};
const { handle, requests } = answerBy({ seen: ends[(process.env.FAKE_BATCH ?? 'good') as keyof typeof ends] });
const server = createServer((request, response) => {
  void handle(request, response).then(() => {
    const { method, path, headers } = requests.at(-1) ?? {};
    if (method === 'POST') tell(`took ${path} ${headers?.authorization ?? 'without a key'}`);
  });
});
process.on('SIGTERM', () => {
  tell('stopped');
  process.exit(0);
});
process.on('disconnect', () => process.exit(0));
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = server.address() as { port: number };
  writeFileSync(join(folder, 'api.json'), JSON.stringify({ pid: process.pid, env: process.env }));
  tell('ready');
  process.send?.({ ready: true, url: `http://127.0.0.1:${port}` });
});
