import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Findings } from '@renderyard/standalone/demo/batch-view';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { startProcess } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const about = await readFile(join(REPOSITORY, 'examples/README.md'), 'utf8');
const command = /```sh\n(.*?)```/s.exec(about)?.[1] ?? '';
/** Lines that the description says are rejected. */
const mistakes = [...about.matchAll(/^\| line (\d+) \|.*\| rejected \|$/gm)].map(([, line]) => Number(line));

test('the example has 48 rows', async () => {
  const rows = parse(await readFile(join(REPOSITORY, 'examples/prompts.csv')), {
    columns: true,
    skip_empty_lines: true,
  });
  expect(rows).toHaveLength(48);
});

test('the demo renders the example, and the command of its description imports the same', async () => {
  const folder = await makeTemporaryFolder('example');
  try {
    await using demo = await startProcess({
      name: 'demo',
      file: join(REPOSITORY, 'services/standalone/src/demo/main.ts'),
      env: { DATA_DIR: folder, PORT: '0', SIMULATOR_LATENCY_MS: '0', SEGMIND_RPM: '6000' },
      readyMs: 60_000,
    });
    await demo.untilLog(({ text }) => /^(Renderyard still runs|The demo ends)/.test(String(text)), 120_000);
    const said = demo.logs.map(({ text }) => String(text)).join('\n');
    expect(said).toContain('examples/prompts.csv: 48 rows, 44 accepted, 4 rejected.');
    expect(said).toMatch(/Did you mean negative_prompt\?/);
    expect(said).toMatch(/Estimated: [\d.]+ credits for 44 images, about \d+ s\. (There are|The balance is not known)/);
    expect(said).toMatch(/^44 of 44 images in .+ for 0\.\d+ credits\.$/m);

    const page = /^Contact sheet: (.+)$/m.exec(said)?.[1] ?? '';
    const stored = /^Images: +(.+)$/m.exec(said)?.[1] ?? '';
    const html = await readFile(page, 'utf8');
    const images = [...html.matchAll(/<img src="([^"]+)"/g)].map(([, source]) => decodeURIComponent(source ?? ''));
    expect(images).toHaveLength(44);
    for (const image of images) expect((await stat(join(page, '..', image))).size).toBeGreaterThan(1000);
    expect(await readdir(stored)).toHaveLength(44);

    const dryRun = command.replace('http://127.0.0.1:8080', demo.url).replace('-F file=', '-F dry_run=true -F file=');
    const { stdout } = await run('sh', ['-c', dryRun], { cwd: REPOSITORY });
    const found = JSON.parse(stdout) as Findings;
    expect(found.counts).toMatchObject({ total: 44, rejected: 4 });
    expect(found.report.rejected.errors.map(({ line }) => line)).toEqual(mistakes);
    expect(found.report.warnings.map(({ column }) => column)).toEqual(['negative_promt']);
    demo.kill('SIGTERM');
    expect((await demo.exited).code).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 200_000);
