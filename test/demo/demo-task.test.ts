import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '@renderyard/shared/clock';
import { DEMO_OPTIONS, DEMO_PATH } from '@renderyard/standalone/demo/demo-file';
import { createDemoTask } from '@renderyard/standalone/demo/demo-task';
import { readStandaloneSettings } from '@renderyard/standalone/standalone-settings';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { type Request, type Script, startFakeApi } from './fake-api.ts';
import { BATCH_ID, batchView, batchWith, resultRow } from './views.ts';

interface Setting {
  readonly script?: Script;
  readonly exit?: boolean;
  readonly yes?: boolean;
  /** Segmind's own account, not the simulator. */
  readonly paid?: boolean;
  readonly answer?: boolean;
  readonly key?: string;
  readonly stopAfter?: RegExp;
}

interface Outcome {
  readonly code: number | undefined;
  readonly interrupted: number;
  readonly said: string;
  readonly questions: readonly string[];
  readonly requests: readonly Request[];
  readonly page: string | undefined;
  readonly images: readonly string[];
}

/** Time that passes as soon as somebody waits for it. */
function quickClock(): Clock {
  let now = Date.parse('2026-05-04T10:00:10Z');
  return {
    now: () => now,
    sleep: async (ms, signal) => {
      now += ms;
      await systemClock.sleep(1, signal);
    },
  };
}

