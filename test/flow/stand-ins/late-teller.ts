/**
 * A worker that was thought dead and comes back with the ends of its calls. With SIGUSR2 it records them all, so that two
 * of them can do it at once.
 */
import { connectLedger, type PlannedCall, rendered, tell } from './connection.ts';

const calls = JSON.parse(process.env.TASK ?? '') as readonly PlannedCall[];
const { redis, record } = await connectLedger({
  url: process.env.REDIS_URL ?? '',
  name: process.env.REDIS_PREFIX ?? '',
});
process.once('disconnect', () => process.exit(1));
process.once('SIGUSR2', async () => {
  for (const call of calls) await record(rendered(call));
  tell({ told: calls.length });
  await redis.quit();
  process.disconnect();
});
process.send?.({ ready: true });
