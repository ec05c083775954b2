import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openHttpReceiver } from './http-receiver.ts';
import { openTellingYard } from './telling.ts';

test('deliveries are swept, and who is owed something is noted, also while no decision about webhooks can be kept', async () => {
  await using yard = await openTellingYard();
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  await yard.render('a fox');
  await yard.until('it has arrived', async () => (await yard.deliveries(id))[0]?.status === 'succeeded');
  const [{ id: delivery }] = await yard.deliveries(id);
  const { redis, prefix } = yard;

  // A folder that leads to itself can be neither read nor written.
  const folder = join(yard.dataDir, 'store', 'webhooks');
  await rm(folder, { recursive: true });
  await symlink(folder, folder);
  receiver.answer(410);
  await yard.render('an owl');
  const failed = () => yard.workerLogs.filter(({ msg }) => String(msg).includes('upkeep failed')).length;
  await yard.until('it cannot be kept', () => failed() > 0);

  await redis.zadd(`${prefix}deliveries`, 1, delivery);
  await redis.del(`${prefix}turn:deliveries`);
  await yard.store.delete(['owed-webhooks.json']);
  await redis.incr(`${prefix}told`);
  await yard.until('it is swept', async () => (await redis.exists(`${prefix}dlv:${delivery}`)) === 0);
  await yard.until('it is noted', async () => (await yard.store.head('owed-webhooks.json')) !== undefined);
  expect(await redis.smembers(`${prefix}undecided-hooks`)).toEqual([id]);
}, 60_000);
