import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startService } from '../support/processes.ts';

const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
const run = promisify(execFile);

/** The shell blocks under a heading of the README, as they stand. */
function blocks(heading: string): string[] {
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block ?? '');
}

test('what the README says under “Your first image” gives an image', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-readme-'));
  try {
    await using service = await startService({
      service: 'standalone',
      env: { DATA_DIR: join(folder, 'data'), PORT: '0' },
      readyMs: 60_000,
    });
    const [submit = '', fetchImage = ''] = blocks('Your first image').map((block) =>
      block.replaceAll('http://127.0.0.1:8080', service.url),
    );
    const { stdout } = await run('sh', ['-c', submit], { cwd: folder });
    const job = JSON.parse(stdout) as {
      id: string;
      status: string;
      output: { bytes: number }[];
      input: { seed: number };
    };
    expect(job).toMatchObject({ status: 'succeeded', input: { seed: expect.any(Number) } });
    await run('sh', ['-c', fetchImage.replace('JOB_ID', job.id)], { cwd: folder });
    expect((await stat(join(folder, 'image.jpg'))).size).toBe(job.output[0]?.bytes);
    expect((await stat(join(folder, 'data/store/jobs', `${job.id}.jpg`))).size).toBe(job.output[0]?.bytes);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 90_000);

test('the README names the two commands', () => {
  expect(blocks('Start').map((block) => block.trim())).toEqual(['npm ci && npm start', 'npm ci && npm test']);
});
