import { beforeAll, describe, expect, inject, test } from 'vitest';
import { type Container, YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { startYard, type Yard } from './yard/yard.ts';

const MIB = 1024 ** 2;
let yard: Yard;
const containerOf = (name: 'api' | 'worker' | 'simulator'): Container => {
  const container = (name === 'worker' ? yard.workers[0] : yard[name])?.container;
  if (container === undefined) throw new Error(`The ${name} does not run in a container.`);
  return container;
};
const ours = ['api', 'worker', 'simulator'] as const;

describe.skipIf(inject('blackBox').kind === 'local')('the image', () => {
  beforeAll(async () => {
    yard = await startYard({ healthChecks: true });
    return () => yard[Symbol.asyncDispose]();
  }, YARD_MS);

  test.each(ours)('runs the %s as a user without rights, as process 1, and not under a shell', async (name) => {
    const script = `const fs = require('node:fs');
      const status = fs.readFileSync('/proc/1/status', 'utf8');
      const of = (name) => new RegExp(name + ':\\\\s*(\\\\S+)').exec(status)[1];
      process.stdout.write(JSON.stringify({ uid: of('Uid'), gid: of('Gid'), caps: of('CapEff'), name: of('Name') }));`;
    const { code, stdout } = await containerOf(name).run(['node', '-e', script]);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { uid: '1000', gid: '1000', caps: '0000000000000000', name: expect.stringMatching(/node|MainThread/) },
    ]);
  });

  test.each(ours)('needs nothing of its file system to be written, of the %s', async (name) => {
    const { HostConfig } = await containerOf(name).inspect();
    expect(HostConfig.ReadonlyRootfs).toBe(true);
    const write = (path: string) => containerOf(name).run(['node', '-e', `fs.writeFileSync('${path}', '')`]);
    for (const path of ['/app/package.json', '/app/new', '/etc/passwd', '/home/node/new'])
      expect((await write(path)).stderr).toMatch(/EROFS|EACCES/);
    expect(await write('/data/new')).toMatchObject({ code: 0 });
  });

  test.each(ours)('says by itself that the %s is healthy', async (name) => {
    await until('the engine calls it healthy', async () => {
      const { State } = await containerOf(name).inspect();
      if (State.Health.Status === 'unhealthy') throw new Error(JSON.stringify(State.Health.Log.slice(-1)));
      return State.Health.Status === 'healthy';
    });
  });

  test('has what is needed to run and nothing else: no compiler, no tests, no tools of developers', async () => {
    const list = `for (const path of ['typescript', 'vitest', '@biomejs', 'testcontainers'])
        if (fs.existsSync('/app/node_modules/' + path)) console.log(path);
      for (const path of ['test', '.git', 'docs', 'benchmarks', '.env'])
        if (fs.existsSync('/app/' + path)) console.log(path);`;
    expect(await containerOf('api').run(['node', '-e', list])).toMatchObject({ code: 0, stdout: '' });
  });

  test('says what it is', async () => {
    const { Config } = await containerOf('api').inspect();
    const labels: Readonly<Record<string, string>> = Config.Labels;
    for (const name of ['title', 'description', 'licenses', 'version', 'revision'])
      expect(Object.keys(labels)).toContain(`org.opencontainers.image.${name}`);
    expect(Config.Entrypoint[0]).toBe('node');
  });

  test('takes an order to stop at once, with nothing in hand', async () => {
    const begun = performance.now();
    await yard.workers[0]?.stop(20_000);
    expect(await yard.workers[0]?.exited).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test('keeps little in memory while it waits', async () => {
    const { stdout } = await containerOf('api').run([
      'node',
      '-e',
      "process.stdout.write(/VmRSS:\\s*(\\d+)/.exec(fs.readFileSync('/proc/1/status', 'utf8'))[1])",
    ]);
    expect(Number(stdout) * 1024).toBeLessThan(300 * MIB);
  });
});
