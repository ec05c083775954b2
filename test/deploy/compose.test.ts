import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readApiSettings } from '@renderyard/api/api-settings';
import { SETTINGS } from '@renderyard/shared/config';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);

/** What is looked at of a service. */
interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly networks?: readonly string[];
  readonly network_mode?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly user?: string;
  readonly scale?: number;
  readonly stop_grace_period?: string;
  readonly mem_limit?: string;
  readonly pids_limit?: number;
  readonly extends?: { readonly file: string; readonly service: string };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, object>>;
}

const read = (path: string): Compose =>
  parse(readFileSync(join(REPOSITORY, path), 'utf8'), { merge: true, strict: true, uniqueKeys: true }) as Compose;

const { services, networks, volumes } = read('docker-compose.yml');
const all = Object.entries(services);
const service = (name: string): Service => {
  const found = services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}.`);
  return found;
};

const folder = await makeTemporaryFolder('compose');
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('docker-compose.yml', () => {
  it('opens no port but the API’s, on loopback', () => {
    const ports = all.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]));
    expect(ports).toEqual([['api', `127.0.0.1:\${PORT:-8080}:8080`]]);
  });

  it('keeps Redis, the store and the simulator in a network without a way out', () => {
    expect(networks.inside).toEqual({ internal: true });
    for (const name of ['redis', 's3', 'simulator']) expect([name, service(name).networks]).toEqual([name, ['inside']]);
    expect(service('secrets').network_mode).toBe('none');
  });

  it.each(all)('lets %s do and take no more than it needs', (_name, each) => {
    expect(each).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(each.mem_limit).toMatch(/^\d+[mg]$/);
    expect(each.pids_limit).toBeGreaterThan(0);
    for (const mount of each.tmpfs ?? []) expect(mount).toMatch(/:size=\d+m/);
  });

  it.each(all)('takes %s from an image of a fixed version', (name, { image }) => {
    const [, reference = image] = /^\$\{[A-Z_]+:-(.+)\}$/.exec(image) ?? [];
    if (['redis', 's3'].includes(name)) expect(reference).toMatch(/:v?\d+[\w.-]*$/);
    else expect(reference).toBe('renderyard');
  });

  it('builds the image once, and keeps Redis as the project asks', () => {
    expect(all.filter(([, { build }]) => build !== undefined).map(([name]) => name)).toEqual(['secrets']);
    const command = service('redis').command?.join(' ');
    expect(command).toContain('--appendonly yes');
    expect(command).toContain('--maxmemory-policy noeviction');
  });

  it('knows of each service that stays whether it is well, and waits for that', async () => {
    expect(all.filter(([, { healthcheck }]) => healthcheck?.disable).map(([name]) => name)).toEqual(['secrets']);
    for (const name of ['redis', 's3']) expect(service(name).healthcheck?.test?.length).toBeGreaterThan(1);
    // The others have the image's.
    expect(await readFile(join(REPOSITORY, 'Dockerfile'), 'utf8')).toMatch(/^HEALTHCHECK .*\\\n +CMD \["node", /m);
    const needed = {
      secrets: { condition: 'service_completed_successfully' },
      redis: { condition: 'service_healthy' },
      s3: { condition: 'service_healthy' },
    };
    expect(service('api').depends_on).toEqual(needed);
    // Where there is one it goes last, so that workers can let their calls end.
    const simulator = { condition: 'service_healthy', required: false };
    expect(service('worker').depends_on).toEqual({ ...needed, simulator });
  });

  it('runs two workers, and gives them and the API the time that they take to stop', () => {
    expect(service('worker').scale).toBe(2);
    // The grace, and what a worker may take beyond it, its last spans included.
    const least = SETTINGS.SHUTDOWN_GRACE_MS.fallback / 1000 + 13;
    for (const name of ['api', 'worker']) {
      const [, seconds] = /^\$\{STOP_GRACE_PERIOD:-(\d+)s\}$/.exec(service(name).stop_grace_period ?? '') ?? [];
      expect(Number(seconds)).toBeGreaterThanOrEqual(least);
    }
  });

  it('keeps all that is on disk in volumes with names, which the next start finds again', () => {
    const mounts = all.flatMap(([, { volumes: of = [] }]) => of);
    const names = mounts.map((mount) => /^([a-z]+):\/(data|secrets)(:ro)?$/.exec(mount)?.[1]);
    expect(new Set(names)).toEqual(new Set(Object.keys(volumes)));
    expect(service('worker').volumes).toContain('rescued:/data');
    expect(all.filter(([, { volumes: of = [] }]) => of.includes('rescued:/data'))).toHaveLength(1);
    // Large, of no use to anybody else, and gone with the worker.
    expect(service('worker').tmpfs).toContainEqual(
      expect.stringMatching(/^\/data\/worker\/spool:.*uid=1000,gid=1000$/),
    );
  });

  it('sets or passes on every setting but those that it replaces', () => {
    const given = {
      ...service('api').environment,
      ...read('deploy/compose/upstream.yml').services.worker?.environment,
    };
    const replaced = {
      // By the image.
      image: ['HOST', 'PORT', 'METRICS_HOST', 'METRICS_PORT', 'DATA_DIR'],
      // By files that are made at the first start, or by a value.
      files: ['RENDERYARD_API_KEYS', 'SECRET_KEY', 'REDIS_URL_FILE', 'WEBHOOK_SECRET_FILE', 'SEGMIND_API_KEY_FILE'],
      alone: ['REDIS_PREFIX', 'S3_PREFIX'],
    };
    const missing = Object.keys(SETTINGS).filter((name) => !Object.hasOwn(given, name));
    expect(missing.sort()).toEqual(Object.values(replaced).flat().sort());
    const unknown = Object.keys(given).filter((name) => !Object.hasOwn(SETTINGS, name) && !/^(AWS|OTEL)_/.test(name));
    expect(unknown).toEqual([]);
  });

  it('takes the simulator unless there is a key', () => {
    for (const name of ['simulator', 'worker'])
      expect(service(name).extends).toEqual({
        file: `deploy/compose/upstream\${SEGMIND_API_KEY:+-segmind}.yml`,
        service: name,
      });
    const [without, withKey] = [read('deploy/compose/upstream.yml'), read('deploy/compose/upstream-segmind.yml')];
    expect([without.services.simulator?.scale, withKey.services.simulator?.scale]).toEqual([1, 0]);
    expect(without.services.worker?.environment?.SEGMIND_BASE_URL).toBe('http://simulator:8090');
    expect(withKey.services.worker?.environment).toEqual({ SEGMIND_API_KEY: null, SEGMIND_BASE_URL: null });
  });
});

describe('the secrets of docker-compose.yml', () => {
  const make = async (into: string) => {
    await mkdir(into, { recursive: true });
    await run(process.execPath, [join(REPOSITORY, 'deploy/compose/secrets.ts'), into]);
    const names = await readdir(into);
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(into, name), 'utf8')] as const)),
    );
  };

  it('are made once, different for each installation, and readable by their owner only', async () => {
    const first = await make(join(folder, 'one'));
    expect(await make(join(folder, 'one'))).toEqual(first);
    const other = await make(join(folder, 'two'));
    expect(Object.keys(other)).toEqual(Object.keys(first));
    for (const [name, content] of Object.entries(first)) {
      expect(content.length).toBeGreaterThanOrEqual(20);
      expect(content).not.toBe(other[name]);
      expect((await stat(join(folder, 'one', name))).mode & 0o777).toBe(0o400);
    }
  });

  it('keep the accounts that were added by hand, and replace a list that no API would take', async () => {
    const into = join(folder, 'four');
    const { 'api-key': apiKey = '' } = await make(into);
    const list = join(into, 'api-keys');
    const put = async (content: string) => {
      await rm(list);
      await writeFile(list, content, { mode: 0o400 });
      return (await make(into))['api-keys'];
    };
    const more = `default:${apiKey}, shop:sha256:${'a'.repeat(64)}\n`;
    expect(await put(more)).toBe(more);
    for (const broken of ['', '\n', 'shop', `default:${apiKey},default:other`])
      expect(await put(broken)).toBe(`default:${apiKey}`);
  });

  it('are what the API takes from where it is told to look for them', async () => {
    const into = join(folder, 'three');
    const secrets = await make(into);
    const environment = Object.entries(service('api').environment ?? {}).flatMap(([name, value]) =>
      value === null ? [] : [[name, value.replace('/secrets/', `${into}/`)] as const],
    );
    const { config } = readApiSettings({ HOST: '0.0.0.0', ...Object.fromEntries(environment), PUBLIC_URL: '' });
    expect(config.RENDERYARD_API_KEYS).toMatchObject([{ name: 'default' }]);
    expect(config.SECRET_KEY).toHaveLength(32);
    expect(config.IMAGE_LINKS).toBe('api');
    expect(secrets['api-keys']).toBe(`default:${secrets['api-key']}`);
    const s3 = service('s3').command?.join() ?? '';
    for (const name of ['s3-access-key', 's3-secret-key']) {
      expect(s3).toContain(`/secrets/${name})`);
      expect(secrets['s3-credentials']).toContain(` = ${secrets[name]}\n`);
    }
  });
});
