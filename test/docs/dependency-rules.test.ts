import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/**
 * Breaks each rule of the architecture on purpose, in a copy of the repository, and sees the linter or the compiler
 * say so. A bait that is not caught means a rule that holds nothing.
 */
const BAITS = {
  'the worker imports the api by its package': [
    'services/worker/src/bait-1.ts',
    "import { createApp } from '@renderyard/api/app';\nexport const bait = createApp;\n",
    'noUndeclaredDependencies',
  ],
  'the api imports the worker by its package': [
    'services/api/src/bait-2.ts',
    "import { render } from '@renderyard/worker/render/render';\nexport const bait = render;\n",
    'noUndeclaredDependencies',
  ],
  'shared imports the api': [
    'packages/shared/src/bait-3.ts',
    "import { createApp } from '@renderyard/api/app';\nexport const bait = createApp;\n",
    'noUndeclaredDependencies',
  ],
  'ioredis outside of redis/': [
    'packages/shared/src/job/bait-4.ts',
    "import { Redis } from 'ioredis';\nexport const bait = Redis;\n",
    'noRestrictedImports',
  ],
  'bullmq outside of a queue file': [
    'packages/shared/src/job/bait-5.ts',
    "import { Queue } from 'bullmq';\nexport const bait = Queue;\n",
    'noRestrictedImports',
  ],
  'the AWS SDK outside of the S3 store': [
    'packages/shared/src/job/bait-6.ts',
    "import { S3Client } from '@aws-sdk/client-s3';\nexport const bait = S3Client;\n",
    'noRestrictedImports',
  ],
  'a pure file that reads files': [
    'services/worker/src/render/judge.ts',
    "import { readFileSync } from 'node:fs';\nexport const bait = readFileSync;\n",
    'noRestrictedImports',
  ],
  'a pure file that knows a store': [
    'packages/shared/src/credits/hold.ts',
    "import { createJobStore } from '../job/job-store.ts';\nexport const bait = createJobStore;\n",
    'noRestrictedImports',
  ],
  'process.env outside of a main.ts': [
    'packages/shared/src/bait-7.ts',
    'export const bait = process.env.HOME;\n',
    'noProcessEnv',
  ],
  'a barrel': [
    'packages/shared/src/bait-8.ts',
    "export * from './clock.ts';\nexport * from './ids.ts';\n",
    'noBarrelFile',
  ],
  'a default export': ['packages/shared/src/bait-9.ts', 'export default 1;\n', 'noDefaultExport'],
  'a class that is no error': ['packages/shared/src/bait-10.ts', 'export class Bait {\n  value = 1;\n}\n', 'plugin'],
  'an enum': ['packages/shared/src/bait-11.ts', 'export enum Bait {\n  A,\n}\n', 'noEnum'],
  'a cycle': [
    'packages/shared/src/bait-12.ts',
    "import { other } from './bait-13.ts';\nexport const bait = (): number => other();\n",
    'noImportCycles',
  ],
  'the other half of the cycle': [
    'packages/shared/src/bait-13.ts',
    "import { bait } from './bait-12.ts';\nexport const other = (): number => bait();\n",
    'noImportCycles',
  ],
  'a promise that nobody waits for': [
    'packages/shared/src/bait-14.ts',
    'async function work(): Promise<void> {}\nexport function bait() {\n  work();\n}\n',
    'noFloatingPromises',
  ],
  'an ending that nobody handles': [
    'packages/shared/src/bait-15.ts',
    "export function bait(kind: 'a' | 'b'): number {\n  switch (kind) {\n    case 'a':\n      return 1;\n  }\n  return 0;\n}\n",
    'useExhaustiveSwitchCases',
  ],
  console: ['packages/shared/src/bait-16.ts', "console.log('bait');\n", 'noConsole'],
} as const;

const RELATIVE = {
  file: 'services/worker/src/bait-relative.ts',
  text: "import { target } from '../../api/src/bait-target.ts';\nexport const bait = target;\n",
};

/** What the compiler reads for a service, and the service that it must not. */
const PROJECTS = ['packages/shared', 'services/worker', 'services/api'] as const;

const root = join(import.meta.dirname, '../..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const run = promisify(execFile);
let copy = '';
let diagnostics: readonly { readonly category: string; readonly path: string }[] = [];

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'renderyard-rules-'));
  for (const entry of ['packages', 'services', 'scripts', 'biome.json', 'package.json', 'tsconfig.base.json'])
    await cp(join(root, entry), join(copy, entry), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  await writeFile(join(copy, '.gitignore'), 'node_modules/\n.tsbuild/\n');
  for (const [path, text] of Object.values(BAITS)) {
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await writeFile(join(copy, path), text);
  }
  const { stdout } = await run(
    bin('biome'),
    ['lint', '--reporter=json', '--max-diagnostics=2000', 'packages', 'services'],
    { cwd: copy, maxBuffer: 64 * 1024 * 1024 },
  ).catch((error: { stdout: string }) => error);
  const report = JSON.parse(stdout) as {
    diagnostics: { category: string; location?: { path?: string | { file?: string } } }[];
  };
  diagnostics = report.diagnostics.map(({ category, location }) => {
    const path = location?.path;
    return { category, path: typeof path === 'string' ? path : (path?.file ?? '') };
  });
}, 120_000);

afterAll(() => rm(copy, { recursive: true, force: true }));

describe('the linter refuses', () => {
  test.each(Object.entries(BAITS))('%s', (_, [path, , rule]) => {
    const found = diagnostics.filter((diagnostic) => diagnostic.path.endsWith(path)).map(({ category }) => category);
    expect(
      found.some((category) => category.endsWith(rule)),
      `${path}: ${found.join(', ') || 'nothing was said'}`,
    ).toBe(true);
  });
});

test('the compiler refuses a relative import from one service into another', async () => {
  // By the settings as they are, but without the sources, which would take it half a minute.
  const bare = join(copy, 'bare');
  for (const entry of [
    'tsconfig.base.json',
    ...PROJECTS.flatMap((of) => [`${of}/tsconfig.json`, `${of}/package.json`]),
  ])
    await cp(join(root, entry), join(bare, entry));
  await symlink(join(root, 'node_modules'), join(bare, 'node_modules'));
  for (const project of PROJECTS) await mkdir(join(bare, project, 'src'));
  await writeFile(join(bare, 'packages/shared/src/own.ts'), 'export const own = 1;\n');
  await writeFile(join(bare, 'services/api/src/bait-target.ts'), 'export const target = 1;\n');
  const compile = () => run(bin('tsc'), ['-b', 'services/worker'], { cwd: bare });
  await writeFile(join(bare, RELATIVE.file), 'export const bait = 1;\n');
  expect(await compile()).toMatchObject({ stdout: '' });
  await writeFile(join(bare, RELATIVE.file), RELATIVE.text);
  const { stdout } = await compile().catch((error: { stdout: string }) => error);
  expect(stdout).toMatch(/bait-relative\.ts.*error TS(6059|6307).*bait-target\.ts/);
}, 120_000);
