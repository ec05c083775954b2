import { createHash } from 'node:crypto';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { startInstallation } from '../support/installation.ts';

test('images lie in the bucket as they were sent, and a link fetches them without a key', async () => {
  const bucket = await freshBucket();
  await using yard = await startInstallation({ workers: 2, env: bucket.env });
  const ids = await yard.submit(Array.from({ length: 10 }, (_, i) => `picture ${i} “ünïcödé” 🎉`));
  const jobs = await yard.ended(ids);
  const billed = new Map((await yard.upstream.wholeLedger()).map((entry) => [entry.prompt, entry]));
  const s3 = bucket.client();
  for (const job of jobs) {
    const [image] = job.output;
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket.name, Key: image?.key ?? '' }));
    const bytes = (await object.Body?.transformToByteArray()) ?? new Uint8Array();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(sha256).toBe(billed.get(job.input.prompt)?.image_sha256);
    expect(sha256).toBe(image?.sha256);
    expect(object.ContentType).toBe('image/jpeg');
    expect(object.Metadata?.job).toBe(job.id);
    const redirect = await yard.call('GET', `/v1/jobs/${job.id}/image`);
    expect(redirect.redirected && redirect.status === 200).toBe(true);
    expect(
      createHash('sha256')
        .update(Buffer.from(await redirect.arrayBuffer()))
        .digest('hex'),
    ).toBe(sha256);
  }
  s3.destroy();
});
