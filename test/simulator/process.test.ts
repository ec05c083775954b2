import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlClient } from '@renderyard/simulator/control-client';
import { readFaultSettings } from '@renderyard/simulator/fault-settings';
import { SIMULATOR_SETTINGS } from '@renderyard/simulator/settings';
import { startSimulator } from '@renderyard/simulator/simulator';
import { expect, onTestFinished, test } from 'vitest';
import { simulate } from './simulate.ts';
import { drain, open } from './wire.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Starts the program as npm does, with a channel to its parent and what it writes. */
function start(env: Record<string, string>) {
  const child = fork(join(ROOT, 'services/simulator/src/main.ts'), {
    env: { PATH: process.env.PATH ?? '', SIMULATOR_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const written = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => {
    written.out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    written.err += chunk;
  });
  return { child, written };
}

/** The code with which the process ended, once all it wrote is here. */
const ended = async (child: ChildProcess) => (await once(child, 'close'))[0] as number | null;

test('the program says where it listens, takes its faults from a file, and stops on SIGTERM within hung calls', async () => {
  const file = join(tmpdir(), `renderyard-faults-${process.pid}.json`);
  onTestFinished(() => rm(file, { force: true }));
  await writeFile(file, JSON.stringify([{ id: 'filed', effect: { kind: 'hang' } }]));
  const { child, written } = start({ SIMULATOR_FAULTS_FILE: file, SIMULATOR_BALANCE: '0.5' });
  const [message] = (await once(child, 'message')) as [{ ready: boolean; url: string }];
  expect(message).toEqual({ ready: true, url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
  const control = createControlClient(message.url);
  expect(await control.faults()).toMatchObject([{ id: 'filed' }]);
  expect((await control.state()).balance_exact).toBe('0.5');
  const hung = fetch(`${message.url}/v1/stable-diffusion-3.5-large-txt2img`, {
    method: 'POST',
    headers: { 'x-api-key': 'SG_1', 'content-type': 'application/json' },
    body: '{"prompt":"x","sampler":"euler","scheduler":"simple"}',
  }).catch(() => 'cut');
  while ((await control.calls()).data[0]?.fault !== 'filed');
  child.kill('SIGTERM');
  expect(await ended(child)).toBe(0);
  expect(await hung).toBe('cut');
  const lines = written.out.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ url: message.url }));
  expect(written.err).toBe('');
});

test('the program stops when its parent lets go of it', async () => {
  const { child } = start({});
  await once(child, 'message');
  child.disconnect();
  // Not `close`: Node does not emit it once the channel was let go of.
  expect((await once(child, 'exit'))[0]).toBe(0);
});

test('the program names every setting that is wrong, and does not start', async () => {
  const { child, written } = start({ SIMULATOR_BALANCE: '1e3', SIMULATOR_PORT: '70000', SIMULATOR_FAULTS: '[{}]' });
  expect(await ended(child)).toBe(1);
  for (const name of ['SIMULATOR_BALANCE', 'SIMULATOR_PORT', 'SIMULATOR_FAULTS']) expect(written.err).toContain(name);
});

test('faults that cannot be read are told with their reason, of the environment and of the file at once', async () => {
  const file = join(tmpdir(), `renderyard-wrong-faults-${process.pid}.json`);
  onTestFinished(() => rm(file, { force: true }));
  await writeFile(file, '[{"effect":{"kind":"hang"},"tims":3}]');
  await expect(
    readFaultSettings({ SIMULATOR_FAULTS: '[{"effect":{"kind":"explode"}}]', SIMULATOR_FAULTS_FILE: file }),
  ).rejects.toMatchObject({
    problems: [
      expect.stringMatching(/^SIMULATOR_FAULTS cannot be used\. .* a kind that is one of none, status/),
      `SIMULATOR_FAULTS_FILE, the file ${file}, cannot be used. A fault rule is wrong at /tims: it is not a field that there is.`,
    ],
  });
  await expect(readFaultSettings({ SIMULATOR_FAULTS: '{"effect"' })).rejects.toThrow(
    /SIMULATOR_FAULTS must be JSON, .*position/,
  );
  await expect(readFaultSettings({ SIMULATOR_FAULTS_FILE: `${file}.not` })).rejects.toThrow(
    /SIMULATOR_FAULTS_FILE must name a file that can be read: ENOENT.*not'/,
  );
});

test('closing cuts hung calls at once and lets go of the port', async () => {
  const { close, control, port, render, until } = await simulate({ faults: [{ effect: { kind: 'hang' } }] });
  const calls = [1, 2, 3].map((i) => render(`prompt ${i}`).catch(() => 'cut'));
  await until(async () => (await control.state()).in_flight === 3);
  const silent = drain(await open(port));
  await close();
  await silent;
  expect(await Promise.all(calls)).toEqual(['cut', 'cut', 'cut']);
  const next = await startSimulator({ port });
  await next.close();
});

test('closing leaves no timer behind for renders that have not ended', async () => {
  const { close, control, render, until } = await simulate({ latencyMs: 3_600_000 });
  const calls = [1, 2, 3].map((i) => render(`prompt ${i}`).catch(() => 'cut'));
  await until(async () => (await control.calls()).data.filter(({ request_id }) => request_id !== null).length === 3);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  await close();
  expect(await Promise.all(calls)).toEqual(['cut', 'cut', 'cut']);
  expect(timers()).toBeLessThanOrEqual(before - 3);
});

test('a port that is taken is an error, not a wait', async () => {
  const { port } = await simulate();
  await expect(startSimulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('the documentation has every setting, and no other', async () => {
  const text = await readFile(join(ROOT, 'docs/simulator.md'), 'utf8');
  const documented = new Set(text.match(/\bSIMULATOR_[A-Z0-9_]+\b/g));
  expect([...documented].sort()).toEqual(Object.keys(SIMULATOR_SETTINGS).sort());
});
