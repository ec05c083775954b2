import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/** Steps of the next version's upgrade at which it can be made to wait. */
export const STEPS = [
  'calls end',
  'older processes leave',
  'store',
  'store to 2',
  'half of the store',
  'store migrated',
  'redis to 2',
  'half of Redis',
  'mark',
] as const;
type Step = (typeof STEPS)[number];

/** It keeps the pace of calls under another name, and marks each open batch in the store. */
const MIGRATIONS = `
import { defineScript } from '../redis/script.ts';
import { atStep } from './upgrade-step.ts';

const movePace = defineScript(new URL('move-pace.lua', import.meta.url));

export const MIGRATIONS = [
  { to: 1 },
  {
    to: 2,
    store: async ({ store, logger, signal }) => {
      const put = (key) => store.put(key, Buffer.from('{}'), { contentType: 'application/json' });
      let first = true;
      for await (const { key } of store.list('open/')) {
        signal.throwIfAborted();
        await put(\`migrated/\${key.slice('open/'.length)}\`);
        if (first) await atStep(logger, 'half of the store');
        first = false;
      }
    },
    redis: async ({ redis, prefix, generation, logger }) => {
      await movePace(redis, prefix, { generation, copy: true });
      await atStep(logger, 'half of Redis');
      await movePace(redis, prefix, { generation });
    },
  },
];
`;

const MOVE_PACE = `-- include ../redis/guard.lua
if a.copy and redis.call('EXISTS', P .. 'pace') == 1 then redis.call('COPY', P .. 'pace', P .. 'pace2', 'REPLACE') end
if not a.copy then redis.call('DEL', P .. 'pace') end
return '{}'
`;

/** Waits for ever at the step that a file names. */
const STEP = (file: string) => `
import { readFileSync } from 'node:fs';

export async function atStep(logger, step) {
  logger.info({ step }, 'a step of the upgrade begins');
  let at = '';
  try {
    at = readFileSync(${JSON.stringify(file)}, 'utf8');
  } catch {}
  if (at === step) await new Promise(() => {});
}

export const logSteps = (logger) => (step) => atStep(logger, step);
`;

/** The next version of Renderyard, made of this one: its data is of version 2. */
export interface NextVersion extends AsyncDisposable {
  /** To start services from. */
  readonly root: string;
  /** Has processes that start from now on wait at this step for ever; undefined: at none. */
  waitAt(step: Step | undefined): Promise<void>;
}

export async function makeNextVersion(): Promise<NextVersion> {
  const root = await makeTemporaryFolder('next');
  const upgrade = join(root, 'packages/shared/src/upgrade');
  const stepFile = join(root, 'wait-at');
  const filter = (path: string) => !path.includes('node_modules');
  for (const folder of ['packages', 'services', 'package.json'])
    await cp(join(REPOSITORY, folder), join(root, folder), { recursive: true, filter });
  await mkdir(join(root, 'node_modules'));
  for (const name of await readdir(join(REPOSITORY, 'node_modules')))
    if (name !== '@renderyard') await symlink(join(REPOSITORY, 'node_modules', name), join(root, 'node_modules', name));
  await mkdir(join(root, 'node_modules/@renderyard'));
  for (const name of await readdir(join(root, 'services')))
    await symlink(join(root, 'services', name), join(root, 'node_modules/@renderyard', name));
  await symlink(join(root, 'packages/shared'), join(root, 'node_modules/@renderyard/shared'));

  await edit(join(upgrade, 'state-version.ts'), (text) => text.replace('STATE_VERSION = 1', 'STATE_VERSION = 2'));
  await edit(join(root, 'packages/shared/package.json'), (text) =>
    text.replace(/"version": "[^"]+"/, '"version": "99.0.0"'),
  );
  // So that a process that waits at a step is soon handed to the test.
  await edit(join(root, 'services/worker/src/start-worker.ts'), (text) =>
    text.replace('REBUILD_PATIENCE_MS = 10_000', 'REBUILD_PATIENCE_MS = 500'),
  );
  await writeFile(join(upgrade, 'migrations.ts'), MIGRATIONS);
  await writeFile(join(upgrade, 'upgrade-step.ts'), STEP(stepFile));
  let replaced = 0;
  for (const file of await readdir(join(root, 'packages/shared/src'), { recursive: true })) {
    if (!file.endsWith('.lua')) continue;
    await edit(join(root, 'packages/shared/src', file), (text) => {
      const next = text.replaceAll("P .. 'pace'", "P .. 'pace2'");
      if (next !== text) replaced++;
      return next;
    });
  }
  if (replaced === 0) throw new Error('No script keeps the pace where the next version moves it from.');
  await writeFile(join(upgrade, 'move-pace.lua'), MOVE_PACE);

  return {
    root,
    waitAt: (step) => (step === undefined ? rm(stepFile, { force: true }) : writeFile(stepFile, step)),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(path, 'utf8');
  await writeFile(path, change(text));
}
