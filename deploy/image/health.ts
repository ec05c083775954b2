import { get } from 'node:http';
import { env, exit, stdout } from 'node:process';

/** Milliseconds in which a process that is well has answered; its own checks take 2 s at most. */
const PATIENCE_MS = 5_000;
/** Characters of an answer that are shown by `docker inspect`; it keeps 4096 bytes. */
const SHOWN = 2_000;

/**
 * Docker's health check: ends with 0 if the service of this container is ready. The api and the worker say so on the
 * port for those who watch over them, the simulator by its list of models; only one of the two is there.
 */
const addresses = [
  `http://127.0.0.1:${env.METRICS_PORT || 9464}/health/ready`,
  `http://127.0.0.1:${env.SIMULATOR_PORT || 8090}/inference-model-information/list`,
];

/** @throws what it answered, unless that is 200. Not `fetch`: loading it takes longer than all else here. */
function ask(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(address, { timeout: PATIENCE_MS, agent: false }, (answer) => {
      if (answer.statusCode === 200) return resolve();
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.on('end', () => reject(new Error(`${answer.statusCode} ${text.slice(0, SHOWN)}`)));
    });
    request.on('timeout', () => request.destroy(new Error(`${address} did not answer within ${PATIENCE_MS} ms.`)));
    request.on('error', reject);
  });
}

try {
  await Promise.any(addresses.map(ask));
  exit(0);
} catch (error) {
  const reasons = error instanceof AggregateError ? error.errors : [error];
  stdout.write(`${reasons.map((reason: Error) => reason.message).join('\n')}\n`, () => exit(1));
}
