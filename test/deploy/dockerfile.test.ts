import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const read = (name: string) => readFileSync(join(REPOSITORY, name), 'utf8');
/** Instructions, each with its lines joined, without comments. */
const instructions = read('Dockerfile')
  .replaceAll(/^\s*#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .map((line) => line.trim().replaceAll(/\s+/g, ' '))
  .filter((line) => line !== '');
const of = (word: string) => instructions.filter((line) => line.startsWith(`${word} `));
const last = (word: string) => of(word).at(-1) ?? '';

const patterns = read('.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

/** A pattern as an expression: it holds for what it names and for all below, and `*` for names with a dot, too. */
function toExpression(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*\*\/|\*/g, (star) => (star === '*' ? '[^/]*' : '(?:.*/)?'));
  return new RegExp(`^${source}(?:/|$)`);
}

/** Whether a path goes to the engine, by the rules of .dockerignore: the last pattern that matches decides. */
function isSent(path: string): boolean {
  const deciding = patterns.findLast((pattern) => toExpression(pattern.replace(/^!/, '')).test(path));
  return deciding === undefined || deciding.startsWith('!');
}

const sources = of('COPY')
  .filter((line) => !line.includes('--from='))
  .flatMap((line) => line.split(' ').slice(1, -1));

describe('Dockerfile', () => {
  it('copies only what there is and what is sent', () => {
    expect(sources.length).toBeGreaterThan(5);
    for (const path of sources) {
      expect([path, existsSync(join(REPOSITORY, path))]).toEqual([path, true]);
      const file = /\.\w+$|LICENSE$/.test(path) ? path : `${path}/src/main.ts`;
      expect([file, isSent(file)]).toEqual([file, true]);
    }
  });

  it('has the manifest of every workspace before it installs, as npm needs them', () => {
    const workspaces = ['packages', 'services'].flatMap((parent) =>
      readdirSync(join(REPOSITORY, parent)).map((name) => `${parent}/${name}/package.json`),
    );
    expect(sources).toEqual(expect.arrayContaining(workspaces));
    expect(of('RUN')[0]).toContain('npm ci --omit=dev --ignore-scripts');
  });

  it('lists what the image has as parts of what its package.json names', async () => {
    const { name, version } = JSON.parse(read('package.json')) as { name: string; version: string };
    const command = /npm (sbom [^>]+) > sbom\.cdx\.json/.exec(of('RUN')[0] ?? '')?.[1]?.split(' ') ?? [];
    const parent = await makeTemporaryFolder('sbom');
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
    // In a folder of the same name, by the lock file alone: to install takes long.
    const folder = join(parent, basename(of('WORKDIR')[0] ?? ''));
    mkdirSync(folder);
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(REPOSITORY, file), join(folder, file));
    const list = execFileSync('npm', [...command, '--package-lock-only'], { cwd: folder, encoding: 'utf8' });
    const { metadata } = JSON.parse(list) as { metadata: { component: object } };
    expect(metadata.component).toMatchObject({ name, version, type: 'application' });
    expect(of('COPY').filter((line) => line.includes('--from=modules'))).toEqual(
      ['node_modules node_modules', 'sbom.cdx.json ./'].map(
        (from) => `COPY --from=modules /${basename(folder)}/${from}`,
      ),
    );
  });

  it('is of several stages on one base, for which nothing need be fetched but it', () => {
    const bases = of('FROM').map((line) => line.split(' ')[1]);
    expect(bases.length).toBeGreaterThan(2);
    const stages = of('FROM').flatMap((line) => line.split(' AS ')[1] ?? []);
    expect(bases.filter((base) => !stages.includes(base ?? ''))).toEqual([
      'node:24-bookworm-slim',
      'node:24-bookworm-slim',
    ]);
  });

  it('runs as a user by number, which Kubernetes can tell from root', () => {
    expect(last('USER')).toBe('USER 1000:1000');
  });

  it('starts the service itself as the first process, which gets the signals', () => {
    expect(last('ENTRYPOINT')).toMatch(/^ENTRYPOINT \["node", /);
    expect(last('CMD')).toBe('CMD ["api"]');
    expect(last('HEALTHCHECK')).toMatch(/ CMD \["node", /);
  });

  it('says what it is, under which licence and of which version', () => {
    const { version, license } = JSON.parse(read('package.json')) as { version: string; license: string };
    for (const label of ['title', 'description', 'version', 'revision', 'base.name'])
      expect(last('LABEL')).toContain(`org.opencontainers.image.${label}=`);
    expect(last('LABEL')).toContain(`licenses="${license}"`);
    expect(of('ARG')).toContain(`ARG VERSION=${version}`);
  });
});

describe('.dockerignore', () => {
  it.each([
    '.env',
    '.env.local',
    '.git/config',
    '.data/secret-key',
    'services/api/.data/secret-key',
    'services/api/.env',
    'packages/shared/node_modules/x/index.js',
    'node_modules/x/index.js',
    'services/api/npm-debug.log',
    'test/api/http.test.ts',
    'deploy/kubernetes/secrets.yaml',
    'deploy/compose/upstream.yml',
    'docs/api.md',
  ])('keeps %s out of the image', (path) => {
    expect(isSent(path)).toBe(false);
  });

  it.each([
    'package-lock.json',
    'services/worker/src/main.ts',
    'packages/shared/src/job/claim.lua',
    'deploy/image/health.ts',
  ])('sends %s', (path) => {
    expect(isSent(path)).toBe(true);
  });
});
