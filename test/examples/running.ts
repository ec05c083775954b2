import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { signWebhook, type WebhookHeaders } from '@renderyard/shared/webhook/sign';
import { REPOSITORY } from '../support/cache-folder.ts';

export const EXAMPLES = join(REPOSITORY, 'examples/webhooks');

/** The example that Standard Webhooks publishes. */
export const PUBLISHED = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  at: 1_614_265_330,
  body: '{"test": 2432232314}',
  headers: {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  } satisfies WebhookHeaders,
};

/** What a receiver is sent. */
export interface Sent {
  readonly headers: WebhookHeaders;
  readonly body: string;
}

/** Which of these programs the machine has not. */
export function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => {
    try {
      execFileSync(program, [program === 'openssl' ? 'version' : '--version'], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  return absent.length === 0 ? undefined : `there is no ${absent.join(' and no ')} here`;
}

/** A delivery as Renderyard makes it, signed now; what is given differs. */
export function signed({
  secrets,
  id = `evt_${randomBytes(13).toString('hex')}`,
  body = '{"type":"webhook.test","data":{"text":"Grüße, 世界 🚀"}}',
  ageS = 0,
}: {
  readonly secrets: readonly string[];
  readonly id?: string;
  readonly body?: string;
  readonly ageS?: number;
}): Sent {
  return { headers: signWebhook({ id, atMs: Date.now() - ageS * 1000, body, secrets }), body };
}

/** Deliveries that a receiver whose secret this is must take. */
export function rightOnes(secret: string): Record<string, Sent> {
  const other = newWebhookSecret();
  const { headers, body } = signed({ secrets: [secret] });
  return {
    'signed with its secret': { headers, body },
    'signed with its secret and an older one': signed({ secrets: [secret, other] }),
    'signed with a newer secret and its own': signed({ secrets: [other, secret] }),
    'four minutes old': signed({ secrets: [secret], ageS: 240 }),
    'from a clock that is four minutes ahead': signed({ secrets: [secret], ageS: -240 }),
    'with a signature of another version as well': {
      headers: { ...headers, 'webhook-signature': `v1a,${'A'.repeat(86)}== ${headers['webhook-signature']}` },
      body,
    },
  };
}

/** Deliveries that it must refuse. */
export function wrongOnes(secret: string): Record<string, Sent> {
  const good = signed({ secrets: [secret] });
  const { headers, body } = good;
  const withHeaders = (over: Partial<WebhookHeaders>): Sent => ({ body, headers: { ...headers, ...over } });
  const signature = headers['webhook-signature'];
  return {
    'with one byte more': { headers, body: `${body} ` },
    'with another number in it': { headers, body: body.replace('test', 'tost') },
    'of another id': withHeaders({ 'webhook-id': 'evt_1' }),
    'of another time': withHeaders({ 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }),
    'more than five minutes old': signed({ secrets: [secret], ageS: 330 }),
    'from a clock that is more than five minutes ahead': signed({ secrets: [secret], ageS: -360 }),
    'signed with other secrets': signed({ secrets: [newWebhookSecret(), newWebhookSecret()] }),
    'with a time that is no number': withHeaders({ 'webhook-timestamp': '1e9' }),
    'without a time': withHeaders({ 'webhook-timestamp': '' }),
    'without a signature': withHeaders({ 'webhook-signature': '' }),
    'with an empty signature': withHeaders({ 'webhook-signature': 'v1,' }),
    'with half a signature': withHeaders({ 'webhook-signature': signature.slice(0, 20) }),
    'with its signature called another version': withHeaders({
      'webhook-signature': signature.replace('v1,', 'v2,'),
    }),
  };
}

/** Runs a program. @returns its exit code and what it wrote. */
export function run(
  [command = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly code: number; readonly output: string }> {
  const { PATH, HOME } = process.env;
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { PATH, HOME, ...env }, timeout: 20_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, output: `${stdout}${stderr}` });
      else reject(error);
    });
  });
}

export interface RunningReceiver extends AsyncDisposable {
  readonly url: string;
  /** The events that it said it has handled: id and type. */
  readonly handled: readonly string[];
  /** Resolves when it has said so of this many. */
  untilHandled(count: number): Promise<void>;
}

/** Starts one of the receivers at a free port. It ends with the test (`await using`). */
export async function startReceiver(command: readonly string[], secret: string): Promise<RunningReceiver> {
  const { PATH, HOME } = process.env;
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { PATH, HOME, WEBHOOK_SECRET: secret, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  const handled: string[] = [];
  let word = Promise.withResolvers<void>();
  const url = new Promise<string>((resolve, reject) => {
    void ended.then(() => reject(new Error(`${command.join(' ')} ended before it listened.`)));
    createInterface(child.stdout).on('line', (line) => {
      const listening = /^Listening on (http:\S+)$/.exec(line)?.[1];
      if (listening !== undefined) resolve(listening);
      else handled.push(line);
      word.resolve();
      word = Promise.withResolvers();
    });
  });
  return {
    url: await url,
    handled,
    async untilHandled(count) {
      while (handled.length < count) await word.promise;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
