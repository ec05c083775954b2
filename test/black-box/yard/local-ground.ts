import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port.ts';
import type { Ground, Place, Program, Settings } from './ground.ts';
import { START_MS } from './ground.ts';
import { until } from './until.ts';

const REPOSITORY = join(import.meta.dirname, '../../..');
/** All that programs get of the developer's own environment. */
const { PATH, HOME } = process.env;
/** Kills the whole group when the pipe closes, which it also does when the tests' process is killed. */
const GUARD = 'exec 3<&0; { read -r _ <&3; kill -s KILL 0; } & exec "$@" 3<&- </dev/null';

function listening({ name, ports }: Place): Settings {
  const operations = { METRICS_HOST: '127.0.0.1', METRICS_PORT: String(ports.operations) };
  if (name === 'api') return { ...operations, PORT: String(ports.main) };
  if (name === 'worker') return operations;
  if (name === 'simulator') return { SIMULATOR_PORT: String(ports.main) };
  return { HOST: '127.0.0.1', PORT: String(ports.main) };
}

/** As a user starts it. The receiver is a file of the suite. */
const commandOf = ({ name }: Place): readonly string[] =>
  name === 'receiver'
    ? [process.execPath, join(import.meta.dirname, '../stand-ins/receiver.ts')]
    : ['npm', 'run', '--silent', name];

async function start(place: Place, settings: Settings): Promise<Program> {
  const folder = join(tmpdir(), `renderyard-black-box-${place.id}`);
  const child = spawn('/bin/sh', ['-c', GUARD, 'guard', ...commandOf(place)], {
    cwd: REPOSITORY,
    detached: true,
    env: { PATH, HOME, DATA_DIR: folder, ...listening(place), ...settings },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  const lines: string[] = [];
  for (const source of [child.stdout, child.stderr])
    createInterface({ input: source }).on('line', (line) => lines.push(line));
  let running = true;
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      running = false;
      child.stdin.destroy();
      resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']);
    });
  });
  const killAll = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  };
  const program: Program = {
    name: place.name,
    url: place.url,
    peerUrl: place.peerUrl,
    operationsUrl: `http://127.0.0.1:${place.ports.operations}`,
    lines,
    exited,
    signal: async (signal) => {
      if (signal === 'SIGKILL') killAll();
      else child.kill(signal);
    },
    stop: async (graceMs) => {
      const timer = setTimeout(killAll, graceMs);
      child.kill('SIGTERM');
      await exited;
      clearTimeout(timer);
    },
    fromWithin: async (method, path, body) => {
      const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const answer = await fetch(new URL(path, place.url), { method, ...(body === undefined ? {} : json) });
      return { status: answer.status, text: await answer.text() };
    },
    remove: async () => {
      killAll();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
  const probe = place.name === 'worker' ? program.operationsUrl : place.url;
  const state = () => `The ${place.name} said:\n${lines.slice(-20).join('\n')}`;
  try {
    await until(
      `${place.name} answers`,
      async () => {
        if (!running) throw new Error(`It ended while it started. ${state()}`);
        const answer = await fetch(probe).catch(() => undefined);
        await answer?.body?.cancel();
        return answer !== undefined;
      },
      { patienceMs: START_MS, state },
    );
  } catch (error) {
    await program.remove();
    throw error;
  }
  return program;
}

/** Programs as processes of this machine, started by the scripts of package.json. */
export function createLocalGround(servers: Settings): Ground {
  return {
    servers,
    networks: '127.0.0.1/32',
    place: async (name) => {
      const [main, operations] = [await freePort(), await freePort()];
      const url = `http://127.0.0.1:${main}`;
      return { name, url, peerUrl: url, ports: { main, operations }, id: randomUUID() };
    },
    start,
  };
}
