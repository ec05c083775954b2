import { createEventComposer } from '@renderyard/shared/webhook/compose-event';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { eventId } from '@renderyard/shared/webhook/event-id';

const ID = 'job_01kwrmnjx3ybj0xn47bsj9tya5';
const INPUT = {
  ...{ prompt: 'A lighthouse made of books, at dawn', negative_prompt: 'low quality, blurry', steps: 30 },
  ...{ guidance_scale: 5.5, seed: 751949251, sampler: 'euler', scheduler: 'sgm_uniform', width: 1024, height: 1024 },
  ...{ aspect_ratio: 'custom', batch_size: 1, image_format: 'jpeg', image_quality: 95, base64: false },
};
const OUTPUT = {
  ...{ key: `jobs/${ID}.jpg`, content_type: 'image/jpeg', bytes: 183_412 },
  ...{ width: 1024, height: 1024, seed: 751949251 },
  sha256: '5f7d3c0ba1a4e1d36fb5d5f43c8f15f9e2f6a6a3a5d9c7b0f9d0c1e2b3a49586',
};

/** The event that docs/webhooks.md shows, as the outbox holds it. */
export const TOLD_JOB: OutboxEvent = {
  ...{ id: eventId(ID, 'job.succeeded', 1), type: 'job.succeeded', account: 'default', at: 1_783_238_419_470 },
  ...{ to: [{ webhook: 'whk_01kwp28vx30s42k2t8qr1hk5h7' }], job_id: ID },
  job: {
    ...{ id: ID, account: 'default', status: 'succeeded' },
    ...{ model: 'stable-diffusion-3.5-large-txt2img', input: JSON.stringify(INPUT), output: JSON.stringify([OUTPUT]) },
    ...{ metadata: '{"order":"A-1047"}', attempts: '1', tries: '1', uncertain: '0', uncertain_tries: '0' },
    ...{ cost: '18000000', call: '', ticket: '1', endings: '1', created_at: '1783238413219' },
    ...{ started_at: '1783238413301', ended_at: '1783238419470' },
  },
};

/** When it is sent, in milliseconds since 1970. */
export const SENT_AT = 1_783_238_419_512;

/** What is sent of it, byte for byte, by an installation at this URL. */
export function composeToldJob(publicUrl: string): Promise<string> {
  const absent = () => Promise.reject(new Error('Of a single job nothing else is read.'));
  return createEventComposer({
    files: { readRecord: absent, readRows: absent },
    states: { get: absent },
    ledger: { snapshot: absent },
    config: { PUBLIC_URL: publicUrl, SEGMIND_RPM: 60, SEGMIND_CONCURRENCY: 20, floor: 0 as never },
    clock: { now: () => SENT_AT, sleep: absent },
  }).compose(TOLD_JOB);
}
