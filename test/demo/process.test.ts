import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { setScene, untilGone } from '../standalone/launcher.ts';
import { BATCH_ID } from './views.ts';

const FILE = join(import.meta.dirname, 'stand-ins/launch-demo.ts');
const text = (wanted: RegExp) => (line: Readonly<Record<string, unknown>>) => wanted.test(String(line.text));

test('it starts what npm start does, shows the batch, and with --exit stops all of it when that has ended', async () => {
  await using scene = await setScene(FILE);
  const demo = await scene.launch({ FAKE_BATCH: 'good' }, ['--exit']);
  const { code, output } = await demo.exited;
  expect(code).toBe(0);
  const page = join(scene.dataDir, 'demo', BATCH_ID, 'index.html');
  for (const said of ['Renderyard runs: http', 'SIMULATION', `Contact sheet: ${page}`]) expect(output).toContain(said);
  expect(await readFile(page, 'utf8')).toContain('images/0001-id-1-7.jpg');
  expect(await scene.journal()).toEqual(
    expect.arrayContaining(['api took /v1/batches without a key', 'api stopped', 'simulator stopped']),
  );
});

test('with --exit and a row that failed, the exit code is 1', async () => {
  await using scene = await setScene(FILE);
  const demo = await scene.launch({ FAKE_BATCH: 'bad' }, ['--exit']);
  expect((await demo.exited).code).toBe(1);
});

test('without --exit it stays up until Ctrl-C, which stops it as npm start', async () => {
  await using scene = await setScene(FILE);
  const demo = await scene.launch({ FAKE_BATCH: 'bad' });
  await demo.untilLog(text(/^Renderyard still runs: /));
  const running = await scene.running();
  expect((await fetch(demo.url)).status).toBe(404);
  demo.kill('SIGINT');
  expect((await demo.exited).code).toBe(0);
  await untilGone(running, 100);
});

test.each([
  [['--exit'], 1],
  [[], 0],
])('Ctrl-C in the middle of the batch stops all of it; with %j the code is %i', async (args, code) => {
  await using scene = await setScene(FILE);
  const demo = await scene.launch({ FAKE_BATCH: 'endless' }, args);
  await demo.untilLog(text(/^1 of 3 /));
  const running = await scene.running();
  demo.kill('SIGINT');
  const end = await demo.exited;
  expect(end).toMatchObject({ code, output: expect.stringContaining('Stopping:') });
  expect(end.output).not.toContain('The demo ends');
  await untilGone(running, 100);
});

test('it brings the API key that is configured', async () => {
  await using scene = await setScene(FILE);
  const env = { RENDERYARD_API_KEYS: `hashed:sha256:${'a'.repeat(64)},shop:a-secret-that-is-long` };
  const demo = await scene.launch(env, ['--exit']);
  expect((await demo.exited).code).toBe(0);
  expect(await scene.journal()).toContain('api took /v1/batches Bearer a-secret-that-is-long');
});

test.each<[string, readonly string[], Readonly<Record<string, string>>, RegExp]>([
  ['an argument that it does not know', ['--exti'], {}, /ended \(code 2\)[\s\S]*'--exti'[\s\S]*Usage: npm run demo/],
  [
    'keys of which it has only hashes',
    [],
    { RENDERYARD_API_KEYS: `a:sha256:${'a'.repeat(64)}` },
    /ended \(code 1\)[\s\S]*only hashes of keys/,
  ],
  [
    'a key of Segmind and nobody to ask',
    ['--exit'],
    { SEGMIND_API_KEY: 'SG_aaaaaaaaaaaaaaaa' },
    /ended \(code 2\)[\s\S]*Say --yes to spend them/,
  ],
  ['settings that are wrong', [], { PORT: 'eighty' }, /ended \(code 1\)[\s\S]*PORT must be/],
])('it refuses %s before anything is started', async (_, args, env, said) => {
  await using scene = await setScene(FILE);
  await expect(scene.launch(env, args)).rejects.toThrow(said);
  expect(await scene.journal()).toEqual([]);
});

test('it says what npm start says of a port that is taken', async () => {
  await using scene = await setScene(FILE);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    await expect(scene.launch({ PORT: String(port) }, ['--exit'])).rejects.toThrow(
      new RegExp(`ended \\(code 1\\)[\\s\\S]*Port ${port} of 127\\.0\\.0\\.1 is taken\\.`),
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('--help prints how to use it, and starts nothing', async () => {
  await using scene = await setScene(FILE);
  await expect(scene.launch({}, ['--help'])).rejects.toThrow(/ended \(code 0\)[\s\S]*Usage: npm run demo/);
  expect(await scene.journal()).toEqual([]);
});
