import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readApiSettings } from '@renderyard/api/api-settings';
import { readConfig, requireRedisUrl, SETTINGS } from '@renderyard/shared/config';
import { readKeyFile } from '@renderyard/shared/upstream-key-file';
import { afterAll, expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { bytes } from './bytes.ts';
import { environmentOf, mountedEnvironment } from './container-env.ts';
import { SECRETS } from './filled-secrets.ts';
import { manifest } from './manifests.ts';

const folder = await makeTemporaryFolder('kubernetes-settings');
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(['renderyard-api', 'renderyard-worker'])('every setting of %s is one that exists', (deployment) => {
  const names = Object.keys(environmentOf(deployment));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !Object.hasOwn(SETTINGS, name) && !/^(AWS|OTEL)_[A-Z0-9_]+$/.test(name))).toEqual([]);
});

test('the api starts with its settings once the secrets are filled in', async () => {
  const { config, redisUrl } = readApiSettings(await mountedEnvironment('renderyard-api', folder, SECRETS));
  expect(redisUrl).toBe(SECRETS['redis-url']);
  expect(config.RENDERYARD_API_KEYS.map(({ name }) => name)).toEqual(['shop']);
  expect(config.S3_BUCKET).toBe('my-images');
});

test('a worker starts with its settings once the secrets are filled in', async () => {
  const config = readConfig(await mountedEnvironment('renderyard-worker', folder, SECRETS));
  expect(requireRedisUrl(config)).toBe(SECRETS['redis-url']);
  expect(config.SECRET_KEY).toHaveLength(32);
  expect(await readKeyFile(config.SEGMIND_API_KEY_FILE ?? '')).toEqual({ key: SECRETS['segmind-api-key'] });
  // A bucket's webhooks need a key that all processes share, not one that each makes for itself.
  expect(config.S3_BUCKET).toBeDefined();
});

test('nothing starts with the secrets of the example, so that nobody runs with keys that everybody knows', async () => {
  const env = await mountedEnvironment('renderyard-api', folder);
  expect(() => readApiSettings(env)).toThrow(/REDIS_URL .*RENDERYARD_API_KEYS .*SECRET_KEY /s);
  const worker = readKeyFile((await mountedEnvironment('renderyard-worker', folder)).SEGMIND_API_KEY_FILE ?? '');
  expect(await worker).toHaveProperty('problem');
});

test('both parts agree in what they must agree in', () => {
  const [api, worker] = [environmentOf('renderyard-api'), environmentOf('renderyard-worker')];
  for (const name of [
    'S3_BUCKET',
    'AWS_REGION',
    'REDIS_URL_FILE',
    'SECRET_KEY_FILE',
    'SEGMIND_RPM',
    'SEGMIND_CONCURRENCY',
  ])
    expect([name, worker[name]]).toEqual([name, api[name]]);
});

test('the spool of a worker has room for the largest images in all its slots, twice', () => {
  const { WORKER_CONCURRENCY, MAX_IMAGE_BYTES = SETTINGS.MAX_IMAGE_BYTES.fallback } =
    environmentOf('renderyard-worker');
  const pod = manifest('Deployment', 'renderyard-worker').spec.template.spec;
  const { emptyDir } = pod.volumes.find(({ name }: { name: string }) => name === 'data');
  expect(bytes(emptyDir.sizeLimit)).toBeGreaterThanOrEqual(2 * Number(WORKER_CONCURRENCY) * Number(MAX_IMAGE_BYTES));
  expect(bytes(pod.containers[0].resources.limits['ephemeral-storage'])).toBeGreaterThan(bytes(emptyDir.sizeLimit));
});

test('a form of the largest size fits into the folder of the api, twice', () => {
  const { MAX_UPLOAD_BYTES = SETTINGS.MAX_UPLOAD_BYTES.fallback } = environmentOf('renderyard-api');
  const pod = manifest('Deployment', 'renderyard-api').spec.template.spec;
  const { emptyDir } = pod.volumes.find(({ name }: { name: string }) => name === 'data');
  expect(bytes(emptyDir.sizeLimit)).toBeGreaterThanOrEqual(2 * Number(MAX_UPLOAD_BYTES));
  expect(bytes(pod.containers[0].resources.limits['ephemeral-storage'])).toBeGreaterThan(bytes(emptyDir.sizeLimit));
});

test.each(['renderyard-api', 'renderyard-worker'])(
  'the alert of much memory comes before %s is killed for it',
  (deployment) => {
    const rules = readFileSync(join(REPOSITORY, 'deploy/prometheus/alerts.yml'), 'utf8');
    const [, threshold] = /process_resident_memory_bytes\{[^}]*\} > (\S+)/.exec(rules) ?? [];
    const [{ resources }] = manifest('Deployment', deployment).spec.template.spec.containers;
    expect(bytes(resources.limits.memory)).toBeGreaterThan(1.2 * Number(threshold));
  },
);

test('the Redis that comes along forgets nothing, and has the memory to rewrite its file', () => {
  const settings = new Map(
    (manifest('ConfigMap', 'redis').data?.['redis.conf'] ?? '')
      .trim()
      .split('\n')
      .map((line) => line.split(/ (.*)/) as [string, string]),
  );
  expect(settings.get('maxmemory-policy')).toBe('noeviction');
  expect(settings.get('appendonly')).toBe('yes');
  const [container] = manifest('StatefulSet', 'redis').spec.template.spec.containers;
  expect(bytes(container.resources.limits.memory)).toBeGreaterThanOrEqual(2 * bytes(settings.get('maxmemory') ?? ''));
  expect(settings.get('dir')).toBe(container.volumeMounts[0].mountPath);
});
