import { env, exit } from 'node:process';

/** Milliseconds in which a process that is well has answered; its own checks take 2 s at most. */
const PATIENCE_MS = 4_000;

/**
 * Docker's health check: ends with 0 if the service of this container is ready. The api and the worker say so on the
 * port for those who watch over them, the simulator by its list of models; only one of the two is there.
 */
const addresses = [
  `http://127.0.0.1:${env.METRICS_PORT || 9464}/health/ready`,
  `http://127.0.0.1:${env.SIMULATOR_PORT || 8090}/inference-model-information/list`,
];

async function ask(address: string): Promise<void> {
  const answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text.slice(0, 2_000)}`);
}

try {
  await Promise.any(addresses.map(ask));
  exit(0);
} catch (error) {
  const reasons = error instanceof AggregateError ? error.errors : [error];
  process.stdout.write(`${reasons.map((reason: Error) => reason.message).join('\n')}\n`);
  exit(1);
}
