import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Whether what the service needs still answers; told in the journal when it stops. */
async function lookAround(): Promise<string> {
  const redis = new Redis(process.env.REDIS_URL ?? '', { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  const pong = await redis.ping().catch(() => 'no');
  redis.disconnect();
  const base = process.env.SEGMIND_BASE_URL ?? '';
  const simulator = await fetch(base).then(
    (answer) => String(answer.status),
    () => 'no',
  );
  return `redis=${pong} simulator=${simulator}`;
}

/**
 * Behaves towards its parent as our services do: says when it is ready, drains on SIGTERM or when the parent is gone.
 * In `STAND_IN_DIR` it keeps a journal, and finds what it is to do: `<name>.broken`, it does not start;
 * `<name>.stuck`, it never finishes draining.
 */
export function runStandIn(name: 'api' | 'worker' | 'simulator'): void {
  const folder = process.env.STAND_IN_DIR ?? '';
  const tell = (event: string) => appendFileSync(join(folder, 'journal'), `${name} ${event}\n`);
  const told = (what: string) => existsSync(join(folder, `${name}.${what}`));
  if (told('broken')) {
    process.stderr.write(
      `Renderyard cannot start, a setting is wrong:\n- ${name.toUpperCase()}_SETTING must be right.\n`,
    );
    process.exit(1);
  }
  const server = createServer((_request, response) => response.end(name));
  let draining = false;
  const drain = async () => {
    if (draining) return;
    draining = true;
    tell('stopping');
    if (told('stuck')) return;
    tell(`stopped ${name === 'worker' ? await lookAround() : ''}`.trimEnd());
    process.exit(0);
  };
  process.on('SIGTERM', () => void drain());
  // Their own session keeps the terminal's Ctrl-C from them. Should one come, it is seen in the journal.
  process.on('SIGINT', () => tell('was interrupted'));
  process.on('disconnect', () => void drain());
  const wanted = { api: process.env.PORT, simulator: process.env.SIMULATOR_PORT, worker: undefined }[name];
  server.listen(Number(wanted ?? 0), '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ pid: process.pid, env: process.env }));
    const log = (level: number, msg: string) =>
      process.stdout.write(
        `${JSON.stringify({ level, time: new Date().toISOString(), service: name, batch_id: 'bat_1', msg })}\n`,
      );
    log(30, `a detail of ${name}`);
    log(40, `a warning of ${name}`);
    tell('ready');
    process.send?.({ ready: true, ...(name === 'worker' ? {} : { url: `http://127.0.0.1:${port}` }) });
  });
}
