import { describe, expect, test } from 'vitest';
import { createRig, nano } from '../support/rig.ts';

const prompts = (n: number) => Array.from({ length: n }, (_, i) => `picture number ${i}`);

describe('a job', () => {
  test('becomes an image in the store, and costs what the upstream billed', async () => {
    await using rig = await createRig();
    const [id = ''] = await rig.submit(['a lighthouse made of books']);
    const [job] = await rig.ended([id]);
    expect(job).toMatchObject({ status: 'succeeded', attempts: 1, uncertain: 0, error: undefined });
    const [billed, ...more] = await rig.upstream.wholeLedger();
    expect(more).toEqual([]);
    expect(job?.cost).toBe(nano(billed?.cost_exact ?? ''));
    expect(job?.output).toEqual([
      {
        key: `jobs/${id}.jpg`,
        content_type: 'image/jpeg',
        bytes: billed?.image_bytes,
        width: 64,
        height: 64,
        sha256: billed?.image_sha256,
        seed: job?.input.seed,
      },
    ]);
    const stored = await rig.store.head(`jobs/${id}.jpg`);
    expect(stored).toMatchObject({
      contentType: 'image/jpeg',
      metadata: {
        job: id,
        sha256: billed?.image_sha256,
        'request-id': billed?.request_id,
        seed: String(job?.input.seed),
      },
    });
  });

  test('reaches the upstream byte for byte, whatever its prompt', async () => {
    await using rig = await createRig();
    const odd = [
      'a "quoted" prompt',
      'ünïcödé 日本語 🎉👩‍👩‍👧',
      ' leading and trailing ',
      'tab\tand\nnewline',
      '{"json": true}',
      '\\u0041 \\n <b>&amp;</b>',
      'é (composed) and é (not)',
    ];
    await rig.ended(await rig.submit(odd));
    expect((await rig.upstream.wholeLedger()).map((entry) => entry.prompt).sort()).toEqual([...odd].sort());
  });

  test('gets all of its parameters to the upstream, base64 turned off', async () => {
    await using rig = await createRig();
    const [id = ''] = await rig.submit(['x'], {
      steps: 12,
      guidance_scale: 7.25,
      seed: 4242,
      image_format: 'png',
      negative_prompt: 'fog',
    });
    const [job] = await rig.ended([id]);
    const [entry] = await rig.upstream.wholeLedger();
    expect(entry?.parameters).toEqual(job?.input);
    expect(entry?.parameters).toMatchObject({
      steps: 12,
      guidance_scale: 7.25,
      seed: 4242,
      base64: false,
      batch_size: 1,
      negative_prompt: 'fog',
    });
    expect(job?.output[0]).toMatchObject({ key: `jobs/${id}.png`, content_type: 'image/png', seed: 4242 });
  });
});

describe('many jobs', () => {
  test('are each billed once, and leave nothing reserved', async () => {
    await using rig = await createRig({ workers: 2, simulator: { latencyMs: 20, latencyP95Ms: 60 } });
    const jobs = await rig.ended(await rig.submit(prompts(60)));
    expect(new Set(jobs.map((job) => job.status))).toEqual(new Set(['succeeded']));
    const ledger = await rig.upstream.wholeLedger();
    expect(ledger.length).toBe(60);
    const books = await rig.ledger.snapshot(Date.now());
    expect(books).toMatchObject({ reserved: 0, uncertain: 0, inFlight: 0, uncertainCalls: [], holds: [] });
    expect(books.spent).toBe(ledger.reduce((sum, entry) => sum + nano(entry.cost_exact), 0));
  });

  test('all succeed when three in ten answers are a 500, and only images are paid for', async () => {
    await using rig = await createRig({ settings: { RENDER_ATTEMPTS: '12' } });
    await rig.upstream.fault({ match: { probability: 0.3 }, effect: { kind: 'status', status: 500 } });
    const jobs = await rig.ended(await rig.submit(prompts(60)));
    expect(new Set(jobs.map((job) => job.status))).toEqual(new Set(['succeeded']));
    const { billed_count } = await rig.upstream.ledger();
    expect(billed_count).toBe(60);
    const calls = (await rig.upstream.allCalls()).filter((call) => call.endpoint === 'render');
    expect(calls.length).toBeGreaterThan(60);
    expect(jobs.reduce((sum, job) => sum + job.attempts, 0)).toBe(calls.length);
  });

  test('list every body that was cut after a 200 as uncertain, and store no broken image', async () => {
    await using rig = await createRig({ settings: { UNCERTAIN_RETRIES: '20', RENDER_ATTEMPTS: '20' } });
    for (const by of ['length', 'chunk', 'close'] as const)
      await rig.upstream.fault({ match: { probability: 0.07 }, effect: { kind: 'cut', by, share: 0.6 } });
    const jobs = await rig.ended(await rig.submit(prompts(60)));
    expect(new Set(jobs.map((job) => job.status))).toEqual(new Set(['succeeded']));
    const billed = await rig.upstream.wholeLedger();
    const cuts = billed.filter((entry) => entry.answer !== 'whole');
    expect(cuts.length).toBeGreaterThan(0);
    const books = await rig.ledger.snapshot(Date.now());
    expect(books.uncertainCalls.length).toBe(cuts.length);
    expect(billed.length).toBe(60 + cuts.length);
    expect(jobs.reduce((sum, job) => sum + job.uncertain, 0)).toBe(cuts.length);
    const good = new Set(billed.filter((entry) => entry.answer === 'whole').map((entry) => entry.image_sha256));
    for (const job of jobs) expect(good.has(job.output[0]?.sha256 ?? '')).toBe(true);
  });
});

describe('an error of our own between the image and its record', () => {
  test('loses nothing: the image in the store is adopted by the next run, and not paid for again', async () => {
    await using rig = await createRig({ simulator: { latencyMs: 300 }, settings: { LOCK_MS: '2000' } });
    const [id = ''] = await rig.submit(['x']);
    await rig.until('the call is under way', async () => (await rig.job(id)).status === 'processing');
    // A key of the wrong kind makes the script that records the end fail.
    await rig.redis.set(`${rig.prefix}successes`, 'broken');
    await rig.until('the record has failed', async () =>
      rig.logs.some((line) => String(line.msg).startsWith('a call could not be settled')),
    );
    await rig.redis.del(`${rig.prefix}successes`);
    const [job] = await rig.ended([id]);
    expect(job).toMatchObject({ status: 'succeeded', attempts: 1 });
    expect((await rig.upstream.ledger()).billed_count).toBe(1);
  });
});