async function runTask({
  script = {},
  exit = true,
  yes = false,
  paid = false,
  answer = false,
  key,
  stopAfter,
}: Setting) {
  const dataDir = await makeTemporaryFolder('demo');
  try {
    await using api = await startFakeApi(script);
    const stopping = new AbortController();
    const said: string[] = [];
    const questions: string[] = [];
    const write = (text: string) => {
      said.push(text);
      if (stopAfter?.test(text) === true) stopping.abort(new Error('Stopped.'));
    };
    const task = createDemoTask({
      args: { exit, yes, help: false },
      key,
      csvFile: DEMO_PATH,
      terminal: { live: false, width: 80, say: write, warn: write, show: () => undefined, clear: () => undefined },
      clock: quickClock(),
      ask: async (question) => {
        questions.push(question);
        return answer;
      },
    });
    const env = { DATA_DIR: dataDir, ...(paid ? { SEGMIND_API_KEY: 'SG_aaaaaaaaaaaaaaaa' } : {}) };
    const code = await task.run({
      url: api.url,
      settings: readStandaloneSettings(env),
      dataDir,
      signal: stopping.signal,
    });
    const folder = join(dataDir, 'demo', BATCH_ID);
    return {
      code,
      interrupted: task.interrupted,
      said: said.join('\n').replaceAll(dataDir, 'DATA').replaceAll(api.url, 'URL'),
      questions,
      requests: api.requests,
      page: await readFile(join(folder, 'index.html'), 'utf8').catch(() => undefined),
      images: (await readdir(join(folder, 'images')).catch(() => [])).sort(),
    } satisfies Outcome;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

const uploads = ({ requests }: Outcome) => requests.filter(({ method }) => method === 'POST');

test('the example is imported as it is, with its options, and its images are downloaded beside a page', async () => {
  const outcome = await runTask({});
  expect(outcome.code).toBe(0);
  const [upload, ...more] = uploads(outcome);
  expect(more).toEqual([]);
  expect(upload?.headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(upload?.headers.authorization).toBeUndefined();
  expect(upload?.body.equals(await readFile(DEMO_PATH))).toBe(true);
  expect(Object.fromEntries(upload?.query ?? [])).toEqual(DEMO_OPTIONS);
  expect(outcome.images).toEqual(['0001-id-1-7.jpg', '0002-id-2-7.jpg', '0003-id-3-7.jpg']);
  for (const image of outcome.images) expect(outcome.page).toContain(`src="images/${image}"`);
  expect(outcome.said).toMatch(
    /3 of 3 images in 45 s for 0\.0414 credits\.\n\nContact sheet: DATA\/demo\/bat_\w+\/index\.html\nImages: {8}DATA\/store\/batches\/bat_\w+\/images\/$/,
  );
});

test('without --exit it stays up, and says where', async () => {
  const { code, interrupted, said } = await runTask({ exit: false });
  expect({ code, interrupted }).toEqual({ code: undefined, interrupted: 0 });
  expect(said).toMatch(
    /Results: {7}URL\/v1\/batches\/bat_\w+\/results\.csv\n\nRenderyard still runs: URL \(Ctrl-C stops all of it\)$/,
  );
});

test.each<[string, Script]>([
  ['a row failed', { seen: [batchWith({ succeeded: 2, failed: 1 })] }],
  ['the batch was canceled', { seen: [batchWith({ succeeded: 2, canceled: 1 }, { status: 'canceled' })] }],
  ['no row was accepted', { seen: [batchWith({ total: 0, succeeded: 0 })], rows: [] }],
  ['an image cannot be downloaded', { lost: [2] }],
])('with --exit the code is 1 when %s', async (_, script) => {
  const { code, page } = await runTask({ script });
  expect(code).toBe(1);
  expect(page).toBeDefined();
});

test('an image that cannot be downloaded leaves its place on the page, and the others are there', async () => {
  const { images, page, said } = await runTask({ script: { lost: [2] } });
  expect(images).toEqual(['0001-id-1-7.jpg', '0003-id-3-7.jpg']);
  expect(page).toContain('The image could not be downloaded.');
  expect(said).toContain('1 image could not be downloaded');
});

test('progress is told in lines, at most one in five seconds, and the last one always', async () => {
  const seen = Array.from({ length: 24 }, (_, i) =>
    batchWith(
      { total: 24, succeeded: i },
      { status: 'running', eta: '2026-05-04T10:00:34Z', rate: 58.4, cost: i / 100 },
    ),
  );
  const { said } = await runTask({
    script: { seen: [...seen, batchWith({ total: 24, succeeded: 24 }, { cost: 0.24 })] },
  });
  expect(said.split('\n').filter((line) => line.includes(' of 24 ·'))).toEqual([
    '0 of 24 · 58/min · 24 s left · 0 credits',
    '10 of 24 · 58/min · 19 s left · 0.1 credits',
    '20 of 24 · 58/min · 14 s left · 0.2 credits',
    '24 of 24 · 60/min · 0.24 credits',
  ]);
});

test('while the results are written that is said, once', async () => {
  const finishing = Array.from({ length: 24 }, (_, i) =>
    batchView({ status: 'finishing', rate: 60 - i, ended_at: null }),
  );
  const { said } = await runTask({ script: { seen: [...finishing, batchView()] } });
  expect(said.split('\n').filter((line) => line.includes(' of 3 ·'))).toEqual([
    '3 of 3 · writing the results · 0.0414 credits',
    '3 of 3 · 60/min · 0.0414 credits',
  ]);
});

test('why the batch waits is told once', async () => {
  const hold = { reason: 'credits', since: '2026-05-04T10:00:00Z', detail: 'The floor is reached.' } as const;
  const held = batchWith({ succeeded: 1 }, { status: 'running', hold });
  const { code, said } = await runTask({ script: { seen: [held, held, held, batchView()] } });
  expect(code).toBe(0);
  expect(said.match(/The batch waits \(credits\): The floor is reached\./g)).toHaveLength(1);
});

test('a batch that paused itself ends the demo with --exit, with the rows that did not run on the page', async () => {
  const hold = { reason: 'batch_failing', since: '2026-05-04T10:00:00Z', detail: 'All rows failed.' } as const;
  const seen = [batchWith({ succeeded: 1, queued: 2 }, { status: 'paused', hold, ended_at: null })];
  const rows = [resultRow(1), resultRow(2, { status: 'queued', output: [] })];
  const { code, said, page } = await runTask({ script: { seen, rows } });
  expect(code).toBe(1);
  expect(said).toContain('The batch has paused itself: All rows failed.');
  expect(page).toContain('Its turn has not come yet.');
});

test('an unfinished batch of an earlier demo is told, others are not, and a new one is made', async () => {
  const earlier = [
    batchWith({ succeeded: 1 }, { id: 'bat_earlier', status: 'paused' }),
    batchView({ id: 'bat_ended' }),
    batchView({ id: 'bat_other', status: 'running', name: 'catalogue' }),
  ];
  const outcome = await runTask({ script: { earlier } });
  expect(outcome.code).toBe(0);
  expect(outcome.said).toContain('An earlier demo has not ended: bat_earlier is paused, with 1 of 3 images.');
  expect(outcome.said).not.toMatch(/bat_ended|bat_other/);
  expect(uploads(outcome)).toHaveLength(1);
});

test('the balance is waited for, and told beside the estimate', async () => {
  const { said } = await runTask({ script: { balances: [null, null, 12.5] } });
  expect(said).toContain('There are 12.5 credits, of which 2 credits are never spent.');
});

test('a balance that does not come is not waited for', async () => {
  const { code, said } = await runTask({ script: { balances: [null] } });
  expect(code).toBe(0);
  expect(said).toContain('The balance is not known yet.');
});

test('where it would cost money, the estimate is told and a person is asked first', async () => {
  const outcome = await runTask({ paid: true, answer: true });
  expect(outcome.questions).toEqual(['Spend about 0.5 credits of your Segmind account?']);
  expect(outcome.said).toContain('Estimated: 0.5 credits for 3 images, about 44 s.');
  expect(uploads(outcome).map(({ query }) => query.get('dry_run'))).toEqual(['true', null]);
  expect(outcome.page).not.toContain('Simulation');
});

test('a no imports nothing', async () => {
  const outcome = await runTask({ paid: true });
  expect(outcome.code).toBe(1);
  expect(outcome.said).toMatch(/Nothing was imported\.$/);
  expect(uploads(outcome).map(({ query }) => query.get('dry_run'))).toEqual(['true']);
});

test('--yes asks nobody', async () => {
  const outcome = await runTask({ paid: true, yes: true });
  expect(outcome).toMatchObject({ code: 0, questions: [] });
  expect(uploads(outcome)).toHaveLength(1);
});

test('a key goes with every request', async () => {
  expect((await runTask({ script: { key: 'a-secret' }, key: 'a-secret' })).code).toBe(0);
});

test.each([
  [true, 1],
  [false, undefined],
])('an upload that is refused is told in the words of the API; with exit %s the code is %s', async (exit, code) => {
  const problem = { detail: '2 things are wrong.', errors: [{ detail: 'No prompt.' }, { detail: 'No rows.' }] };
  const outcome = await runTask({ script: { refusal: { status: 400, problem } }, exit });
  expect(outcome.code).toBe(code);
  expect(outcome.said).toMatch(/The demo ends: 2 things are wrong\.\n {2}No prompt\.\n {2}No rows\./);
  expect(outcome.page).toBeUndefined();
});

test('an API that is away for a moment is asked again, and nothing is imported twice', async () => {
  const outcome = await runTask({ script: { outages: 9 } });
  expect(outcome.code).toBe(0);
  expect(uploads(outcome)).toHaveLength(10);
  expect(new Set(uploads(outcome).map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
});

test('an API that stays away ends the demo', async () => {
  const { code, said } = await runTask({ script: { outages: Number.POSITIVE_INFINITY } });
  expect(code).toBe(1);
  expect(said).toContain('The demo ends: The API at URL does not answer: Redis does not answer.');
});

test('a stop breaks it off at once, with a code that is no success', async () => {
  const running = batchWith({ succeeded: 1 }, { status: 'running' });
  await expect(runTask({ script: { seen: [running] }, stopAfter: /^1 of 3/ })).rejects.toThrow('Stopped.');
});
