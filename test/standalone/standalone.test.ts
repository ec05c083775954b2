import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { setScene, untilGone } from './launcher.ts';

const text = (wanted: RegExp) => (line: Readonly<Record<string, unknown>>) => wanted.test(String(line.text));

test('all of it starts without any setting, says where, and uses the simulator loudly', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  expect(await (await fetch(launcher.url)).text()).toBe('api');
  await launcher.untilLog(text(/^Renderyard runs: http:\/\/127\.0\.0\.1:\d+$/));
  await launcher.untilLog(text(/^SIMULATION: no SEGMIND_API_KEY is set/));
  expect(launcher.logs.some(text(/^ {2}curl -s 'http/))).toBe(true);
  const simulator = await scene.service('simulator');
  for (const name of ['api', 'worker'] as const) {
    const { env } = await scene.service(name);
    expect(env.SEGMIND_API_KEY).toMatch(/^SG_[0-9a-f]{16}$/);
    expect(env.REDIS_URL).toMatch(/^redis:\/\/:[\w-]+@127\.0\.0\.1:\d+$/);
    expect(env.DATA_DIR).toBe(scene.dataDir);
    expect(await (await fetch(env.SEGMIND_BASE_URL ?? '')).text()).toBe('simulator');
  }
  expect(simulator.env.SIMULATOR_HOST).toBe('127.0.0.1');
});

test('with a key and a Redis of the user, neither a simulator nor a Redis is started', async () => {
  await using redisOwner = await setScene();
  await redisOwner.launch();
  const { env } = await redisOwner.service('api');
  await using scene = await setScene();
  await scene.launch({ SEGMIND_API_KEY: 'SG_aaaaaaaaaaaaaaaa', REDIS_URL: env.REDIS_URL ?? '' });
  expect((await scene.journal()).toSorted()).toEqual(['api ready', 'worker ready']);
  await expect(scene.running()).rejects.toThrow('redis/process.json');
});

test('a file with a key counts as a key, and is named to the worker', async () => {
  await using scene = await setScene();
  const file = join(scene.dataDir, 'key');
  await writeFile(file, 'SG_aaaaaaaaaaaaaaaa\n');
  const launcher = await scene.launch({ SEGMIND_API_KEY_FILE: file });
  expect((await scene.journal()).toSorted()).toEqual(['api ready', 'worker ready']);
  expect((await scene.service('worker')).env.SEGMIND_API_KEY_FILE).toBe(file);
  expect(launcher.logs.some(text(/^SIMULATION/))).toBe(false);
});

test('SIGTERM stops in phases: no new work, the work in hand with all that it needs, then the rest', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  const running = await scene.running();
  launcher.kill('SIGTERM');
  expect(await launcher.exited).toMatchObject({ code: 0 });
  expect((await scene.journal()).slice(3)).toEqual([
    'api stopping',
    'api stopped',
    'worker stopping',
    'worker stopped redis=PONG simulator=200',
    'simulator stopping',
    'simulator stopped',
  ]);
  await untilGone(running, 100);
});

test('a second Ctrl-C ends at once and leaves nothing running', async () => {
  await using scene = await setScene();
  await scene.make('worker', 'stuck');
  const launcher = await scene.launch();
  const running = await scene.running();
  launcher.kill('SIGINT');
  await expect.poll(scene.journal).toContain('worker stopping');
  // npm doubles a Ctrl-C; what comes within three quarters of a second is the same one.
  const again = setInterval(() => launcher.kill('SIGINT'), 200);
  try {
    expect(await launcher.exited).toMatchObject({ code: 1 });
  } finally {
    clearInterval(again);
  }
  await untilGone(running);
  expect(await scene.journal()).not.toContain('worker was interrupted');
});

test('nothing runs on when the launcher is killed, and the next start takes over at once', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  const running = await scene.running();
  launcher.kill('SIGKILL');
  await untilGone(running);
  const next = await scene.launch();
  expect(await (await fetch(next.url)).text()).toBe('api');
});

test('a second start in the same data directory is refused, and the first is unharmed', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  await expect(scene.launch()).rejects.toThrow(
    `Renderyard already runs with the data in ${scene.dataDir} (process ${launcher.pid}). Stop that one first`,
  );
  expect(await (await fetch(launcher.url)).text()).toBe('api');
});

test('a port that is taken is told before anything is started', async () => {
  await using scene = await setScene();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    await expect(scene.launch({ PORT: String(port) })).rejects.toThrow(
      `Port ${port} of 127.0.0.1 is taken. Stop what uses it, or choose another, for instance PORT=${port + 1}.`,
    );
    expect(await scene.journal()).toEqual([]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('settings that are wrong are told by name, all at once', async () => {
  await using scene = await setScene();
  const failed = scene.launch({ PORT: 'eighty', SHUTDOWN_GRACE_MS: '-1' });
  await expect(failed).rejects.toThrow(/PORT must be .* but is "eighty"[\s\S]*SHUTDOWN_GRACE_MS must be/);
});

test('an upstream without a key is refused: the simulator would not be used, nor would it work', async () => {
  await using scene = await setScene();
  await expect(scene.launch({ SEGMIND_BASE_URL: 'http://127.0.0.1:1' })).rejects.toThrow(
    'SEGMIND_BASE_URL is set, but SEGMIND_API_KEY is not.',
  );
  expect(await scene.journal()).toEqual([]);
});

test('a service that does not start ends all of it, with what the service said', async () => {
  await using scene = await setScene();
  await scene.make('worker', 'broken');
  await expect(scene.launch()).rejects.toThrow(
    /ended \(code 1\)[\s\S]*WORKER_SETTING must be right[\s\S]*The worker ended with code 1 before it was ready/,
  );
});

test('a service that dies is started again, where the others know it to be', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  for (const name of ['api', 'worker', 'simulator'] as const) {
    const { pid } = await scene.service(name);
    process.kill(pid, 'SIGKILL');
    await launcher.untilLog(text(new RegExp(`^The ${name} ended by SIGKILL\\. It is started again in 0\\.5 s\\.$`)));
    await launcher.untilLog(text(new RegExp(`^The ${name} runs again\\.$`)));
  }
  expect(await (await fetch(launcher.url)).text()).toBe('api');
  const { env } = await scene.service('api');
  expect(await (await fetch(env.SEGMIND_BASE_URL ?? '')).text()).toBe('simulator');
});

test('a Redis that dies is started again on its port, with its data', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  const [redis] = await scene.running();
  process.kill(redis?.pid ?? 0, 'SIGKILL');
  await launcher.untilLog(text(/^The redis runs again\.$/));
  launcher.kill('SIGTERM');
  await launcher.exited;
  expect(await scene.journal()).toContain('worker stopped redis=PONG simulator=200');
});

test('a service that dies again and again is given up, and all of it ends', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  const running = await scene.running();
  await scene.make('worker', 'broken');
  process.kill((await scene.service('worker')).pid, 'SIGKILL');
  const end = await launcher.exited;
  expect(end.code).toBe(1);
  expect(end.output).toMatch(/The worker did not start, 5 times in a row/);
  await untilGone(running, 100);
}, 40_000);

test('what the services write is kept in files, and only warnings and worse reach the terminal', async () => {
  await using scene = await setScene();
  const launcher = await scene.launch();
  launcher.kill('SIGTERM');
  const { output } = await launcher.exited;
  expect(output).toMatch(/\d\d:\d\d:\d\d api warning: a warning of api batch_id=bat_1/);
  expect(output).not.toContain('a detail of api');
  const kept = await readFile(join(scene.dataDir, 'logs/api.log'), 'utf8');
  expect(kept).toContain('a warning of api');
  expect(kept).toContain('a detail of api');
  expect(await readFile(join(scene.dataDir, 'logs/redis.log'), 'utf8')).toContain('Ready to accept connections');
});
